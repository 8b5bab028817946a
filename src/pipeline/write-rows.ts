/**
 * Writes what makes returned, with its provenance, in one statement: rows, part rows, computations, recorded reads.
 *
 * ```text
 * batch   what was computed, by ordinal: key, input digests as read, columns          <- one JSON parameter, or a query
 * ok      those whose inputs still have these digests, with the columns varve fills
 * made    the rows to write                                                            <- ok itself, or one more JSON parameter
 * row_    insert into the table ... on conflict (primary key) do nothing               <- someone else was first: not ours
 * fresh   the keys that were written now
 * part_N  insert into each part
 * record  insert into varve.recorded_read
 * prov    insert into varve.computation
 * ```
 *
 * The planner takes a JSON parameter for 100 rows and a filtered one for 1, and would join them by nested loops, which for
 * 5000 keys is 25 million comparisons. A full join it can only do by hash or merge, so these joins are written as full
 * joins whose unmatched rows are dropped by a condition that it cannot see through.
 *
 * Inputs are compared in the statement that writes, so a result that is stored was computed from what is recorded; an
 * input that moves a moment later is what `stale` finds. A relation that was retired takes no rows: a worker that still
 * has the old definitions writes nothing.
 */
import type { Json } from '../base/index.ts';
import { sql, type Queryable, type Sql } from '../store/index.ts';
import { compareText } from './definition-set.ts';
import { keyHash, readPlan, rowDigest, type ReadPlan } from './read-plan.ts';
import { relationOf, tableId, type Relation, type Relations } from './relation.ts';
import { madeColumns } from './run-make/collect-rows.ts';
import type { MadeRows } from './run-make/make-outcome.ts';
import type { ColumnSpec, TableSpec } from './spec.ts';
import { encodeKey } from './encode-row.ts';
import type { Key } from './key-source.ts';

/** A read that the declared inputs do not cover. */
export interface RecordedRead {
  readonly subject: string;
  readonly declared: boolean;
  readonly columns: readonly string[];
  readonly keys: readonly Readonly<Record<string, Json>>[] | null;
  readonly rowCount: number;
  /** Lower-case hex. */
  readonly digestHex: string;
}

/** One key's result, ready to be written. */
export interface ComputedKey {
  readonly key: Key;
  /** As the reading statement gave it (`\x...`); null: take the inputs as they are in the writing transaction. */
  readonly inputs: string | null;
  readonly made: MadeRows;
  readonly reads: readonly RecordedRead[];
}

/** What the statement is written for. */
export interface WriteTarget {
  readonly relation: Relation;
  readonly relations: Relations;
  readonly specId: number;
  /** A query that gives a row only while the keys are ours to write, and locks it; undefined: nobody else writes them. */
  readonly fence: Sql | undefined;
}

/** Writes missing keys; returns the ordinals that were written. */
export async function insertComputed(
  store: Queryable,
  target: WriteTarget,
  computed: readonly ComputedKey[],
): Promise<ReadonlySet<number>> {
  const batch = batchRecordset(target.relation.spec, computed);
  const made = isSingle(target.relation.spec) ? undefined : madeRecordset(target.relation.spec, computed);
  const statement = insertStatement(target, batch, made, computed);
  // For one key, planning takes longer than writing; thousands are worth a plan for tables as they are now.
  const single = computed.length === 1 ? sql.kept(statement) : statement;
  const rows = await store.query<{ ordinal: number }>(single);
  return new Set(rows.map(({ ordinal }) => ordinal));
}

/** Writes what a query computes for these keys; returns the ordinals that were written. */
export async function insertQueried(
  store: Queryable,
  target: WriteTarget,
  keys: readonly Key[],
  query: Sql,
): Promise<ReadonlySet<number>> {
  const batch = keyBatch(target.relation.spec, keys);
  const made = queriedRows(target, keys, query);
  const rows = await store.query<{ ordinal: number }>(insertStatement(target, batch, made, []));
  return new Set(rows.map(({ ordinal }) => ordinal));
}

/** Keys alone, for rows that come from a query; `only` keeps some of them under their ordinals. */
function keyBatch(spec: TableSpec, keys: readonly Key[], only?: ReadonlySet<number>): Sql {
  const rows = keys.flatMap((key, ordinal) =>
    only?.has(ordinal) === false
      ? []
      : [{ ...encodeKey(key), [ORDINAL]: ordinal, [DURATION]: 0, [INPUTS]: null }],
  );
  return recordset(rows, [...INTERNAL, ...columnTypes(spec, spec.sourceKey)]);
}

/** The rows that a query gives for these keys; a key of which it gives one row twice has none, and so fails. */
function queriedRows(target: WriteTarget, keys: readonly Key[], query: Sql): Sql {
  const { spec } = target.relation;
  const same = spec.sourceKey.map((column) => sql`q.${sql.id(column)} = b.${sql.id(column)}`);
  const columns = madeColumns(spec, spec.sourceKey).map((column) => sql`q.${sql.id(column)}`);
  const own = spec.primaryKey
    .filter((column) => !spec.sourceKey.includes(column))
    .map((column) => sql`q.${sql.id(column)}`);
  const ordinal = sql`b.${sql.id(ORDINAL)}`;
  return sql`select * from (
    select r.*, max(r."#times") over (partition by r.${sql.id(ORDINAL)}) as "#most" from (
      select ${sql.join([ordinal, ...columns])}, count(*) over (partition by ${sql.join([ordinal, ...own])}) as "#times"
      from (${keyBatch(spec, keys)}) b join (${queryOverReads(spec, target.relations, query)}) q on ${sql.join(same, sql` and `)}) r) a
    where a."#most" = 1`;
}

/** The definition's SELECT with its declared reads in scope under their names. */
export function queryOverReads(spec: TableSpec, relations: Relations, query: Sql): Sql {
  const reads = spec.reads.map((read) => {
    const columns = sql.join(read.columns.map((column) => sql.id(column)));
    return sql`${sql.id(read.name)} as (select ${columns} from ${tableId(relationOf(relations, read.table).placement)})`;
  });
  return reads.length === 0 ? query : sql`with ${sql.join(reads)} ${query}`;
}

/** What became of stale keys; those in neither set have inputs that moved, or no rows. */
export interface Replaced {
  readonly replaced: ReadonlySet<number>;
  /** Someone else was first: their results are those of the present already. */
  readonly upToDate: ReadonlySet<number>;
}

/** Replaces the results of stale keys in place, so that rows below keep what they refer to; the old ones go to history whole. */
export async function replaceComputed(
  transaction: Queryable,
  target: WriteTarget,
  computed: readonly ComputedKey[],
  run: string,
): Promise<Replaced> {
  const { relation, relations } = target;
  const { spec } = relation;
  const found = await compareStored(transaction, target, batchRecordset(spec, computed));
  const valid = computed.filter((_, ordinal) => found.replaced.has(ordinal));
  if (valid.length === 0) return found;
  const keys = keysRecordset(
    spec,
    valid.map(({ key }) => key),
  );
  const batch = batchRecordset(spec, valid);
  await archive(transaction, target, keys, 'recomputed', run);
  await upsert(transaction, target, batch, isSingle(spec) ? undefined : madeRecordset(spec, valid));
  for (const part of partsOf(relation, relations)) await upsertPart(transaction, target, part, batch, valid);
  await transaction.execute(computationUpdate(target, batch));
  await transaction.execute(recordReads(relation, target.specId, sql`select * from (${keys}) f`, valid));
  await transaction.execute(settleJobs(relation, sql`(${keys})`));
  return found;
}

/** The same with the rows of a query, which runs once. */
export async function replaceQueried(
  transaction: Queryable,
  target: WriteTarget,
  keys: readonly Key[],
  { query, run }: { readonly query: Sql; readonly run: string },
): Promise<Replaced> {
  const { spec } = target.relation;
  await transaction.execute(sql`drop table if exists pg_temp.varve_made`);
  await transaction.execute(
    sql`create temporary table varve_made on commit drop as ${queriedRows(target, keys, query)}`,
  );
  const made = sql`select * from pg_temp.varve_made`;
  const rows = await transaction.query<{ ordinal: number }>(
    sql`select distinct ${sql.id(ORDINAL)} as ordinal from (${made}) m`,
  );
  const present = new Set(rows.map(({ ordinal }) => ordinal));
  const found = await compareStored(transaction, target, keyBatch(spec, keys, present));
  if (found.replaced.size === 0) return found;
  const batch = keyBatch(spec, keys, found.replaced);
  await archive(transaction, target, batch, 'recomputed', run);
  await upsert(transaction, target, batch, made);
  await transaction.execute(computationUpdate(target, batch));
  await transaction.execute(settleJobs(target.relation, sql`(${batch})`));
  return found;
}

/** Copies results to history: rows of the table and its parts, and how they were computed. */
export async function archive(
  transaction: Queryable,
  { relation, relations }: Pick<WriteTarget, 'relation' | 'relations'>,
  keys: Sql,
  reason: 'recomputed' | 'deleted' | 'contents' | 'replaced',
  run: string,
): Promise<void> {
  const { spec } = relation;
  const key = spec.sourceKey.map((column) => sql`${column}::text, k.${sql.id(column)}`);
  await transaction.execute(sql`
    insert into varve.superseded
      (relation, key_hash, key, rows, spec, inputs, output, duration_us, reason, superseded_by)
    select ${relation.id}, ${keyHash(sql`k`, spec.sourceKey)}, jsonb_build_object(${sql.join(key)}),
      ${unitRows(relation, relations, sql`k`)}, c.spec, c.inputs, c.output, c.duration_us, ${reason}, ${run}
    from (${keys}) k
    left join varve.computation c on c.relation = ${relation.id} and c.key_hash = ${keyHash(sql`k`, spec.sourceKey)}`);
}

/** The rows that one key has, as history keeps them: `{ "schema.table": [row, ...] }`, the table's own first, then its parts'. */
export function unitRows(relation: Relation, relations: Relations, key: Sql): Sql {
  const tables = tablesOf(relation, relations).map((table) => {
    const same = relation.spec.sourceKey.map((column) => sql`o.${sql.id(column)} = ${key}.${sql.id(column)}`);
    const order = sql.join(table.relation.spec.primaryKey.map((column) => sql`o.${sql.id(column)}`));
    return sql`${table.relation.name}::text, (select coalesce(jsonb_agg(to_jsonb(o) order by ${order}), '[]'::jsonb)
      from ${tableId(table.relation.placement)} o where ${sql.join(same, sql` and `)})`;
  });
  return sql`jsonb_build_object(${sql.join(tables)})`;
}

/** Key values as a subquery with the columns of the source key. */
export function keysRecordset(spec: TableSpec, keys: readonly Key[]): Sql {
  return recordset(
    keys.map((key, ordinal) => ({ ...encodeKey(key), [ORDINAL]: ordinal })),
    [...INTERNAL.slice(0, 1), ...columnTypes(spec, spec.sourceKey)],
  );
}

/** The name of the ordinal column; no definition can have it, since those that begin with # are refused. */
export const ORDINAL = '#ordinal';
const DURATION = '#duration';
const INPUTS = '#inputs';
const INTERNAL: readonly TypedColumn[] = [
  { name: ORDINAL, type: 'integer' },
  { name: DURATION, type: 'integer' },
  { name: INPUTS, type: 'bytea' },
];

interface TypedColumn {
  readonly name: string;
  readonly type: string;
}

function recordset(rows: readonly Readonly<Record<string, Json>>[], columns: readonly TypedColumn[]): Sql {
  const types = columns.map(({ name, type }) => sql`${sql.id(name)} ${sql.raw(type)}`);
  return sql`select * from json_to_recordset(${JSON.stringify(rows)}::json) as b(${sql.join(types)})`;
}

function columnTypes(spec: TableSpec, columns: readonly string[]): readonly TypedColumn[] {
  const typeByName = new Map(spec.columns.map(({ name, type }: ColumnSpec) => [name, type]));
  return columns.map((name) => ({ name, type: typeByName.get(name) ?? 'text' }));
}

/** Whether a key has exactly one row. */
function isSingle(spec: TableSpec): boolean {
  return spec.primaryKey.length === spec.sourceKey.length;
}

function batchRecordset(spec: TableSpec, computed: readonly ComputedKey[]): Sql {
  const single = isSingle(spec);
  const columns = single ? [...spec.sourceKey, ...madeColumns(spec, spec.sourceKey)] : spec.sourceKey;
  const rows = computed.map(({ key, inputs, made }, ordinal) =>
    Object.assign(
      { [ORDINAL]: ordinal, [DURATION]: made.durationUs, [INPUTS]: inputs },
      encodeKey(key),
      single ? made.rows[0] : undefined,
    ),
  );
  return recordset(rows, [...INTERNAL, ...columnTypes(spec, columns)]);
}

function madeRecordset(spec: TableSpec, computed: readonly ComputedKey[]): Sql {
  const rows = computed.flatMap(({ made }, ordinal) =>
    made.rows.map((row) => ({ [ORDINAL]: ordinal, ...row })),
  );
  return recordset(rows, [...INTERNAL.slice(0, 1), ...columnTypes(spec, madeColumns(spec, spec.sourceKey))]);
}

function partRecordset(
  part: Relation,
  label: string,
  sourceKey: readonly string[],
  computed: readonly ComputedKey[],
): Sql {
  const rows = computed.flatMap(({ made }, ordinal) =>
    (made.parts[label] ?? []).map((row) => ({ [ORDINAL]: ordinal, ...row })),
  );
  return recordset(rows, [
    ...INTERNAL.slice(0, 1),
    ...columnTypes(part.spec, madeColumns(part.spec, sourceKey)),
  ]);
}

function insertStatement(
  target: WriteTarget,
  batch: Sql,
  made: Sql | undefined,
  computed: readonly ComputedKey[],
): Sql {
  const { relation, relations } = target;
  const { spec } = relation;
  const plan = readPlan(spec, relations);
  const parts = partsOf(relation, relations).map(
    (part, index) => sql`${sql.raw(`part_${String(index)}`)} as (
      insert into ${tableId(part.relation.placement)} (${names(part.relation.spec)})
      ${partRows(part.relation, spec.sourceKey, partRecordset(part.relation, part.label, spec.sourceKey, computed))}
      returning ${names(part.relation.spec)})`,
  );
  const reads = computed.some((each) => each.reads.length > 0)
    ? [sql`record as (${recordReads(relation, target.specId, sql`select * from fresh f`, computed)})`]
    : [];
  return sql`
    with ${fenceOf(target)} batch as materialized (${batch}),
    ok as materialized (${okRows(target, plan)} ${held(target)}),
    row_ as (insert into ${tableId(relation.placement)} (${names(spec)})
      ${rowsToInsert(spec, plan, made)}
      on conflict (${sql.join(spec.primaryKey.map((column) => sql.id(column)))}) do nothing
      returning ${names(spec)}),
    fresh as materialized (${freshKeys(spec)}),
    ${sql.join([...parts, ...reads, sql`settled as (${settleJobs(relation, sql`fresh`)})`, sql`prov as (${provenance(target)})`], sql`, `)}
    select ${sql.id(ORDINAL)} as ordinal from fresh`;
}

/**
 * What stood about these keys in `varve.job` ends with the row that it waited for: a failure that outlived it would keep
 * the key from ever being computed again. What a person said to leave alone stays. Without jobs, as mostly, no key is hashed.
 */
function settleJobs(relation: Relation, keys: Sql): Sql {
  return sql`delete from varve.job j using ${keys} f
    where j.relation = ${relation.id} and j.state <> 'ignored' and j.key_hash = ${keyHash(sql`f`, relation.spec.sourceKey)}
      and exists (select from varve.job where relation = ${relation.id})`;
}

/** The keys that were inserted, each with the digest of its own rows. */
function freshKeys(spec: TableSpec): Sql {
  const columns = spec.columns.map(({ name }) => name);
  const own = [
    sql.id(ORDINAL),
    sql.id(DURATION),
    sql`"#present"`,
    ...spec.sourceKey.map((column) => sql.id(column)),
  ];
  const shared = sql.join(own.map((column) => sql`ok.${column}`));
  const joined = hashJoin(sql`ok`, sql`row_`, spec.sourceKey);
  if (isSingle(spec))
    return sql`select ${shared}, sha256(${rowDigest(sql`row_`, columns)}) as "#output" from ${joined}`;
  const order = sql.join(spec.primaryKey.map((column) => sql`row_.${sql.id(column)}`));
  return sql`select ${shared}, sha256(string_agg(${rowDigest(sql`row_`, columns)}, ''::bytea order by ${order})) as "#output"
    from ${joined} group by ${shared}`;
}

/** An inner join that the planner can only hash or merge; see the header. */
function hashJoin(left: Sql, right: Sql, columns: readonly string[]): Sql {
  const same = columns.map((column) => sql`${left}.${sql.id(column)} = ${right}.${sql.id(column)}`);
  const [first] = columns;
  const both = [left, right].map(
    (side) => sql`case when ${side}.${sql.id(first ?? '')} is null then false else true end`,
  );
  return sql`${left} full join ${right} on ${sql.join(same, sql` and `)} where ${sql.join(both, sql` and `)}`;
}

/** The keys of the batch whose inputs are still those that were read. */
function okRows({ relation }: WriteTarget, plan: ReadPlan): Sql {
  const fills = [...plan.fillByColumn].map(
    ([column, value]) => sql`, ${value} as ${sql.id(fillName(plan, column))}`,
  );
  // `offset 0` keeps the digests from being computed twice, once for the condition and once for the result.
  return sql`select * from (
      select k.*, ${plan.inputs} as "#present", ${plan.complete} as "#complete" ${sql.join(fills, sql``)}
      from batch k ${plan.joins} offset 0) p
    where "#complete" and (${sql.id(INPUTS)} is null or ${sql.id(INPUTS)} = "#present")
      and exists (select from varve.relation where id = ${relation.id} and state not in ('retired', 'let_go'))`;
}

/** Looked at before anything is written, in the writing statement itself. */
function fenceOf({ fence }: WriteTarget): Sql {
  return fence === undefined ? sql`` : sql`fence as materialized (${fence}),`;
}

function held({ fence }: WriteTarget): Sql {
  return fence === undefined ? sql`` : sql`and exists (select from fence)`;
}

/** By place: a column's own name may be as long as a name can be. */
function fillName({ fillByColumn }: ReadPlan, column: string): string {
  return `#fill ${String([...fillByColumn.keys()].indexOf(column))}`;
}

function rowsToInsert(spec: TableSpec, plan: ReadPlan, made: Sql | undefined): Sql {
  const values = spec.columns.map(({ name }) => {
    if (spec.sourceKey.includes(name)) return sql`ok.${sql.id(name)}`;
    if (plan.fillByColumn.has(name)) return sql`ok.${sql.id(fillName(plan, name))}`;
    return made === undefined ? sql`ok.${sql.id(name)}` : sql`m.${sql.id(name)}`;
  });
  if (made === undefined) return sql`select ${sql.join(values)} from ok`;
  return sql`select ${sql.join(values)} from (select * from ok offset 0) ok
    full join (${made}) m on m.${sql.id(ORDINAL)} = ok.${sql.id(ORDINAL)}
    where case when m.${sql.id(ORDINAL)} is null or ok.${sql.id(ORDINAL)} is null then false else true end`;
}

function partRows(part: Relation, sourceKey: readonly string[], rows: Sql): Sql {
  const values = part.spec.columns.map(({ name }) =>
    sourceKey.includes(name) ? sql`fresh.${sql.id(name)}` : sql`p.${sql.id(name)}`,
  );
  return sql`select ${sql.join(values)}
    from fresh full join (${rows}) p on p.${sql.id(ORDINAL)} = fresh.${sql.id(ORDINAL)}
    where case when p.${sql.id(ORDINAL)} is null or fresh.${sql.id(ORDINAL)} is null then false else true end`;
}

const EMPTY_DIGEST = sql`sha256(''::bytea)`;

/** In the order of the index, which a batch would else enter at 5000 places: a fifth of what recording costs. */
function provenance({ relation, relations, specId }: WriteTarget): Sql {
  const { spec } = relation;
  const parts = partsOf(relation, relations).map((part, index) => ({
    digests: partDigests(part.relation, sql.raw(`part_${String(index)}`), spec.sourceKey),
    alias: sql.raw(`d${String(index)}`),
  }));
  const joins = parts.map(({ digests, alias }) => {
    const same = spec.sourceKey.map((column) => sql`${alias}.${sql.id(column)} = f.${sql.id(column)}`);
    return sql`full join (${digests}) ${alias} on ${sql.join(same, sql` and `)}`;
  });
  const digests = parts.map(({ alias }) => sql`coalesce(${alias}."#output", ${EMPTY_DIGEST})`);
  const output =
    parts.length === 0 ? sql`f."#output"` : sql`sha256(f."#output" || ${sql.join(digests, sql` || `)})`;
  return sql`insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select ${relation.id}, ${specId}, f.${sql.id(DURATION)}, ${keyHash(sql`f`, spec.sourceKey)} as "#hash", f."#present", ${output}
    from fresh f ${sql.join(joins, sql` `)} order by "#hash"`;
}

/** One digest for each key that has rows in this part. */
function partDigests(part: Relation, rows: Sql, sourceKey: readonly string[]): Sql {
  const columns = part.spec.columns.map(({ name }) => name);
  const key = sql.join(sourceKey.map((column) => sql`o.${sql.id(column)}`));
  const order = sql.join(part.spec.primaryKey.map((column) => sql`o.${sql.id(column)}`));
  return sql`select ${key}, sha256(string_agg(${rowDigest(sql`o`, columns)}, ''::bytea order by ${order})) as "#output"
    from ${rows} o group by ${key}`;
}

function recordReads(relation: Relation, specId: number, from: Sql, computed: readonly ComputedKey[]): Sql {
  const rows = computed.flatMap(({ reads }, ordinal) =>
    reads.map((read, index) => ({
      [ORDINAL]: ordinal,
      n: index,
      subject: read.subject,
      declared: read.declared,
      columns: read.columns,
      keys: read.keys,
      count: read.rowCount,
      digest: `\\x${read.digestHex}`,
    })),
  );
  const columns = [
    ...INTERNAL.slice(0, 1),
    { name: 'n', type: 'smallint' },
    { name: 'subject', type: 'text' },
    { name: 'declared', type: 'boolean' },
    { name: 'columns', type: 'text[]' },
    { name: 'keys', type: 'jsonb' },
    { name: 'count', type: 'bigint' },
    { name: 'digest', type: 'bytea' },
  ];
  return sql`insert into varve.recorded_read
      (relation, key_hash, spec, ordinal, subject, declared, columns, keys, row_count, digest)
    select ${relation.id}, ${keyHash(sql`f`, relation.spec.sourceKey)}, ${specId}, b.n, b.subject, b.declared, b.columns,
      nullif(b.keys, 'null'::jsonb), b.count, b.digest
    from (${from}) f join (${recordset(rows, columns)}) b on b.${sql.id(ORDINAL)} = f.${sql.id(ORDINAL)}`;
}

function names(spec: TableSpec): Sql {
  return sql.join(spec.columns.map(({ name }) => sql.id(name)));
}

interface PartRelation {
  readonly label: string;
  readonly relation: Relation;
}

/** The parts, each after the part that it lies within. */
function partsOf(relation: Relation, relations: Relations): readonly PartRelation[] {
  const parts = Object.entries(relation.spec.parts).map(([label, name]) => ({
    label,
    relation: relationOf(relations, name),
  }));
  const depth = ({ relation: part }: PartRelation): number => {
    const owner = part.spec.foreignKeys.find(({ kind }) => kind === 'part')?.to;
    const outer = parts.find((each) => each.relation.name === owner);
    return outer === undefined ? 0 : 1 + depth(outer);
  };
  return parts.toSorted((left, right) => depth(left) - depth(right) || compareText(left.label, right.label));
}

/** The table and its parts, masters before the parts that lie within them. */
function tablesOf(
  relation: Relation,
  relations: Relations,
): readonly (PartRelation | { label: undefined; relation: Relation })[] {
  return [{ label: undefined, relation }, ...partsOf(relation, relations)];
}

async function compareStored(transaction: Queryable, target: WriteTarget, batch: Sql): Promise<Replaced> {
  const { relation, relations, specId } = target;
  const { spec } = relation;
  const rows = await transaction.query<{ ordinal: number; is_present: boolean }>(sql`
    with batch as materialized (${batch})
    select ok.${sql.id(ORDINAL)} as ordinal, exists (
      select from varve.computation c join varve.computation_spec s on s.id = c.spec, varve.computation_spec own
      where c.relation = ${relation.id} and c.key_hash = ${keyHash(sql`ok`, spec.sourceKey)} and own.id = ${specId}
        and c.inputs = ok."#present" and s.code = own.code and s.reads = own.reads) as is_present
    from (${okRows(target, readPlan(spec, relations))}) ok`);
  const ordinals = (present: boolean) =>
    new Set(rows.filter((row) => row.is_present === present).map(({ ordinal }) => ordinal));
  return { replaced: ordinals(false), upToDate: ordinals(true) };
}

async function upsert(
  transaction: Queryable,
  target: WriteTarget,
  batch: Sql,
  made: Sql | undefined,
): Promise<void> {
  const { relation, relations } = target;
  const plan = readPlan(relation.spec, relations);
  const rows = sql`with batch as (${batch}), ok as (${okRows(target, plan)}) ${rowsToInsert(relation.spec, plan, made)}`;
  await upsertRows(transaction, relation, { sourceKey: relation.spec.sourceKey, batch, rows });
}

async function upsertPart(
  transaction: Queryable,
  { relation }: WriteTarget,
  part: PartRelation,
  batch: Sql,
  computed: readonly ComputedKey[],
): Promise<void> {
  const { sourceKey } = relation.spec;
  const recordset = partRecordset(part.relation, part.label, sourceKey, computed);
  const rows = sql`with fresh as (${batch}) ${partRows(part.relation, sourceKey, recordset)}`;
  await upsertRows(transaction, part.relation, { sourceKey, batch, rows });
}

async function upsertRows(
  transaction: Queryable,
  { spec, placement }: Relation,
  {
    sourceKey,
    batch,
    rows,
  }: { readonly sourceKey: readonly string[]; readonly batch: Sql; readonly rows: Sql },
): Promise<void> {
  const id = tableId(placement);
  const same = spec.primaryKey.map((column) => sql`n.${sql.id(column)} = t.${sql.id(column)}`);
  const key = sourceKey.map((column) => sql`k.${sql.id(column)} = t.${sql.id(column)}`);
  if (spec.primaryKey.length > sourceKey.length) {
    await transaction.execute(sql`delete from ${id} t using (${batch}) k
      where ${sql.join(key, sql` and `)} and not exists (select from (${rows}) n where ${sql.join(same, sql` and `)})`);
  }
  const rest = spec.columns.map(({ name }) => name).filter((name) => !spec.primaryKey.includes(name));
  const set = rest.map((column) => sql`${sql.id(column)} = excluded.${sql.id(column)}`);
  await transaction.execute(sql`insert into ${id} (${names(spec)}) ${rows}
    on conflict (${sql.join(spec.primaryKey.map((column) => sql.id(column)))})
    do ${set.length === 0 ? sql`nothing` : sql`update set ${sql.join(set)}`}`);
}

function computationUpdate(target: WriteTarget, batch: Sql): Sql {
  const { relation, relations, specId } = target;
  const { spec } = relation;
  const plan = readPlan(spec, relations);
  return sql`with batch as (${batch}), ok as (${okRows(target, plan)})
    insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select ${relation.id}, ${specId}, ok.${sql.id(DURATION)}, ${keyHash(sql`ok`, spec.sourceKey)}, ok."#present",
      ${outputOf(relation, relations, sql`ok`)}
    from ok
    on conflict (relation, key_hash) do update set spec = excluded.spec, duration_us = excluded.duration_us,
      inputs = excluded.inputs, output = excluded.output`;
}

/** The digest of what one key produced, from the stored rows: the table's, then each part's, by primary key. */
export function outputOf(relation: Relation, relations: Relations, key: Sql): Sql {
  const digests = tablesOf(relation, relations).map((table) => {
    const own = table.relation.spec;
    const same = relation.spec.sourceKey.map((column) => sql`o.${sql.id(column)} = ${key}.${sql.id(column)}`);
    const order = sql.join(own.primaryKey.map((column) => sql`o.${sql.id(column)}`));
    const row = rowDigest(
      sql`o`,
      own.columns.map(({ name }) => name),
    );
    return sql`(select sha256(coalesce(string_agg(${row}, ''::bytea order by ${order}), ''::bytea))
      from ${tableId(table.relation.placement)} o where ${sql.join(same, sql` and `)})`;
  });
  const [master, ...parts] = digests;
  return parts.length === 0 && master !== undefined ? master : sql`sha256(${sql.join(digests, sql` || `)})`;
}
