import type { JsonObject } from '../base/index.ts';
import type { Baseline, BaselineTable, TableCounts } from './baseline.ts';
import { digestOf, type Digest } from './digest.ts';
import type { EqualityProof } from './receipt.ts';

/** What differs between two baselines; follows from them alone, so anyone recomputes it byte for byte (M34). */
export interface DerivedDiff extends JsonObject {
  readonly pre: Digest;
  readonly post: Digest;
  readonly schema_changed: boolean;
  readonly object_counts: readonly {
    readonly kind: string;
    readonly before: number;
    readonly after: number;
  }[];
  readonly tables: readonly TableDiff[];
}

/** One table's difference; `null` rows where it does not exist. */
export interface TableDiff extends JsonObject {
  readonly table: string;
  readonly change: 'added' | 'removed' | 'changed' | 'same';
  readonly rows_before: number | null;
  readonly rows_after: number | null;
}

/** One declared limit with what was observed. */
export interface LimitVerdict extends JsonObject {
  readonly limit: string;
  readonly declared: number;
  readonly observed: number;
  readonly status: 'pass' | 'fail';
  /** What was observed is at most this; absent where it is the exact number. */
  readonly upper_bound?: true;
}

/** `diffs/summary.json`. */
export interface DiffSummary extends JsonObject {
  readonly diff_version: 'v1';
  readonly declared: { readonly scope: JsonObject; readonly limits: JsonObject };
  readonly derived: DerivedDiff;
  readonly witnessed: {
    readonly layers: readonly string[];
    readonly objects: readonly string[];
    readonly tables: readonly TableCounts[];
  };
  readonly verdicts: readonly LimitVerdict[];
}

/** The difference from one baseline to another. */
export function diffBaselines(pre: Baseline, post: Baseline): DerivedDiff {
  const before = byName(pre.tables);
  const after = byName(post.tables);
  return {
    pre: digestOf(pre),
    post: digestOf(post),
    schema_changed: pre.schema_fingerprint.logical !== post.schema_fingerprint.logical,
    object_counts: sortedUnion(Object.keys(pre.object_counts), Object.keys(post.object_counts)).map(
      (kind) => ({
        kind,
        before: pre.object_counts[kind] ?? 0,
        after: post.object_counts[kind] ?? 0,
      }),
    ),
    tables: sortedUnion([...before.keys()], [...after.keys()]).map((table) =>
      diffTable(table, before.get(table), after.get(table)),
    ),
  };
}

/**
 * Whether the state at the end of a way back is the baseline that it leads to: the logical catalog and the row digests
 * of every table (M106). A table may differ only where `newWrites` counts rows in it that others wrote and that were
 * kept; then the proof is never `equal` (M110). Other algorithms or server versions are not comparable (M97).
 */
export function proveEqual(
  expected: Baseline,
  found: Baseline,
  newWrites: readonly { readonly table: string; readonly rows: number }[],
): EqualityProof {
  const written = new Set(newWrites.filter(({ rows }) => rows > 0).map(({ table }) => table));
  const differing = diffBaselines(expected, found).tables.filter(({ change }) => change !== 'same');
  const shapeEqual =
    expected.algorithm === found.algorithm &&
    expected.server_version === found.server_version &&
    expected.schema_fingerprint.logical === found.schema_fingerprint.logical;
  const covered = differing.every(({ table, change }) => change === 'changed' && written.has(table));
  return {
    status: !shapeEqual || !covered ? 'not_equal' : written.size === 0 ? 'equal' : 'equal_except_new_writes',
    expected: digestOf(expected),
    found: digestOf(found),
    new_writes: newWrites.map(({ table, rows }) => ({ table, rows })),
  };
}

function byName(tables: readonly BaselineTable[]): ReadonlyMap<string, BaselineTable> {
  return new Map(tables.map((table) => [table.table, table]));
}

function diffTable(
  table: string,
  before: BaselineTable | undefined,
  after: BaselineTable | undefined,
): TableDiff {
  const rows = { rows_before: before?.rows ?? null, rows_after: after?.rows ?? null };
  if (before === undefined) return { table, change: 'added', ...rows };
  if (after === undefined) return { table, change: 'removed', ...rows };
  return { table, change: before.digest === after.digest ? 'same' : 'changed', ...rows };
}

function sortedUnion(left: readonly string[], right: readonly string[]): readonly string[] {
  return [...new Set([...left, ...right])].sort();
}
