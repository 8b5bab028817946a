/**
 * What others wrote between a run and the way back from it, in the tables that the run touched (M110): it is kept, counted, and told
 * apart from what the way back has to give back. Decision: docs/decisions/0038-rows-written-since.md.
 *
 * A row version is new where its transaction is neither the run's nor one that the run's snapshot saw. Before the first statement of the way
 * back, new versions are kept in history, and what has to be there after it is summed:
 *
 * ```text
 * rows that are as the run left them, and that it had not overwritten     in the columns of before the run
 * + what the run overwrote or deleted, as it was kept                     but for keys that others wrote or deleted since
 * ```
 *
 * After the last statement, the rows of all other keys have to have this sum, and each written key has to be there.
 */
import { refusal, type Finding } from '../../../base/index.ts';
import type { Baseline } from '../../../evidence/index.ts';
import {
  sql,
  sumRows,
  type Queryable,
  type RowSum,
  type Sql,
  type Transaction,
} from '../../../store/index.ts';
import type { CommittedRun, KindPlan, NewWrites } from '../../kind.ts';
import { fullName, type Relation, type Relations } from './relation.ts';

/** One table with rows that others wrote since. */
export interface WrittenTable {
  readonly table: string;
  readonly relation: Relation;
  /** Rows that came or were changed, and rows that the run had left and that are so no more. */
  readonly counts: NewWrites;
  /** The catch of `varve.captured` that holds the rows as they were when the way back began. */
  readonly captured: string;
  readonly key: readonly string[];
  /** Columns of then; undefined: the table was not there. */
  readonly columns: readonly string[] | undefined;
  /** The sum of all other rows after the way back; undefined: the run had changed none, so these are held to what they were. */
  readonly expected: RowSum | undefined;
}

/** What the proof of a way back needs of new writes. */
export interface SinceForward {
  readonly tables: readonly WrittenTable[];
  readonly findings: readonly Finding[];
}

/** Notes who the run is and what it sees, so that later writes can be told from its own. */
export async function noteSnapshot(transaction: Transaction, runId: string): Promise<void> {
  await transaction.execute(sql`
    insert into varve.run_snapshot values (${runId}, pg_current_snapshot(), pg_current_xact_id())`);
}

/** Looks for new writes, before the first statement of a way back, and keeps them. */
export async function readNewWrites(
  transaction: Transaction,
  about: {
    readonly runId: string;
    readonly forward: CommittedRun;
    readonly begun: Baseline;
    readonly relations: Relations;
  },
): Promise<SinceForward> {
  const { runId, forward, begun, relations } = about;
  const [left, now] = [rowsByTable(forward.post), rowsByTable(begun)];
  const tables: WrittenTable[] = [];
  const findings: Finding[] = [];
  for (const relation of relations.values()) {
    const table = fullName(relation);
    const then = left.get(table);
    const isSame = then?.digest === now.get(table)?.digest;
    if (relation.kind !== 'r' || !forward.objects.includes(table) || then === undefined || isSame) continue;
    const written = await readTable(transaction, { runId, forward, relation, rowsLeft: then.rows });
    if ('code' in written) findings.push(written);
    else tables.push(written);
  }
  return { tables, findings };
}

/** What became of them, after the last statement. `rollbackClass` is what was signed. */
export async function checkNewWrites(
  transaction: Transaction,
  { tables, findings }: SinceForward,
  about: { readonly rollbackClass: KindPlan['rollbackClass']; readonly relations: Relations },
): Promise<{ readonly newWrites: readonly NewWrites[]; readonly findings: readonly Finding[] }> {
  const found: Finding[] = [...findings];
  const newWrites: NewWrites[] = [];
  for (const written of tables) {
    const relation = about.relations.get(written.relation.oid);
    const isProved = relation === undefined || (await isGivenBack(transaction, written, relation));
    if (isProved) newWrites.push(written.counts);
    if (about.rollbackClass === 'lossy_on_new_writes') continue;
    const lost = await unrepresentable(transaction, written, relation);
    if (lost.length > 0) found.push(cannotHold(written.table, lost));
  }
  return { newWrites, findings: found };
}

function rowsByTable({ tables }: Baseline): ReadonlyMap<string, Baseline['tables'][number]> {
  return new Map(tables.map((each) => [each.table, each]));
}

async function readTable(
  transaction: Transaction,
  about: {
    readonly runId: string;
    readonly forward: CommittedRun;
    readonly relation: Relation;
    readonly rowsLeft: number;
  },
): Promise<WrittenTable | Finding> {
  const { runId, forward, relation, rowsLeft } = about;
  const table = fullName(relation);
  const key = await keyOf(transaction, relation.oid);
  const seen = await readSeen(transaction, forward.runId);
  if (seen === undefined) return untold(table, 'run_of_earlier_release');
  if (key.length === 0) return untold(table, 'no_primary_key');
  const captured = await keepNew(transaction, runId, relation, seen);
  const [row] = await transaction.query<{ rows: bigint; all: bigint }>(sql`
    select (select rows from varve.captured where id = ${captured}::int8) as rows, (select count(*) from only ${nameOf(relation)}) as all`);
  const rows = Number(row?.rows ?? 0n);
  const gone = rowsLeft - (Number(row?.all ?? 0n) - rows);
  // Rows that seem older than the run and are more than it left: the database was restored, or a table was written anew.
  if (gone < 0) return untold(table, 'transactions_unknown');
  const columns = columnsThen(forward.pre, table);
  const isTouched = forward.written.includes(table) || !isSameColumns(forward, table);
  const expected =
    columns === undefined || !isTouched
      ? undefined
      : await expectedSum(transaction, { forward, seen, relation, key, columns, captured });
  return { table, relation, counts: { table, rows, gone }, captured, key, columns, expected };
}

function untold(table: string, reason: string): Finding {
  return refusal('new_writes_unknown', table, {
    detail: { reason },
    hint: 'Others wrote to this table since, and which rows are theirs cannot be told. Write the way back as a new migration.',
  });
}

function nameOf({ schema, name }: Pick<Relation, 'schema' | 'name'>): Sql {
  return sql.id(schema, name);
}

async function keyOf(transaction: Queryable, oid: number): Promise<readonly string[]> {
  const rows = await transaction.query<{ name: string }>(sql`
    select a.attname::text as name from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality p (attnum, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = p.attnum
    where i.indrelid = ${oid}::oid and i.indisprimary order by p.place`);
  return rows.map(({ name }) => name);
}

/** What a run saw and who it was, and where the numbers of transactions stand now. */
interface Seen extends Record<string, unknown> {
  readonly snapshot: string;
  readonly own: bigint;
  readonly now: bigint;
}

const EPOCH = 4_294_967_296n;

async function readSeen(transaction: Queryable, run: string): Promise<Seen | undefined> {
  const [row] = await transaction.query<Seen>(sql`
    select snapshot::text as snapshot, own::text::int8 as own, pg_current_xact_id()::text::int8 as now
    from varve.run_snapshot where run_id = ${run}`);
  return row;
}

/** Whether a row version came after the run; `t` is the row. A transaction's number has its epoch from the present one. */
function isNew({ snapshot, own, now }: Seen): Sql {
  const raw = sql`t.xmin::text::int8`;
  const epochs = sql`case when ${raw} <= ${now % EPOCH}::int8 then ${(now / EPOCH) * EPOCH}::int8 else ${(now / EPOCH - 1n) * EPOCH}::int8 end`;
  const full = sql`(${epochs} + ${raw})::text::xid8`;
  return sql`(${raw} <> ${own % EPOCH}::int8 and not pg_visible_in_snapshot(${full}, ${snapshot}::pg_snapshot))`;
}

function isOwn({ own }: Seen): Sql {
  return sql`(t.xmin::text::int8 = ${own % EPOCH}::int8)`;
}

interface Shape extends Record<string, unknown> {
  readonly texts: string;
}

/** Keeps the new row versions as they are; gives the number of the catch. */
async function keepNew(
  transaction: Transaction,
  runId: string,
  { oid, schema, name }: Relation,
  seen: Seen,
): Promise<string> {
  const [shape] = await transaction.query<Shape>(sql`select texts from varve.capture_shape(${oid}::oid)`);
  const [row] = await transaction.query<{ id: string }>(sql`
    with number as materialized (select nextval('varve.captured_id') as id),
    kept as (insert into varve.captured_row select number.id, array[${sql.raw(shape?.texts ?? '')}]::text[]
      from number, lateral (select t.* from only ${sql.id(schema, name)} t where ${isNew(seen)}) o returning 1)
    insert into varve.captured (id, run_id, relation, schema_name, table_name, root_schema, root_name, cause, columns, types, key_columns, rows)
    select number.id, ${runId}, ${oid}::oid, s.schema_name, s.table_name, s.root_schema, s.root_name, 'written', s.columns, s.types, s.key_columns,
      (select count(*) from kept) from number, varve.capture_shape(${oid}::oid) s returning id::text`);
  return row?.id ?? '';
}

/** The columns that a table had before the run, from its baseline's objects; undefined: it was not there. */
function columnsThen({ objects = [], tables }: Baseline, table: string): readonly string[] | undefined {
  if (!tables.some((each) => each.table === table)) return undefined;
  return objects
    .filter(({ kind, schema, table: of }) => kind === 'column' && `${schema}.${of ?? ''}` === table)
    .map(({ name }) => name);
}

function isSameColumns({ pre, post }: CommittedRun, table: string): boolean {
  const digests = ({ objects = [] }: Baseline): string =>
    objects
      .filter(({ kind, schema, table: of }) => kind === 'column' && `${schema}.${of ?? ''}` === table)
      .map(({ name, properties }) => `${name} ${properties['type'] ?? ''}`)
      .toSorted()
      .join();
  return digests(pre) === digests(post);
}

/** A table of the written keys of a catch, as lists of texts. */
function writtenKeys(captured: string): Sql {
  return sql`(select array(select r.texts[array_position(c.columns, k.name)] from unnest(c.key_columns) with ordinality k (name, place) order by k.place) as key
    from varve.captured c join varve.captured_row r on r.captured = c.id where c.id = ${captured}::int8)`;
}

/** The key of a row `t` as a list of texts, as `varve.captured` has it. */
async function keyTexts(transaction: Queryable, oid: number, key: readonly string[]): Promise<Sql> {
  const rows = await transaction.query<{ name: string; own: boolean }>(sql`
    select attname::text as name, atttypid < 16384 as own from pg_attribute
    where attrelid = ${oid}::oid and attnum > 0 and attname = any(${[...key]}::text[])`);
  const isBuiltIn = new Map(rows.map(({ name, own }) => [name, own]));
  return sql`array[${sql.join(
    key.map((name) =>
      isBuiltIn.get(name) === true ? sql`t.${sql.id(name)}::text` : sql`format('%s', t.${sql.id(name)})`,
    ),
  )}]::text[]`;
}

/** What all keys that nobody wrote since have to come to, in the columns of then. */
async function expectedSum(
  transaction: Transaction,
  about: {
    readonly forward: CommittedRun;
    readonly seen: Seen;
    readonly relation: Relation;
    readonly key: readonly string[];
    readonly columns: readonly string[];
    readonly captured: string;
  },
): Promise<RowSum> {
  const { forward, seen, relation, key, columns, captured } = about;
  const { oid } = relation;
  const keyNow = await keyTexts(transaction, oid, key);
  // The first image of each key that the run took, and whether the run left the key.
  const images = sql`select distinct on (key) key, columns, texts, last_value(cause) over (partition by key order by id
      rows between unbounded preceding and unbounded following) as last_cause
    from (select c.id, c.cause, c.columns, r.texts,
        array(select r.texts[array_position(c.columns, k.name)] from unnest(c.key_columns) with ordinality k (name, place) order by k.place) as key
      from varve.captured c join varve.captured_row r on r.captured = c.id
      where c.run_id = ${forward.runId} and c.relation = ${oid}::oid and c.cause <> 'written' and c.let_go_run is null) i
    order by key, id`;
  const present = await presentColumns(transaction, oid);
  const isWhole = columns.every((name) => present.includes(name));
  const [gone] = await transaction.query<{ rows: bigint }>(
    sql`select count(*) as rows from (${images}) i where i.last_cause in ('delete', 'truncate')`,
  );
  // A table that is written anew has the run's number on all rows: then none of them is one that the run inserted.
  const insertedNone =
    rowsOf(forward.post, relation) - rowsOf(forward.pre, relation) + Number(gone?.rows ?? 0n) === 0;
  const untouched = isWhole
    ? await sumRows(transaction, {
        columns,
        from: sql`(select t.* from only ${nameOf(relation)} t where not ${isNew(seen)}
          ${insertedNone ? sql`` : sql`and not ${isOwn(seen)}`}
          and not exists (select from (${images}) f where f.key = ${keyNow}))`,
      })
    : NOTHING;
  const texts = columns.map((name) => sql`i.texts[array_position(i.columns, ${name})] as ${sql.id(name)}`);
  const kept = await sumRows(transaction, {
    columns,
    from: sql`(select ${sql.join(texts)} from (${images}) i
      where not exists (select from ${writtenKeys(captured)} w where w.key = i.key)
        and (i.last_cause in ('delete', 'truncate') or exists (select from only ${nameOf(relation)} t where ${keyNow} = i.key)))`,
  });
  return add(untouched, kept);
}

function rowsOf({ tables }: Baseline, relation: Relation): number {
  return tables.find(({ table }) => table === fullName(relation))?.rows ?? 0;
}

const NOTHING: RowSum = { rows: 0, first: '0', second: '0' };

function add(left: RowSum, right: RowSum): RowSum {
  const sum = (one: string, other: string): string => String(BigInt(one) + BigInt(other));
  return {
    rows: left.rows + right.rows,
    first: sum(left.first, right.first),
    second: sum(left.second, right.second),
  };
}

async function presentColumns(transaction: Queryable, oid: number): Promise<readonly string[]> {
  const rows = await transaction.query<{ name: string }>(sql`
    select attname::text as name from pg_attribute where attrelid = ${oid}::oid and attnum > 0 and not attisdropped`);
  return rows.map(({ name }) => name);
}

/** Whether every key that nobody wrote since has the row that it had. Where the run had changed none, the baselines say that. */
async function isGivenBack(
  transaction: Transaction,
  written: WrittenTable,
  relation: Relation,
): Promise<boolean> {
  const { expected, columns, key, captured } = written;
  if (expected === undefined || columns === undefined) return true;
  const present = await presentColumns(transaction, relation.oid);
  if (![...columns, ...key].every((name) => present.includes(name))) return false;
  const keyNow = await keyTexts(transaction, relation.oid, key);
  const found = await sumRows(transaction, {
    columns,
    from: sql`(select t.* from only ${nameOf(relation)} t where not exists (select from ${writtenKeys(captured)} w where w.key = ${keyNow}))`,
  });
  return found.rows === expected.rows && found.first === expected.first && found.second === expected.second;
}

interface Lost extends Record<string, unknown> {
  readonly key: string;
  readonly why: string;
}

/** Rows that others wrote and that are not there as they wrote them, in the columns that there are now. */
async function unrepresentable(
  transaction: Transaction,
  { captured, key }: WrittenTable,
  relation: Relation | undefined,
): Promise<readonly Lost[]> {
  const keys = sql`array(select r.texts[array_position(c.columns, k.name)] from unnest(c.key_columns) with ordinality k (name, place) order by k.place)`;
  const named = sql`(select json_object(c.key_columns, ${keys})::text)`;
  const rows = sql`varve.captured c join varve.captured_row r on r.captured = c.id where c.id = ${captured}::int8`;
  const present = relation === undefined ? [] : await presentColumns(transaction, relation.oid);
  if (relation === undefined || !key.every((name) => present.includes(name)))
    return transaction.query<Lost>(
      sql`select ${named} as key, 'the table is not there' as why from ${rows} order by 1 limit 1000`,
    );
  const [shape] = await transaction.query<Shape & { columns: readonly string[] }>(
    sql`select texts, columns from varve.capture_shape(${relation.oid}::oid)`,
  );
  const keyNow = await keyTexts(transaction, relation.oid, key);
  return transaction.query<Lost>(sql`
    with now as materialized (select ${keyNow} as key, array[${sql.raw(shape?.texts ?? '')}]::text[] as texts
      from only ${nameOf(relation)} o, lateral (select o.*) t where exists (select from ${writtenKeys(captured)} w where w.key = ${keyNow}))
    select ${named} as key, case when n.key is null then 'the row is not there' else 'a value is not there: ' || lost.names end as why
    from varve.captured c join varve.captured_row r on r.captured = c.id left join now n on n.key = ${keys}
    cross join lateral (select string_agg(u.name, ', ') as names from unnest(c.columns, r.texts) u (name, text)
      where u.text is distinct from n.texts[array_position(${[...(shape?.columns ?? [])]}::text[], u.name)]) lost
    where c.id = ${captured}::int8 and (n.key is null or lost.names is not null) order by 1 limit 1000`);
}

function cannotHold(table: string, lost: readonly Lost[]): Finding {
  return refusal('rows_unrepresentable', table, {
    detail: { rows: lost.length, keys: lost.slice(0, 20).map(({ key, why }) => ({ key, why })) },
    hint: 'Others wrote these rows since, and the way back would lose what they wrote. Take them back first, or write the way back as a new migration.',
  });
}
