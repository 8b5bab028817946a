import type { JsonObject } from '../base/index.ts';
import type { Baseline, BaselineClass, BaselineTable, TableCounts } from './baseline.ts';
import { digestOf, type Digest } from './digest.ts';
import { diffObjects, type Difference } from './object-diff.ts';
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
  /** The order of columns differs, which no rollback has to restore (M99); this and what follows, of baselines that have it. */
  readonly order_changed?: boolean;
  /** Objects in scope that differ, with the names of the properties that do. */
  readonly objects?: readonly (Difference & JsonObject)[];
  /** Classes of objects that differ anywhere, in scope or not. */
  readonly classes?: readonly ClassDiff[];
  readonly sequence_positions_changed?: boolean;
  /** Protected tables whose rows differ. */
  readonly protected_changed?: readonly string[];
}

/** One class of one schema that differs. */
export interface ClassDiff extends JsonObject {
  readonly change: 'added' | 'removed' | 'changed';
  readonly kind: string;
  readonly schema: string;
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
    ...catalogDiff(pre, post),
  };
}

/** Whether two baselines may be compared at all: made the same way, on servers of one major version, under one key (M97). */
export function isComparable(left: Baseline, right: Baseline): boolean {
  return (
    left.algorithm === right.algorithm &&
    left.server_version === right.server_version &&
    left.protected_fingerprint?.key_id === right.protected_fingerprint?.key_id
  );
}

/** What both sides measured beyond tables. */
function catalogDiff(pre: Baseline, post: Baseline): Partial<DerivedDiff> {
  const { classes, objects, sequence_positions: positions, protected_fingerprint: guarded } = pre;
  const [before, after] = [pre.schema_fingerprint, post.schema_fingerprint];
  return {
    ...(classes === undefined || post.classes === undefined
      ? {}
      : {
          order_changed: before.logical === after.logical && before.strict !== after.strict,
          classes: diffClasses(classes, post.classes),
        }),
    ...(objects === undefined || post.objects === undefined
      ? {}
      : { objects: diffObjects(objects, post.objects).map((difference) => ({ ...difference })) }),
    ...(positions === undefined || post.sequence_positions === undefined
      ? {}
      : { sequence_positions_changed: positions !== post.sequence_positions }),
    ...(guarded === undefined || post.protected_fingerprint === undefined
      ? {}
      : { protected_changed: changedTables(guarded.tables, post.protected_fingerprint.tables) }),
  };
}

function changedTables(pre: readonly BaselineTable[], post: readonly BaselineTable[]): readonly string[] {
  const [before, after] = [byName(pre), byName(post)];
  return sortedUnion([...before.keys()], [...after.keys()]).filter(
    (table) => before.get(table)?.digest !== after.get(table)?.digest,
  );
}

function diffClasses(pre: readonly BaselineClass[], post: readonly BaselineClass[]): readonly ClassDiff[] {
  const keyed = (classes: readonly BaselineClass[]): ReadonlyMap<string, BaselineClass> =>
    new Map(classes.map((of) => [JSON.stringify([of.kind, of.schema]), of]));
  const [before, after] = [keyed(pre), keyed(post)];
  return sortedUnion([...before.keys()], [...after.keys()]).flatMap((key): readonly ClassDiff[] => {
    const [old, now] = [before.get(key), after.get(key)];
    const of = now ?? old;
    if (of === undefined || (old?.strict === now?.strict && old?.logical === now?.logical)) return [];
    const change = old === undefined ? 'added' : now === undefined ? 'removed' : 'changed';
    return [{ change, kind: of.kind, schema: of.schema }];
  });
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
    isComparable(expected, found) &&
    expected.schema_fingerprint.logical === found.schema_fingerprint.logical &&
    expected.protected_fingerprint?.value === found.protected_fingerprint?.value;
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
