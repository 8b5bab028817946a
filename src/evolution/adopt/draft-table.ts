import { refusal, type Finding } from '../../base/index.ts';
import type { Tier } from '../../pipeline/index.ts';
import type { StandingKey, StandingTable } from './standing-table.ts';

/** One table to be defined. Its members are filled step by step while the draft is made. */
export interface DraftTable {
  readonly standing: StandingTable;
  readonly schema: string;
  /** As definitions call it, without the schema. */
  name: string;
  tier: Tier;
  /** Of a part: its master, and its label there. */
  master: DraftTable | undefined;
  label: string;
  /** Of a part of a part: the sibling whose whole key it holds. */
  within: DraftTable | undefined;
  /** Foreign keys within the primary key; that of a part to its master is left out. */
  parents: DraftKey[];
  references: DraftKey[];
}

/** A foreign key as a definition says it. */
export interface DraftKey {
  readonly standing: StandingKey;
  readonly to: DraftTable;
  /** Child column to parent column. */
  readonly columns: Readonly<Record<string, string>>;
  readonly isOptional: boolean;
  readonly isUnique: boolean;
}

/** `schema.table` as it stands. */
export function nameOf({ schema, name }: Pick<StandingTable, 'schema' | 'name'>): string {
  return `${schema}.${name}`;
}

/** What definitions cannot say of a table that stands there. */
export function inexpressible(subject: string, what: string, hint: string): Finding {
  return { ...refusal('adopt_inexpressible', subject, { detail: { what }, hint }), severity: 'warning' };
}
