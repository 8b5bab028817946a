/**
 * What makes it safe that a row names an object while someone else collects garbage.
 *
 * ```text
 * writer      put content -> pin: take the object's line in varve.object -> look that the object is there -> write the row
 * collector   find what no row names -> lock the lines of those, leaving out what was pinned lately -> delete -> let go
 * ```
 *
 * The line is one row, so either the writer has it first, and the collector sees a young pin and leaves the object alone;
 * or the collector has it first, and the writer waits, looks, finds nothing, and its key fails and can be tried again. The
 * collector's grace only has to be longer than a writer takes from pinning to writing, which is seconds.
 *
 * Which objects are named is taken from the rows that a make returned, not from what it put: so it makes no difference
 * where the make ran, and a reference that a make made up is found out.
 */
import { VarveError } from '../../base/index.ts';
import { sql, type ObjectReference, type ObjectStore, type Queryable } from '../../store/index.ts';
import type { MadeRows, MadeValues } from '../run-make/make-outcome.ts';
import type { TableSpec } from '../spec.ts';
import type { AnyTable } from '../table.ts';

/** Results whose objects are all there and will stay, and the others. */
export interface PinnedMade<T> {
  readonly pinned: readonly T[];
  readonly lost: readonly T[];
}

/**
 * Pins the objects that results name, before they are written.
 *
 * Errors: throws `objects_unavailable` where objects are named and there is no store of them, and what the store throws.
 */
export async function pinMade<T extends { readonly made: MadeRows }>(
  queryable: Queryable,
  objects: ObjectStore | undefined,
  table: AnyTable,
  results: readonly T[],
): Promise<PinnedMade<T>> {
  if (!mayNameObjects(table)) return { pinned: results, lost: [] };
  const named = results.map(({ made }) => namedBy(table, made));
  const isThere = await pinObjects(queryable, objects, named.flat());
  const isWhole = results.map((_, at) => named[at]?.every(isThere) !== false);
  return {
    pinned: results.filter((_, at) => isWhole[at] === true),
    lost: results.filter((_, at) => isWhole[at] !== true),
  };
}

/** Pins objects; tells of each whether it is there, with the size that the reference says. */
export async function pinObjects(
  queryable: Queryable,
  objects: ObjectStore | undefined,
  references: readonly ObjectReference[],
): Promise<(reference: ObjectReference) => boolean> {
  // In one order for everybody, or two writers could wait for each other.
  const digests = [...new Set(references.map(({ digest }) => digest))].toSorted();
  if (digests.length === 0) return () => true;
  if (objects === undefined) throw noObjects();
  await queryable.execute(sql`
    insert into varve.object (digest, pinned_at) select d, clock_timestamp() from unnest(${digests}::text[]) d
    on conflict (digest) do update set pinned_at = excluded.pinned_at`);
  const sizes = new Map<string, number>();
  await eachAtOnce(LOOKS_AT_ONCE, digests, async (digest) => {
    const found = await objects.find(digest);
    if (found !== undefined) sizes.set(digest, found.sizeBytes);
  });
  return ({ digest, sizeBytes }) => sizes.get(digest) === sizeBytes;
}

const LOOKS_AT_ONCE = 16;

/** Does work for each item, so many at a time. */
export async function eachAtOnce<T>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const lane = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}

/** What is thrown where objects are asked for and the project says nowhere where they are. */
export function noObjects(): VarveError {
  return new VarveError('objects_unavailable', {
    detail: { reason: 'the project names no place for objects' },
    hint: "Write `objects: { folder: '.varve/objects' }` into varve.config.ts.",
  });
}

/** The object columns of a table, by name. */
export function objectColumns(spec: TableSpec): readonly string[] {
  return spec.columns.filter(({ object }) => object === true).map(({ name }) => name);
}

/** The references in encoded rows. */
export function referencesIn(spec: TableSpec, rows: readonly MadeValues[]): readonly ObjectReference[] {
  const columns = objectColumns(spec);
  return columns.length === 0 ? [] : rows.flatMap((row) => columns.flatMap((name) => flatten(row[name])));
}

function flatten(value: unknown): readonly ObjectReference[] {
  if (Array.isArray(value)) return value.flatMap(flatten);
  return value === null || value === undefined ? [] : [value as ObjectReference];
}

function mayNameObjects({ spec, definition }: AnyTable): boolean {
  return [spec, ...definition.parts.map((part) => part.spec)].some((each) => objectColumns(each).length > 0);
}

function namedBy({ spec, definition }: AnyTable, { rows, parts }: MadeRows): readonly ObjectReference[] {
  const inParts = Object.entries(parts).flatMap(([label, partRows]) => {
    const part = definition.parts.find((candidate) => candidate.spec.name === spec.parts[label]);
    return part === undefined ? [] : referencesIn(part.spec, partRows);
  });
  return [...referencesIn(spec, rows), ...inParts];
}
