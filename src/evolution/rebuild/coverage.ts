/**
 * How the inputs of a row are known under the new definition: for each new read, where the digest of its input comes from.
 *
 * | new read | digest |
 * |---|---|
 * | one that was recorded, of the same columns or fewer: names of tables and columns apart | the recorded one, byte for byte |
 * | through the foreign key that was found from a recorded read | the present one where the row is unchanged since, else zeros |
 * | one that was recorded with key columns that are no more | the present one where the recorded one still holds, else zeros |
 * | one that was recorded with other columns, where it found no row | that of nothing; where it found one, unknown |
 * | of a table that is new, or that takes over rows of the same table | the present one |
 * | anything else | unknown: the row is computed anew |
 *
 * Zeros equal no digest: such a row counts as stale, and the next populate computes it. A column that tables above got
 * makes nothing unknown: what was computed before it cannot have used it, and is compared without it. One that was there
 * and that the definition left out does: nobody knows what the make does with it.
 */
import { readsText, sameJson, type ReadSpec, type TableSpec } from '../../pipeline/index.ts';
import { sql, type Queryable } from '../../store/index.ts';
import { columnsLeftOut, readsNamedAnew } from '../naming.ts';
import type { Rebuilding } from './world.ts';
import { foundColumns } from './values.ts';

/** What computations with these specs were recorded to read. */
export interface Variant {
  /** Ids of `varve.computation_spec`. */
  readonly specs: readonly number[];
  readonly source: number;
  readonly reads: readonly ReadSpec[];
  /** One for each new read. */
  readonly coverage: readonly Coverage[];
  /** The new reads as they are recorded of such rows. */
  readonly recorded: readonly ReadSpec[];
}

/** Where a digest comes from: the place at which it stands, or one of the ways of the header. */
export type Coverage =
  number | { readonly narrowed: number } | { readonly nothing: number } | 'recorded' | 'present' | 'unknown';

/** What has been recorded of the computations of the sources. */
export async function variantsOf(store: Queryable, of: Rebuilding): Promise<readonly Variant[]> {
  if (of.spec.form === undefined) return [];
  const variants: Variant[] = [];
  for (const [source, relation] of of.sources.entries()) {
    const spec = of.pair.sources[source];
    if (spec === undefined) continue;
    const computed = computedRelation(of, source);
    const rows = await store.query<{ reads: readonly ReadSpec[]; specs: readonly number[] }>(sql`
      select reads, array_agg(id order by id) as specs from varve.computation_spec
      where relation in (${computed ?? relation.id}) group by reads order by min(id)`);
    variants.push(...rows.map((row) => variantOf(of, source, row)));
  }
  return variants;
}

/** The relation whose computations describe the rows of a source: its own, or that of its master. */
export function computedRelation(of: Rebuilding, source: number): number | undefined {
  const spec = of.pair.sources[source];
  if (spec === undefined) return undefined;
  if (spec.form !== undefined) return of.sources[source]?.id;
  // Part rows that stay part rows go with their master; as a table of its own they take its computation along.
  if (spec.master === undefined || of.spec.form === undefined) return undefined;
  const master = of.world.old.get(spec.master);
  return master?.spec.form === undefined ? undefined : master.id;
}

function variantOf(
  of: Rebuilding,
  source: number,
  { reads, specs }: { readonly reads: readonly ReadSpec[]; readonly specs: readonly number[] },
): Variant {
  const old = ownerOf(of, source);
  const pair = of.pair;
  const namedAnew = (given: readonly ReadSpec[]): readonly ReadSpec[] =>
    old === undefined
      ? given
      : readsNamedAnew(
          given,
          old,
          { ...pair, sources: pair.sources.map((each, index) => (index === source ? old : each)) },
          of.world.naming,
        );
  const renamed = namedAnew(reads);
  const declared = namedAnew(old?.reads ?? []);
  const isBlind = (place: number, read: ReadSpec): boolean => {
    const table = reads[place]?.table ?? '';
    const was = renamed[place];
    // What is recorded is fewer columns than were declared where the table got some since.
    const former = declared.find((each) => each.name === was?.name && each.table === was.table);
    const columns = [...(was?.columns ?? []), ...(former?.columns ?? [])];
    return columnsLeftOut(of.world.naming, { table, columns }, read).length > 0;
  };
  const found = new Set(foundColumns(of));
  const coverage = of.spec.reads.map((read): Coverage => {
    const place = renamed.findIndex((was, at) => isSame(was, read, of, found) && !isBlind(at, read));
    if (place >= 0) return place;
    const narrowed = renamed.findIndex(
      (was, at) => isSame(withoutGoneKey(was, of), read, of, found) && !isBlind(at, read),
    );
    if (narrowed >= 0) return { narrowed };
    const other = otherwise(of, read);
    // Of a row that is not there no column is another one.
    const nothing = renamed.findIndex((was) => isSame({ ...was, columns: [] }, read, of, found));
    return other === 'unknown' && nothing >= 0 ? { nothing } : other;
  });
  const recorded = of.spec.reads.map((read, index) => {
    const place = coverage[index];
    const was = typeof place === 'number' ? renamed[place] : undefined;
    return was === undefined ? read : { ...read, columns: was.columns };
  });
  return { specs, source, reads, coverage, recorded };
}

function ownerOf(of: Rebuilding, source: number): TableSpec | undefined {
  const spec = of.pair.sources[source];
  if (spec?.master === undefined) return spec;
  return of.world.from.tables.find(({ name }) => name === spec.master);
}

/** A recorded read without the columns that left the key of its table, and with it the table. */
function withoutGoneKey(read: ReadSpec, { world }: Rebuilding): ReadSpec {
  const pair = world.naming.pairs.get(read.table);
  const [old] = pair?.sources ?? [];
  if (pair === undefined || old === undefined) return read;
  const kept = new Set(Object.values(pair.columns[0] ?? {}));
  const gone = new Set(old.primaryKey.filter((column) => !kept.has(column)));
  return { ...read, columns: read.columns.filter((column) => !gone.has(column)) };
}

/** Whether a new read finds the rows that a recorded one found, and covers what it covered. */
function isSame(was: ReadSpec, now: ReadSpec, of: Rebuilding, found: ReadonlySet<string>): boolean {
  if (was.table !== now.table) return false;
  if ((was.cardinality === 'many') !== (now.cardinality === 'many')) return false;
  if (!was.columns.every((column) => now.columns.includes(column))) return false;
  const target = of.world.to.tables.find(({ name }) => name === now.table);
  const there = new Set(target?.columns.map(({ name }) => name));
  const before = Object.entries(was.match).filter(([column]) => there.has(column));
  // A key that widened: the columns that came are those of the very row that was found for this one.
  const added = Object.entries(now.match).filter(([column]) => was.match[column] === undefined);
  return (
    before.every(([column, origin]) => sameJson(origin, now.match[column])) &&
    added.every(([, origin]) => origin.kind === 'key' && found.has(origin.column)) &&
    (before.length > 0 || Object.keys(was.match).length === 0)
  );
}

function otherwise({ operation, world }: Rebuilding, read: ReadSpec): Coverage {
  const found = Object.values(operation.columns);
  if (found.some((source) => source.from === 'recorded' && source.table === read.table)) return 'recorded';
  const pair = world.naming.pairs.get(read.table);
  if (found.some((source) => source.from === 'inserted' && source.table === read.table)) return 'present';
  // What one make gave: rows of the same table, and of its parts.
  const siblings = pair?.sources.some(
    ({ name, master }) => operation.from.includes(name) || operation.from.includes(master ?? ''),
  );
  return siblings === true && operation.table !== read.table ? 'present' : 'unknown';
}

/** The recorded form of a variant's reads. */
export function recordedText(of: Rebuilding, variant: Variant): string {
  return readsText({ ...of.spec, reads: variant.recorded });
}
