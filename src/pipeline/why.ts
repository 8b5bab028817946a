/**
 * Why a row is there: the run, the code and every input that it was computed from, and the same for those inputs.
 *
 * With `deep` it walks up level by level: what a level read is one list of units, none of them twice, and each table of it
 * costs the same statements for one row as for a thousand.
 */
import { refusal, type Finding, type JsonObject } from '../base/index.ts';
import type { Store } from '../store/index.ts';
import { history, missingRow, readMoment } from './history.ts';
import type { Key } from './key-source.ts';
import { loadOrigins, type OriginQuestion } from './load-origins.ts';
import type { RowOrigin } from './origin.ts';
import { loadKnownRelations } from './relation.ts';
import { askUnits, askUnitThen, unitName } from './row-unit.ts';
import type { Moment } from './versions.ts';

/** How far to look. */
export interface WhyOptions {
  /** Also the rows that it was computed from, and theirs; each once. */
  readonly deep?: boolean;
  /** The same, so many steps up at most. */
  readonly depth?: number;
  /** An instant, or the name of a run or of a call that brought rows: the version valid then. Default: the present. */
  readonly asOf?: string;
  /** Keys of rows to name for each read at most; `deep` follows the named ones. Default 100. */
  readonly keyLimit?: number;
  /** Also the text of the code. Default false. */
  readonly source?: boolean;
}

/** The origin, and with `deep` those of everything above it, nearest first, each once. */
export type WhyResult =
  | {
      readonly status: 'ok';
      readonly origin: RowOrigin;
      readonly above: readonly RowOrigin[];
      /** Rows above that were not walked: their level lies beyond `depth`. */
      readonly beyond: number;
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * The origin of one row; of a part's row, that of its master.
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
  const { keyLimit = 100, source: withSource = false } = options;
  const question: OriginQuestion = { store, relations, at, keyLimit, withSource };
  const then = options.asOf === undefined ? undefined : at.at;
  const asked = await askUnitThen(store, relations, table, { key, at: then });
  if (asked.status === 'refused') return asked;
  const [origin] = await loadOrigins(question, asked.relation.name, [asked.key], 0);
  if (origin === undefined) return { status: 'refused', findings: [await absence(store, table, key)] };
  const depth = options.depth ?? (options.deep === true ? Number.POSITIVE_INFINITY : 0);
  return { status: 'ok', origin, ...(await walkUp(question, origin, depth)) };
}

const PRESENT: Moment = { at: 'infinity', run: null };

/** A row that is gone still has a history to point at. */
async function absence(store: Store, table: string, key: JsonObject): Promise<Finding> {
  const past = await history(store, table, { key });
  const last = past.status === 'ok' ? past.versions[0] : undefined;
  if (last === undefined) return missingRow(table);
  const isRenamed = last.until === null && last.table !== table;
  return refusal('row_missing', table, {
    detail: { since: last.since, until: last.until, ...(isRenamed ? { now: last.table } : {}) },
    hint: isRenamed
      ? `This table is called ${last.table} now: ask for that, or about the past with --as-of.`
      : 'No row of this key was valid then; `varve history` lists its versions, and --as-of asks about one.',
  });
}

async function walkUp(
  question: OriginQuestion,
  start: RowOrigin,
  most: number,
): Promise<{ readonly above: readonly RowOrigin[]; readonly beyond: number }> {
  const seen = new Set([unitName(start.table, start.key)]);
  const above: RowOrigin[] = [];
  let level: readonly RowOrigin[] = [start];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (most === 0) break;
    const units = await unitsRead(question, level, seen);
    if (depth > most) return { above, beyond: [...units.values()].flat().length };
    const found: RowOrigin[] = [];
    for (const [table, keys] of units) found.push(...(await loadOrigins(question, table, keys, depth)));
    level = inOrderOf(units, found);
    above.push(...level);
  }
  return { above, beyond: 0 };
}

/** The units that a level read and that were not met before, by table. */
async function unitsRead(
  { store, relations, at }: OriginQuestion,
  level: readonly RowOrigin[],
  seen: Set<string>,
): Promise<ReadonlyMap<string, readonly Key[]>> {
  const read = level.flatMap((origin) => rowsRead(origin, at === PRESENT));
  const keysByTable = Map.groupBy(read, ({ table }) => table);
  const units = new Map<string, Key[]>();
  for (const [table, rows] of keysByTable) {
    const asked = { keys: rows.map(({ key }) => key), at: at === PRESENT ? undefined : at.at };
    for (const { relation, key } of await askUnits(store, relations, table, asked)) {
      const name = unitName(relation.name, key);
      if (seen.has(name)) continue;
      seen.add(name);
      const list = units.get(relation.name) ?? [];
      list.push(key);
      units.set(relation.name, list);
    }
  }
  return units;
}

function inOrderOf(
  units: ReadonlyMap<string, readonly Key[]>,
  found: readonly RowOrigin[],
): readonly RowOrigin[] {
  const byName = new Map(found.map((origin) => [unitName(origin.table, origin.key), origin]));
  return [...units].flatMap(([table, keys]) => keys.flatMap((key) => byName.get(unitName(table, key)) ?? []));
}

/** Of tables that were read undeclared, by the name of now or by that of then. */
function rowsRead(
  { computation }: RowOrigin,
  isNow: boolean,
): readonly { readonly table: string; readonly key: JsonObject }[] {
  if (computation === null) return [];
  const declared = computation.inputs.flatMap(({ table, keys }) =>
    (keys ?? []).map((key) => ({ table, key })),
  );
  const recorded = computation.recorded.flatMap(({ subject, now, keys }) =>
    (keys ?? []).map((key) => ({ table: isNow ? (now ?? subject) : subject, key })),
  );
  return [...declared, ...recorded];
}
