import type { CHANGE_CLASSES, SAFETY_STRATEGIES } from '../evidence/index.ts';
import type { KindName } from './migration-id.ts';

/** Which objects may be touched; forbidden wins (M15, M16). Each `allowed_x` has a `forbidden_x`. */
export interface Scope extends Readonly<Record<string, readonly string[]>> {
  readonly allowed_schemas: readonly string[];
  readonly allowed_tables: readonly string[];
  readonly forbidden_schemas: readonly string[];
  readonly forbidden_tables: readonly string[];
}

/** The group of everyone whom the register of keys names as an approver of the environment. */
export const ANY_APPROVER = 'group:approvers';

/** How much a change asks of those who sign it, least first. */
export type ChangeClass = (typeof CHANGE_CLASSES)[number];

/** One step of a bundle, in the order of the list. */
export interface Phase {
  /** One of `artifacts.forward`. */
  readonly file: string;
  readonly mode: 'transactional' | 'nontransactional';
  /** A query that gives `done`, `absent` or `partial`; where it is left out, the kind asks by the parsed statement. */
  readonly check?: string;
  /** The statement that takes a partial effect away; where it is left out, the kind knows it by the parsed statement. */
  readonly compensate?: string;
}

/** A query whose one value has to be this one, beside the checks of the store itself. */
export interface Invariant {
  readonly name: string;
  readonly query: string;
  readonly expect: string | number | boolean | null;
}

/** The content of `migration.yml`, with the names it has there. */
export interface Declaration {
  readonly migration_id: string;
  readonly type: KindName;
  readonly intent: string;
  readonly store?: string;
  readonly scope: Scope;
  /** An absent limit is 0 (M22). A cap of a map is here by `per_label.<name>`. */
  readonly limits: Readonly<Record<string, number>>;
  readonly requires_rollback: boolean;
  readonly approvals: {
    /** Principals, or groups as `group:<name>`. */
    readonly required_reviewers: readonly string[];
    readonly change_class: ChangeClass;
    /** Where the decision is recorded. */
    readonly reference?: string;
    /** What protects readers where there is no way back. */
    readonly safety_strategy?: (typeof SAFETY_STRATEGIES)[number];
  };
  readonly runner?: {
    readonly tool?: string;
    /** The habitual command: recorded, never run. */
    readonly command?: string;
    readonly digest?: string;
    /** References to secrets that the run may resolve, never values. */
    readonly environment?: readonly string[];
  };
  readonly artifacts: {
    /** Executed in this order. */
    readonly forward: readonly string[];
    readonly rollback: readonly string[];
    /** What the others read. */
    readonly attachments?: readonly string[];
    readonly baselines?: Readonly<Record<string, string>>;
    readonly diffs?: Readonly<Record<string, string>>;
  };
  /** Default: all forward files in one transaction. */
  readonly phases?: readonly Phase[];
  /** Constructs that are refused unless they are named here, such as `dynamic_sql`. */
  readonly statements?: readonly string[];
  readonly invariants?: readonly Invariant[];
  readonly after?: readonly string[];
  readonly supersedes?: readonly string[];
}
