/**
 * Rows that people or programs bring: into manual tables and their parts, checked before they are sent, all or none, with
 * a record of where each batch came from.
 */
import { nearestName, refusal, type Finding, type Json, type JsonObject } from '../base/index.ts';
import {
  isStoreError,
  sql,
  type ObjectStore,
  type Sql,
  type Store,
  type StoreError,
  type Transaction,
} from '../store/index.ts';
import { encodeValue, type ValueFault } from './encode-row.ts';
import { noObjects, pinObjects, referencesIn } from './object/pin.ts';
import { rowsDigest } from './read-plan.ts';
import { loadRelations, mismatches, relationOf, tableId, type Relation, type Relations } from './relation.ts';
import { RefusedWork } from './refused-work.ts';
import type { AnyTable, ReadOf, Writable } from './table.ts';

/** Where rows come from. */
export interface InsertRowsOptions {
  /** A file, an address, a person's words: kept as it is. */
  readonly source: string;
  readonly actor: string;
  /** Where the objects that rows name were put; needed where they name any. */
  readonly objects?: ObjectStore | undefined;
  /** The world to write in; default: what is live. */
  readonly relations?: Relations;
}

/** What became of the rows: all of them are there, or none. */
export type InsertRowsResult =
  | { readonly status: 'inserted'; readonly table: string; readonly rows: number }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * Inserts rows into a manual table, or into a part of one.
 *
 * Shape: `{ status: 'inserted', table: 'lab.mouse', rows: 2 }`
 * Invariant: one transaction; each batch of 5000 rows is one statement, which also writes its row of `varve.ingestion`.
 * Errors: refuses with `not_manual`, `not_deployed`, `unknown_column`, `value_invalid`, `constraint_violated`,
 * `object_missing`; throws `objects_unavailable` where rows name objects and `objects` is not given. Row numbers
 * count from 1, and no value stands in a finding.
 */
export async function insertRows<T extends AnyTable>(
  store: Store,
  table: T,
  rows: readonly Writable<ReadOf<T>>[],
  options: InsertRowsOptions,
): Promise<InsertRowsResult> {
  const relations = options.relations ?? (await loadRelations(store));
  const findings = [...tierFault(table, relations), ...mismatches(relations, [table.spec])];
  if (findings.length > 0) return { status: 'refused', findings };
  const encoded = encodeRows(table, rows);
  if (encoded.findings.length > 0) return { status: 'refused', findings: encoded.findings };
  const absent = await absentObjects(store, table, encoded.rows, options.objects);
  if (absent.length > 0) return { status: 'refused', findings: absent };
  const relation = relationOf(relations, table.spec.name);
  const faults = await insertAll(store, relation, encoded.rows, options);
  if (faults.length > 0) return { status: 'refused', findings: faults };
  return { status: 'inserted', table: table.spec.name, rows: rows.length };
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

/** More would not be read. */
const MOST_FINDINGS = 100;

function encodeRows(
  table: AnyTable,
  rows: readonly Readonly<Record<string, unknown>>[],
): { readonly rows: readonly JsonObject[]; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const encoded: JsonObject[] = [];
  for (const [index, row] of rows.entries()) {
    encoded.push(encodeOne(table, row, index + 1, findings));
    if (findings.length >= MOST_FINDINGS) break;
  }
  return { rows: encoded, findings };
}

function encodeOne(
  table: AnyTable,
  row: Readonly<Record<string, unknown>>,
  number: number,
  findings: Finding[],
): JsonObject {
  const { columns } = table.definition;
  const values: Record<string, Json> = {};
  for (const [name, column] of Object.entries(columns)) {
    const encoded = encodeValue(name, column, row[name]);
    if ('value' in encoded) values[name] = encoded.value;
    else findings.push(valueFinding(table.spec.name, encoded.fault, number));
  }
  for (const name of Object.keys(row)) {
    if (!Object.hasOwn(columns, name)) findings.push(strangeColumn(table, name, number));
  }
  return values;
}

const REASONS: Readonly<Record<ValueFault['code'], string>> = {
  make_returned_nan: 'not a finite number',
  make_returned_bad_text: 'text that cannot be stored: a lone surrogate or a NUL',
  make_returned_wrong_type: 'another type',
  make_returned_null: 'a value must be given',
};

function valueFinding(table: string, fault: ValueFault, row: number): Finding {
  return refusal('value_invalid', `${table}.${fault.column}`, {
    detail: { row, reason: REASONS[fault.code], expected: fault.expected },
    hint: 'Correct this value; no row was inserted.',
  });
}

/** A row never names an object that is not there. */
async function absentObjects(
  store: Store,
  { spec }: AnyTable,
  rows: readonly JsonObject[],
  objects: ObjectStore | undefined,
): Promise<readonly Finding[]> {
  const references = rows.map((row) => referencesIn(spec, [row]));
  const named = references.flat();
  if (named.length === 0) return [];
  if (objects === undefined) throw noObjects();
  const isThere = await pinObjects(store, objects, named);
  return references
    .flatMap((each, index) => (each.every(isThere) ? [] : [absentObject(spec.name, index + 1)]))
    .slice(0, MOST_FINDINGS);
}

function absentObject(table: string, row: number): Finding {
  return refusal('object_missing', table, {
    detail: { row },
    hint: 'Put the object first and insert the reference that `put` returns; no row was inserted.',
  });
}

function strangeColumn(table: AnyTable, name: string, row: number): Finding {
  const nearest = nearestName(
    name,
    table.spec.columns.map((column) => column.name),
  );
  return refusal('unknown_column', `${table.spec.name}.${name}`, {
    detail: nearest === undefined ? { row } : { row, nearest },
    hint: nearest === undefined ? 'Leave the column out, or define it.' : `Did you mean ${nearest}?`,
  });
}

const BATCH_ROWS = 5000;

async function insertAll(
  store: Store,
  relation: Relation,
  rows: readonly JsonObject[],
  options: InsertRowsOptions,
): Promise<readonly Finding[]> {
  try {
    await store.transaction({}, async (transaction) => {
      for (let start = 0; start < rows.length; start += BATCH_ROWS) {
        await insertBatch(
          transaction,
          relation,
          { rows: rows.slice(start, start + BATCH_ROWS), start },
          options,
        );
      }
    });
    return [];
  } catch (error) {
    if (error instanceof RefusedWork) return error.findings;
    throw error;
  }
}

interface RowBatch {
  readonly rows: readonly JsonObject[];
  /** Rows before it. */
  readonly start: number;
}

async function insertBatch(
  transaction: Transaction,
  relation: Relation,
  { rows, start }: RowBatch,
  options: InsertRowsOptions,
): Promise<void> {
  const insert = (some: readonly JsonObject[]) =>
    transaction.savepoint(() => transaction.execute(insertStatement(relation, some, options)));
  try {
    await insert(rows);
  } catch (error) {
    if (!isRowFault(error)) throw error;
    const [row, fault] = await faultyRow(insert, rows, 0, rows.length, error);
    throw new RefusedWork([databaseFinding(relation, fault, start + row + 1)]);
  }
}

function isRowFault(error: unknown): error is StoreError {
  return (
    isStoreError(error) && (error.fields.sqlstate.startsWith('23') || error.fields.sqlstate.startsWith('22'))
  );
}

/** Which row the database refuses: halves are inserted until one stands alone; those that pass stay, for it may collide with them. */
async function faultyRow(
  insert: (rows: readonly JsonObject[]) => Promise<unknown>,
  rows: readonly JsonObject[],
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

function insertStatement(relation: Relation, rows: readonly JsonObject[], options: InsertRowsOptions): Sql {
  const { spec } = relation;
  const columns = spec.columns.map(({ name }) => name);
  const names = sql.join(columns.map((column) => sql.id(column)));
  const types = sql.join(spec.columns.map(({ name, type }) => sql`${sql.id(name)} ${sql.raw(type)}`));
  return sql`
    with row_ as (insert into ${tableId(relation.placement)} (${names})
      select ${names} from json_to_recordset(${JSON.stringify(rows)}::json) as b(${types}) returning ${names})
    insert into varve.ingestion (relation, source, actor, row_count, digest)
    select ${relation.id}, ${options.source}, ${options.actor}, count(*),
      'sha256:' || encode(${rowsDigest(sql`row_`, columns, spec.primaryKey)}, 'hex') from row_`;
}

function databaseFinding(relation: Relation, { fields }: StoreError, row: number): Finding {
  const { sqlstate, constraint, column } = fields;
  if (sqlstate.startsWith('22')) {
    return refusal('value_invalid', relation.name, {
      detail: { row, reason: 'the database does not take a value of this row', sqlstate },
      hint: 'Write dates, times, numbers and ids of this row as PostgreSQL reads them; no row was inserted.',
    });
  }
  return refusal('constraint_violated', column === undefined ? relation.name : `${relation.name}.${column}`, {
    detail: { row, sqlstate, ...(constraint === undefined ? {} : { constraint }) },
    hint: 'Correct the row, or bring first what it refers to; no row was inserted.',
  });
}
