/**
 * One batch of keys from their inputs to their rows, whichever form the table computes in.
 *
 * | form | inputs | transaction |
 * |---|---|---|
 * | make | read for the whole batch | read and write apart; computing outside |
 * | query | in the statement itself | one statement |
 * | makeWith | read by the make, through checked statements | one for each key, repeatable read |
 *
 * Where the database refuses a batch for the sake of one row, the batch is halved until that row stands alone.
 */
import { isVarveError, VarveError, type ErrorCode } from '../base/index.ts';
import type { Run } from '../run/index.ts';
import {
  isStoreError,
  quoteIdentifier,
  sql,
  type Queryable,
  type Sql,
  type ObjectStore,
  type Store,
  type Transaction,
} from '../store/index.ts';
import type { CodeIdentity } from './code-digest.ts';
import { insertComputationSpec } from './computation-spec.ts';
import { recordFailure } from './job.ts';
import type { Key } from './key-source.ts';
import type { MakeContext } from './make-context.ts';
import { pinMade } from './object/pin.ts';
import { slicesBySize } from './input-size.ts';
import { roughBytes } from './populate/batch-size.ts';
import { ResultSize } from './result-size.ts';
import { readInputs, type IncompleteKey, type KeyInputs } from './read-inputs.ts';
import { tableId, type Relation, type Relations } from './relation.ts';
import { callMakes } from './run-make/call-makes.ts';
import { KeyContext, recordedFiles } from './run-make/key-context.ts';
import type { MakeFailure, MakeOutcome } from './run-make/make-outcome.ts';
import { inThreadRunner } from './run-make/in-thread-runner.ts';
import type { FileAccess, MakeRunner, RunCall } from './run-make/make-runner.ts';
import { openStrictReads, type StrictReads } from './strict/open-strict-reads.ts';
import type { AnyTable } from './table.ts';
import {
  insertComputed,
  insertQueried,
  replaceComputed,
  replaceQueried,
  type ComputedKey,
  type RecordedRead,
  type Replaced,
  type WriteTarget,
} from './write-rows.ts';

/** Keys to compute, and whether they have results that go to history. */
export interface Batch {
  readonly keys: readonly Key[];
  readonly mode: 'insert' | 'replace';
  /** Gives a row only while the keys are ours to write; undefined: nobody shares them. */
  readonly fence?: Sql | undefined;
}

/** What became of a batch. */
export interface BatchResult {
  readonly computed: number;
  /** Keys that someone else computed meanwhile. */
  readonly skipped: number;
  readonly failures: readonly { readonly key: Key; readonly code: ErrorCode }[];
  /** What its inputs and results took in memory, about. */
  readonly bytes: number;
}

/** What all batches of one table in one run share. */
export interface BatchContext extends AsyncDisposable {
  readonly store: Store;
  readonly table: AnyTable;
  readonly relation: Relation;
  /** The database's own number of the table in which the relation stands: a name may be another table's by now. */
  readonly oid: number;
  readonly relations: Relations;
  readonly run: Run;
  readonly specId: number;
  readonly strict: StrictReads | undefined;
  readonly making: Making;
  readonly files: FileAccess;
  /** Where its makes run. */
  readonly runner: MakeRunner;
  /** How many results to hold at once. */
  readonly results: ResultSize;
}

interface Making {
  /** Where the objects that rows name are looked for; undefined where the project has none. */
  readonly objects?: ObjectStore | undefined;
  readonly signal: AbortSignal;
  readonly log: (message: string) => void;
}

/** What a context is opened with. */
export interface BatchContextOptions extends Making {
  readonly store: Store;
  readonly table: AnyTable;
  readonly relation: Relation;
  readonly relations: Relations;
  readonly run: Run;
  readonly code: CodeIdentity;
  /** The folder below which makes read files. */
  readonly projectFolder: string;
  /** Where makes run; whoever opened it closes it. Default: in this thread. */
  readonly runner?: MakeRunner | undefined;
}

/** Opens what the batches of one table share; strict reads where its make reads by itself. */
export async function openBatchContext(options: BatchContextOptions): Promise<BatchContext> {
  const { store, table, relation, relations, run, code, projectFolder, objects, signal, log } = options;
  const files: FileAccess = { folder: projectFolder, objects: objects?.settings };
  const runner = options.runner ?? inThreadRunner({ files });
  const oid = await standingOid(store, relation);
  const strict = table.definition.makeWith === undefined ? undefined : await openStrict(options);
  const specId = await insertComputationSpec(store, {
    runId: run.id,
    relation,
    code,
    enforcement: strict?.enforcement ?? (table.definition.isolate ? 'isolated' : 'pure'),
    origin: 'computed',
    attribution: null,
  });
  return {
    store,
    table,
    relation,
    oid,
    relations,
    run,
    specId,
    strict,
    making: { objects, signal, log },
    files,
    runner,
    results: new ResultSize(),
    [Symbol.asyncDispose]: async () => strict?.[Symbol.asyncDispose](),
  };
}

/** What was asked to be isolated never runs otherwise. */
export function assertIsolated(table: AnyTable, runner: MakeRunner | undefined): void {
  if (!table.definition.isolate || runner?.isolates === true) return;
  throw new VarveError('isolation_unavailable', {
    detail: { table: table.spec.name },
    hint: 'Populate with a runner that isolates: `openMakeRunner` with the module that defines the pipelines. The command line does so by itself.',
  });
}

async function openStrict({ store, relation, relations }: BatchContextOptions): Promise<StrictReads> {
  return openStrictReads(store, {
    spec: relation.spec,
    specByName: new Map([...relations].map(([name, each]) => [name, each.spec])),
    placementByTable: new Map([...relations].map(([name, each]) => [name, each.placement])),
  });
}

/** Computes one batch; every key of it is computed, skipped or failed when it returns, unless the run is stopped. */
export async function computeBatch(context: BatchContext, batch: Batch): Promise<BatchResult> {
  if (context.strict !== undefined) return computeEach(context, batch, context.strict);
  if (context.table.definition.query !== undefined) return computeQueried(context, batch);
  return computeMade(context, batch);
}

/** How often a key whose inputs keep moving is read again before it is given up. */
const ROUNDS = 5;

async function computeMade(context: BatchContext, batch: Batch): Promise<BatchResult> {
  const { store, relation, relations, making } = context;
  let result: BatchResult = { computed: 0, skipped: 0, failures: [], bytes: 0 };
  for (const keys of await slicesBySize(store, relation, relations, batch.keys)) {
    if (making.signal.aborted) break;
    result = added(result, await computeSlice(context, { ...batch, keys }));
  }
  return result;
}

async function computeSlice(context: BatchContext, batch: Batch): Promise<BatchResult> {
  let result: BatchResult = { computed: 0, skipped: 0, failures: [], bytes: 0 };
  let open = batch.keys;
  for (let round = 0; open.length > 0 && round < ROUNDS; round += 1) {
    const done = await computeOnce(context, { ...batch, keys: open });
    result = added(result, done.result);
    open = done.moved;
    if (context.making.signal.aborted) return result;
  }
  const unsettled: MakeFailure = {
    status: 'failed',
    code: 'input_unsettled',
    message: 'its inputs changed each time between read and write',
    stack: null,
  };
  for (const key of open) result = added(result, await failed(context, key, batch, unsettled));
  return result;
}

interface Once {
  readonly result: BatchResult;
  /** Keys whose inputs changed between read and write. */
  readonly moved: readonly Key[];
}

async function computeOnce(context: BatchContext, batch: Batch): Promise<Once> {
  const { keys, mode } = batch;
  const inputs = await snapshot(context, async (transaction) =>
    readInputs(transaction, context.relation, context.relations, { keys, onlyMissing: mode === 'insert' }),
  );
  const complete = inputs.filter((each): each is KeyInputs => !('incomplete' in each));
  const incomplete = inputs.filter((each): each is IncompleteKey => 'incomplete' in each);
  let result: BatchResult = { computed: 0, skipped: keys.length - inputs.length, failures: [], bytes: 0 };
  for (const { key } of incomplete) result = added(result, await failed(context, key, batch, NO_INPUT));
  const moved: Key[] = [];
  let bytes = roughBytes(inputs);
  for (let at = 0; at < complete.length && !context.making.signal.aborted;) {
    const some = complete.slice(at, at + context.results.next(context.runner.slots));
    at += some.length;
    const done = await makeAndWrite(context, some, batch);
    context.results.learn(some.length, done.result.bytes);
    bytes += done.result.bytes;
    result = added(result, done.result);
    moved.push(...done.moved);
  }
  return { result: { ...result, bytes }, moved };
}

async function makeAndWrite(
  context: BatchContext,
  inputs: readonly KeyInputs[],
  batch: Batch,
): Promise<Once> {
  let result: BatchResult = { computed: 0, skipped: 0, failures: [], bytes: 0 };
  const results = await context.runner.run(context.table, inputs, callOf(context));
  const computed: ComputedKey[] = [];
  for (const [index, { key, inputs: digests }] of inputs.entries()) {
    const made = results[index];
    if (made === undefined) continue;
    const { outcome, reads } = made;
    if (outcome.status === 'failed') result = added(result, await failed(context, key, batch, outcome));
    else computed.push({ key, inputs: digests, made: outcome, reads });
  }
  const { pinned, lost } = await pinMade(context.store, context.making.objects, context.table, computed);
  for (const { key } of lost) result = added(result, await failed(context, key, batch, LOST_OBJECT));
  const written = await writeHalving(context, pinned, batch);
  const bytes = roughBytes(computed.map(({ made }) => made));
  return { result: { ...added(result, written.result), bytes }, moved: written.moved };
}

function callOf({ run, making }: BatchContext): RunCall {
  return { now: run.startedAt, log: making.log, signal: making.signal };
}

const NO_INPUT: MakeFailure = {
  status: 'failed',
  code: 'input_missing',
  message: 'a row that its declared reads need is not there',
  stack: null,
};

const LOST_OBJECT: MakeFailure = {
  status: 'failed',
  code: 'object_missing',
  message: 'an object that its rows name is not in the object store, or has another size',
  stack: null,
};

/** One snapshot for the statements of one read; a single statement is one by itself. */
async function snapshot<T>(
  context: BatchContext,
  work: (transaction: Transaction | Store) => Promise<T>,
): Promise<T> {
  const many = context.relation.spec.reads.some(({ cardinality }) => cardinality === 'many');
  return many
    ? context.store.transaction({ isolation: 'repeatable read', readOnly: true }, work)
    : work(context.store);
}

interface Written {
  readonly result: BatchResult;
  readonly moved: readonly Key[];
}

/** Writes a batch; where the database refuses it for a row's sake, its halves. */
async function writeHalving(
  context: BatchContext,
  computed: readonly ComputedKey[],
  batch: Batch,
): Promise<Written> {
  if (computed.length === 0)
    return { result: { computed: 0, skipped: 0, failures: [], bytes: 0 }, moved: [] };
  try {
    const { replaced, upToDate } = await retried(() => write(context, computed, batch));
    const moved = computed
      .filter((_, ordinal) => !replaced.has(ordinal) && !upToDate.has(ordinal))
      .map(({ key }) => key);
    if (moved.length > 0) await assertOurs(context, batch);
    return { result: { computed: replaced.size, skipped: upToDate.size, failures: [], bytes: 0 }, moved };
  } catch (error) {
    if (!isRowFault(error)) throw error;
    const [only, another] = computed;
    if (only !== undefined && another === undefined) {
      return { result: await failed(context, only.key, batch, rowFault(error)), moved: [] };
    }
    const middle = Math.ceil(computed.length / 2);
    const left = await writeHalving(context, computed.slice(0, middle), batch);
    const right = await writeHalving(context, computed.slice(middle), batch);
    return { result: added(left.result, right.result), moved: [...left.moved, ...right.moved] };
  }
}

async function write(
  context: BatchContext,
  computed: readonly ComputedKey[],
  batch: Batch,
): Promise<Replaced> {
  const target = targetOf(context, batch);
  if (batch.mode === 'insert') return inserted(await insertComputed(context.store, target, computed));
  return context.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
    await assertHeld(transaction, batch);
    await assertStands(transaction, context);
    return replaceComputed(transaction, target, computed, context.run.name);
  });
}

const NOBODY: ReadonlySet<number> = new Set();

function inserted(ordinals: ReadonlySet<number>): Replaced {
  return { replaced: ordinals, upToDate: NOBODY };
}

/** Two writers of the same keys can get in each other's way; the one that was turned back sees on its next try what the other did. */
async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let round = 1; ; round += 1) {
    try {
      return await work();
    } catch (error) {
      if (round >= ROUNDS || !isVarveError(error, 'transaction_conflict')) throw error;
    }
  }
}

function targetOf({ relation, relations, specId }: BatchContext, { fence }: Batch): WriteTarget {
  return { relation, relations, specId, fence };
}

/** Integrity and data faults blame a row, as does a text too long for this engine; everything else blames the statement or the server. */
function isRowFault(error: unknown): boolean {
  return (
    error instanceof RangeError ||
    (isStoreError(error) &&
      (error.fields.sqlstate.startsWith('23') || error.fields.sqlstate.startsWith('22')))
  );
}

/** Derived from fields, so it holds no row's values; a hint belongs to it, for that is all that its reader has. */
function rowFault(error: unknown): MakeFailure {
  if (error instanceof RangeError) {
    const message =
      'the rows of this key are too large to be sent at once; let the make put large values into ctx.files';
    return { status: 'failed', code: 'make_returned_too_much', message, stack: null };
  }
  const fault = error as VarveError;
  return { status: 'failed', code: fault.code, message: `${fault.message}. ${fault.hint}`, stack: null };
}

/** Why nothing was written: others have the keys by now, or the table has another structure. */
async function assertOurs(context: BatchContext, batch: Batch): Promise<void> {
  await assertLive(context);
  await assertHeld(context.store, batch);
}

/** Until the end of the transaction, or of the statement, nobody else can take the keys. */
async function assertHeld(queryable: Queryable, { fence }: Batch): Promise<void> {
  if (fence === undefined) return;
  const rows = await queryable.query(fence);
  if (rows.length > 0) return;
  throw new VarveError('lease_lost', {
    hint: 'This worker gave no sign of life for a lease, so others took its keys; it wrote nothing of them. Give a longer lease where machines stall.',
  });
}

/** A worker with old definitions stops at once instead of trying each key in vain. */
async function assertLive({ store, relation }: Pick<BatchContext, 'store' | 'relation'>): Promise<void> {
  const [row] = await store.query<{ state: string }>(
    sql`select state from varve.relation where id = ${relation.id}`,
  );
  if (row === undefined || row.state === 'retired') throw retired(relation);
}

async function standingOid(store: Store, relation: Relation): Promise<number> {
  const [row] = await store.query<{ oid: number }>(sql`
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${relation.placement.schema} and c.relname = ${relation.placement.table}`);
  // Asked for after the number: while the relation is live, the number is that of its table.
  await assertLive({ store, relation });
  return row?.oid ?? 0;
}

/**
 * To be called before the first write of a transaction with a snapshot of its own: such a snapshot shows a relation as
 * live that was retired after it was taken, while its name is another table's already. From here on nobody can retire
 * it until the transaction ends.
 */
async function assertStands(transaction: Transaction, { relation, oid }: BatchContext): Promise<void> {
  const { schema, table } = relation.placement;
  await transaction.execute(sql`lock table ${tableId(relation.placement)} in row exclusive mode`);
  // Names are looked up in the present, whatever the snapshot; tables are not.
  const name = `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
  const [row] = await transaction.query<{ stands: boolean }>(
    sql.kept(sql`
    select coalesce(to_regclass(${name})::oid = ${oid}::oid, false) and exists (
      select from varve.relation where id = ${relation.id} and state <> 'retired') as stands`),
  );
  if (row?.stands !== true) throw retired(relation);
}

function retired(relation: Relation): VarveError {
  return new VarveError('relation_retired', {
    detail: { table: relation.name },
    hint: 'The table has another structure now. Load the present definitions and populate again; nothing was written with the old ones.',
  });
}

async function failed(
  context: BatchContext,
  key: Key,
  { mode, fence }: Batch,
  failure: MakeFailure,
): Promise<BatchResult> {
  const { store, relation, run, table } = context;
  const recorded = await recordFailure(store, relation, {
    key,
    failure,
    run: run.name,
    hasResult: mode === 'replace',
    retry: table.definition.retry,
    fence,
  });
  return recorded
    ? { computed: 0, skipped: 0, failures: [{ key, code: failure.code }], bytes: 0 }
    : { computed: 0, skipped: 1, failures: [], bytes: 0 };
}

function added(left: BatchResult, right: BatchResult): BatchResult {
  return {
    computed: left.computed + right.computed,
    skipped: left.skipped + right.skipped,
    failures: right.failures.length === 0 ? left.failures : [...left.failures, ...right.failures],
    bytes: left.bytes + right.bytes,
  };
}

/** Set-based: the database computes the rows of all keys at once; where it refuses them for a row's sake, half of them. */
async function computeQueried(context: BatchContext, batch: Batch): Promise<BatchResult> {
  const { keys } = batch;
  try {
    return await queryOnce(context, batch);
  } catch (error) {
    if (!isRowFault(error)) throw error;
    const [only, another] = keys;
    if (only !== undefined && another === undefined) return failed(context, only, batch, rowFault(error));
    const middle = Math.ceil(keys.length / 2);
    const left = await computeQueried(context, { ...batch, keys: keys.slice(0, middle) });
    return added(left, await computeQueried(context, { ...batch, keys: keys.slice(middle) }));
  }
}

async function queryOnce(context: BatchContext, batch: Batch): Promise<BatchResult> {
  const { keys, mode } = batch;
  const target = targetOf(context, batch);
  const { query } = context.table.definition;
  if (query === undefined) return { computed: 0, skipped: 0, failures: [], bytes: 0 };
  const { replaced, upToDate } = await retried(() =>
    context.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
      await assertHeld(transaction, batch);
      await assertStands(transaction, context);
      return mode === 'replace'
        ? replaceQueried(transaction, target, keys, { query, run: context.run.name })
        : inserted(await insertQueried(transaction, target, keys, query));
    }),
  );
  let result: BatchResult = { computed: replaced.size, skipped: upToDate.size, failures: [], bytes: 0 };
  const open = keys.filter((_, ordinal) => !replaced.has(ordinal) && !upToDate.has(ordinal));
  if (open.length === 0) return result;
  await assertLive(context);
  const present = await readInputs(context.store, context.relation, context.relations, {
    keys: open,
    onlyMissing: mode === 'insert',
  });
  result = { ...result, skipped: result.skipped + open.length - present.length };
  for (const each of present) {
    const failure = 'incomplete' in each ? NO_INPUT : NO_ROW;
    result = added(result, await failed(context, each.key, batch, failure));
  }
  return result;
}

const NO_ROW: MakeFailure = {
  status: 'failed',
  code: 'make_returned_nothing',
  message: 'the query gave no row for this key, or one row several times',
  stack: null,
};

/** One transaction a key: the make reads through checked statements, and its result is written at the same snapshot. */
async function computeEach(context: BatchContext, batch: Batch, strict: StrictReads): Promise<BatchResult> {
  let result: BatchResult = { computed: 0, skipped: 0, failures: [], bytes: 0 };
  for (const key of batch.keys) {
    if (context.making.signal.aborted) break;
    result = added(result, await computeOne(context, key, batch, strict));
  }
  return result;
}

async function computeOne(
  context: BatchContext,
  key: Key,
  batch: Batch,
  strict: StrictReads,
): Promise<BatchResult> {
  const target = targetOf(context, batch);
  try {
    const { replaced } = await retried(() =>
      context.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
        const computed = await makeWith(context, transaction, key, strict);
        await pinOrFail(context, transaction, computed);
        await assertHeld(transaction, batch);
        await assertStands(transaction, context);
        return batch.mode === 'insert'
          ? inserted(await insertComputed(transaction, target, [computed]))
          : replaceComputed(transaction, target, [computed], context.run.name);
      }),
    );
    if (replaced.size === 0) await assertOurs(context, batch);
    return { computed: replaced.size, skipped: 1 - replaced.size, failures: [], bytes: 0 };
  } catch (error) {
    if (error instanceof FailedMake) return failed(context, key, batch, error.failure);
    if (isRowFault(error) || isReadFault(error)) return failed(context, key, batch, rowFault(error));
    throw error;
  }
}

/**
 * By a session of its own where there is one: a pin that waits for this transaction's end would make two keys that name
 * one object turn each other back.
 */
async function pinOrFail(
  { store, making, table }: BatchContext,
  transaction: Transaction,
  computed: ComputedKey,
): Promise<void> {
  const queryable = store.capabilities.concurrentSessions ? store : transaction;
  const { lost } = await pinMade(queryable, making.objects, table, [computed]);
  if (lost.length > 0) throw new FailedMake(LOST_OBJECT);
}

/** What a make's own statements are refused with. */
function isReadFault(error: unknown): boolean {
  return (['undeclared_read', 'statement_refused', 'sql_invalid'] as const).some((code) =>
    isVarveError(error, code),
  );
}

/** Carries a failure out of a transaction, which it ends. */
class FailedMake extends VarveError {
  readonly failure: MakeFailure;
  constructor(failure: MakeFailure) {
    super(failure.code, { hint: 'See the job of this key.' });
    this.failure = failure;
  }
}

async function makeWith(
  context: BatchContext,
  transaction: Transaction,
  key: Key,
  strict: StrictReads,
): Promise<ComputedKey> {
  const reads: RecordedRead[] = [];
  const make = context.table.definition.makeWith as unknown as (db: unknown, context: MakeContext) => unknown;
  const makeContext = new KeyContext(
    {
      ...callOf(context),
      table: context.table.spec.name,
      openFiles: (list) => recordedFiles(context.files, list),
    },
    key,
    reads,
  );
  const { value: outcome, reads: observed } = await strict.run(transaction, key, async (db) => {
    const call = { key, expire: () => makeContext.expire(), call: () => make(db, makeContext) };
    const [first] = await callMakes(context.table, [call], context.making.signal);
    return first;
  });
  const made: MakeOutcome | undefined = outcome;
  if (made === undefined) {
    throw new VarveError('interrupted', { hint: 'Run the same command again to go on.' });
  }
  if (made.status === 'failed') throw new FailedMake(made);
  return {
    key,
    inputs: null,
    made,
    reads: [
      ...reads,
      ...observed.map(({ digest, ...read }) => ({ ...read, digestHex: digest.slice('sha256:'.length) })),
    ],
  };
}
