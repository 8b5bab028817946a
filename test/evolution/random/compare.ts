import type { TableCounts } from '../../../src/evidence/index.ts';
import { ancestors } from './build.ts';
import type { Content } from './database.ts';
import type { Calls } from './expect.ts';
import { stableNames } from './stable.ts';
import { nameOf, primaryKey, tableOf, type Model, type Table } from './model.ts';

/** Fails with both where they are not the same. */
export function assertEqual(what: string, found: object, wanted: object): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: found ${left}, wanted ${right}`);
}

/** Table by table; says only what differs. */
export function assertSameContent(what: string, found: Content, wanted: Content): void {
  const differing = Object.keys({ ...found, ...wanted }).flatMap((id) => {
    const [left, right] = [found[id] ?? [], wanted[id] ?? []];
    const extra = left.filter((row) => !right.includes(row));
    const missing = right.filter((row) => !left.includes(row));
    if (extra.length + missing.length === 0 && left.length === right.length) return [];
    return [`${id}: found ${JSON.stringify(extra)}, wanted ${JSON.stringify(missing)}`];
  });
  if (differing.length > 0) throw new Error(`${what}\n${differing.join('\n')}`);
}

/** By table id, keys as text. */
export type Keys = ReadonlyMap<string, ReadonlySet<string>>;

/** What had to be computed was, and nothing else that could be kept. */
export function assertComputed(model: Model, computed: Keys, expected: Calls): void {
  const wrong = model.tables.flatMap((table) => {
    const [found, must, may] = [computed, expected.must, expected.may].map(
      (keys) => keys.get(table.id) ?? NONE,
    );
    const missing = [...(must ?? NONE)].filter((key) => found?.has(key) !== true);
    const needless = [...(found ?? NONE)].filter((key) => must?.has(key) !== true && may?.has(key) !== true);
    if (missing.length + needless.length === 0) return [];
    const said = `kept ${JSON.stringify(missing)}, computed without need ${JSON.stringify(needless)}`;
    return [`${nameOf(model, table)}: ${said}`];
  });
  if (wrong.length > 0) throw new Error(`what was computed\n${wrong.join('\n')}`);
}

const NONE: ReadonlySet<string> = new Set();

/** Every key that a make was called for stands as computed. */
export function assertCalls(model: Model, calls: Keys, computed: Keys): void {
  const wrong = [...calls].flatMap(([id, keys]) => {
    const lost = [...keys].filter((key) => computed.get(id)?.has(key) !== true);
    return lost.length === 0 ? [] : [`${nameOf(model, tableOf(model, id))}: ${JSON.stringify(lost)}`];
  });
  if (wrong.length > 0) throw new Error(`makes were called for what is not on record\n${wrong.join('\n')}`);
}

interface Planned {
  readonly before: Model;
  readonly model: Model;
  /** As it stands. */
  readonly content: Content;
  readonly expected: Calls;
}

/** Every row that is there is in exactly one class, and ambiguous rows are where nothing is known of them. */
export function assertCounts(
  tables: readonly TableCounts[],
  { before, model, content, expected }: Planned,
): void {
  const wrong = model.tables.flatMap((table) => {
    const name = nameOf(model, table);
    const counts = tables.find((each) => each.table === name);
    if (counts === undefined || ancestors(before, table).length === 0 || table.tier === 'lookup') return [];
    const { keep, rekey, backfill, recompute, retire, ambiguous } = counts;
    const rows = rowsBefore(before, table, content);
    const classed = keep + rekey + backfill + recompute + retire + ambiguous;
    const isUnclear = table.make !== undefined && expected.ambiguous.has(table.id);
    return [
      ...(classed === rows ? [] : [`${name}: ${String(rows)} rows, ${JSON.stringify(counts)}`]),
      ...(table.make === undefined || expected.unsure.has(table.id) || ambiguous > 0 === isUnclear
        ? []
        : [`${name}: ambiguous ${String(ambiguous)}, though that is ${isUnclear ? '' : 'not '}so`]),
    ];
  });
  if (wrong.length > 0) throw new Error(`counts of the plan\n${wrong.join('\n')}`);
}

/** How many rows a plan speaks of: of tables that are merged, those of either one, on one key once. */
function rowsBefore(before: Model, table: Table, content: Content): number {
  const [first, ...others] = ancestors(before, table).map((old) => {
    const key = new Set(primaryKey(before, old));
    const names = stableNames(before, old);
    return (content[old.id] ?? []).map((row) =>
      row
        .split(' ')
        .map((pair) => pair.split('='))
        .flatMap(([name = '', value]) => (key.has(name) ? [`${names[name] ?? name}=${value ?? ''}`] : []))
        .toSorted()
        .join(),
    );
  });
  return others.length === 0 ? (first?.length ?? 0) : new Set([first ?? [], ...others].flat()).size;
}

/** The names of tables, for rules of a bundle. */
export function namesOf(model: Model, ids: Iterable<string>): readonly string[] {
  return [...ids].map((id) => nameOf(model, tableOf(model, id)));
}
