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
import { isStoreError, quoteIdentifier, sql, type Store, type Transaction } from '../store/index.ts';
import type { CodeIdentity } from './code-digest.ts';
import { insertComputationSpec } from './computation-spec.ts';
import { contextFiles, type FileRead } from './context-files.ts';
import { recordFailure } from './job.ts';
import type { Key } from './key-source.ts';
import type { MakeContext } from './make-context.ts';
import { seededRandom } from './random.ts';
import { keyText, readInputs, type IncompleteKey, type KeyInputs } from './read-inputs.ts';
import { tableId, type Relation, type Relations } from './relation.ts';
import { runMakes, type MakeCall, type MakeFailure, type MakeOutcome } from './run-make.ts';
import { openStrictReads, type StrictReads } from './strict/open-strict-reads.ts';
import type { AnyTable } from './table.ts';
import {
  insertComputed,
  insertQueried,
  removeComputed,
  replaceComputed,
  type ComputedKey,
  type RecordedRead,
  type WriteTarget,
} from './write-rows.ts';

/** Keys to compute, and whether they have results that go to history. */
export interface Batch {
  readonly keys: readonly Key[];
  readonly mode: 'insert' | 'replace';
}

/** What became of a batch. */
export interface BatchResult {
  readonly computed: number;
  /** Keys that someone else computed meanwhile. */
  readonly skipped: number;
  readonly failures: readonly { readonly key: Key; readonly code: ErrorCode }[];
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
}

interface Making {
  readonly projectFolder: string;
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
}

/** Opens what the batches of one table share; strict reads where its make reads by itself. */
export async function openBatchContext(options: BatchContextOptions): Promise<BatchContext> {
  const { store, table, relation, relations, run, code, ...making } = options;
  const oid = await standingOid(store, relation);
  const strict = table.definition.makeWith === undefined ? undefined : await openStrict(options);
  const specId = await insertComputationSpec(store, {
    runId: run.id,
    relation,
    code,
    enforcement: strict?.enforcement ?? 'pure',
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
    making,
    [Symbol.asyncDispose]: async () => strict?.[Symbol.asyncDispose](),
  };
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
  let result: BatchResult = { computed: 0, skipped: 0, failures: [] };
  let open = batch.keys;
  for (let round = 0; open.length > 0 && round < ROUNDS; round += 1) {
    const done = await computeOnce(context, { keys: open, mode: batch.mode });
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
  for (const key of open) result = added(result, await failed(context, key, unsettled));
  return result;
}

interface Once {
  readonly result: BatchResult;
  /** Keys whose inputs changed between read and write. */
  readonly moved: readonly Key[];
}

async function computeOnce(context: BatchContext, { keys, mode }: Batch): Promise<Once> {
  const inputs = await snapshot(context, async (transaction) =>
    readInputs(transaction, context.relation, context.relations, { keys, onlyMissing: mode === 'insert' }),
  );
  const complete = inputs.filter((each): each is KeyInputs => !('incomplete' in each));
  const incomplete = inputs.filter((each): each is IncompleteKey => 'incomplete' in each);
  let result: BatchResult = { computed: 0, skipped: keys.length - inputs.length, failures: [] };
  for (const { key } of incomplete) result = added(result, await failed(context, key, NO_INPUT));
  const calls = complete.map((each) => makeCall(context, each));
  const outcomes = await runMakes(context.table, calls, context.making.signal);
  const computed: ComputedKey[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    const call = calls[index];
    if (call === undefined) continue;
    if (outcome.status === 'failed') result = added(result, await failed(context, call.key, outcome));
    else computed.push({ key: call.key, inputs: call.inputs, made: outcome, reads: call.reads });
  }
  const written = await writeHalving(context, computed, mode);
  return { result: added(result, written.result), moved: written.moved };
}

const NO_INPUT: MakeFailure = {
  status: 'failed',
  code: 'input_missing',
  message: 'a row that its declared reads need is not there',
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

interface PreparedCall extends MakeCall {
  readonly inputs: string;
  readonly reads: readonly RecordedRead[];
}

function makeCall(context: BatchContext, { key, inputs, values }: KeyInputs): PreparedCall {
  const reads: RecordedRead[] = [];
  const make = context.table.definition.make as unknown as (inputs: unknown, context: MakeContext) => unknown;
  const makeContext = contextOf(context, key, reads);
  return { key, inputs, reads, call: () => make(values, makeContext) };
}

function contextOf(context: BatchContext, key: Key, reads: RecordedRead[]): MakeContext {
  const { signal, log, projectFolder } = context.making;
  const lazy: { random?: () => number; files?: MakeContext['files'] } = {};
  return {
    key,
    signal,
    log,
    now: context.run.startedAt,
    random: () => (lazy.random ??= seededRandom(`${context.table.spec.name} ${keyText(key)}`))(),
    get files() {
      return (lazy.files ??= contextFiles(projectFolder, (read) => reads.push(fileRead(read))));
    },
  };
}

function fileRead(read: FileRead): RecordedRead {
  return {
    subject: read.subject,
    declared: true,
    columns: [],
    keys: null,
    rowCount: 1,
    digestHex: Buffer.from(read.digest).toString('hex'),
  };
}

interface Written {
  readonly result: BatchResult;
  readonly moved: readonly Key[];
}

/** Writes a batch; where the database refuses it for a row's sake, its halves. */
async function writeHalving(
  context: BatchContext,
  computed: readonly ComputedKey[],
  mode: Batch['mode'],
): Promise<Written> {
  if (computed.length === 0) return { result: { computed: 0, skipped: 0, failures: [] }, moved: [] };
  try {
    const ordinals = await write(context, computed, mode);
    const moved = computed.filter((_, ordinal) => !ordinals.has(ordinal)).map(({ key }) => key);
    if (moved.length > 0) await assertLive(context);
    return { result: { computed: ordinals.size, skipped: 0, failures: [] }, moved };
  } catch (error) {
    if (!isRowFault(error)) throw error;
    const [only, another] = computed;
    if (only !== undefined && another === undefined) {
      return { result: await failed(context, only.key, rowFault(error)), moved: [] };
    }
    const middle = Math.ceil(computed.length / 2);
    const left = await writeHalving(context, computed.slice(0, middle), mode);
    const right = await writeHalving(context, computed.slice(middle), mode);
    return { result: added(left.result, right.result), moved: [...left.moved, ...right.moved] };
  }
}

async function write(
  context: BatchContext,
  computed: readonly ComputedKey[],
  mode: Batch['mode'],
): Promise<ReadonlySet<number>> {
  const target = targetOf(context);
  if (mode === 'insert') return insertComputed(context.store, target, computed);
  return context.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
    await assertStands(transaction, context);
    return replaceComputed(transaction, target, computed, context.run.name);
  });
}

function targetOf({ relation, relations, specId }: BatchContext): WriteTarget {
  return { relation, relations, specId };
}

/** Integrity and data faults blame a row; everything else blames the statement or the server. */
function isRowFault(error: unknown): boolean {
  return (
    isStoreError(error) && (error.fields.sqlstate.startsWith('23') || error.fields.sqlstate.startsWith('22'))
  );
}

/** Derived from fields, so it holds no row's values; a hint belongs to it, for that is all that its reader has. */
function rowFault(error: unknown): MakeFailure {
  const fault = error as VarveError;
  return { status: 'failed', code: fault.code, message: `${fault.message}. ${fault.hint}`, stack: null };
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
  const [row] = await transaction.query<{ stands: boolean }>(sql`
    select coalesce(to_regclass(${name})::oid = ${oid}::oid, false) and exists (
      select from varve.relation where id = ${relation.id} and state <> 'retired') as stands`);
  if (row?.stands !== true) throw retired(relation);
}

function retired(relation: Relation): VarveError {
  return new VarveError('relation_retired', {
    detail: { table: relation.name },
    hint: 'The table has another structure now. Load the present definitions and populate again; nothing was written with the old ones.',
  });
}

async function failed(context: BatchContext, key: Key, failure: MakeFailure): Promise<BatchResult> {
  await recordFailure(context.store, context.relation, key, failure, context.run.name);
  return { computed: 0, skipped: 0, failures: [{ key, code: failure.code }] };
}

function added(left: BatchResult, right: BatchResult): BatchResult {
  return {
    computed: left.computed + right.computed,
    skipped: left.skipped + right.skipped,
    failures: right.failures.length === 0 ? left.failures : [...left.failures, ...right.failures],
  };
}

/** Set-based: the database computes the rows of all keys at once. A stale key's old rows go to history first. */
async function computeQueried(context: BatchContext, { keys, mode }: Batch): Promise<BatchResult> {
  const { query } = context.table.definition;
  if (query === undefined) return { computed: 0, skipped: 0, failures: [] };
  const ordinals = await context.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
    await assertStands(transaction, context);
    if (mode === 'replace') {
      await removeComputed(transaction, targetOf(context), keys, {
        reason: 'recomputed',
        run: context.run.name,
      });
    }
    return insertQueried(transaction, targetOf(context), keys, query);
  });
  let result: BatchResult = { computed: ordinals.size, skipped: 0, failures: [] };
  if (ordinals.size === keys.length) return result;
  await assertLive(context);
  const open = keys.filter((_, ordinal) => !ordinals.has(ordinal));
  const present = await readInputs(context.store, context.relation, context.relations, {
    keys: open,
    onlyMissing: true,
  });
  result = { ...result, skipped: open.length - present.length };
  for (const { key } of present) result = added(result, await failed(context, key, NO_ROW));
  return result;
}

const NO_ROW: MakeFailure = {
  status: 'failed',
  code: 'make_returned_nothing',
  message: 'the query gave no row for this key',
  stack: null,
};

/** One transaction a key: the make reads through checked statements, and its result is written at the same snapshot. */
async function computeEach(
  context: BatchContext,
  { keys, mode }: Batch,
  strict: StrictReads,
): Promise<BatchResult> {
  let result: BatchResult = { computed: 0, skipped: 0, failures: [] };
  for (const key of keys) {
    if (context.making.signal.aborted) break;
    result = added(result, await computeOne(context, key, mode, strict));
  }
  return result;
}

async function computeOne(
  context: BatchContext,
  key: Key,
  mode: Batch['mode'],
  strict: StrictReads,
): Promise<BatchResult> {
  try {
    const ordinals = await context.store.transaction(
      { isolation: 'repeatable read' },
      async (transaction) => {
        const computed = await makeWith(context, transaction, key, strict);
        await assertStands(transaction, context);
        return mode === 'insert'
          ? insertComputed(transaction, targetOf(context), [computed])
          : replaceComputed(transaction, targetOf(context), [computed], context.run.name);
      },
    );
    if (ordinals.size === 0) await assertLive(context);
    return { computed: ordinals.size, skipped: 1 - ordinals.size, failures: [] };
  } catch (error) {
    if (error instanceof FailedMake) return failed(context, key, error.failure);
    if (isRowFault(error) || isReadFault(error)) return failed(context, key, rowFault(error));
    throw error;
  }
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
  const { value: outcome, reads: observed } = await strict.run(transaction, key, async (db) => {
    const [first] = await runMakes(
      context.table,
      [{ key, call: () => make(db, contextOf(context, key, reads)) }],
      context.making.signal,
    );
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
