/**
 * One batch of brought rows in the database, each with the line in `varve.ingested` that ties it to the call.
 *
 * Rows that are all to be new go in by one statement. When the database refuses it, and where rows may stand already, a
 * batch is loaded beside the table first:
 *
 * | step | table | what |
 * |---|---|---|
 * | load | `varve_input` | the rows, each with the digest of its key and of itself |
 * | repeat | `varve_seen` | keys that came before in the same call are refused: which of two rows is meant, nobody said |
 * | stand | the table | which keys have a row, and whether it is the same |
 * | write | the table, history, `varve.ingested` | what the mode says |
 *
 * Both are temporary tables of the transaction, so the memory of this process holds one batch and no more.
 */
import { sql, type Queryable, type Sql } from '../store/index.ts';
import { keyHash, rowDigest } from './read-plan.ts';
import { relationOf, tableId, type Relation, type Relations } from './relation.ts';
import { unitRelation } from './row-unit.ts';
import type { TableSpec } from './spec.ts';
import { archive } from './write-rows.ts';

/** What becomes of a row whose key stands already: refuse all, leave it, or let the new one take its place. */
export type InsertMode = 'new' | 'skip' | 'replace';

/** The call that batches belong to. */
export interface IngestTarget {
  readonly relation: Relation;
  readonly relations: Relations;
  readonly ingestion: Ingestion;
  readonly mode: InsertMode;
}

/** A call that brings rows, once it has a name. */
export interface Ingestion {
  readonly id: number;
  /** `varve://ingestion/7` */
  readonly name: string;
}

/** A row ready to be sent: its place in the input, and its JSON with that place as `#number`. */
export interface EncodedRow {
  readonly number: number;
  readonly text: string;
}

/** What a batch did. */
export interface IngestedCounts {
  readonly inserted: number;
  readonly replaced: number;
  /** Rows that stood already: skipped, or the same. */
  readonly kept: number;
}

/** Rows that cannot be taken, by their numbers; the first hundred. */
export interface RepeatedRows {
  readonly numbers: readonly number[];
  readonly count: number;
  readonly where: 'input' | 'table';
}

/** Either the counts and the digest of the written rows in hex, or the rows that are there twice. */
export type IngestedBatch =
  { readonly counts: IngestedCounts; readonly digest: string } | { readonly repeated: RepeatedRows };

/** The name that history knows a call by. */
export function ingestionName(id: number): string {
  return `varve://ingestion/${String(id)}`;
}

/** Takes the next number; the line itself is written once it is known what came in. */
export async function openIngestion(
  transaction: Queryable,
  relation: Relation,
  mode: InsertMode,
): Promise<Ingestion> {
  const [row] = await transaction.query<{ id: number }>(
    sql`select nextval(pg_get_serial_sequence('varve.ingestion', 'id'))::integer as id`,
  );
  if (mode !== 'new') await createInput(transaction, relation);
  const id = row?.id ?? 0;
  return { id, name: ingestionName(id) };
}

async function createInput(transaction: Queryable, { spec, placement }: Relation): Promise<void> {
  await transaction.execute(sql`drop table if exists pg_temp.varve_input, pg_temp.varve_seen`);
  await transaction.execute(sql`create temporary table varve_input on commit drop as
    select ${columnsOf('t', spec)}, null::integer as "#number", null::bytea as "#hash", null::bytea as "#digest",
      false as "#stands", false as "#same" from ${tableId(placement)} t with no data`);
  await transaction.execute(
    sql`create temporary table varve_seen (hash bytea primary key, batch integer not null) on commit drop`,
  );
  // A batch is looked up in the table by index, however large that has become. The planner would read all of it for each
  // batch, since it prices a look-up by what it costs on a disk: rows brought would cost the square of their number.
  await transaction.query(sql`select set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('enable_seqscan', 'off', true)`);
}

/** What a call was, written when it ends. */
export interface IngestionRecord {
  readonly source: string;
  readonly actor: string;
  readonly rowCount: number;
  readonly digest: string;
}

/** Writes the line of the call. */
export async function closeIngestion(
  transaction: Queryable,
  { id }: Ingestion,
  relation: Relation,
  { source, actor, rowCount, digest }: IngestionRecord,
): Promise<void> {
  await transaction.execute(sql`
    insert into varve.ingestion (id, relation, source, actor, row_count, digest) overriding system value
    values (${id}, ${relation.id}, ${source}, ${actor}, ${rowCount}, ${digest})`);
}

/** Brings one batch. Errors: under `new`, throws what the database says of rows that stand; see `findRepeated`. */
export async function ingestBatch(
  transaction: Queryable,
  target: IngestTarget,
  rows: readonly EncodedRow[],
): Promise<IngestedBatch> {
  if (target.mode === 'new') return insertNew(transaction, target, rows);
  await load(transaction, target.relation, rows);
  const [{ number: batch } = { number: 0 }] = rows;
  const fresh = await transaction.execute(sql`insert into pg_temp.varve_seen
    select "#hash", ${batch} from pg_temp.varve_input order by "#hash" on conflict do nothing`);
  if (fresh < rows.length) {
    return { repeated: { ...(await repeatedIn(transaction, againIn(batch))), where: 'input' } };
  }
  const stands = await compare(transaction, target);
  const replaced = target.mode === 'replace' && stands > 0 ? await replace(transaction, target) : 0;
  const inserted = await insert(transaction, target.relation);
  const digest = await link(transaction, target);
  return { counts: { inserted, replaced, kept: rows.length - inserted - replaced }, digest };
}

/** Rows, links and digest in one statement. */
async function insertNew(
  transaction: Queryable,
  { relation, ingestion }: IngestTarget,
  rows: readonly EncodedRow[],
): Promise<IngestedBatch> {
  const { spec, placement } = relation;
  const names = sql.join(spec.columns.map(({ name }) => sql.id(name)));
  const order = sql.join(spec.primaryKey.map((column) => sql.id(column)));
  const [row] = await transaction.query<{ digest: string }>(sql`
    with input as materialized (select ${columnsOf('b', spec)}, ${keyHash(sql`b`, spec.primaryKey)} as "#hash",
        ${digestOf(sql`b`, spec)} as "#digest" from ${recordset(spec, rows)}),
      row_ as (insert into ${tableId(placement)} (${names}) select ${names} from input),
      link as (insert into varve.ingested (relation, ingestion, row_check, key_hash)
        select ${relation.id}, ${ingestion.id}, ${rowCheck(sql`"#digest"`)}, "#hash" from input order by "#hash")
    select encode(sha256(coalesce(string_agg("#digest", ''::bytea order by ${order}), ''::bytea)), 'hex') as digest from input`);
  return { counts: { inserted: rows.length, replaced: 0, kept: 0 }, digest: row?.digest ?? '' };
}

/** Which rows of a batch that the database refused are there twice; undefined where it refused it for something else. */
export async function findRepeated(
  transaction: Queryable,
  target: IngestTarget,
  rows: readonly EncodedRow[],
): Promise<RepeatedRows | undefined> {
  const { relation, ingestion } = target;
  await createInput(transaction, relation);
  await load(transaction, relation, rows);
  const inBatch = await repeatedIn(transaction, sql`where "#again" > 1`);
  if (inBatch.count > 0) return { ...inBatch, where: 'input' };
  if ((await compare(transaction, target)) === 0) return undefined;
  // An earlier batch of this call has tied them to it.
  const earlier = await repeatedIn(
    transaction,
    sql`where "#stands" and exists (select from varve.ingested l
      where l.relation = ${relation.id} and l.key_hash = i."#hash" and l.ingestion = ${ingestion.id})`,
  );
  if (earlier.count > 0) return { ...earlier, where: 'input' };
  return { ...(await repeatedIn(transaction, sql`where "#stands"`)), where: 'table' };
}

function recordset(spec: TableSpec, rows: readonly EncodedRow[]): Sql {
  const types = sql.join(spec.columns.map(({ name, type }) => sql`${sql.id(name)} ${sql.raw(type)}`));
  const text = `[${rows.map((row) => row.text).join(',')}]`;
  return sql`json_to_recordset(${text}::json) as b("#number" integer, ${types})`;
}

async function load(transaction: Queryable, { spec }: Relation, rows: readonly EncodedRow[]): Promise<void> {
  await transaction.execute(sql`truncate pg_temp.varve_input`);
  await transaction.execute(sql`
    insert into pg_temp.varve_input select ${columnsOf('b', spec)}, b."#number", ${keyHash(sql`b`, spec.primaryKey)},
      ${digestOf(sql`b`, spec)}, false, false from ${recordset(spec, rows)}`);
}

/** Rows of the batch whose key came before: in an earlier batch of the call, or in this one, which its first number names. */
function againIn(batch: number): Sql {
  return sql`where "#again" > 1
    or exists (select from pg_temp.varve_seen s where s.hash = i."#hash" and s.batch <> ${batch})`;
}

const MOST_NUMBERS = 100;

async function repeatedIn(
  transaction: Queryable,
  where: Sql,
): Promise<{ readonly numbers: readonly number[]; readonly count: number }> {
  const rows = await transaction.query<{ number: number; count: number }>(sql`
    select "#number" as number, (count(*) over ())::integer as count from (
      select i.*, row_number() over (partition by "#hash" order by "#number") as "#again" from pg_temp.varve_input i) i
    ${where} order by "#number" limit ${MOST_NUMBERS}`);
  return { numbers: rows.map(({ number }) => number), count: rows[0]?.count ?? 0 };
}

/** Marks rows whose key stands; under `replace` what stands is locked first, so that what is archived is what goes. */
async function compare(transaction: Queryable, { relation, mode }: IngestTarget): Promise<number> {
  const { spec, placement } = relation;
  const same = samePrimaryKey(spec);
  if (mode === 'replace') {
    await transaction.query(sql`select from ${tableId(placement)} t
      where exists (select from pg_temp.varve_input i where ${same}) for update of t`);
  }
  return transaction.execute(sql`update pg_temp.varve_input i
    set "#stands" = true, "#same" = ${digestOf(sql`t`, spec)} = i."#digest" from ${tableId(placement)} t where ${same}`);
}

/** Rows that differ: the unit as it was goes to history, once for the whole call. */
async function replace(
  transaction: Queryable,
  { relation, relations, ingestion }: IngestTarget,
): Promise<number> {
  const { spec, placement } = relation;
  const owner = unitRelation(spec.master === undefined ? relation : relationOf(relations, spec.master));
  const unit = owner.spec.sourceKey;
  const columns = sql.join(unit.map((column) => sql`i.${sql.id(column)}`));
  const units = sql`select * from (select distinct ${columns} from pg_temp.varve_input i where ${CHANGED}) u
    where not exists (select from varve.superseded s where s.relation = ${owner.id}
      and s.key_hash = ${keyHash(sql`u`, unit)} and s.superseded_by = ${ingestion.name})`;
  await archive(transaction, { relation: owner, relations }, units, 'replaced', ingestion.name);
  const rest = spec.columns.filter(({ name }) => !spec.primaryKey.includes(name));
  // A table of key columns alone has no rows that differ.
  if (rest.length === 0) return 0;
  const set = sql.join(rest.map(({ name }) => sql`${sql.id(name)} = i.${sql.id(name)}`));
  return transaction.execute(sql`update ${tableId(placement)} t set ${set} from pg_temp.varve_input i
    where ${CHANGED} and ${samePrimaryKey(spec)}`);
}

const CHANGED = sql`i."#stands" and not i."#same"`;

/** A plain insert: a row that another session brought meanwhile is refused by the database, never overwritten. */
async function insert(transaction: Queryable, { spec, placement }: Relation): Promise<number> {
  const names = sql.join(spec.columns.map(({ name }) => sql.id(name)));
  return transaction.execute(sql`insert into ${tableId(placement)} (${names})
    select ${names} from pg_temp.varve_input where not "#stands" order by "#number"`);
}

/** Ties the rows that were written to the call, in the order of the index; returns their digest. */
async function link(transaction: Queryable, { relation, ingestion, mode }: IngestTarget): Promise<string> {
  const written = mode === 'replace' ? sql`not "#stands" or not "#same"` : sql`not "#stands"`;
  const order = sql.join(relation.spec.primaryKey.map((column) => sql.id(column)));
  const [row] = await transaction.query<{ digest: string }>(sql`
    with link as (insert into varve.ingested (relation, ingestion, row_check, key_hash)
      select ${relation.id}, ${ingestion.id}, ${rowCheck(sql`"#digest"`)}, "#hash"
      from pg_temp.varve_input where ${written} order by "#hash")
    select encode(sha256(coalesce(string_agg("#digest", ''::bytea order by ${order}), ''::bytea)), 'hex') as digest
    from pg_temp.varve_input where ${written}`);
  return row?.digest ?? '';
}

/** The first four bytes of a row's digest, as `varve.ingested` keeps them. */
export function rowCheck(digest: Sql): Sql {
  return sql`('x' || left(encode(${digest}, 'hex'), 8))::bit(32)::integer`;
}

/** The digest of all columns of a row. */
export function digestOf(alias: Sql, { columns }: TableSpec): Sql {
  return rowDigest(
    alias,
    columns.map(({ name }) => name),
  );
}

function columnsOf(alias: string, { columns }: TableSpec): Sql {
  return sql.join(columns.map(({ name }) => sql.id(alias, name)));
}

function samePrimaryKey({ primaryKey }: TableSpec): Sql {
  return sql.join(
    primaryKey.map((column) => sql`t.${sql.id(column)} = i.${sql.id(column)}`),
    sql` and `,
  );
}
