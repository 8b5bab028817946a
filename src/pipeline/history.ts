import { refusal, type Finding, type JsonObject } from '../base/index.ts';
import { sql, type Store } from '../store/index.ts';
import { loadIngestions } from './ingestion.ts';
import type { Key } from './key-source.ts';
import { loadGenerations, loadKnownRelations, type Relations } from './relation.ts';
import { askUnitThen, masterOf, unitKey, type AskedUnit } from './row-unit.ts';
import type { TableSpec } from './spec.ts';
import { unknownTable } from './unknown-table.ts';
import {
  countLetGo,
  countVersions,
  loadVersions,
  streamVersions,
  type LetGoUnits,
  type Moment,
  type RowVersion,
  type StoredVersion,
} from './versions.ts';

/** What to look up. */
export interface HistoryOptions {
  /** The key of one row; without it, the whole table as it was. */
  readonly key?: JsonObject;
  /** An instant (ISO 8601), or the name of a run, its end, or of a call that brought rows. Default: with a key all versions, without one the present. */
  readonly asOf?: string;
  /** Units of a table to give at most. Default 100. */
  readonly limit?: number;
  readonly offset?: number;
}

/** The versions of one key, the table as it was, or why there are none. */
export type HistoryResult =
  | {
      readonly status: 'ok';
      readonly table: string;
      readonly key: JsonObject;
      /** Newest first; as of a time, the one valid then, or none. */
      readonly versions: readonly RowVersion[];
    }
  | {
      readonly status: 'ok';
      readonly table: string;
      readonly asOf: string;
      /** Units there were, of which `versions` is one page. */
      readonly count: number;
      readonly versions: readonly RowVersion[];
      /** Null: this was the last page. */
      readonly nextOffset: number | null;
      /** Units there were beside these, whose rows were let go since; by structure. */
      readonly letGo: readonly LetGoUnits[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * What a row was, and what replaced it; or a table as it was at a time or at the end of a run.
 *
 * Shape: `{ status: 'ok', table: 'lab.grade', key: { mouse: 1 }, versions: [{ rows: { 'lab.grade': [{ mouse: 1, heavy: true }] }, since: '...', sinceRun: 'varve://run/...', until: null, ended: null, ... }] }`
 * A part answers with the unit of its master. With a key, what the row was under a key of fewer columns is among its versions; other key columns are found only under those.
 * Errors: refuses with `unknown_table`, `unknown_column`, `value_invalid`, `unknown_run`, `row_missing` where no version of this key was ever kept.
 */
export async function history(
  store: Store,
  table: string,
  options: HistoryOptions = {},
): Promise<HistoryResult> {
  const relations = await loadKnownRelations(store);
  const moment = options.asOf === undefined ? undefined : await readMoment(store, options.asOf);
  if (moment !== undefined && 'severity' in moment) return { status: 'refused', findings: [moment] };
  return options.key === undefined
    ? tableHistory(store, relations, table, moment, options)
    : keyHistory(store, relations, table, moment, options.key);
}

async function keyHistory(
  store: Store,
  relations: Relations,
  table: string,
  at: Moment | undefined,
  asked: JsonObject,
): Promise<HistoryResult> {
  const unit = await askUnitThen(store, relations, table, { key: asked, at: at?.at });
  if (unit.status === 'refused') return unit;
  const all = await loadVersions(store, relations, unit.relation.name, { keys: [unit.key] });
  const [first] = all;
  if (first === undefined) return { status: 'refused', findings: [missingRow(table)] };
  const versions =
    at === undefined
      ? [...all, ...(await versionsBefore(store, relations, unit))]
      : await loadVersions(store, relations, unit.relation.name, { keys: [unit.key], at });
  return { status: 'ok', table: unit.relation.name, key: first.key, versions: versions.map(publicVersion) };
}

/** Versions under a key with fewer columns, which the table had before its key was widened: newest first. */
async function versionsBefore(
  store: Store,
  relations: Relations,
  { relation, key }: AskedUnit,
): Promise<readonly StoredVersion[]> {
  const typeIn = (spec: TableSpec, column: string): string | undefined =>
    spec.columns.find(({ name }) => name === column)?.type;
  const narrower = new Map<string, Key>();
  for (const { spec } of await loadGenerations(store, relation.name)) {
    const columns = unitKey(spec);
    const isNarrower =
      columns.length < Object.keys(key).length &&
      columns.every((column) => typeIn(spec, column) === typeIn(relation.spec, column)) &&
      columns.every((column) => Object.hasOwn(key, column));
    if (!isNarrower) continue;
    const picked = Object.fromEntries(columns.map((column) => [column, key[column] ?? null]));
    narrower.set(columns.toSorted().join(' '), picked);
  }
  const found: StoredVersion[] = [];
  for (const before of narrower.values())
    found.push(...(await loadVersions(store, relations, relation.name, { keys: [before] })));
  return found.toSorted((left, right) => right.generation - left.generation);
}

/** The refusal of a key that has no row. */
export function missingRow(table: string, hint?: string): Finding {
  return refusal('row_missing', table, {
    hint: hint ?? 'Check the key: no row of it stands, and none was ever superseded.',
  });
}

async function tableHistory(
  store: Store,
  relations: Relations,
  table: string,
  at: Moment | undefined,
  { limit = 100, offset = 0 }: HistoryOptions,
): Promise<HistoryResult> {
  const relation = masterOf(relations, table);
  if (relation === undefined)
    return { status: 'refused', findings: [unknownTable(table, [...relations.keys()])] };
  const moment = at ?? { at: 'infinity', run: null };
  const count = await countVersions(store, relations, relation.name, moment);
  const versions = await loadVersions(store, relations, relation.name, { at: moment, limit, offset });
  const end = offset + versions.length;
  return {
    status: 'ok',
    table: relation.name,
    asOf: moment.run ?? moment.at,
    count,
    versions: versions.map(publicVersion),
    nextOffset: end < count && versions.length > 0 ? end : null,
    letGo: await countLetGo(store, relation.name, moment),
  };
}

/**
 * Hands on every unit of a table as it was, in no order, for a table of any size: one snapshot, a page at a time in memory.
 *
 * Shape: `{ status: 'ok', table: 'lab.grade', asOf: '2026-05-12T09:00:00Z', count: 100000 }`
 * Errors: refuses with `unknown_table`, `unknown_run`.
 */
export async function readHistory(
  store: Store,
  table: string,
  asOf: string | undefined,
  take: (version: RowVersion) => Promise<void> | void,
): Promise<
  | { readonly status: 'ok'; readonly table: string; readonly asOf: string; readonly count: number }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] }
> {
  const relations = await loadKnownRelations(store);
  const moment = asOf === undefined ? { at: 'infinity', run: null } : await readMoment(store, asOf);
  if ('severity' in moment) return { status: 'refused', findings: [moment] };
  const relation = masterOf(relations, table);
  if (relation === undefined)
    return { status: 'refused', findings: [unknownTable(table, [...relations.keys()])] };
  const count = await store.transaction(
    { isolation: 'repeatable read', readOnly: true },
    async (transaction) => {
      let taken = 0;
      for await (const page of streamVersions(transaction, relations, relation.name, moment)) {
        for (const version of page) await take(publicVersion(version));
        taken += page.length;
      }
      return taken;
    },
  );
  return { status: 'ok', table: relation.name, asOf: moment.run ?? moment.at, count };
}

function publicVersion(version: StoredVersion): RowVersion {
  const {
    table,
    key,
    rows,
    generation,
    since,
    sinceRun,
    until,
    untilRun,
    untilReason,
    ended,
    brought,
    letGo,
  } = version;
  return {
    table,
    key,
    rows,
    generation,
    since,
    sinceRun,
    until,
    untilRun,
    untilReason,
    ended,
    brought,
    letGo,
  };
}

/** An instant as written, or the end of a run by its name; of a run that is open or was killed, its latest trace. */
export async function readMoment(store: Store, asOf: string): Promise<Moment | Finding> {
  const call = /^varve:\/\/ingestion\/(?<id>\d{1,9})$/u.exec(asOf)?.groups?.['id'];
  if (call !== undefined) {
    const at = (await loadIngestions(store, [Number(call)])).get(Number(call))?.at;
    return at === undefined ? unknownMoment(asOf) : { at, run: asOf };
  }
  if (!asOf.startsWith('varve://run/')) {
    const epochMs = Date.parse(asOf);
    return Number.isNaN(epochMs) ? unknownMoment(asOf) : { at: withZone(asOf, epochMs), run: null };
  }
  const [row] = await store.query<{ at: string }>(sql`
    select greatest(coalesce(finished_at, started_at), (select max(superseded_at) from varve.superseded
      where superseded_by = ${asOf})) as at from varve.run where name = ${asOf}
    union all
    select greatest(max(at::timestamptz), (select max(deployed_at) from varve.deployment where run = ${asOf}))
    from varve.ledger where run_id = ${asOf} and phase in ('committed', 'undone') having count(*) > 0`);
  return row === undefined ? unknownMoment(asOf) : { at: row.at, run: asOf };
}

/** Text with its zone keeps its microseconds; a date alone is midnight UTC, and a time without zone is local to nobody: UTC. */
function withZone(text: string, epochMs: number): string {
  if (/(Z|[+-]\d\d(:?\d\d)?)$/u.test(text) && text.includes('T')) return text;
  return /^\d{4}-\d\d-\d\dT[\d:.]+$/u.test(text) ? `${text}Z` : new Date(epochMs).toISOString();
}

function unknownMoment(asOf: string): Finding {
  return refusal('unknown_run', asOf, {
    hint: 'Give a time as 2026-05-12T09:14:07Z, or the name of a run as `varve runs` shows it.',
  });
}
