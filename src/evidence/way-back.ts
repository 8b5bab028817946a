/**
 * The proof of a way back (M106), object by object and table by table, from four baselines:
 *
 * ```text
 * expected   before the forward run     left    after it
 * begun      before the way back        found   after it
 * ```
 *
 * | what | has to be |
 * |---|---|
 * | an object that the forward run changed, or that belongs to a table it touched | `found` as `expected` |
 * | rows of a table in which it wrote rows, or whose columns or existence it changed | `found` as `expected`, but for new writes |
 * | every other object, every other table's rows, every protected row | `found` as `begun`: the way back did not change it |
 *
 * What others made or wrote meanwhile, a later migration in the same schema for one, is therefore in nobody's way, and the way
 * back can neither hide behind it nor undo it. Decision: docs/decisions/0036-what-a-way-back-proves.md.
 */
import type { Baseline, BaselineTable } from './baseline.ts';
import { isComparable } from './diff.ts';
import { digestOf } from './digest.ts';
import { diffObjects, type ObjectState } from './object-diff.ts';
import type { EqualityProof } from './receipt.ts';

/** What the forward run left, and the way back from it. */
export interface WayBack {
  readonly expected: Baseline;
  readonly left: Baseline;
  readonly begun: Baseline;
  readonly found: Baseline;
  /** `schema.table`s that the forward run touched in any way. */
  readonly touched: readonly string[];
  /** Those in which it wrote rows. */
  readonly written: readonly string[];
  /**
   * Rows that others wrote since, in tables that the forward run touched: those of which the kind has proved, row by row, that the
   * way back kept them and gave back all others.
   */
  readonly newWrites: EqualityProof['new_writes'];
}

/** The proof, and the names of what is not as it has to be. */
export interface WayBackProof {
  readonly proof: EqualityProof;
  /** `kind schema.name` of objects, `schema.table` of rows; sorted. */
  readonly differing: readonly string[];
  /** What others changed between the two runs beside what the forward run had touched; sorted. */
  readonly others: readonly string[];
}

/** Proves it, of baselines that list their objects. */
export function proveWayBack(about: WayBack): WayBackProof {
  const { expected, left, begun, found, newWrites } = about;
  const differing = isMadeAlike(about)
    ? [...differingObjects(about), ...differingRows(about), ...protectedRows(begun, found)]
    : ['algorithm'];
  const isWritten = newWrites.some(({ rows, gone = 0 }) => rows + gone > 0);
  return {
    proof: {
      status: differing.length > 0 ? 'not_equal' : isWritten ? 'equal_except_new_writes' : 'equal',
      expected: digestOf(expected),
      found: digestOf(found),
      left: digestOf(left),
      begun: digestOf(begun),
      new_writes: newWrites,
    },
    differing: [...new Set(differing)].sort(),
    others: [...new Set(changedByOthers(about))].sort(),
  };
}

/**
 * What differs from the state that a run left, of baselines that list their objects: `own` are objects that the run had changed or
 * whose table it had touched, `others` all else.
 */
export function splitDifference(
  run: { readonly pre: Baseline; readonly post: Baseline; readonly touched: readonly string[] },
  found: Baseline,
): { readonly own: readonly string[]; readonly others: readonly string[] } {
  const { pre: expected, post: left, touched } = run;
  const isTouched = touchedObjects({ expected, left, touched });
  const [before, after] = [objectsOf(left), objectsOf(found)];
  const differing = [...new Set([...before.keys(), ...after.keys()])]
    .filter((words) => before.get(words)?.digest !== after.get(words)?.digest)
    .toSorted();
  const isOwn = (words: string): boolean => {
    const object = after.get(words) ?? before.get(words);
    return object !== undefined && isTouched(object);
  };
  return { own: differing.filter(isOwn), others: differing.filter((words) => !isOwn(words)) };
}

/** Across algorithms and major versions nothing can be said; a key that was changed since concerns the way back alone. */
function isMadeAlike({ expected, left, begun, found }: WayBack): boolean {
  const isAlike = (one: Baseline, other: Baseline): boolean =>
    one.algorithm === other.algorithm && one.server_version === other.server_version;
  return isAlike(expected, found) && isAlike(left, begun) && isComparable(begun, found);
}

/** The objects of a baseline by name; without their places among siblings, which no way back has to restore (M99). */
function objectsOf({ objects = [] }: Baseline): ReadonlyMap<string, ObjectState> {
  return new Map(objects.map((object) => [wordsOf(object), object]));
}

function wordsOf({
  kind,
  schema,
  table,
  name,
}: Pick<ObjectState, 'kind' | 'schema' | 'table' | 'name'>): string {
  const of = table === null || table === name ? '' : `${table}.`;
  return `${kind} ${schema}.${of}${name}`;
}

function differingObjects(about: WayBack): readonly string[] {
  const [expected, begun, found] = [about.expected, about.begun, about.found].map(objectsOf);
  if (expected === undefined || begun === undefined || found === undefined) return [];
  const isTouched = touchedObjects(about);
  return [...new Set([...expected.keys(), ...begun.keys(), ...found.keys()])].filter((words) => {
    const object = found.get(words) ?? begun.get(words) ?? expected.get(words);
    const wanted = object !== undefined && isTouched(object) ? expected : begun;
    return wanted.get(words)?.digest !== found.get(words)?.digest;
  });
}

/** Tells whether the forward run changed an object, or touched the table that it belongs to. */
function touchedObjects({
  expected,
  left,
  touched,
}: Pick<WayBack, 'expected' | 'left' | 'touched'>): (object: ObjectState) => boolean {
  const changed = new Set(
    diffObjects(expected.objects ?? [], left.objects ?? [])
      .filter(({ properties }) => properties.length !== 1 || properties[0] !== 'position')
      .map(({ kind, schema, table, name }) => wordsOf({ kind, schema, table, name: name ?? '' })),
  );
  const tables = new Set(touched);
  return (object) =>
    changed.has(wordsOf(object)) || (object.table !== null && tables.has(`${object.schema}.${object.table}`));
}

function differingRows(about: WayBack): readonly string[] {
  const [expected, begun, found] = [about.expected, about.begun, about.found].map(({ tables }) =>
    byName(tables),
  );
  if (expected === undefined || begun === undefined || found === undefined) return [];
  const given = new Set(tablesWithOtherRows(about));
  const kept = new Set(about.newWrites.map(({ table }) => table));
  return [...new Set([...expected.keys(), ...begun.keys(), ...found.keys()])].filter((table) => {
    const isBack = (given.has(table) ? expected : begun).get(table)?.digest === found.get(table)?.digest;
    return !isBack && !(given.has(table) && kept.has(table) && found.has(table) === expected.has(table));
  });
}

/** The tables whose rows are not, by what the forward run did, what they were: whoever goes back has to give these. */
export function tablesWithOtherRows({
  expected,
  left,
  touched,
  written,
}: Pick<WayBack, 'expected' | 'left' | 'touched' | 'written'>): readonly string[] {
  const [before, after] = [byName(expected.tables), byName(left.tables)];
  const reshaped = new Set(
    diffObjects(expected.objects ?? [], left.objects ?? [])
      .filter(
        ({ kind, change, properties }) =>
          kind === 'column' && (change !== 'changed' || properties.includes('type')),
      )
      .map(({ schema, table }) => `${schema}.${table ?? ''}`),
  );
  // A table that was renamed is touched by one name, and there by another before.
  return [...new Set([...touched, ...before.keys(), ...after.keys()])].filter(
    (table) =>
      before.has(table) !== after.has(table) ||
      (touched.includes(table) && (written.includes(table) || reshaped.has(table))),
  );
}

function protectedRows(begun: Baseline, found: Baseline): readonly string[] {
  const [before, after] = [begun, found].map(({ protected_fingerprint: of }) => byName(of?.tables ?? []));
  return [...new Set([...(before?.keys() ?? []), ...(after?.keys() ?? [])])].filter(
    (table) => before?.get(table)?.digest !== after?.get(table)?.digest,
  );
}

function changedByOthers(about: WayBack): readonly string[] {
  const { left, begun } = about;
  const isTouched = touchedObjects(about);
  const [objects, now] = [objectsOf(left), objectsOf(begun)];
  const changed = [...new Set([...objects.keys(), ...now.keys()])].filter((words) => {
    const object = now.get(words) ?? objects.get(words);
    return (
      object !== undefined && !isTouched(object) && objects.get(words)?.digest !== now.get(words)?.digest
    );
  });
  const [rows, rowsNow] = [byName(left.tables), byName(begun.tables)];
  const written = [...new Set([...rows.keys(), ...rowsNow.keys()])].filter(
    (table) => !about.touched.includes(table) && rows.get(table)?.digest !== rowsNow.get(table)?.digest,
  );
  const isOneKey = left.protected_fingerprint?.key_id === begun.protected_fingerprint?.key_id;
  return [...changed, ...written, ...(isOneKey ? protectedRows(left, begun) : [])];
}

function byName(tables: readonly BaselineTable[]): ReadonlyMap<string, BaselineTable> {
  return new Map(tables.map((table) => [table.table, table]));
}
