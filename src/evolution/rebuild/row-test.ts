/** What a classification is made of. */
import type { FormerKeyNames } from '../../pipeline/index.ts';
import type { Sql } from '../../store/index.ts';
import type { Variant } from './coverage.ts';
import type { ReadSubjects } from './read-subjects.ts';

/** What is known beside the definitions. */
export interface Facts {
  readonly variants: readonly Variant[];
  /** Whether the server can say if a text is a value of a type. */
  readonly canJudgeText: boolean;
  /** Undefined where nothing recorded can be asked. */
  readonly readSubjects: ReadSubjects | undefined;
  /** By the relation of a table that was read: what the columns of its key were called before. */
  readonly formerKeys: ReadonlyMap<number, FormerKeyNames>;
}

/** A fact about rows, and what it makes of them. */
export interface Test {
  readonly when: Sql;
  readonly becomes: 'ambiguous' | 'recompute' | 'retire';
  readonly why: string;
  /** A row of which this holds can stand as it is, if a rule says so. */
  readonly canStand?: true;
}

/**
 * Why a row is computed anew though it is known which row it will be: nothing stands against its new key, and rows below
 * go where it goes.
 */
export const IN_PLACE = {
  rule: 'the rule says so',
  make: 'only the make knows',
  read: 'read anew',
} as const;
