/**
 * What a run overwrites and destroys goes to history first, in its own transaction (M109). Decision: docs/decisions/0037-captured-rows.md.
 *
 * | taken by | how it is kept |
 * |---|---|
 * | UPDATE, DELETE, MERGE, upserts, by whomever: a trigger, a function, a cascade | a trigger on each table in scope, a set at a time |
 * | TRUNCATE, with all that it cascades to | a trigger before it |
 * | a dropped column, another type, a dropped table or what brings it down | all rows, before the statement is sent |
 *
 * A net holds it: rows that the server counted as updated and deleted are as many as were kept, and no column or table is gone
 * whose rows were not. A run that took more than was kept is aborted.
 *
 * The triggers lock their tables against other writers, so there are none where no statement of the script writes rows.
 */
import { refusal, type Finding } from '../../../base/index.ts';
import {
  asNode,
  fieldsOf,
  listOf,
  quoteIdentifier,
  sql,
  textOf,
  type Node,
  type Queryable,
  type Transaction,
} from '../../../store/index.ts';
import type { Scope } from '../../declaration.ts';
import type { Direction } from '../../kind.ts';
import { isInScope } from './baseline/index.ts';
import { namedObjects } from './named.ts';
import { fullName, type Relation, type Relations } from './relation.ts';
import type { RowCounts } from './row-counts.ts';
import type { Statement } from './script.ts';

/** What is kept in one try of a run. */
export interface Capture {
  readonly runId: string;
  /** Tables in scope, as they were before the first statement. */
  readonly tables: readonly Relation[];
  readonly relations: Relations;
  /** The type of each of their columns, by number of table and of column. */
  readonly columns: ReadonlyMap<number, ReadonlyMap<number, string>>;
  /** Those of which all rows were kept. */
  readonly whole: Set<number>;
}

/** Begins keeping what the statements take. To be called before event triggers note DDL. */
export async function armCapture(
  transaction: Transaction,
  about: {
    readonly runId: string;
    readonly scope: Scope;
    readonly relations: Relations;
    /** Whether a statement may change or delete rows. */
    readonly writesRows: boolean;
  },
): Promise<Capture> {
  const { runId, scope, relations, writesRows } = about;
  const tables = [...relations.values()]
    .filter((each) => ['r', 'p'].includes(each.kind) && isInScope(scope, each, relations))
    .toSorted((left, right) => (fullName(left) < fullName(right) ? -1 : 1));
  // Whoever may put no trigger on a table is held by the net: nothing of it is taken then, or the run is aborted.
  if (writesRows)
    await transaction.query(sql`select varve.arm_capture(${runId}, ${tables.map(({ oid }) => oid)}::oid[])`);
  return { runId, tables, relations, columns: await readColumns(transaction, tables), whole: new Set() };
}

/** Keeps all rows of the tables of which a statement takes columns, types or everything. To be called before it is sent. */
export async function captureBefore(
  transaction: Transaction,
  capture: Capture,
  statement: Statement,
): Promise<void> {
  for (const oid of await losingTables(transaction, capture, statement)) {
    if (capture.whole.has(oid)) continue;
    capture.whole.add(oid);
    await transaction.query(sql`select varve.capture_table(${capture.runId}, ${oid}::oid)`);
  }
}

/** Takes the triggers away, wherever their tables stand by now. */
export async function disarmCapture(transaction: Transaction): Promise<void> {
  await transaction.query(sql`select varve.disarm_capture()`);
}

/** What the role of a confined script may call for the length of its run. */
const FUNCTIONS = [
  'capture_table(text, oid)',
  'captured(anyelement)',
  'captured_shapes(oid)',
  'captured_texts(bigint[])',
];

/** Lets a role keep rows, and read those of the run that is taken back. Nothing is left of it when the run ends. */
export async function lendCapture(transaction: Transaction, role: string): Promise<void> {
  await transaction.execute(sql`grant usage on schema varve to ${sql.id(role)}`);
  for (const name of FUNCTIONS)
    await transaction.execute(sql`grant execute on function varve.${sql.raw(name)} to ${sql.id(role)}`);
}

/** Takes that back, before the commit. */
export async function takeCaptureBack(transaction: Transaction, role: string): Promise<void> {
  for (const name of FUNCTIONS)
    await transaction.execute(sql`revoke execute on function varve.${sql.raw(name)} from ${sql.id(role)}`);
  await transaction.execute(sql`revoke usage on schema varve from ${sql.id(role)}`);
}

/** Where more was taken than kept. `counts` are those of the server, `rebuilt` the tables with another file. */
export async function captureFindings(
  transaction: Transaction,
  capture: Capture,
  seen: {
    readonly counts: ReadonlyMap<number, RowCounts>;
    readonly rebuilt: ReadonlySet<number>;
    readonly rowsBefore: ReadonlyMap<string, number>;
  },
): Promise<readonly Finding[]> {
  const now = await readColumns(transaction, capture.tables);
  const lost = capture.tables.filter(
    (table) =>
      !capture.whole.has(table.oid) &&
      (capture.relations.get(table.root ?? -1) === undefined || !capture.whole.has(table.root ?? -1)) &&
      (seen.rowsBefore.get(fullName(table)) ?? 0) > 0 &&
      isColumnLost(capture.columns.get(table.oid), now.get(table.oid), seen.rebuilt.has(table.oid)),
  );
  const kept = await keptRows(transaction, capture);
  const counted = takenRows(capture, seen.counts);
  const differing = [...new Set([...kept.keys(), ...counted.keys()])].filter(
    (oid) => kept.get(oid) !== counted.get(oid),
  );
  const nameOf = (oid: number): string => {
    const relation = capture.relations.get(oid);
    return relation === undefined ? String(oid) : fullName(relation);
  };
  return [
    ...lost.map((table) =>
      notKept(fullName(table), {
        reason: 'columns',
        hint: 'Write the statement that takes this column or table out as plain SQL: within DO or a function it cannot be seen before it runs.',
      }),
    ),
    ...differing.map((oid) =>
      notKept(nameOf(oid), {
        reason: 'rows',
        kept: kept.get(oid) ?? 0,
        taken: counted.get(oid) ?? 0,
        hint: 'Write without subtransactions that fail, and without switching triggers off: the rows that were overwritten are not those that were kept.',
      }),
    ),
  ];
}

function notKept(
  name: string,
  { hint, ...detail }: { readonly hint: string } & Record<string, string | number>,
): Finding {
  return refusal('values_not_captured', name, { detail, hint });
}

/** These neither change nor delete rows, whatever triggers there are. */
const WRITES_NO_ROWS: readonly string[] = [
  'IndexStmt',
  'CommentStmt',
  'CreateStmt',
  'ViewStmt',
  'CreateStatsStmt',
  'CreateSeqStmt',
  'AlterSeqStmt',
  'CreateEnumStmt',
  'AlterEnumStmt',
  'CompositeTypeStmt',
  'CreateDomainStmt',
  'CreateFunctionStmt',
  'CreateSchemaStmt',
  'CreateTrigStmt',
  'CreatePolicyStmt',
  'AlterPolicyStmt',
  'CreateExtensionStmt',
  'RuleStmt',
  'ReindexStmt',
  'LockStmt',
  'AlterTableStmt',
  'RenameStmt',
  'DropStmt',
  'GrantStmt',
  'AlterObjectSchemaStmt',
  'AlterOwnerStmt',
  'AlterFunctionStmt',
  'VariableSetStmt',
];

/** Whether a statement may change or delete rows, by itself or by what it sets off. */
export function mayWriteRows({ kind }: Statement): boolean {
  return !WRITES_NO_ROWS.includes(kind);
}

async function readColumns(queryable: Queryable, tables: readonly Relation[]): Promise<Capture['columns']> {
  const rows = await queryable.query<{ relation: number; number: number; type: string }>(sql`
    select attrelid as relation, attnum::int as number, atttypid || ' ' || atttypmod as type from pg_attribute
    where attrelid = any(${tables.map(({ oid }) => oid)}::oid[]) and attnum > 0 and not attisdropped and attgenerated = ''`);
  const byTable = Map.groupBy(rows, ({ relation }) => relation);
  return new Map(
    [...byTable].map(([oid, columns]) => [oid, new Map(columns.map(({ number, type }) => [number, type]))]),
  );
}

/** A type that differs without the file being written anew is a wider one. */
function isColumnLost(
  before: ReadonlyMap<number, string> = new Map(),
  now: ReadonlyMap<number, string> | undefined,
  isRebuilt: boolean,
): boolean {
  return [...before].some(([number, type]) => {
    const found = now?.get(number);
    return found === undefined || (found !== type && isRebuilt);
  });
}

/** Rows that the triggers kept, by the number of the table at the top of its partitions. */
async function keptRows(transaction: Queryable, capture: Capture): Promise<ReadonlyMap<number, number>> {
  const rows = await transaction.query<{ relation: number; rows: bigint }>(sql`
    select relation, sum(rows)::int8 as rows from varve.captured
    where run_id = ${capture.runId} and cause in ('update', 'delete') group by 1`);
  return sumByRoot(
    capture,
    rows.map((each) => [each.relation, Number(each.rows)]),
  );
}

function takenRows(capture: Capture, counts: ReadonlyMap<number, RowCounts>): ReadonlyMap<number, number> {
  const known = new Set(capture.tables.map(({ oid }) => oid));
  return sumByRoot(
    capture,
    [...counts]
      .filter(([oid]) => known.has(oid))
      .map(([oid, { updated, deleted }]) => [oid, updated + deleted]),
  );
}

function sumByRoot(
  { relations }: Capture,
  rows: readonly (readonly [oid: number, rows: number])[],
): ReadonlyMap<number, number> {
  const sums = new Map<number, number>();
  for (const [oid, count] of rows) {
    const root = relations.get(oid)?.root ?? oid;
    if (count > 0) sums.set(root, (sums.get(root) ?? 0) + count);
  }
  return sums;
}

/**
 * Whether the role of a confined script has to be lent what keeps rows, for a statement that may take columns or tables. On the
 * way back the script itself may ask for what was kept.
 */
export function needsCapture(direction: Direction, statements: readonly Statement[]): boolean {
  return direction !== 'forward' || statements.some(mayTake);
}

/** By its kind alone; whether it does, the catalog says when it is sent. */
function mayTake({ kind, node }: Statement): boolean {
  return kind === 'DropStmt' || takingCommands(node).length > 0;
}

function takingCommands(node: Node): readonly Node['fields'][] {
  return listOf(node.fields['cmds']).flatMap((each) => {
    const command = fieldsOf(each, 'AlterTableCmd');
    return command !== undefined && TAKING.includes(textOf(command['subtype'])) ? [command] : [];
  });
}

/** The tables in scope, of those that were there before, whose columns, types or rows a statement is to take. */
async function losingTables(
  transaction: Queryable,
  capture: Capture,
  statement: Statement,
): Promise<readonly number[]> {
  const { kind, node } = statement;
  if (kind === 'DropStmt') {
    const word = textOf(node.fields['removeType']);
    if (word === 'OBJECT_TABLE') return namedTables(transaction, capture, statement);
    // What hangs on these is not named: columns of a type, tables of a schema.
    return BRINGS_DOWN.includes(word) ? capture.tables.map(({ oid }) => oid) : [];
  }
  if (kind !== 'AlterTableStmt') return [];
  const taking = takingCommands(node);
  if (taking.length === 0) return [];
  const tables = await namedTables(transaction, capture, statement);
  const isWider = await Promise.all(taking.map((command) => isWidening(transaction, tables, command)));
  return isWider.every(Boolean) ? [] : tables;
}

const BRINGS_DOWN = ['SCHEMA', 'TYPE', 'DOMAIN', 'EXTENSION', 'FUNCTION', 'COLLATION', 'SEQUENCE'].map(
  (word) => `OBJECT_${word}`,
);
const TAKING = ['AT_DropColumn', 'AT_AlterColumnType', 'AT_SetExpression'];

async function namedTables(
  transaction: Queryable,
  { tables }: Capture,
  statement: Statement,
): Promise<readonly number[]> {
  const names = namedObjects([statement])
    .filter(({ kind }) => kind === 'relation')
    .map(({ schema, name }) =>
      [schema, name]
        .filter((part) => part !== undefined)
        .map(quoteIdentifier)
        .join('.'),
    );
  const rows = await transaction.query<{ oid: number }>(
    sql`select to_regclass(n)::oid as oid from unnest(${names}::text[]) n where to_regclass(n) is not null`,
  );
  const known = new Set(tables.map(({ oid }) => oid));
  return [...new Set(rows.map(({ oid }) => oid))].filter((oid) => known.has(oid));
}

/** Text that gets more room loses nothing; every other type may. */
async function isWidening(
  transaction: Queryable,
  tables: readonly number[],
  command: Node['fields'],
): Promise<boolean> {
  if (command['subtype'] !== 'AT_AlterColumnType') return false;
  const column = fieldsOf(command['def'], 'ColumnDef');
  if (column === undefined || column['raw_default'] !== undefined) return false;
  const type = (asNode(column['typeName'])?.fields ?? column['typeName']) as Node['fields'] | undefined;
  const name = listOf(type?.['names'])
    .map((part) => textOf(fieldsOf(part, 'String')?.['sval']))
    .at(-1);
  const isUnbounded = name === 'text' || (name === 'varchar' && listOf(type?.['typmods']).length === 0);
  if (!isUnbounded) return false;
  const rows = await transaction.query<{ type: string }>(sql`
    select atttypid::regtype::text as type from pg_attribute
    where attrelid = any(${[...tables]}::oid[]) and attname = ${textOf(command['name'])} and not attisdropped`);
  return rows.every((row) => ['text', 'character varying'].includes(row.type));
}
