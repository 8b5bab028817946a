/**
 * Why a row is there: the run, the code and every input that it was computed from, and the same for those inputs.
 *
 * Keys of rows that were read are derived, not stored: the recorded read's match, applied to the row's own key, finds
 * them as they stand now; the recorded digest beside the present one says whether they still are what was read.
 */
import type { EnforcementLevel } from './computation-spec.ts';
import { refusal, type Finding, type JsonObject } from '../base/index.ts';
import { sql, type Queryable, type Row, type Sql, type Store } from '../store/index.ts';
import { encodeKey } from './encode-row.ts';
import { history, missingRow, readMoment } from './history.ts';
import type { Key } from './key-source.ts';
import { readPlan } from './read-plan.ts';
import { loadKnownRelations, relationOf, tableId, type Relation, type Relations } from './relation.ts';
import { askUnit, unitName } from './row-unit.ts';
import type { ReadSpec, TableSpec, Tier } from './spec.ts';
import { loadVersions, type Moment, type StoredVersion } from './versions.ts';
import { keysRecordset } from './write-rows.ts';

/** How far to look. */
export interface WhyOptions {
  /** Also the rows that it was computed from, and theirs; each once. */
  readonly deep?: boolean;
  /** An instant or the name of a run: the version valid then. Default: the present. */
  readonly asOf?: string;
  /** Keys of rows to name for each read at most; `deep` follows the named ones. Default 100. */
  readonly keyLimit?: number;
}

/** Where one unit of rows comes from. Digests are `sha256:<hex>`, instants ISO 8601 UTC. */
export interface RowOrigin {
  readonly table: string;
  readonly tier: Tier;
  readonly key: JsonObject;
  /** When this version became and ceased valid; `until` null: it stands. */
  readonly since: string | null;
  readonly until: string | null;
  /** Null: no computation is recorded, as for rows that people bring. */
  readonly computation: ComputationOrigin | null;
  /** Of manual and imported tables: the batches that came in, newest first; which of them held this row is not recorded. */
  readonly ingestions: readonly IngestionOrigin[];
}

/** One computation. */
export interface ComputationOrigin {
  readonly run: RunOrigin;
  readonly code: {
    readonly digest: string;
    readonly basis: string;
    readonly packages: Readonly<Record<string, string>>;
  };
  /** How far reads were held to their declaration. */
  readonly enforcement: EnforcementLevel;
  /** `computed` by its make, `attributed` by a migration, `adopted` as found. */
  readonly origin: string;
  /** The rule of a migration that attributed it. */
  readonly attribution: JsonObject | null;
  readonly outputDigest: string;
  readonly durationUs: number;
  readonly inputs: readonly InputOrigin[];
  /** What it read beside its declared inputs: files, and tables that observation let through. */
  readonly recorded: readonly RecordedOrigin[];
}

/** The run of a computation. */
export interface RunOrigin {
  readonly name: string;
  readonly kind: string;
  readonly actor: string;
  readonly host: string;
  readonly gitCommit: string | null;
  readonly lockDigest: string | null;
  readonly definitionDigest: string | null;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly status: string;
}

/** One declared read. */
export interface InputOrigin {
  readonly read: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly cardinality: ReadSpec['cardinality'];
  /** Primary keys of the rows that its match finds now, up to the limit; null where its table or a column is gone. */
  readonly keys: readonly JsonObject[] | null;
  /** All that it finds now. */
  readonly rowCount: number | null;
  readonly recordedDigest: string;
  /** Null where it cannot be computed any more. */
  readonly presentDigest: string | null;
  /** Whether the rows still are what was read. */
  readonly isPresent: boolean;
}

/** A read that was recorded as it happened. */
export interface RecordedOrigin {
  /** `schema.table`, `file:path` or `folder:path`. */
  readonly subject: string;
  readonly declared: boolean;
  readonly columns: readonly string[];
  readonly keys: readonly JsonObject[] | null;
  readonly rowCount: number;
  readonly digest: string;
}

/** One batch of rows that people or programs brought. */
export interface IngestionOrigin {
  readonly source: string;
  readonly actor: string;
  readonly rowCount: number;
  readonly digest: string;
  readonly at: string;
}

/** The origin, and with `deep` those of everything above it in the order they were met, each once. */
export type WhyResult =
  | { readonly status: 'ok'; readonly origin: RowOrigin; readonly above: readonly RowOrigin[] }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * The origin of one row.
 *
 * Errors: refuses with `unknown_table`, `unknown_column`, `value_invalid`, `unknown_run`, `row_missing`.
 */
export async function why(
  store: Store,
  table: string,
  key: JsonObject,
  options: WhyOptions = {},
): Promise<WhyResult> {
  const relations = await loadKnownRelations(store);
  const at = options.asOf === undefined ? PRESENT : await readMoment(store, options.asOf);
  if ('severity' in at) return { status: 'refused', findings: [at] };
  const question: Question = { store, relations, at, keyLimit: options.keyLimit ?? 100 };
  const asked = await askUnit(store, relations, table, key);
  if (asked.status === 'refused') return asked;
  const origin = await originOf(question, asked.relation.name, asked.key);
  if (origin === undefined) return { status: 'refused', findings: [await absence(store, table, key)] };
  return { status: 'ok', origin, above: options.deep === true ? await walkUp(question, origin) : [] };
}

const PRESENT: Moment = { at: 'infinity', run: null };

interface Question {
  readonly store: Store;
  readonly relations: Relations;
  readonly at: Moment;
  readonly keyLimit: number;
}

/** A row that is gone still has a history to point at. */
async function absence(store: Store, table: string, key: JsonObject): Promise<Finding> {
  const past = await history(store, table, { key });
  const last = past.status === 'ok' ? past.versions[0] : undefined;
  if (last === undefined) return missingRow(table);
  return refusal('row_missing', table, {
    detail: { since: last.since, until: last.until },
    hint: 'No row of this key was valid then; `varve history` lists its versions, and --as-of asks about one.',
  });
}

/** Breadth first, so that what is near stands first. */
async function walkUp(question: Question, start: RowOrigin): Promise<readonly RowOrigin[]> {
  const seen = new Set([unitName(start.table, start.key)]);
  const above: RowOrigin[] = [];
  // A list is walked in order, what is added meanwhile included.
  const open = [start];
  for (const origin of open) {
    for (const { table, key } of rowsRead(origin)) {
      const asked = await askUnit(question.store, question.relations, table, key);
      if (asked.status === 'refused') continue;
      const name = unitName(asked.relation.name, asked.key);
      if (seen.has(name)) continue;
      seen.add(name);
      const next = await originOf(question, asked.relation.name, asked.key);
      if (next === undefined) continue;
      above.push(next);
      open.push(next);
    }
  }
  return above;
}

function rowsRead({
  computation,
}: RowOrigin): readonly { readonly table: string; readonly key: JsonObject }[] {
  if (computation === null) return [];
  const declared = computation.inputs.flatMap(({ table, keys }) =>
    (keys ?? []).map((key) => ({ table, key })),
  );
  const recorded = computation.recorded.flatMap(({ subject, keys }) =>
    (keys ?? []).map((key) => ({ table: subject, key })),
  );
  return [...declared, ...recorded];
}

async function originOf(question: Question, table: string, key: Key): Promise<RowOrigin | undefined> {
  const { store, relations, at } = question;
  const [version] = await loadVersions(store, relations, table, { key, at, limit: 1 });
  if (version === undefined) return undefined;
  const { tier } = version.relation.spec;
  return {
    table,
    tier,
    key: version.key,
    since: version.since,
    until: version.until,
    computation: await computationOf(question, version),
    ingestions: tier === 'manual' || tier === 'imported' ? await ingestionsOf(store, version.relation) : [],
  };
}

async function ingestionsOf(store: Queryable, relation: Relation): Promise<readonly IngestionOrigin[]> {
  return store.query<IngestionOrigin & Row>(sql`
    select source, actor, row_count as "rowCount", digest, ingested_at as at
    from varve.ingestion where relation = ${relation.id} order by id desc limit 100`);
}

interface SpecRow extends RunOrigin, Row {
  readonly digest: string;
  readonly basis: string;
  readonly packages: Readonly<Record<string, string>>;
  readonly reads: readonly ReadSpec[];
  readonly enforcement: EnforcementLevel;
  readonly origin: string;
  readonly attribution: JsonObject | null;
}

async function computationOf(question: Question, version: StoredVersion): Promise<ComputationOrigin | null> {
  if (version.spec === null || version.inputs === null || version.output === null) return null;
  const [row] = await question.store.query<SpecRow>(sql`
    select r.name, r.kind, r.actor, r.host, r.git_commit as "gitCommit", r.lock_digest as "lockDigest",
      r.definition_digest as "definitionDigest", r.started_at as "startedAt", r.finished_at as "finishedAt", r.status,
      d.digest, d.basis, d.packages, s.reads, s.enforcement, s.origin, s.attribution
    from varve.computation_spec s join varve.run r on r.id = s.run join varve.code d on d.id = s.code
    where s.id = ${version.spec}`);
  if (row === undefined) return null;
  const { digest, basis, packages, reads, enforcement, origin, attribution, ...run } = row;
  return {
    run,
    code: { digest, basis, packages },
    enforcement,
    origin,
    attribution,
    outputDigest: digestText(version.output),
    durationUs: version.durationUs ?? 0,
    inputs: await inputsOf(question, version, reads, version.inputs),
    recorded: await recordedOf(question.store, version),
  };
}

function digestText(bytes: Uint8Array): string {
  return `sha256:${Buffer.from(bytes).toString('hex')}`;
}

async function recordedOf(store: Queryable, version: StoredVersion): Promise<readonly RecordedOrigin[]> {
  const rows = await store.query<
    Omit<RecordedOrigin, 'digest' | 'rowCount'> & Row & { digest: Uint8Array; row_count: bigint }
  >(sql`
    select subject, declared, columns, keys, row_count, digest from varve.recorded_read
    where relation = ${version.relation.id} and key_hash = ${version.keyHash} and spec = ${version.spec} order by ordinal`);
  return rows.map(({ row_count: count, digest, ...rest }) => ({
    ...rest,
    rowCount: Number(count),
    digest: digestText(digest),
  }));
}

async function inputsOf(
  { store, relations, keyLimit }: Question,
  version: StoredVersion,
  reads: readonly ReadSpec[],
  inputs: Uint8Array,
): Promise<readonly InputOrigin[]> {
  const known = knownReads(reads, relations);
  const spec: TableSpec = { ...version.relation.spec, reads: known, foreignKeys: [] };
  const present = await presentDigests(store, spec, relations, version.unit);
  const origins: InputOrigin[] = [];
  for (const [index, read] of reads.entries()) {
    const recordedDigest = digestText(inputs.slice(32 * index, 32 * index + 32));
    const at = known.indexOf(read);
    const found =
      at === -1 ? undefined : await rowsOf(store, spec, relations, { read, key: version.unit, keyLimit });
    const presentDigest = present[at] ?? null;
    origins.push({
      read: read.name,
      table: read.table,
      columns: read.columns,
      cardinality: read.cardinality,
      keys: found?.keys ?? null,
      rowCount: found?.count ?? null,
      recordedDigest,
      presentDigest,
      isPresent: presentDigest === recordedDigest,
    });
  }
  return origins;
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
  const names = new Set(relation?.spec.columns.map(({ name }) => name));
  return [...read.columns, ...Object.keys(read.match)].every((column) => names.has(column));
}

async function presentDigests(
  store: Queryable,
  spec: TableSpec,
  relations: Relations,
  key: Key,
): Promise<readonly (string | null)[]> {
  if (spec.reads.length === 0) return [];
  const { digests, joins } = readPlan(spec, relations);
  const [row] = await store.query<{ digests: readonly (Uint8Array | null)[] }>(sql`
    select array[${sql.join(digests)}]::bytea[] as digests from (${keysRecordset(spec, [key])}) k ${joins}`);
  return (row?.digests ?? []).map((digest) => (digest === null ? null : digestText(digest)));
}

async function rowsOf(
  store: Queryable,
  spec: TableSpec,
  relations: Relations,
  { read, key, keyLimit }: { readonly read: ReadSpec; readonly key: Key; readonly keyLimit: number },
): Promise<{ readonly keys: readonly JsonObject[]; readonly count: number }> {
  const target = relationOf(relations, read.table);
  const plan = readPlan(spec, relations);
  const { primaryKey } = target.spec;
  const columns = sql.join(primaryKey.map((column) => sql`x.${sql.id(column)}`));
  const rows = await store.query(sql`
    select ${columns}, count(*) over () as "#count"
    from (${keysRecordset(spec, [key])}) k ${plan.joins} join ${tableId(target.placement)} x on ${matches(read, plan.aliasByRead)}
    order by ${columns} limit ${keyLimit}`);
  return {
    keys: rows.map((row) => encodeKey(Object.fromEntries(primaryKey.map((column) => [column, row[column]])))),
    count: Number(rows[0]?.['#count'] ?? 0n),
  };
}

function matches(read: ReadSpec, aliasByRead: ReadonlyMap<string, Sql>): Sql {
  const on = Object.entries(read.match).map(([column, origin]) => {
    const alias = origin.kind === 'key' ? sql`k` : (aliasByRead.get(origin.read) ?? sql`k`);
    return sql`x.${sql.id(column)} = ${alias}.${sql.id(origin.column)}`;
  });
  return on.length === 0 ? sql`true` : sql.join(on, sql` and `);
}
