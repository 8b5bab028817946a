import type { ErrorCode, Severity } from '../../../../base/index.ts';
import type { LintStatement, ScriptSetting } from './lint-statement.ts';
import type { History } from './history.ts';

/** The codes of the rules; `docs/reference/lints.md` says more of each. */
export type LintCode = Extract<ErrorCode, `lint_${string}`>;

/** What a rule has to say about one statement. */
export interface Hit {
  /** UTF-16 offset of what it is about; default the beginning of the statement. */
  readonly at?: number;
  /** A relation `schema.table`, a column `schema.table.column`, or another thing by its name. */
  readonly subject: string;
  /** What was found, in one clause. */
  readonly reason: string;
}

/** What a rule sees: a statement, what those before it did, and where the script runs. */
export interface LintView {
  readonly statement: LintStatement;
  readonly history: History;
  readonly setting: ScriptSetting;
  /** Whether no statement of the script follows. */
  readonly isLast: boolean;
  /** Whether the script has no other statement. */
  readonly isOnly: boolean;
}

/** One rule; its text is the reference page, and its example is a test: the first part is found, the second is not. */
export interface LintRule {
  readonly code: LintCode;
  readonly severity: Severity;
  /** What is found, in examples. */
  readonly finds: string;
  readonly why: string;
  /** What to do instead, in the imperative; the hint of each finding. */
  readonly remedy: string;
  readonly example: {
    readonly instead: string;
    readonly write: string;
    /** Where the example runs in a transaction of its runner; default not. */
    readonly inTransaction?: boolean;
  };
  readonly find: (view: LintView) => readonly Hit[];
}
