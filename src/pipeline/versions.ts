/**
 * Versions of units: what stands now, what was superseded, and what stands in structures that were retired, each with the
 * time in which it was valid. One SELECT over all generations of a table.
 *
 * | version | valid from | until |
 * |---|---|---|
 * | row of the live structure | the latest of: start of the run that computed it, end of the version before, start of its structure | now |
 * | row of a retired structure | the same | end of its structure |
 * | `varve.superseded` | the same | `superseded_at` |
 * | `varve.let_go` | as it was before its rows were let go | the same |
 *
 * A row that `insertRows` brought counts from that call. One that came by a plain INSERT carries no time of its own, so its
 * first version counts from the start of its structure: a lower bound.
 */
import { encodeKey } from './encode-row.ts';
import { readExactRow, readUnitRows } from './exact-json.ts';
import type { JsonObject } from '../base/index.ts';
import { sql, type Queryable, type Row, type Sql } from '../store/index.ts';
import { digestOf, rowCheck } from './ingest.ts';
import { broughtJoin, loadIngestions, type Brought } from './ingestion.ts';
import { loadFormerKeyNames, type FormerKeyNames } from './key-names.ts';
import type { Key } from './key-source.ts';
import { keyHash } from './read-plan.ts';
import {
  loadGenerations,
  loadKnownRelations,
  tableId,
  type Generation,
  type LetGo,
  type Relation,
  type Relations,
} from './relation.ts';
import { unitRelation } from './row-unit.ts';
import { keysRecordset, unitRows } from './write-rows.ts';

/** One version of one unit. Instants are ISO 8601 UTC with microseconds. */
export interface RowVersion {
  readonly table: string;
  readonly key: JsonObject;
  /** `{ "schema.table": [row, ...] }`: the table's rows, then those of its parts. */
  readonly rows: Readonly<Record<string, readonly JsonObject[]>>;
  /** The structure that it stands in: the id of its relation. */
  readonly generation: number;
  readonly since: string | null;
  /** The run that computed it; null for rows that nothing computed. */
  readonly sinceRun: string | null;
  /** Null: it stands. */
  readonly until: string | null;
  /** The run that replaced it. */
  readonly untilRun: string | null;
  /** The reason that was given for it. */
  readonly untilReason: string | null;
  /** What replaced it: another result, nothing, another row of a person, other contents of the lookup, another structure; null: it stands. */
  readonly ended: 'recomputed' | 'deleted' | 'replaced' | 'contents' | 'structure' | null;
  /** The call that brought it; null for rows that no call of `insertRows` brought. */
  readonly brought: Brought | null;
  /** Who let its rows go, when: `rows` is empty then. Null: they are there. */
  readonly letGo: LetGo | null;
}

/** A version with what is recorded of its computation. */
export interface StoredVersion extends RowVersion {
  readonly unit: Key;
  readonly relation: Relation;
  readonly keyHash: Uint8Array;
  /** Null: nothing computed it. */
  readonly spec: number | null;
  readonly inputs: Uint8Array | null;
  readonly output: Uint8Array | null;
  readonly durationUs: number | null;
  /** The number of the call that brought it. */
  readonly ingestion: number | null;
  /** Whether it still is as it was brought; null where that is not told. */
  readonly isAsBrought: boolean | null;
}

/** Which versions. */
export interface VersionFilter {
  /** Only those of these units, none twice; their columns must be those of the unit in each structure that is searched. */
  readonly keys?: readonly Key[];
  readonly at?: Moment;
  readonly limit?: number;
  readonly offset?: number;
}

/** A time, or the end of a run. */
export interface Moment {
  /** ISO 8601 UTC. */
  readonly at: string;
  readonly run: string | null;
}

/** A table's versions, or those of one unit, newest first; at a moment, in key order. */
export async function loadVersions(
  store: Queryable,
  relations: Relations,
  table: string,
  filter: VersionFilter,
): Promise<readonly StoredVersion[]> {
  const found = await loadWorlds(store, relations, table, { key: filter.keys?.[0], at: filter.at });
  // What was let go is found by its key alone: which keys there were is not remembered.
  const worlds = filter.keys === undefined ? found.filter(hasRows) : found;
  if (worlds.length === 0) return [];
  const order =
    filter.at === undefined
      ? sql`generation desc, until_at desc nulls first, id desc`
      : sql`key, generation desc`;
  const rows = await store.query<VersionRow>(sql`
    select v.*, key::text as key_text, rows::text as rows_text from (${versions(worlds, filter)}) v
    order by ${order} limit ${filter.limit ?? null} offset ${filter.offset ?? 0}`);
  return toVersions(store, rows, worlds);
}

/**
 * The same in pages of a cursor, for a table of any size: one snapshot, and no more than a page in memory. The transaction
 * must be one that sees one snapshot.
 */
export async function* streamVersions(
  transaction: Queryable,
  relations: Relations,
  table: string,
  at: Moment,
): AsyncGenerator<readonly StoredVersion[], void, undefined> {
  const found = await loadWorlds(transaction, relations, table, { at });
  const worlds = found.filter(hasRows);
  if (worlds.length === 0) return;
  await transaction.execute(sql`declare varve_versions no scroll cursor for
    select v.*, key::text as key_text, rows::text as rows_text from (${versions(worlds, { at })}) v`);
  for (;;) {
    const rows = await transaction.query<VersionRow>(
      sql`fetch ${sql.raw(String(PAGE_UNITS))} from varve_versions`,
    );
    if (rows.length === 0) break;
    yield await toVersions(transaction, rows, worlds);
  }
  await transaction.execute(sql`close varve_versions`);
}

const PAGE_UNITS = 1000;

/** How many units had a row at that moment. */
export async function countVersions(
  store: Queryable,
  relations: Relations,
  table: string,
  at: Moment,
): Promise<number> {
  const worlds = (await loadWorlds(store, relations, table, { at })).filter(hasRows);
  if (worlds.length === 0) return 0;
  const [row] = await store.query<{ count: bigint }>(sql`
    select count(*) as count from (${versions(worlds, { at })}) v`);
  return Number(row?.count ?? 0n);
}

/**
 * The units of a table that had rows at that moment, each once, as a SELECT of `key_hash` and `rows`; undefined where no
 * structure of it is there.
 */
export async function unitsAt(
  store: Queryable,
  relations: Relations,
  table: string,
  at: Moment,
): Promise<Sql | undefined> {
  const worlds = (await loadWorlds(store, relations, table, { at })).filter(hasRows);
  if (worlds.length === 0) return undefined;
  return sql`select distinct on (key_hash) key_hash, rows from (${versions(worlds, { at })}) v
    order by key_hash, generation desc`;
}

/** Units of one structure that had a row then, which was let go since. */
export interface LetGoUnits extends LetGo {
  readonly table: string;
  readonly units: number;
}

/** How many units had a row at that moment of which only so much is known, by structure; newest first. */
export async function countLetGo(
  store: Queryable,
  table: string,
  at: Moment,
): Promise<readonly LetGoUnits[]> {
  const found: LetGoUnits[] = [];
  for (const { id, name, letGo } of await loadGenerations(store, table, at.at)) {
    if (letGo === null) continue;
    const [row] = await store.query<{ units: bigint }>(sql`
      select count(distinct key_hash) as units from (
        select l.key_hash, l.since_at, l.until_at, r.name as since_run, p.origin, coalesce(l.until_run, e.until_run) as until_run
        from varve.let_go l join varve.relation e on e.id = l.relation
        left join varve.computation_spec p on p.id = l.spec left join varve.run r on r.id = p.run
        where l.relation = ${id}) a
      where ${validAt(at)}`);
    const units = Number(row?.units ?? 0n);
    if (units > 0) found.push({ table: name, units, ...letGo });
  }
  return found;
}

/**
 * Writes down every version that a retired structure holds, for the time when its rows are gone: all but key and values.
 * What nothing computed has no recorded digest; it gets that of its rows' text as `rows` showed it.
 */
export async function rememberVersions(transaction: Queryable, structure: Relation): Promise<number> {
  const relations = await loadKnownRelations(transaction);
  const worlds = await loadWorlds(transaction, relations, structure.name, {});
  const own = worlds.filter(({ generation }) => generation.id === structure.id);
  if (own.length === 0) return 0;
  return transaction.execute(sql`
    insert into varve.let_go (relation, spec, since_at, until_at, ended, until_run, key_hash, output)
    select v.generation, v.spec, v.since_at, v.until_at, v.ended, case when v.ended <> 'structure' then v.until_run end, v.key_hash,
      coalesce(v.output, sha256(convert_to(v.rows::text, 'UTF8')))
    from (${versions(own, {})}) v`);
}

interface VersionRow extends Row {
  readonly id: bigint | null;
  readonly generation: number;
  readonly key_hash: Uint8Array;
  readonly key_text: string;
  readonly rows_text: string;
  readonly since_at: string | null;
  readonly since_run: string | null;
  readonly until_at: string | null;
  readonly until_run: string | null;
  readonly until_reason: string | null;
  readonly ingestion: number | null;
  readonly is_as_brought: boolean | null;
  readonly ended: RowVersion['ended'];
  readonly spec: number | null;
  readonly inputs: Uint8Array | null;
  readonly output: Uint8Array | null;
  readonly duration_us: number | null;
}

/** One structure of the table, and its parts as they were then. */
interface World {
  readonly generation: Generation;
  /** With its unit as source key. */
  readonly relation: Relation;
  readonly relations: Relations;
  /** The column of a key as it is asked for, by the column of this structure's key. */
  readonly asked: ReadonlyMap<string, string>;
}

async function loadWorlds(
  store: Queryable,
  relations: Relations,
  table: string,
  { key, at }: { readonly key?: Key | undefined; readonly at?: Moment | undefined },
): Promise<readonly World[]> {
  const worlds: World[] = [];
  const generations = await loadGenerations(store, table, at?.at);
  const [newest] = generations;
  const names = Object.keys(key ?? {});
  const isNamedAnew = generations.some((each) => !sameColumns(names, unitRelation(each).spec.sourceKey));
  const former: FormerKeyNames =
    key === undefined || newest === undefined || !isNamedAnew
      ? new Map()
      : await loadFormerKeyNames(store, newest.id);
  for (const generation of generations) {
    const relation = unitRelation(generation);
    const asked = askedColumns(names, relation.spec.sourceKey, former);
    if (key !== undefined && asked === undefined) continue;
    const parts = new Map(relations);
    for (const name of Object.values(generation.spec.parts)) {
      const part = partOf(generation, await loadGenerations(store, name));
      if (part !== undefined) parts.set(name, part);
    }
    worlds.push({ generation, relation, relations: parts, asked: asked ?? new Map() });
  }
  return worlds;
}

/** A key that is asked for, by the names of a structure: the same, or, of an earlier one, what they were called then. */
function askedColumns(
  asked: readonly string[],
  own: readonly string[],
  former: FormerKeyNames,
): ReadonlyMap<string, string> | undefined {
  if (sameColumns(asked, own)) return new Map(own.map((column) => [column, column]));
  const pairs = own.flatMap((column) => {
    const now = asked.find((name) => former.get(name)?.includes(column) === true);
    return now === undefined ? [] : [[column, now] as const];
  });
  const isWhole = pairs.length === own.length && new Set(pairs.map(([, now]) => now)).size === asked.length;
  return isWhole ? new Map(pairs) : undefined;
}

/** The generation of a part that stood when its master's was retired. */
function partOf(master: Generation, parts: readonly Generation[]): Generation | undefined {
  const end = master.untilAt;
  if (end === null) return parts.find(({ state }) => state === 'live');
  return parts.find(
    ({ sinceAt, untilAt }) => (sinceAt === null || sinceAt < end) && (untilAt === null || untilAt >= end),
  );
}

function sameColumns(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((column) => right.includes(column));
}

function keyOf({ asked }: World, key: Key): Key {
  return Object.fromEntries([...asked].map(([column, name]) => [column, key[name]]));
}

function hasRows({ generation }: World): boolean {
  return generation.letGo === null;
}

function versions(worlds: readonly World[], { keys, at }: VersionFilter): Sql {
  const ids = worlds.map(({ generation }) => generation.id);
  const all = sql.join(
    worlds.flatMap((world) => {
      const own = keys?.map((key) => keyOf(world, key));
      return hasRows(world)
        ? [past(world, own, ids), standing(world, own, ids)]
        : [remembered(world, own ?? [])];
    }),
    sql` union all `,
  );
  return at === undefined ? all : sql`select * from (${all}) a where ${validAt(at)}`;
}

/**
 * A run's own results count from its start, and what it replaced does not count at its end, whatever the clocks say.
 * What a migration attributed to that run later counts from its new structure's start.
 */
function validAt({ at, run }: Moment): Sql {
  const began = sql`since_at is null or since_at <= ${at}::timestamptz`;
  const stands = sql`until_at is null or until_at > ${at}::timestamptz`;
  if (run === null) return sql`(${began}) and (${stands})`;
  return sql`(${began} or (since_run = ${run} and origin = 'computed')) and (${stands}) and until_run is distinct from ${run}`;
}

function past(
  { generation, relation }: World,
  keys: readonly Key[] | undefined,
  ids: readonly number[],
): Sql {
  const only =
    keys === undefined
      ? sql`true`
      : sql`s.key_hash in (select ${keyHash(sql`k`, relation.spec.sourceKey)} from (${keysRecordset(relation.spec, keys)}) k)`;
  const brought = broughtJoin('g', ids, {
    keyHash: sql`s.key_hash`,
    after: sql`s.before_at`,
    before: sql`s.superseded_at`,
  });
  return sql`
    select s.id, ${generation.id}::integer as generation, s.key_hash, s.key, s.rows,
      greatest(${generation.sinceAt}::timestamptz, r.started_at, s.before_at, g.ingested_at) as since_at, r.name as since_run,
      s.superseded_at as until_at, s.superseded_by as until_run,
      (select u.settings ->> 'reason' from varve.run u where u.name = s.superseded_by) as until_reason, s.reason as ended,
      s.spec, s.inputs, s.output, s.duration_us, p.origin, g.ingestion, null::boolean as is_as_brought
    from (select s.*, lag(s.superseded_at) over (partition by s.key_hash order by s.id) as before_at
      from varve.superseded s where s.relation = ${generation.id} and ${only}) s
    left join varve.computation_spec p on p.id = s.spec left join varve.run r on r.id = p.run ${brought}`;
}

function standing(
  { generation, relation, relations }: World,
  keys: readonly Key[] | undefined,
  ids: readonly number[],
): Sql {
  const { spec } = relation;
  const unit = sql.join(spec.sourceKey.map((column) => sql`t.${sql.id(column)}`));
  const pairs = sql.join(spec.sourceKey.map((column) => sql`${column}::text, t.${sql.id(column)}`));
  const same = sql.join(
    spec.sourceKey.map((column) => sql`t.${sql.id(column)} = k.${sql.id(column)}`),
    sql` and `,
  );
  const asked = keys === undefined ? sql`` : sql`join (${keysRecordset(spec, keys)}) k on ${same}`;
  const retired = generation.state === 'retired';
  const brought = broughtJoin('g', ids, {
    keyHash: sql`t."#hash"`,
    after: sql`b.at`,
    before: sql`${generation.untilAt}::timestamptz`,
  });
  return sql`
    select null::bigint as id, ${generation.id}::integer as generation, t."#hash" as key_hash, jsonb_build_object(${pairs}) as key,
      ${unitRows(relation, relations, sql`t`)} as rows,
      greatest(${generation.sinceAt}::timestamptz, r.started_at, b.at, g.ingested_at) as since_at, r.name as since_run,
      ${generation.untilAt}::timestamptz as until_at, ${generation.untilRun}::text as until_run, null::text as until_reason,
      ${retired ? 'structure' : null}::text as ended, c.spec, c.inputs, c.output, c.duration_us, p.origin,
      g.ingestion, ${isAsBrought(relation)} as is_as_brought
    from (select t.*, ${keyHash(sql`t`, spec.sourceKey)} as "#hash"
      from (select distinct ${unit} from ${tableId(relation.placement)} t ${asked}) t) t
    left join varve.computation c on c.relation = ${generation.id} and c.key_hash = t."#hash"
    left join varve.computation_spec p on p.id = c.spec left join varve.run r on r.id = p.run
    left join lateral (select max(s.superseded_at) as at from varve.superseded s
      where s.relation = ${generation.id} and s.key_hash = t."#hash") b on true ${brought}`;
}

/** What is known of versions whose rows were let go: the key is that which was asked for. */
function remembered({ generation, relation }: World, keys: readonly Key[]): Sql {
  const { spec } = relation;
  const pairs = sql.join(spec.sourceKey.map((column) => sql`${column}::text, k.${sql.id(column)}`));
  return sql`
    select null::bigint as id, ${generation.id}::integer as generation, l.key_hash, jsonb_build_object(${pairs}) as key,
      '{}'::jsonb as rows, l.since_at, r.name as since_run, l.until_at,
      coalesce(l.until_run, ${generation.untilRun}::text) as until_run,
      (select u.settings ->> 'reason' from varve.run u where u.name = l.until_run) as until_reason, l.ended, l.spec,
      null::bytea as inputs, l.output, null::integer as duration_us, p.origin, null::integer as ingestion,
      null::boolean as is_as_brought
    from (${keysRecordset(spec, keys)}) k
    join varve.let_go l on l.relation = ${generation.id} and l.key_hash = ${keyHash(sql`k`, spec.sourceKey)}
    left join varve.computation_spec p on p.id = l.spec left join varve.run r on r.id = p.run`;
}

/**
 * A row that people brought is one unit, so its check tells of the whole of it. Another value in a later structure tells
 * nothing of people: an evolution may have given it.
 */
function isAsBrought({ id, spec, placement }: Relation): Sql {
  if (spec.form !== undefined) return sql`null::boolean`;
  const same = spec.primaryKey.map((column) => sql`o.${sql.id(column)} = t.${sql.id(column)}`);
  return sql`(select case when ${rowCheck(digestOf(sql`o`, spec))} = g.row_check then true when g.relation = ${id} then false end
    from ${tableId(placement)} o where ${sql.join(same, sql` and `)})`;
}

async function toVersions(
  store: Queryable,
  rows: readonly VersionRow[],
  worlds: readonly World[],
): Promise<readonly StoredVersion[]> {
  const calls = await loadIngestions(
    store,
    rows.flatMap(({ ingestion }) => ingestion ?? []),
  );
  return rows.map((row) => {
    const call = row.ingestion === null ? undefined : calls.get(row.ingestion);
    const brought =
      call === undefined ? null : { name: call.name, source: call.source, actor: call.actor, at: call.at };
    return toVersion(row, worlds, brought);
  });
}

function toVersion(row: VersionRow, worlds: readonly World[], brought: Brought | null): StoredVersion {
  const world = worlds.find(({ generation }) => generation.id === row.generation) as World;
  const { relation, relations } = world;
  const specOf = (table: string) => (table === relation.name ? relation.spec : relations.get(table)?.spec);
  const key = readExactRow(row.key_text, relation.spec);
  return {
    table: relation.name,
    key,
    rows: readUnitRows(row.rows_text, specOf),
    generation: row.generation,
    since: row.since_at,
    sinceRun: row.since_run,
    until: row.until_at,
    untilRun: row.until_run,
    untilReason: row.until_reason,
    ended: row.ended,
    brought,
    letGo: world.generation.letGo,
    unit: encodeKey(key),
    relation,
    keyHash: row.key_hash,
    spec: row.spec,
    inputs: row.inputs,
    output: row.output,
    durationUs: row.duration_us,
    ingestion: row.ingestion,
    isAsBrought: row.is_as_brought,
  };
}
