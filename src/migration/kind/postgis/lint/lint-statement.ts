import type { Node } from 'libpg-query';
import type { Effect } from './effect.ts';

/** A script and how its runner runs it. */
export interface LintScript {
  /** Named in findings, relative to the project. */
  readonly file?: string;
  readonly text: string;
  /** Whether its runner puts all of it into one transaction. Default false: the script begins its own, or has none. */
  readonly inTransaction?: boolean;
  /** Whether its runner sets `lock_timeout` and `statement_timeout`. Default false. */
  readonly hasTimeouts?: boolean;
  /** Whether it takes back what the scripts before it did, so that it may drop what they made. Default false. */
  readonly isRollback?: boolean;
}

/** How a script is run, with nothing left open. */
export interface ScriptSetting {
  readonly inTransaction: boolean;
  readonly hasTimeouts: boolean;
  readonly isRollback: boolean;
  /** Major version of the server, or undefined where none is known. */
  readonly serverMajor: number | undefined;
}

/** A statement, with what it does. */
export interface LintStatement {
  readonly node: Node;
  readonly start: number;
  readonly line: number;
  /** UTF-16 offset of a node's `location`. */
  readonly offsetOf: (location: number) => number;
  /** What it does to relations, those among them that the same bundle made. */
  readonly effects: readonly Effect[];
  /** Words of the statement that are names longer than PostgreSQL keeps. */
  readonly longNames: () => readonly { readonly name: string; readonly start: number }[];
}
