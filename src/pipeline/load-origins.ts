/**
 * The origins of many units at once: so many statements for each table as it has reads, however many rows are asked about.
 *
 * Keys of rows that were read are derived, not stored: the recorded read's match, applied to the row's own key, finds
 * them as they stand now; the recorded digest beside the present one says whether they still are what was read.
 */
import type { JsonObject } from '../base/index.ts';
import { sql, type Queryable, type Row, type Sql } from '../store/index.ts';
import { loadAdoptions } from './adoption.ts';
import { encodeKey } from './encode-row.ts';
import { loadIngestions, partIngestions, type IngestionOrigin } from './ingestion.ts';
import type { Key } from './key-source.ts';
import type { ComputationOrigin, InputOrigin, RecordedOrigin, RowOrigin, RunOrigin } from './origin.ts';
import { readPlan } from './read-plan.ts';
import { loadGenerations, relationOf, tableId, type Relation, type Relations } from './relation.ts';
import type { ReadSpec, TableSpec } from './spec.ts';
import { loadNamePeriods, loadRecordingTimes, presentName } from './table-names.ts';
import { loadVersions, type Moment, type StoredVersion } from './versions.ts';
import { keysRecordset, ORDINAL } from './write-rows.ts';

/** What is asked of every unit. */
export interface OriginQuestion {
  readonly store: Queryable;
  readonly relations: Relations;
  readonly at: Moment;
  /** Keys of rows to name for each read at most. */
  readonly keyLimit: number;
  readonly withSource: boolean;
}

/** The origins of those of these units of one table that had a version then, in no order. */
export async function loadOrigins(
  question: OriginQuestion,
  table: string,
  keys: readonly Key[],
  depth: number,
): Promise<readonly RowOrigin[]> {
  if (keys.length === 0) return [];
  const { store, relations, at } = question;
  const versions = newestOfEach(await loadVersions(store, relations, table, { keys, at }));
  const computations = await loadComputations(question, versions);
  const ingestions = await loadBrought(question, versions);
  const unrecorded = versions.filter(
    (_, index) => computations[index] === null && (ingestions[index] ?? []).length === 0,
  );
  const adoptions = await loadAdoptions(store, new Set(unrecorded.map(({ relation }) => relation.id)));
  return versions.map((version, index) => ({
    table,
    tier: version.relation.spec.tier,
    key: version.key,
    depth,
    since: version.since,
    until: version.until,
    computation: computations[index] ?? null,
    ingestions: ingestions[index] ?? [],
    letGo: version.letGo,
    adopted: unrecorded.includes(version) ? (adoptions.get(version.relation.id) ?? null) : null,
  }));
}

/** Two structures may both have had a row at the same instant: the later one counts, which comes first. */
function newestOfEach(versions: readonly StoredVersion[]): readonly StoredVersion[] {
  const byHash = new Map<string, StoredVersion>();
  for (const version of versions) {
    const hash = Buffer.from(version.keyHash).toString('hex');
    if (!byHash.has(hash)) byHash.set(hash, version);
  }
  return [...byHash.values()];
}

async function loadBrought(
  { store, relations }: OriginQuestion,
  versions: readonly StoredVersion[],
): Promise<readonly (readonly IngestionOrigin[])[]> {
  const lines = versions.flatMap(({ table, ingestion }, at) =>
    ingestion === null ? [] : [{ at, table, ingestion, rows: 1 }],
  );
  // Parts are asked about where they stand now; superseded ones are in the version itself.
  const standing = versions.flatMap((version, at) =>
    version.until === null && version.relation.spec.form === undefined ? [{ at, version }] : [],
  );
  const [first] = standing;
  const units = standing.map(({ version }) => version.unit);
  const parts =
    first === undefined ? [] : await partIngestions(store, first.version.relation, relations, units);
  for (const { unit, ...part } of parts) lines.push({ at: standing[unit]?.at ?? -1, ...part });
  const calls = await loadIngestions(
    store,
    lines.map(({ ingestion }) => ingestion),
  );
  const linesByPlace = Map.groupBy(lines, ({ at }) => at);
  return versions.map((version, at) =>
    (linesByPlace.get(at) ?? []).flatMap(({ table, ingestion, rows }) => {
      const call = calls.get(ingestion);
      if (call === undefined) return [];
      const { name, source, actor, at: calledAt, rowCount, digest } = call;
      const isUnchanged = table === version.table ? version.isAsBrought : null;
      return [{ name, table, source, actor, at: calledAt, rows, rowCount, digest, isUnchanged }];
    }),
  );
}

interface SpecRow extends RunOrigin, Row {
  readonly id: number;
  readonly digest: string;
  readonly basis: string;
  readonly packages: Readonly<Record<string, string>>;
  readonly source: string | null;
  readonly reads: readonly ReadSpec[];
  readonly enforcement: ComputationOrigin['enforcement'];
  readonly origin: string;
  readonly attribution: JsonObject | null;
}

/** A version that a computation is recorded of. */
interface ComputedVersion {
  readonly version: StoredVersion;
  readonly spec: SpecRow;
  /** Null: let go with its rows. */
  readonly inputs: Uint8Array | null;
  readonly output: Uint8Array;
}

async function loadComputations(
  question: OriginQuestion,
  versions: readonly StoredVersion[],
): Promise<readonly (ComputationOrigin | null)[]> {
  const specs = await loadSpecs(question, versions);
  const computed = versions.map((version): ComputedVersion | null => {
    const { spec: id, inputs, output } = version;
    const spec = id === null ? undefined : specs.get(id);
    const isKnown = inputs !== null || version.letGo !== null;
    return spec === undefined || !isKnown || output === null ? null : { version, spec, inputs, output };
  });
  const some = computed.filter((each) => each !== null);
  const recorded = await loadRecorded(question.store, some);
  const inputs = new Map<ComputedVersion, readonly InputOrigin[]>();
  // Versions of one structure and one list of reads are asked about together.
  const known = some.filter(isRead);
  const groups = Map.groupBy(known, ({ version, spec }) => `${version.relation.id} ${spec.id}`);
  for (const group of groups.values()) {
    const origins = await loadInputs(question, group);
    group.forEach((each, index) => inputs.set(each, origins[index] ?? []));
  }
  return computed.map((each) =>
    each === null ? null : toComputation(each, inputs.get(each) ?? [], recorded.get(each) ?? []),
  );
}

/** Whether what it read is known by digest. */
function isRead(computed: ComputedVersion): computed is ReadVersion {
  return computed.inputs !== null;
}

type ReadVersion = ComputedVersion & { readonly inputs: Uint8Array };

function toComputation(
  { version, spec, output }: ComputedVersion,
  inputs: readonly InputOrigin[],
  recorded: readonly RecordedOrigin[],
): ComputationOrigin {
  const {
    id: _id,
    reads: _reads,
    digest,
    basis,
    packages,
    source,
    enforcement,
    origin,
    attribution,
    ...run
  } = spec;
  return {
    run,
    code: { digest, basis, packages, ...(source === null ? {} : { source }) },
    enforcement,
    origin,
    attribution,
    outputDigest: digestText(output),
    durationUs: version.letGo === null ? (version.durationUs ?? 0) : null,
    inputs,
    recorded,
  };
}

async function loadSpecs(
  { store, withSource }: OriginQuestion,
  versions: readonly StoredVersion[],
): Promise<ReadonlyMap<number, SpecRow>> {
  const ids = [...new Set(versions.flatMap(({ spec }) => spec ?? []))];
  if (ids.length === 0) return new Map();
  const rows = await store.query<SpecRow>(sql`
    select s.id, r.name, r.kind, r.actor, r.host, r.git_commit as "gitCommit", r.lock_digest as "lockDigest",
      r.definition_digest as "definitionDigest", r.started_at as "startedAt", r.finished_at as "finishedAt", r.status,
      d.digest, d.basis, d.packages, case when ${withSource} then d.source end as source,
      s.reads, s.enforcement, s.origin, s.attribution
    from varve.computation_spec s join varve.run r on r.id = s.run join varve.code d on d.id = s.code
    where s.id = any(${ids}::integer[])`);
  return new Map(rows.map((row) => [row.id, row]));
}

function digestText(bytes: Uint8Array): string {
  return `sha256:${Buffer.from(bytes).toString('hex')}`;
}

type RecordedRow = Omit<RecordedOrigin, 'digest' | 'rowCount'> &
  Row & { readonly at: number; readonly digest: Uint8Array; readonly row_count: bigint };

async function loadRecorded(
  store: Queryable,
  computed: readonly ComputedVersion[],
): Promise<ReadonlyMap<ComputedVersion, readonly RecordedOrigin[]>> {
  if (computed.length === 0) return new Map();
  const asked = computed.map(({ version, spec }, at) => ({
    at,
    relation: version.relation.id,
    hash: `\\x${Buffer.from(version.keyHash).toString('hex')}`,
    spec: spec.id,
  }));
  const rows = await store.query<RecordedRow>(sql`
    select a.at, r.subject, r.declared, r.columns, r.keys, r.row_count, r.digest
    from json_to_recordset(${JSON.stringify(asked)}::json) as a(at integer, relation integer, hash bytea, spec integer)
    cross join lateral (select * from varve.recorded_read r
      where r.relation = a.relation and r.key_hash = a.hash and r.spec = a.spec offset 0) r order by a.at, r.ordinal`);
  const nameNow = await presentNames(store, computed, rows);
  const byPlace = Map.groupBy(rows, ({ at }) => at);
  return new Map(
    computed.map((each, at) => [
      each,
      (byPlace.get(at) ?? []).map(({ at: _at, row_count: count, digest, ...rest }) => ({
        ...rest,
        ...nameNow(rest.subject, each.spec.id),
        rowCount: Number(count),
        digest: digestText(digest),
      })),
    ]),
  );
}

/** What tables that were read are called now, where that is another name than then. */
async function presentNames(
  store: Queryable,
  computed: readonly ComputedVersion[],
  rows: readonly RecordedRow[],
): Promise<(subject: string, spec: number) => { readonly now?: string }> {
  if (rows.length === 0) return () => ({});
  const periods = await loadNamePeriods(store);
  const specs = [...new Set(computed.map(({ spec }) => spec.id))];
  const times = await loadRecordingTimes(store, sql`s.id = any(${specs}::integer[])`);
  return (subject, spec) => {
    const now = presentName(periods, subject, times.get(spec));
    return now === undefined || now === subject ? {} : { now };
  };
}

/** The declared reads of versions that share relation and reads, one list for each version. */
async function loadInputs(
  { store, relations: standing, keyLimit }: OriginQuestion,
  group: readonly ReadVersion[],
): Promise<readonly (readonly InputOrigin[])[]> {
  const [first] = group;
  if (first === undefined) return [];
  const { reads } = first.spec;
  const relations = await relationsFor(store, reads, standing);
  const known = knownReads(reads, relations);
  const spec: TableSpec = { ...first.version.relation.spec, reads: known, foreignKeys: [] };
  const keys = group.map(({ version }) => version.unit);
  const present = await presentDigests(store, spec, relations, keys);
  const origins: InputOrigin[][] = group.map(() => []);
  for (const [index, read] of reads.entries()) {
    const at = known.indexOf(read);
    const found = at === -1 ? undefined : await rowsOf(store, spec, relations, { read, keys, keyLimit });
    group.forEach(({ inputs }, ordinal) => {
      const recordedDigest = digestText(inputs.slice(32 * index, 32 * index + 32));
      const presentDigest = at === -1 ? null : (present.get(ordinal)?.[at] ?? null);
      const rows = found?.get(ordinal) ?? { keys: [], count: 0 };
      origins[ordinal]?.push({
        read: read.name,
        table: read.table,
        columns: read.columns,
        cardinality: read.cardinality,
        keys: found === undefined ? null : rows.keys,
        rowCount: found === undefined ? null : rows.count,
        recordedDigest,
        presentDigest,
        isPresent: presentDigest === recordedDigest,
      });
    });
  }
  return origins;
}

/**
 * The tables of reads as they stand; one that has not the columns of the read any more, as it stood when it had them: a
 * result of a structure that was replaced read tables that may have been replaced with it.
 */
async function relationsFor(
  store: Queryable,
  reads: readonly ReadSpec[],
  present: Relations,
): Promise<Relations> {
  const relations = new Map(present);
  for (const read of reads.filter((each) => !hasColumns(present.get(each.table), each))) {
    const generations = await loadGenerations(store, read.table);
    const then = generations.find((generation) => hasColumns(generation, read));
    if (then !== undefined) relations.set(read.table, then);
  }
  return relations;
}

/** The reads that still can be followed: their table and columns are there, and so are the reads that lead to them. */
function knownReads(reads: readonly ReadSpec[], relations: Relations): readonly ReadSpec[] {
  let known = reads.filter((read) => hasColumns(relations.get(read.table), read));
  for (let before = -1; before !== known.length;) {
    before = known.length;
    known = known.filter(({ match }) =>
      Object.values(match).every(
        (origin) => origin.kind === 'key' || known.some(({ name }) => name === origin.read),
      ),
    );
  }
  return known;
}

function hasColumns(relation: Relation | undefined, read: ReadSpec): boolean {
  if (relation?.state === 'let_go') return false;
  const names = new Set(relation?.spec.columns.map(({ name }) => name));
  return [...read.columns, ...Object.keys(read.match)].every((column) => names.has(column));
}

/** The digests of every read as it stands, by the ordinal of the key. */
async function presentDigests(
  store: Queryable,
  spec: TableSpec,
  relations: Relations,
  keys: readonly Key[],
): Promise<ReadonlyMap<number, readonly (string | null)[]>> {
  if (spec.reads.length === 0) return new Map();
  const { digests, joins } = readPlan(spec, relations);
  const rows = await store.query<{ at: number; digests: readonly (Uint8Array | null)[] }>(sql`
    select k.${sql.id(ORDINAL)} as at, array[${sql.join(digests)}]::bytea[] as digests
    from (${keysRecordset(spec, keys)}) k ${joins}`);
  return new Map(
    rows.map((row) => [row.at, row.digests.map((digest) => (digest === null ? null : digestText(digest)))]),
  );
}

interface FoundRows {
  readonly keys: JsonObject[];
  readonly count: number;
}

/** The rows that one read finds now, by the ordinal of the key. */
async function rowsOf(
  store: Queryable,
  spec: TableSpec,
  relations: Relations,
  {
    read,
    keys,
    keyLimit,
  }: { readonly read: ReadSpec; readonly keys: readonly Key[]; readonly keyLimit: number },
): Promise<ReadonlyMap<number, FoundRows>> {
  const target = relationOf(relations, read.table);
  const plan = readPlan(spec, relations);
  const { primaryKey } = target.spec;
  const ordinal = sql`k.${sql.id(ORDINAL)}`;
  const columns = sql.join(primaryKey.map((column) => sql`x.${sql.id(column)}`));
  const names = sql.join(primaryKey.map((column) => sql.id(column)));
  const rows = await store.query(sql`
    select * from (
      select ${ordinal}, ${columns}, count(*) over (partition by ${ordinal}) as "#count",
        row_number() over (partition by ${ordinal} order by ${columns}) as "#place"
      from (${keysRecordset(spec, keys)}) k ${plan.joins} join ${tableId(target.placement)} x on ${matches(read, plan.aliasByRead)}) f
    where "#place" <= ${keyLimit} order by ${sql.id(ORDINAL)}, ${names}`);
  const found = new Map<number, FoundRows>();
  for (const row of rows) {
    const at = row[ORDINAL] as number;
    const all = found.get(at) ?? { keys: [], count: Number(row['#count']) };
    all.keys.push(encodeKey(Object.fromEntries(primaryKey.map((column) => [column, row[column]]))));
    found.set(at, all);
  }
  return found;
}

function matches(read: ReadSpec, aliasByRead: ReadonlyMap<string, Sql>): Sql {
  const on = Object.entries(read.match).map(([column, origin]) => {
    const alias = origin.kind === 'key' ? sql`k` : (aliasByRead.get(origin.read) ?? sql`k`);
    return sql`x.${sql.id(column)} = ${alias}.${sql.id(origin.column)}`;
  });
  return on.length === 0 ? sql`true` : sql.join(on, sql` and `);
}
