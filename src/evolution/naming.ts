/**
 * What tables and columns are called on either side of an evolution: by what the definitions declare (`renamedFrom` and its
 * like), and by the foreign-key map, for a column that a foreign key brings goes by the name of the column it leads to.
 */
import { compareText, sameJson } from '../pipeline/index.ts';
import type { DefinitionSet, ForeignKeySpec, Hints, Origin, ReadSpec, TableSpec } from '../pipeline/index.ts';

/** A table of the new set that takes over rows of tables of the old one. */
export interface Pair {
  readonly spec: TableSpec;
  /** What its rows come from; the first one names the others' columns. */
  readonly sources: readonly TableSpec[];
  /** New column to the old one, source by source. */
  readonly columns: readonly Readonly<Record<string, string>>[];
  /** New foreign keys to the old ones they go on from, by name, source by source. */
  readonly keys: readonly Readonly<Record<string, ForeignKeySpec>>[];
}

/** The two sides, by name. */
export interface Naming {
  readonly pairs: ReadonlyMap<string, Pair>;
  /** Old tables, each with the new ones that take over rows of it. */
  readonly heirs: ReadonlyMap<string, readonly string[]>;
}

/** Pairs the tables of two sets. Tables stand in dependency order, so that what a foreign key leads to is paired before it. */
export function nameSets(from: DefinitionSet, to: DefinitionSet, hints: Hints): Naming {
  const before = new Map(from.tables.map((spec) => [spec.name, spec]));
  const pairs = new Map<string, Pair>();
  const heirs = new Map<string, string[]>();
  for (const spec of to.tables) {
    const names = sourcesOf(spec, before, hints, to);
    const sources = names.flatMap((name) => before.get(name) ?? []);
    for (const { name } of sources) heirs.set(name, [...(heirs.get(name) ?? []), spec.name]);
    pairs.set(spec.name, pairOf(spec, sources, pairs, hints[spec.name]?.columns ?? {}));
  }
  return { pairs, heirs };
}

/** The tables that a new one takes over: what it declares where that is deployed, else the one of its name. */
function sourcesOf(
  spec: TableSpec,
  before: ReadonlyMap<string, TableSpec>,
  hints: Hints,
  to: DefinitionSet,
): readonly string[] {
  const declared = (hints[spec.name]?.from ?? []).filter((name) => before.has(name));
  // A hint that was acted upon earlier stays in the code and means nothing any more.
  if (declared.length > 0 && !(before.has(spec.name) && declared.every((name) => isStill(name, to)))) {
    return before.has(spec.name) && !declared.includes(spec.name) ? [spec.name] : declared;
  }
  if (before.has(spec.name)) return [spec.name];
  return partOfRenamed(spec, before, hints);
}

function isStill(name: string, to: DefinitionSet): boolean {
  return to.tables.some((spec) => spec.name === name);
}

/** A part goes with its master: `lab.session__trial` to `lab.visit__trial` where `visit` was `session`. */
function partOfRenamed(
  { master, name }: TableSpec,
  before: ReadonlyMap<string, TableSpec>,
  hints: Hints,
): readonly string[] {
  if (master === undefined || before.has(master)) return [];
  const [old, another] = hints[master]?.from ?? [];
  if (old === undefined || another !== undefined || hints[master]?.how === 'split') return [];
  const former = `${old}${name.slice(master.length)}`;
  return before.has(former) ? [former] : [];
}

function pairOf(
  spec: TableSpec,
  sources: readonly TableSpec[],
  pairs: ReadonlyMap<string, Pair>,
  declared: Readonly<Record<string, string>>,
): Pair {
  const keys = sources.map((old) => matchKeys(old, spec, pairs, declared));
  const columns = sources.map((old, index) => {
    const known = new Set(old.columns.map(({ name }) => name));
    const named = { ...inherited(spec, old, keys[index] ?? {}, pairs), ...declared };
    const taken = new Set(Object.values(named).filter((name) => known.has(name)));
    const entries = spec.columns.flatMap(({ name }): [string, string][] => {
      const former = named[name];
      if (former !== undefined && known.has(former)) return [[name, former]];
      return known.has(name) && !taken.has(name) ? [[name, name]] : [];
    });
    return Object.fromEntries(entries);
  });
  return { spec, sources, columns, keys };
}

/** Which old foreign key each new one goes on from: to the same table, by its columns, its name, or because no other is left. */
function matchKeys(
  old: TableSpec,
  spec: TableSpec,
  pairs: ReadonlyMap<string, Pair>,
  declared: Readonly<Record<string, string>>,
): Readonly<Record<string, ForeignKeySpec>> {
  const matched: Record<string, ForeignKeySpec> = {};
  const leads = (now: ForeignKeySpec, was: ForeignKeySpec): boolean =>
    pairs.get(now.to)?.sources.some(({ name }) => name === was.to) === true;
  const rules: readonly ((now: ForeignKeySpec, was: ForeignKeySpec) => boolean)[] = [
    (now, was) =>
      sameJson(
        Object.keys(now.columns)
          .map((name) => declared[name] ?? name)
          .toSorted(compareText),
        Object.keys(was.columns).toSorted(compareText),
      ),
    (now, was) => now.name === was.name,
    (now, was) =>
      Object.keys(was.columns).every((name) =>
        Object.keys(now.columns).some((one) => (declared[one] ?? one) === name),
      ),
    () => true,
  ];
  for (const rule of rules) {
    for (const now of spec.foreignKeys) {
      if (matched[now.name] !== undefined) continue;
      const free = old.foreignKeys.filter(
        (was) => leads(now, was) && !Object.values(matched).includes(was) && rule(now, was),
      );
      const [only] = free;
      if (only === undefined) continue;
      // What is left on either side is one and the same only where it is one.
      const isAlone =
        free.length === 1 &&
        spec.foreignKeys.filter((each) => matched[each.name] === undefined && leads(each, only)).length === 1;
      if (isAlone || rule !== rules[3]) matched[now.name] = only;
    }
  }
  return matched;
}

/**
 * Columns that a foreign key brings: where it goes on, each goes by the column that it leads to. One that leads to a table
 * that is new goes on through that, where it leads to what an old one led to.
 */
function inherited(
  spec: TableSpec,
  old: TableSpec,
  keys: Readonly<Record<string, ForeignKeySpec>>,
  pairs: ReadonlyMap<string, Pair>,
): Readonly<Record<string, string>> {
  const columns: Record<string, string> = {};
  const left = old.foreignKeys.filter((was) => !Object.values(keys).includes(was));
  for (const now of spec.foreignKeys) {
    const was = keys[now.name];
    const parent = pairs.get(now.to);
    if (parent === undefined) continue;
    if (was === undefined) {
      for (const [child, column] of Object.entries(now.columns)) {
        const [own, another] = throughNew(parent, column, pairs).flatMap((place) => columnsTo(left, place));
        if (own !== undefined && another === undefined && columns[child] === undefined) columns[child] = own;
      }
      continue;
    }
    const index = parent.sources.findIndex(({ name }) => name === was.to);
    for (const [child, column] of Object.entries(now.columns)) {
      const former = parent.columns[index]?.[column];
      const own = Object.entries(was.columns).find(([, target]) => target === former)?.[0];
      if (own !== undefined && columns[child] === undefined) columns[child] = own;
    }
  }
  return columns;
}

/** A column of an old table. */
interface OldColumn {
  readonly table: string;
  readonly column: string;
}

/** The columns of old tables that a column of a new table leads to, along its foreign keys. */
function throughNew(
  { sources, spec }: Pair,
  column: string,
  pairs: ReadonlyMap<string, Pair>,
): readonly OldColumn[] {
  if (sources.length > 0) return [];
  return spec.foreignKeys.flatMap(({ to, columns }): readonly OldColumn[] => {
    const target = columns[column];
    const parent = pairs.get(to);
    if (target === undefined || parent === undefined) return [];
    const places = parent.sources.flatMap(({ name }, index) => {
      const former = parent.columns[index]?.[target];
      return former === undefined ? [] : [{ table: name, column: former }];
    });
    return [...places, ...throughNew(parent, target, pairs)];
  });
}

/** The columns by which foreign keys lead there. */
function columnsTo(keys: readonly ForeignKeySpec[], { table, column }: OldColumn): readonly string[] {
  return keys
    .filter(({ to }) => to === table)
    .flatMap(({ columns }) =>
      Object.entries(columns)
        .filter(([, target]) => target === column)
        .map(([child]) => child),
    );
}

/** An old table under the new names: how far it is already what the new definition says. */
export function underNewNames(pair: Pair, naming: Naming): TableSpec | undefined {
  const [old, another] = pair.sources;
  if (old === undefined || another !== undefined) return undefined;
  const column = newNameOf(pair, 0);
  const table = (name: string): string => heirOf(naming, name) ?? name;
  const columnOf = (name: string) => {
    const heir = naming.pairs.get(table(name));
    return heir === undefined
      ? (each: string) => each
      : newNameOf(
          heir,
          heir.sources.findIndex((source) => source.name === name),
        );
  };
  const foreignKeys = old.foreignKeys.map((key): ForeignKeySpec => {
    const parent = columnOf(key.to);
    const now = Object.entries(pair.keys[0] ?? {}).find(([, was]) => was === key)?.[0];
    return {
      ...key,
      name: now ?? key.name,
      to: table(key.to),
      columns: Object.fromEntries(
        Object.entries(key.columns).map(([child, target]) => [column(child), parent(target)]),
      ),
      ...(key.fills === undefined
        ? {}
        : {
            fills: Object.fromEntries(
              Object.entries(key.fills).map(([child, origin]) => [
                column(child),
                originUnder(origin, column, old, columnOf),
              ]),
            ),
          }),
    };
  });
  return {
    ...old,
    name: pair.spec.name,
    columns: old.columns.map((each) => ({ ...each, name: column(each.name) })),
    primaryKey: old.primaryKey.map(column),
    sourceKey: old.sourceKey.map(column),
    foreignKeys,
    unique: old.unique.map((names) => names.map(column)),
    parts: Object.fromEntries(Object.entries(old.parts).map(([label, name]) => [label, table(name)])),
    ...(old.master === undefined ? {} : { master: table(old.master) }),
    reads: readsUnder(old, pair, naming),
  };
}

/** The reads of an old table under the new names; each stands where it stood. */
export function readsUnder(old: TableSpec, pair: Pair, naming: Naming): readonly ReadSpec[] {
  return readsNamedAnew(old.reads, old, pair, naming);
}

/** The same for reads as a computation recorded them, which may be fewer columns than the definition has by now. */
export function readsNamedAnew(
  reads: readonly ReadSpec[],
  old: TableSpec,
  pair: Pair,
  naming: Naming,
): readonly ReadSpec[] {
  const index = pair.sources.indexOf(old);
  const column = newNameOf(pair, index);
  const heirs = new Map(reads.map((read) => [read.name, heirOfRead(naming, read, pair)]));
  const columnOf = (read: string) => {
    const heir = heirs.get(read);
    return heir === undefined
      ? (each: string) => each
      : newNameOf(
          heir,
          heir.sources.findIndex(({ name }) => name === reads.find((each) => each.name === read)?.table),
        );
  };
  return reads.map((read) => {
    const named = columnOf(read.name);
    const match = Object.entries(read.match).map(([target, origin]): [string, Origin] => [
      named(target),
      origin.kind === 'key'
        ? { kind: 'key', column: column(origin.column) }
        : { ...origin, column: columnOf(origin.read)(origin.column) },
    ]);
    return {
      ...read,
      table: heirs.get(read.name)?.spec.name ?? read.table,
      columns: read.columns.map(named),
      match: Object.fromEntries(match),
    };
  });
}

/**
 * Columns that a read has now and had not before, although its table had them: what was computed then has not seen them. One
 * that the table gets in this evolution is none of them. `table` is the old name, the rest are new ones.
 */
export function columnsLeftOut(
  naming: Naming,
  before: { readonly table: string; readonly columns: readonly string[] },
  now: ReadSpec,
): readonly string[] {
  const pair = naming.pairs.get(now.table);
  const had = pair?.columns[pair.sources.findIndex(({ name }) => name === before.table)] ?? {};
  return now.columns.filter((column) => had[column] !== undefined && !before.columns.includes(column));
}

/**
 * Names of new reads that are not what the old table read but for columns that tables above get in this evolution. Such a
 * column makes nothing of what was computed before it different.
 */
export function movedReads(old: TableSpec, pair: Pair, naming: Naming): readonly string[] {
  const before = readsUnder(old, pair, naming);
  return pair.spec.reads
    .filter((read) => {
      const place = before.findIndex(({ name }) => name === read.name);
      const was = before[place];
      if (was === undefined || !sameJson({ ...was, columns: [] }, { ...read, columns: [] })) return true;
      const table = old.reads[place]?.table ?? was.table;
      return (
        !was.columns.every((column) => read.columns.includes(column)) ||
        columnsLeftOut(naming, { table, columns: was.columns }, read).length > 0
      );
    })
    .map(({ name }) => name);
}

/** Where the rows of a read went; of a table that was split, to one that has all columns that were read, first of those that are read now. */
function heirOfRead(naming: Naming, { table, columns, match }: ReadSpec, { spec }: Pair): Pair | undefined {
  const heir = heirOf(naming, table);
  const names = [...columns, ...Object.keys(match)];
  const all = [...(heir === undefined ? [] : [heir]), ...(naming.heirs.get(table) ?? [])].flatMap(
    (name) => naming.pairs.get(name) ?? [],
  );
  const whole = all.filter(({ sources, columns: known }) => {
    const before = Object.values(known[sources.findIndex(({ name }) => name === table)] ?? {});
    return names.every((name) => before.includes(name));
  });
  const isRead = (each: Pair): boolean => spec.reads.some((read) => read.table === each.spec.name);
  return whole.find(isRead) ?? whole[0] ?? (heir === undefined ? undefined : naming.pairs.get(heir));
}

/** The one table that took the place of an old one; undefined where several or none did. */
export function heirOf({ heirs, pairs }: Naming, old: string): string | undefined {
  const all = heirs.get(old) ?? [];
  const [only, another] = all;
  if (only === undefined) return undefined;
  if (another !== undefined) return all.includes(old) ? old : undefined;
  return (pairs.get(only)?.sources.length ?? 0) > 0 ? only : undefined;
}

/** From an old column's name to the new one; a column that is gone keeps its name. */
function newNameOf(pair: Pair, index: number): (old: string) => string {
  const byOld = new Map(Object.entries(pair.columns[index] ?? {}).map(([now, was]) => [was, now]));
  return (old) => byOld.get(old) ?? old;
}

function originUnder(
  origin: Origin,
  column: (name: string) => string,
  old: TableSpec,
  columnOf: (table: string) => (name: string) => string,
): Origin {
  if (origin.kind === 'key') return { kind: 'key', column: column(origin.column) };
  const table = old.reads.find(({ name }) => name === origin.read)?.table ?? '';
  return { ...origin, column: columnOf(table)(origin.column) };
}
