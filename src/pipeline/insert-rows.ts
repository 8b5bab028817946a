/**
 * Rows that people or programs bring: into manual tables and their parts, checked before they are sent, all or none, each
 * tied to the call that brought it.
 */
import { nearestName, refusal, type Finding, type Json } from '../base/index.ts';
import { sha256 } from '../evidence/index.ts';
import {
  isStoreError,
  sql,
  type ObjectStore,
  type Queryable,
  type Store,
  type StoreError,
  type Transaction,
} from '../store/index.ts';
import { encodeValue, type ValueFault } from './encode-row.ts';
import {
  closeIngestion,
  findRepeated,
  ingestBatch,
  openIngestion,
  type EncodedRow,
  type IngestedBatch,
  type IngestTarget,
  type InsertMode,
  type RepeatedRows,
} from './ingest.ts';
import type { MadeValues } from './run-make/make-outcome.ts';
import { noObjects, objectColumns, pinObjects, referencesIn } from './object/pin.ts';
import { loadRelations, mismatches, relationOf, type Relation, type Relations } from './relation.ts';
import { RefusedWork } from './refused-work.ts';
import type { AnyTable, ReadOf, Writable } from './table.ts';

/** Where rows come from, and what becomes of those whose key stands already. */
export interface InsertRowsOptions {
  /** A file, an address, a person's words: kept as it is. */
  readonly source: string;
  readonly actor: string;
  /** Where the objects that rows name were put; needed where they name any. */
  readonly objects?: ObjectStore | undefined;
  /** The world to write in; default: what is live. */
  readonly relations?: Relations;
  /**
   * | value | a row whose key stands already |
   * |---|---|
   * | `new` (default) | refuses the call, naming the rows |
   * | `skip` | is left out; what stands is left alone |
   * | `replace` | takes the place of the old one, which goes to history; where it is the same, nothing happens |
   */
  readonly mode?: InsertMode;
  /** Do it all, count it, and take it back. */
  readonly dryRun?: boolean;
  /** Aborted: nothing is inserted. */
  readonly signal?: AbortSignal;
  /** Called after each batch with the rows read so far. */
  readonly onRows?: (rows: number) => void;
}

/** What became of the rows: all of them are there, or none. */
export type InsertRowsResult =
  | {
      /** `planned`: with `dryRun`. */
      readonly status: 'inserted' | 'planned';
      readonly table: string;
      /** Rows that are new. */
      readonly rows: number;
      /** Rows that took the place of another, which is in history. */
      readonly replaced: number;
      /** Rows that stood already: skipped, or the same. */
      readonly kept: number;
      /** `varve://ingestion/7`; null where nothing was written. */
      readonly ingestion: string | null;
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** A row of an input with its place in it, or why it is none. */
export type NumberedRow =
  | { readonly number: number; readonly row: Readonly<Record<string, unknown>> }
  | { readonly number: number; readonly fault: Finding };

/**
 * Inserts rows into a manual table, or into a part of one.
 *
 * Shape: `{ status: 'inserted', table: 'lab.mouse', rows: 2, replaced: 0, kept: 0, ingestion: 'varve://ingestion/7' }`
 * Invariant: one transaction, and one row of `varve.ingestion`, to which each written row is tied; what is read from an
 * async iterable is held a batch at a time (5000 rows, or 4 MB of their JSON).
 * Errors: refuses with `not_manual`, `not_deployed`, `unknown_column`, `value_invalid`, `row_exists`, `row_repeated`,
 * `constraint_violated`, `object_missing`; throws `objects_unavailable` where rows name objects and `objects` is not given.
 * Row numbers count from 1, and no value stands in a finding.
 */
export async function insertRows<T extends AnyTable>(
  store: Store,
  table: T,
  rows: readonly Writable<ReadOf<T>>[] | AsyncIterable<Writable<ReadOf<T>>>,
  options: InsertRowsOptions,
): Promise<InsertRowsResult> {
  return insertNumberedRows(store, table, numbered(rows), { ...options, place: 'row' });
}

/**
 * The same for rows that know their place: findings then name `line` or `row` as `place` says.
 *
 * Errors: those of `insertRows`, and the findings that the input itself holds.
 */
export async function insertNumberedRows(
  store: Store,
  table: AnyTable,
  rows: AsyncIterable<NumberedRow>,
  options: InsertRowsOptions & { readonly place: 'row' | 'line' },
): Promise<InsertRowsResult> {
  const relations = options.relations ?? (await loadRelations(store));
  const findings = [...tierFault(table, relations), ...mismatches(relations, [table.spec])];
  if (findings.length > 0) return { status: 'refused', findings };
  const relation = relationOf(relations, table.spec.name);
  const call = { table, relation, relations, mode: options.mode ?? 'new', options };
  try {
    return await store.transaction({}, (transaction) => {
      const pins = store.capabilities.concurrentSessions ? store : transaction;
      return insertAll(transaction, { ...call, pins }, rows);
    });
  } catch (error) {
    if (error instanceof TakenBack) return error.result;
    if (error instanceof RefusedWork) return { status: 'refused', findings: error.findings };
    throw error;
  }
}

async function* numbered(
  rows: readonly object[] | AsyncIterable<object>,
): AsyncGenerator<NumberedRow, void, undefined> {
  let number = 0;
  for await (const row of rows) yield { number: ++number, row: row as Readonly<Record<string, unknown>> };
}

/** Ends the transaction of a dry run; it never leaves the function that began it. */
class TakenBack extends RefusedWork {
  readonly result: InsertRowsResult;
  constructor(result: InsertRowsResult) {
    super([]);
    this.result = result;
  }
}

interface Call {
  readonly table: AnyTable;
  readonly relation: Relation;
  readonly relations: Relations;
  readonly mode: InsertMode;
  /** Where objects are pinned: a session of its own where there is one, so that two writers of one object do not wait for each other's end. */
  readonly pins: Queryable;
  readonly options: InsertRowsOptions & { readonly place: 'row' | 'line' };
}

function tierFault(table: AnyTable, relations: Relations): readonly Finding[] {
  const { spec } = table;
  const tier = spec.master === undefined ? spec.tier : relations.get(spec.master)?.spec.tier;
  if (tier === 'manual' || tier === undefined) return [];
  const hints = {
    lookup: `Write the row into \`contents\` of ${spec.name}, then run \`varve plan\`.`,
    imported: `Run \`varve populate ${spec.master ?? spec.name}\`: its make brings its rows.`,
    computed: `Run \`varve populate ${spec.master ?? spec.name}\`: its make computes its rows.`,
    part: `Insert into the master of ${spec.name}.`,
  };
  return [refusal('not_manual', spec.name, { detail: { tier }, hint: hints[tier] })];
}

/** `{ row: 7 }` or `{ line: 7 }` */
type Place = Readonly<Record<string, number>>;

const REASONS: Readonly<Record<ValueFault['code'], string>> = {
  make_returned_nan: 'not a finite number',
  make_returned_bad_text: 'text that cannot be stored: a lone surrogate or a NUL',
  make_returned_wrong_type: 'another type',
  make_returned_null: 'a value must be given',
};

function valueFinding(table: string, fault: ValueFault, at: Place): Finding {
  return refusal('value_invalid', `${table}.${fault.column}`, {
    detail: { ...at, reason: REASONS[fault.code], expected: fault.expected },
    hint: 'Correct this value; no row was inserted.',
  });
}

/** A row never names an object that is not there. */
async function assertObjects(
  { pins, relation: { spec }, options }: Call,
  rows: readonly EncodedRow[],
): Promise<void> {
  const references = rows.map(({ text }) => referencesIn(spec, [JSON.parse(text) as MadeValues]));
  const named = references.flat();
  if (named.length === 0) return;
  if (options.objects === undefined) throw noObjects();
  const isThere = await pinObjects(pins, options.objects, named);
  const absent = rows.filter((_, index) => references[index]?.every(isThere) === false);
  if (absent.length === 0) return;
  throw new RefusedWork(
    absent.slice(0, MOST_FINDINGS).map(({ number }) =>
      refusal('object_missing', spec.name, {
        detail: { [options.place]: number },
        hint: 'Put the object first and insert the reference that `put` returns; no row was inserted.',
      }),
    ),
  );
}

function strangeColumn(table: AnyTable, name: string, at: Place): Finding {
  const nearest = nearestName(
    name,
    table.spec.columns.map((column) => column.name),
  );
  return refusal('unknown_column', `${table.spec.name}.${name}`, {
    detail: nearest === undefined ? { ...at } : { ...at, nearest },
    hint: nearest === undefined ? 'Leave the column out, or define it.' : `Did you mean ${nearest}?`,
  });
}

/** More would not be read. */
const MOST_FINDINGS = 100;
const BATCH_ROWS = 5000;
/** Rows may be of any size: a batch is one parameter of one statement. */
const BATCH_CHARACTERS = 4_000_000;

async function insertAll(
  transaction: Transaction,
  call: Call,
  rows: AsyncIterable<NumberedRow>,
): Promise<InsertRowsResult> {
  const { relation, options } = call;
  const ingestion = await openIngestion(transaction, relation, call.mode);
  const total = { inserted: 0, replaced: 0, kept: 0 };
  const digests: string[] = [];
  let read = 0;
  const namesObjects = objectColumns(relation.spec).length > 0;
  for await (const batch of batchesOf(call, rows)) {
    if (namesObjects) await assertObjects(call, batch);
    const { counts, digest } = await insertBatch(transaction, { ...call, ingestion }, batch);
    if (counts.inserted + counts.replaced > 0) digests.push(digest);
    total.inserted += counts.inserted;
    total.replaced += counts.replaced;
    total.kept += counts.kept;
    options.onRows?.((read += batch.length));
  }
  const rowCount = total.inserted + total.replaced;
  const digest = digests.length === 1 ? `sha256:${digests[0] ?? ''}` : sha256(digests.join('\n'));
  const { source, actor } = options;
  if (rowCount > 0)
    await closeIngestion(transaction, ingestion, relation, { source, actor, rowCount, digest });
  const { inserted, replaced, kept } = total;
  const result = { table: relation.name, rows: inserted, replaced, kept } as const;
  if (options.dryRun === true) {
    // What a user's own deferred constraint would refuse at the end, it refuses now.
    await transaction.execute(sql`set constraints all immediate`);
    throw new TakenBack({ status: 'planned', ...result, ingestion: null });
  }
  return { status: 'inserted', ...result, ingestion: rowCount === 0 ? null : ingestion.name };
}

/** Encodes rows and hands them on in batches; after the first fault it only goes on to find others. */
async function* batchesOf(
  call: Call,
  rows: AsyncIterable<NumberedRow>,
): AsyncGenerator<readonly EncodedRow[], void, undefined> {
  const findings: Finding[] = [];
  let batch: EncodedRow[] = [];
  let characters = 0;
  for await (const each of rows) {
    call.options.signal?.throwIfAborted();
    const encoded = 'fault' in each ? undefined : encodeOne(call, each, findings);
    if ('fault' in each) findings.push(each.fault);
    if (findings.length >= MOST_FINDINGS) break;
    if (findings.length > 0 || encoded === undefined) continue;
    batch.push(encoded);
    characters += encoded.text.length;
    if (batch.length < BATCH_ROWS && characters < BATCH_CHARACTERS) continue;
    yield batch;
    batch = [];
    characters = 0;
  }
  if (findings.length > 0) throw new RefusedWork(findings);
  if (batch.length > 0) yield batch;
}

function encodeOne(
  { table, options: { place } }: Call,
  { number, row }: { readonly number: number; readonly row: Readonly<Record<string, unknown>> },
  findings: Finding[],
): EncodedRow {
  const { columns } = table.definition;
  const values: Record<string, Json> = { '#number': number };
  for (const [name, column] of Object.entries(columns)) {
    const encoded = encodeValue(name, column, row[name]);
    if ('value' in encoded) values[name] = encoded.value;
    else findings.push(valueFinding(table.spec.name, encoded.fault, { [place]: number }));
  }
  for (const name of Object.keys(row)) {
    if (!Object.hasOwn(columns, name)) findings.push(strangeColumn(table, name, { [place]: number }));
  }
  return { number, text: JSON.stringify(values) };
}

async function insertBatch(
  transaction: Transaction,
  call: Call & IngestTarget,
  rows: readonly EncodedRow[],
): Promise<Extract<IngestedBatch, { readonly counts: unknown }>> {
  const ingest = (some: readonly EncodedRow[]) =>
    transaction.savepoint(() => ingestBatch(transaction, call, some));
  try {
    const done = await ingest(rows);
    if ('counts' in done) return done;
    throw new RefusedWork([repeatedFinding(call, done.repeated)]);
  } catch (error) {
    if (!isRowFault(error)) throw error;
    if (call.mode === 'new' && error.fields.sqlstate === '23505') {
      const repeated = await transaction.savepoint(() => findRepeated(transaction, call, rows));
      if (repeated !== undefined) throw new RefusedWork([repeatedFinding(call, repeated)]);
    }
    const [row, fault] = await faultyRow(ingest, rows, 0, rows.length, error);
    throw new RefusedWork([databaseFinding(call, fault, rows[row]?.number ?? 0)]);
  }
}

function repeatedFinding(
  { relation, mode, options }: Call,
  { numbers, count, where }: RepeatedRows,
): Finding {
  const detail = { columns: relation.spec.primaryKey, [`${options.place}s`]: numbers, count };
  if (where === 'input') {
    return refusal('row_repeated', relation.name, {
      detail,
      hint: 'Keep one row of each key; no row was inserted.',
    });
  }
  return refusal('row_exists', relation.name, {
    detail: { ...detail, mode },
    hint: 'Leave them out with --skip-existing (mode: skip), or let them take the place of what stands with --replace (mode: replace); no row was inserted.',
  });
}

function isRowFault(error: unknown): error is StoreError {
  return (
    isStoreError(error) && (error.fields.sqlstate.startsWith('23') || error.fields.sqlstate.startsWith('22'))
  );
}

/** Which row the database refuses: halves are inserted until one stands alone; those that pass stay, for it may collide with them. */
async function faultyRow(
  insert: (rows: readonly EncodedRow[]) => Promise<unknown>,
  rows: readonly EncodedRow[],
  from: number,
  to: number,
  fault: StoreError,
): Promise<readonly [number, StoreError]> {
  if (to - from <= 1) return [from, fault];
  const middle = Math.ceil((from + to) / 2);
  try {
    await insert(rows.slice(from, middle));
  } catch (error) {
    if (!isRowFault(error)) throw error;
    return faultyRow(insert, rows, from, middle, error);
  }
  return faultyRow(insert, rows, middle, to, fault);
}

function databaseFinding({ relation, options }: Call, { fields }: StoreError, number: number): Finding {
  const { sqlstate, constraint, column } = fields;
  const at = { [options.place]: number };
  if (sqlstate.startsWith('22')) {
    return refusal('value_invalid', relation.name, {
      detail: { ...at, reason: 'the database does not take a value of this row', sqlstate },
      hint: 'Write dates, times, numbers and ids of this row as PostgreSQL reads them; no row was inserted.',
    });
  }
  return refusal('constraint_violated', column === undefined ? relation.name : `${relation.name}.${column}`, {
    detail: { ...at, sqlstate, ...(constraint === undefined ? {} : { constraint }) },
    hint: 'Correct the row, or bring first what it refers to; no row was inserted.',
  });
}
