/**
 * How a `makeWith` reads: through a handle that shows the declared reads of one key and nothing else, or, under
 * observation, that also shows the rest and writes down what was read.
 *
 * | level | what keeps a make from reading more |
 * |---|---|
 * | `role` | the database: a role that may select the generated views only; and the check of each statement |
 * | `statement` | the check of each statement before it runs |
 * | `none` | nothing: under observation undeclared reads are let through and recorded |
 *
 * One round trip enters (key, role, search path) and one leaves. The statement that enters and the one that leaves use
 * `set_config`, which does what SET LOCAL does and takes parameters.
 */
import type { Kysely } from 'kysely';
import { VarveError, type Finding } from '../../base/index.ts';
import {
  isStoreError,
  quoteIdentifier,
  sql,
  type Row,
  type Store,
  type Transaction,
} from '../../store/index.ts';
import { splitName, type TableSpec } from '../spec.ts';
import { loadFunctionCatalog, type FunctionCatalog } from './function-rule.ts';
import { keyJson } from './key-json.ts';
import { loadKysely, type CreateKysely } from './kysely-dialect.ts';
import {
  createRecorder,
  prepareObservation,
  type FoundRelation,
  type Observation,
  type ObservedRead,
  type Recorder,
} from './observe.ts';
import { loadParser, type Parse } from './parse-tree.ts';
import { fillTemplate, templateOf, type Template } from './placeholder.ts';
import { ensureReadRole } from './read-role.ts';
import { ensureReadViews, placementOf, readViewsOf, type Placement, type ReadViews } from './read-view.ts';
import { refusedStatement, undeclaredRead } from './refuse.ts';
import { findRelation, nameSpaceOf, type NameSpace, type Relation } from './relation.ts';
import { readStatement, type ReadRelation } from './statement.ts';

/** What a make is handed: the declared reads as tables, by their names. */
export type StrictDb = Kysely<Record<string, Record<string, unknown>>>;

/** Which table, and where the rows stand that it reads. */
export interface StrictReadsOptions {
  readonly spec: TableSpec;
  readonly specByName: ReadonlyMap<string, TableSpec>;
  readonly placementByTable: ReadonlyMap<string, Placement>;
}

/** What a make gave back, and what it read beside its declared reads. */
export interface StrictRun<T> {
  readonly value: T;
  readonly reads: readonly ObservedRead[];
}

/** The strict reads of one computed table. */
export interface StrictReads extends AsyncDisposable {
  /** The level that is recorded with each computation. */
  readonly enforcement: 'role' | 'statement' | 'none';
  /** What weakens the level. */
  readonly findings: readonly Finding[];
  /**
   * Runs a make for one key inside the transaction and leaves its role and search path as they were.
   *
   * A make that returns an iterable has to be drained inside `make`: its handle ends when `make` settles. Statements
   * that it did not wait for are waited for, and their failure is its failure.
   *
   * Errors: throws what the make throws; `undeclared_read`, `statement_refused`, `sql_invalid` from its statements.
   */
  readonly run: <T>(
    transaction: Transaction,
    key: Readonly<Record<string, unknown>>,
    make: (db: StrictDb) => Promise<T>,
  ) => Promise<StrictRun<T>>;
}

/**
 * Opens the strict reads of one `makeWith` table: makes its views and its role unless they stand already.
 *
 * Errors: throws `unknown_table` where a table that is read does not stand where it should.
 */
export async function openStrictReads(store: Store, options: StrictReadsOptions): Promise<StrictReads> {
  const { spec, specByName, placementByTable } = options;
  const views = readViewsOf(spec, specByName, placementByTable);
  const placed = views.views.map(({ read }) => placementOf(placementByTable, read.table));
  const [parse, createKysely] = await Promise.all([loadParser(), loadKysely()]);
  const space = nameSpaceOf(splitName(spec.name).schema, specByName, placementByTable);
  const isObserved = spec.strict === 'observe';
  const { role, findings, functions } = await store.transaction({}, async (transaction) => {
    await ensureReadViews(transaction, views, placed);
    const functions = await loadFunctionCatalog(transaction);
    if (isObserved || !store.capabilities.restrictedRole) return { role: undefined, findings: [], functions };
    return { ...(await ensureReadRole(transaction, spec.name, views)), functions };
  });
  const session: SessionSettings = { role, searchPath: searchPathOf(views) };
  const checker = createChecker({ spec, views, space, functions, parse, isObserved });
  return {
    enforcement: isObserved ? 'none' : role === undefined ? 'statement' : 'role',
    findings,
    run: (transaction, key, make) => runMake({ transaction, key, make, session, checker, createKysely }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

interface SessionSettings {
  readonly role: string | undefined;
  readonly searchPath: string;
}

/** With pg_catalog and pg_temp named, since both would otherwise be searched before the views. */
function searchPathOf(views: ReadViews): string {
  return [views.schema, 'pg_catalog', 'pg_temp'].map(quoteIdentifier).join(', ');
}

interface MakeRun<T> {
  readonly transaction: Transaction;
  readonly key: Readonly<Record<string, unknown>>;
  readonly make: (db: StrictDb) => Promise<T>;
  readonly session: SessionSettings;
  readonly checker: Checker;
  readonly createKysely: CreateKysely;
}

async function runMake<T>(run: MakeRun<T>): Promise<StrictRun<T>> {
  const { transaction, session } = run;
  const before = await enter(transaction, run.key, session);
  const handle = createHandle(transaction, run.checker);
  const db = run.createKysely(handle.run) as unknown as StrictDb;
  let value: T;
  let reads: readonly ObservedRead[];
  try {
    value = await makeAndClose(run.make, db, handle);
    reads = await handle.recorder.reads(transaction);
  } catch (error) {
    // A failed statement has ended the transaction; then role and path go back with the caller's savepoint.
    await leave(transaction, before).catch(() => undefined);
    throw error;
  }
  await leave(transaction, before);
  return { value, reads };
}

async function makeAndClose<T>(make: (db: StrictDb) => Promise<T>, db: StrictDb, handle: Handle): Promise<T> {
  let value: T;
  try {
    value = await make(db);
  } catch (error) {
    // What the make says of its failure tells more than the statement that may have caused it.
    await handle.close().catch(() => undefined);
    throw error;
  }
  await handle.close();
  return value;
}

interface Before {
  readonly role: string;
  readonly path: string;
}

async function enter(
  transaction: Transaction,
  key: Readonly<Record<string, unknown>>,
  { role, searchPath }: SessionSettings,
): Promise<Before> {
  const json = JSON.stringify(
    Object.fromEntries(Object.entries(key).map(([name, value]) => [name, keyJson(value)])),
  );
  const roles = role === undefined ? sql`` : sql`, set_config('role', ${role}, true)`;
  // Columns are evaluated in their order: the old settings are read before the new ones are made. Rights are checked
  // when the statement starts. An upsert would cost half as much again, and is needed once in a backend's life.
  const update = sql`
    update varve.make_key set key = ${json}::jsonb where backend = pg_backend_pid()
    returning current_setting('role') as role, current_setting('search_path') as path,
      set_config('search_path', ${searchPath}, true)${roles}`;
  const [before] = await transaction.query<Row & Before>(sql.kept(update));
  if (before !== undefined) return { role: before.role, path: before.path };
  await transaction.execute(sql`insert into varve.make_key values (pg_backend_pid(), '{}')`);
  const [entered] = await transaction.query<Row & Before>(update);
  if (entered !== undefined) return { role: entered.role, path: entered.path };
  throw new VarveError('internal', { hint: 'Report this: the key in hand was not kept.' });
}

async function leave(transaction: Transaction, { role, path }: Before): Promise<void> {
  await transaction.query(
    sql.kept(sql`select set_config('role', ${role}, true), set_config('search_path', ${path}, true)`),
  );
}

interface Handle {
  readonly run: (text: string, parameters: readonly unknown[]) => Promise<readonly Row[]>;
  readonly recorder: Recorder;
  /**
   * Ends the handle, after statements that nobody waits for. Rejects with the first one that failed or was refused: a
   * make that catches the error does not make it undone.
   */
  readonly close: () => Promise<void>;
}

function createHandle(transaction: Transaction, checker: Checker): Handle {
  const recorder = createRecorder();
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  let failed: Promise<void> | undefined;

  async function runChecked(text: string, parameters: readonly unknown[]): Promise<readonly Row[]> {
    try {
      const { template, observation } = await checker.check(transaction, text);
      const rows = await transaction.query(fillTemplate(template, parameters));
      if (observation !== undefined) await recorder.observe(transaction, observation, parameters);
      return rows;
    } catch (error) {
      const reason = isStoreError(error, '42501') ? checker.refusedByRole() : error;
      failed ??= Promise.reject(reason);
      failed.catch(() => undefined);
      throw reason;
    }
  }

  return {
    recorder,
    run: (text, parameters) => {
      if (isClosed) return Promise.reject(handleEnded());
      // One after the other: savepoints of one statement's companions must not enclose another statement.
      const turn = last.then(() => runChecked(text, parameters));
      last = turn.catch(() => undefined);
      return turn;
    },
    close: async () => {
      // Kysely hands a statement over some microtasks after `execute` was called.
      await new Promise((resolve) => setImmediate(resolve));
      isClosed = true;
      await last;
      await failed;
    },
  };
}

function handleEnded(): VarveError {
  return new VarveError('statement_refused', {
    detail: { kind: 'statement', found: 'a statement after the end of its make' },
    hint: 'Await every statement inside the make.',
  });
}

/** A statement that may run. */
interface Checked {
  readonly template: Template;
  readonly observation: Observation | undefined;
}

interface Checker {
  /** Throws `undeclared_read`, `statement_refused`, `sql_invalid`. */
  readonly check: (transaction: Transaction, text: string) => Promise<Checked>;
  /** What a make is told when the database lets a checked statement do less than the check did. */
  readonly refusedByRole: () => VarveError;
}

interface CheckerOptions {
  readonly spec: TableSpec;
  readonly views: ReadViews;
  readonly space: NameSpace;
  readonly functions: FunctionCatalog;
  readonly parse: Parse;
  readonly isObserved: boolean;
}

/** Makes that write values into their texts would otherwise fill the memory. */
const MAX_CACHED = 500;

function createChecker(options: CheckerOptions): Checker {
  const checkedByText = new Map<string, Checked>();
  return {
    refusedByRole: () =>
      new VarveError('statement_refused', {
        detail: { table: options.spec.name, kind: 'role', found: 'something that its role may not use' },
        hint: 'Leave out what does not belong to pg_catalog or to the declared reads.',
      }),
    check: async (transaction, text) => {
      const known = checkedByText.get(text);
      if (known !== undefined) return known;
      const checked = await checkStatement(transaction, text, options);
      if (checkedByText.size >= MAX_CACHED) checkedByText.clear();
      checkedByText.set(text, checked);
      return checked;
    },
  };
}

async function checkStatement(
  transaction: Transaction,
  text: string,
  options: CheckerOptions,
): Promise<Checked> {
  const { spec, space, functions, parse } = options;
  const statements = parse(text);
  const facts = readStatement(statements, functions);
  const undeclared = facts.relations.filter((read) => !isDeclared(read, options));
  // A refused read tells more than a refused function beside it.
  const [first] = options.isObserved ? undeclared.filter(isCatalog) : undeclared;
  if (first !== undefined) throw await undeclaredRead(transaction, spec, space, text, first);
  const [fault] = facts.faults;
  if (fault !== undefined) throw refusedStatement(spec.name, text, fault);
  const template = templateOf(text, statements);
  if (undeclared.length === 0) return { template, observation: undefined };
  const found: FoundRelation[] = [];
  for (const read of undeclared) {
    found.push({ read, relation: await existing(transaction, text, read, options) });
  }
  const observation = await prepareObservation(transaction, facts, found, { text, parse, functions, space });
  return { template: observation.rewritten ?? template, observation };
}

function isDeclared({ schema, name }: ReadRelation, { spec, views }: CheckerOptions): boolean {
  return (schema === undefined || schema === views.schema) && spec.reads.some((read) => read.name === name);
}

/** The server's own relations and varve's: what they hold is no input that could be recorded. */
function isCatalog({ schema, name }: ReadRelation): boolean {
  if (schema === undefined) return name.startsWith('pg_');
  return /^(pg_.*|information_schema|varve|varve_read_.*)$/s.test(schema);
}

async function existing(
  transaction: Transaction,
  text: string,
  read: ReadRelation,
  { spec, space }: CheckerOptions,
): Promise<Relation> {
  const relation = await findRelation(transaction, space, read.schema, read.name);
  if (relation === undefined) throw await undeclaredRead(transaction, spec, space, text, read);
  return relation;
}
