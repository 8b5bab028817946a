/**
 * Garbage: objects that no row and no history names, and that nobody put or pinned lately.
 *
 * | an object is | when |
 * |---|---|
 * | named | a row of any generation of a table names it, or a superseded result does |
 * | young | it is not named, and was put or pinned within the grace period: a populate may be about to name it |
 * | garbage | neither |
 *
 * A plan looks and changes nothing. Collecting looks again, deletes what is garbage both times, and holds the line of each
 * object meanwhile; `pin.ts` says why that is safe. One that is killed has deleted some garbage and nothing else.
 */
import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import { sql, type ObjectStore, type Store, type StoredObject, type Transaction } from '../../store/index.ts';
import { RefusedWork } from '../refused-work.ts';
import { collectNamed, NAMED } from './named.ts';
import { eachAtOnce } from './pin.ts';
import { sharedObjects } from './space.ts';

/** How long an object is left alone after it was put or pinned. */
export interface GarbageOptions {
  /** Milliseconds. Default 24 hours; less than a make takes from its first put to its end makes keys fail that could have been computed. */
  readonly graceMs?: number;
  readonly signal?: AbortSignal;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** So many objects, so many bytes. */
export interface ObjectTally extends JsonObject {
  readonly objects: number;
  readonly sizeBytes: number;
}

/** What stands in the store, and why. */
export type ObjectState = 'named' | 'young' | 'garbage';

/** One object of a store with its state. */
export interface ClassifiedObject extends StoredObject {
  readonly state: ObjectState;
}

/** What collecting would delete; nothing was changed. */
export interface GarbagePlan {
  readonly status: 'ok';
  readonly location: string;
  readonly named: ObjectTally;
  readonly young: ObjectTally;
  readonly garbage: ObjectTally;
  /** The digests of the garbage. */
  readonly digests: ReadonlySet<string>;
}

/** Either what would go, or why that cannot be said. */
export type GarbagePlanResult =
  GarbagePlan | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** What was deleted. */
export type CollectGarbageResult =
  | {
      readonly status: 'collected' | 'interrupted';
      readonly removed: ObjectTally;
      /** Of those that were shown: somebody named or put them meanwhile. */
      readonly spared: number;
      /** What killed puts had left. */
      readonly swept: number;
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * What is garbage now; nothing is changed.
 *
 * Errors: refuses with `objects_shared`, `structure_missing`.
 */
export async function planGarbage(
  store: Store,
  objects: ObjectStore,
  options: GarbageOptions = {},
): Promise<GarbagePlanResult> {
  const shared = await sharedObjects(store);
  return shared.length > 0 ? { status: 'refused', findings: shared } : lookAt(store, objects, options);
}

/** Every object of the store with its state, to `each`, in no order. Errors: refuses with `structure_missing`. */
export async function listObjects(
  store: Store,
  objects: ObjectStore,
  options: GarbageOptions,
  each: (object: ClassifiedObject) => void,
): Promise<readonly Finding[]> {
  try {
    await store.transaction({}, async (transaction) => {
      const findings = await collectNamed(transaction);
      if (findings.length > 0) throw new RefusedWork(findings);
      const cutoff = await cutoffOf(transaction, options);
      for await (const batch of inBatches(objects.list())) {
        for (const object of await classify(transaction, batch, cutoff)) each(object);
      }
    });
    return [];
  } catch (error) {
    if (error instanceof RefusedWork) return error.findings;
    throw error;
  }
}

/**
 * Deletes garbage that a plan showed and that still is.
 *
 * Shape: `{ status: 'collected', removed: { objects: 3, sizeBytes: 1200 }, spared: 0, swept: 1 }`
 * Errors: refuses with `objects_shared`, `structure_missing`, `run_in_progress` where another process collects.
 */
export async function collectGarbage(
  store: Store,
  objects: ObjectStore,
  plan: GarbagePlan,
  options: GarbageOptions = {},
): Promise<CollectGarbageResult> {
  await using lock = await store.tryLock('objects gc');
  if (lock === undefined) return { status: 'refused', findings: [inProgress(objects)] };
  const now = await planGarbage(store, objects, options);
  if (now.status === 'refused') return now;
  const digests = [...plan.digests].filter((digest) => now.digests.has(digest)).toSorted();
  const signal = options.signal ?? new AbortController().signal;
  let removed: ObjectTally = NONE;
  for (let start = 0; start < digests.length && !signal.aborted; start += BATCH) {
    const batch = digests.slice(start, start + BATCH);
    removed = sum(
      removed,
      await store.transaction({}, (transaction) => removeBatch(transaction, objects, batch, options)),
    );
  }
  const cutoff = await cutoffOf(store, options);
  return {
    status: signal.aborted ? 'interrupted' : 'collected',
    removed,
    spared: plan.digests.size - removed.objects,
    swept: signal.aborted ? 0 : await objects.sweep(cutoff),
  };
}

const BATCH = 500;
const NONE: ObjectTally = { objects: 0, sizeBytes: 0 };

function sum(left: ObjectTally, right: ObjectTally): ObjectTally {
  return { objects: left.objects + right.objects, sizeBytes: left.sizeBytes + right.sizeBytes };
}

function inProgress(objects: ObjectStore): Finding {
  return refusal('run_in_progress', objects.location, {
    detail: { reason: 'another process collects garbage' },
    hint: 'Wait until it is done; nothing was deleted by this one.',
  });
}

async function lookAt(
  store: Store,
  objects: ObjectStore,
  options: GarbageOptions,
): Promise<GarbagePlanResult> {
  const tallies: Record<ObjectState, ObjectTally> = { named: NONE, young: NONE, garbage: NONE };
  const digests = new Set<string>();
  const findings = await listObjects(store, objects, options, ({ state, digest, sizeBytes }) => {
    tallies[state] = sum(tallies[state], { objects: 1, sizeBytes });
    if (state === 'garbage') digests.add(digest);
  });
  if (findings.length > 0) return { status: 'refused', findings };
  return { status: 'ok', location: objects.location, ...tallies, digests };
}

/** Before this instant is long ago: by the database's clock, as pins are. */
async function cutoffOf(store: Store | Transaction, { graceMs = DAY_MS }: GarbageOptions): Promise<string> {
  const [row] = await store.query<{ ms: number }>(
    sql`select extract(epoch from clock_timestamp())::double precision * 1000 as ms`,
  );
  return new Date((row?.ms ?? 0) - graceMs).toISOString();
}

async function* inBatches(listed: AsyncIterable<StoredObject>): AsyncGenerator<readonly StoredObject[]> {
  let batch: StoredObject[] = [];
  for await (const object of listed) {
    batch.push(object);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function classify(
  transaction: Transaction,
  batch: readonly StoredObject[],
  cutoff: string,
): Promise<readonly ClassifiedObject[]> {
  const digests = batch.map(({ digest }) => digest);
  const rows = await transaction.query<{ digest: string; is_named: boolean }>(sql`
    select d as digest, n.is_named from unnest(${digests}::text[]) d
      left join varve.object o on o.digest = d,
      lateral (select exists (select from ${NAMED} n where n.digest = d) as is_named) n
    where n.is_named or o.pinned_at >= ${cutoff}::timestamptz`);
  const isNamedByDigest = new Map(rows.map((row) => [row.digest, row.is_named]));
  return batch.map((object) => {
    const isNamed = isNamedByDigest.get(object.digest);
    const isYoung = isNamed === false || object.putAt >= cutoff;
    return { ...object, state: isNamed === true ? 'named' : isYoung ? 'young' : 'garbage' };
  });
}

/** Takes the lines of a batch, leaves out what was pinned or put lately or is pinned right now, and deletes the rest. */
async function removeBatch(
  transaction: Transaction,
  objects: ObjectStore,
  digests: readonly string[],
  options: GarbageOptions,
): Promise<ObjectTally> {
  await transaction.execute(sql`
    insert into varve.object (digest, pinned_at) select d, '-infinity' from unnest(${digests}::text[]) d
    on conflict (digest) do nothing`);
  const cutoff = await cutoffOf(transaction, options);
  const held = await transaction.query<{ digest: string }>(sql`
    select digest from varve.object where digest = any(${digests}::text[]) and pinned_at < ${cutoff}::timestamptz
    order by digest for update skip locked`);
  let removed: ObjectTally = NONE;
  await eachAtOnce(REMOVED_AT_ONCE, held, async ({ digest }) => {
    const found = await objects.find(digest);
    if (found === undefined || found.putAt >= cutoff) return;
    await objects.remove(digest);
    removed = sum(removed, { objects: 1, sizeBytes: found.sizeBytes });
  });
  // The lines go too: who waits for one of them makes it anew, and looks whether the object is there.
  await transaction.execute(
    sql`delete from varve.object where digest = any(${held.map(({ digest }) => digest)}::text[])`,
  );
  return removed;
}

const REMOVED_AT_ONCE = 16;
