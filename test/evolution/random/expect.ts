/**
 * What an evolution must do, said slowly: for each key of each made table of the new model, whether its make has to run.
 *
 * A key needs no call when a row of the old model is the same row under the new names, its make is the same, and each of
 * its inputs now is what it read then: as far as it is recorded what that was.
 */
import { ancestors } from './build.ts';
import type { Settled, Unit } from './compute.ts';
import { codeOf, isUndeclared, type Values } from './make.ts';
import { keyColumns, primaryKey, tableOf, type Key, type Model, type Read, type Table } from './model.ts';
import { keyText, stableNames, stableRow } from './stable.ts';

/** Keys by table id, as text: `stable id=value ...`. */
export interface Calls {
  /** Nothing else can know these. */
  readonly must: ReadonlyMap<string, ReadonlySet<string>>;
  /** Another make: its rows may be computed again, or be found equal on a sample and kept. */
  readonly may: ReadonlyMap<string, ReadonlySet<string>>;
  /** Tables with rows of which it is not known what becomes of them. */
  readonly ambiguous: ReadonlySet<string>;
  /** Tables below one that is inserted: whether it has one row for each of theirs shows when it is filled. */
  readonly unsure: ReadonlySet<string>;
  /** Tables that people filled and a make fills now: it is asked what becomes of their rows. */
  readonly asked: ReadonlySet<string>;
}

interface Side {
  readonly model: Model;
  readonly settled: Settled;
}

/** Old unit with the new key it goes to. */
export interface Moved {
  readonly unit: Unit;
  /** Undefined where a column of it is not known. */
  readonly key: Readonly<Record<string, string>> | undefined;
}

/** Compares what was recorded in the old model with what is there in the new one. */
export function expectedCalls(was: Side, now: Side): Calls {
  const must = new Map<string, Set<string>>();
  const may = new Map<string, Set<string>>();
  const ambiguous = new Set<string>();
  const asked = new Set<string>();
  const unsure = new Set<string>();
  const moved = movedTables(was, now);
  const both: Both = { was, now, moved };
  const undecided = new Map<string, ReadonlySet<Unit>>();
  const anew = new Map<string, ReadonlySet<Unit>>();
  for (const table of now.model.tables) {
    const units = now.settled.units.get(table.id);
    if (units === undefined) continue;
    const olds = ancestors(was.model, table);
    const [old] = olds;
    if (old !== undefined && old.make === undefined) asked.add(table.id);
    const rows = moved.get(table.id) ?? [];
    const partners = olds.slice(1).map((other) => movedUnits(both, other, table));
    const byKey = Map.groupBy(rows, ({ key }) => (key === undefined ? '' : keyText(key)));
    const isUnsure = old !== undefined && rows.length > 0 && isBelowInserted({ was, now }, old, table);
    if (isUnsure) unsure.add(table.id);
    // Rows that are computed anew whatever is said of them are not asked about for standing on one key.
    const isAnew = ({ unit }: Moved): boolean =>
      old !== undefined &&
      (isMadeAnew({ was, now }, table) ||
        isReadAnew({ was, now }, { old, table, unit }) ||
        isBelow(both, { old, table, unit, above: anew }));
    anew.set(table.id, new Set(rows.filter(isAnew).map(({ unit }) => unit)));
    const open = rows.filter((row) => {
      const { unit, key } = row;
      const others = byKey.get(key === undefined ? '' : keyText(key))?.filter((each) => !isAnew(each));
      const isAlone = key !== undefined && (isAnew(row) || others?.length === 1);
      return !isAlone || isBelow(both, { old, table, unit, above: undecided });
    });
    undecided.set(table.id, new Set(open.map(({ unit }) => unit)));
    const isAlone =
      partners.length > 0 &&
      (partners.some((each) => each.length !== rows.length) ||
        rows.some(({ key }) => key === undefined || !partners.every((each) => unitOn(each, keyText(key)))));
    const isOpen = open.length > 0 || isAlone;
    if (isOpen) ambiguous.add(table.id);
    const isToldOtherwise = old?.make !== undefined && codeOf(was.model, old) !== codeOf(now.model, table);
    for (const unit of units) {
      const key = keyText(stableRow(now.model, table, unit.key));
      const [kept, another] = byKey.get(key) ?? [];
      const isKnown =
        kept !== undefined &&
        another === undefined &&
        inputsHold({ was, now }, table, unit, [
          { old, unit: kept.unit },
          ...partners.map((each, at) => ({ old: olds[at + 1], unit: unitOn(each, key) })),
        ]);
      const into =
        isUnsure && byKey.has('') ? may : !isKnown ? must : isToldOtherwise || isOpen ? may : undefined;
      into?.set(table.id, (into.get(table.id) ?? new Set()).add(key));
    }
  }
  return { must, may, ambiguous, asked, unsure };
}

/** Whether a foreign key of the key leads to a table that was not there, and was not read before either. */
function isBelowInserted({ was }: Pick<Both, 'was' | 'now'>, old: Table, table: Table): boolean {
  const known = new Set(was.model.tables.map(({ id }) => id));
  return table.keys.some(
    ({ id, to, kind }) => kind === 'primary' && !known.has(to) && old.keys.every((each) => each.id !== id),
  );
}

export interface Both {
  readonly was: Side;
  readonly now: Pick<Side, 'model'>;
  readonly moved: ReadonlyMap<string, readonly Moved[]>;
}

/** Where the rows of all makes go. */
export function movedTables(was: Side, now: Pick<Side, 'model'>): ReadonlyMap<string, readonly Moved[]> {
  const moved = new Map<string, readonly Moved[]>();
  for (const table of now.model.tables) {
    const [old] = ancestors(was.model, table);
    if (old?.make !== undefined) moved.set(table.id, movedUnits({ was, now, moved }, old, table));
  }
  return moved;
}

function movedUnits(both: Both, old: Table, table: Table): readonly Moved[] {
  const wanted = sourceColumns(both.now.model, table);
  return (both.was.settled.units.get(old.id) ?? []).map((unit) => {
    const known = stableRow(both.was.model, old, unit.key);
    const entries = wanted.map((id): [string, string | undefined] => [
      id,
      known[id] ?? valueAbove(both, { old, table, unit, id }),
    ]);
    const isWhole = entries.every(([, value]) => value !== undefined && value !== 'null');
    return { unit, key: isWhole ? (Object.fromEntries(entries) as Record<string, string>) : undefined };
  });
}

/** What the columns of a make's key are. */
function sourceColumns(model: Model, table: Table): readonly string[] {
  const names = stableNames(model, table);
  const primary = table.keys.filter(({ kind }) => kind === 'primary');
  return [
    ...new Set(
      primary.flatMap((key) => Object.keys(keyColumns(model, key)).map((child) => names[child] ?? '')),
    ),
  ];
}

/** What is asked of a row before. */
interface Asked {
  readonly old: Table;
  readonly table: Table;
  readonly unit: Unit;
  /** What the column is. */
  readonly id: string;
}

/** The value of a key column that the old row did not have: its parent got it, or it was read. */
export function valueAbove({ was, now, moved }: Both, { old, table, unit, id }: Asked): string | undefined {
  const names = stableNames(now.model, table);
  for (const key of table.keys.filter(({ kind }) => kind === 'primary')) {
    const target = tableOf(now.model, key.to);
    const above = stableNames(now.model, target);
    for (const [child, column] of Object.entries(keyColumns(now.model, key))) {
      if (names[child] !== id) continue;
      if (old.keys.some((each) => each.id === key.id)) {
        return movedAbove({ was, now, moved }, { old, unit, key })?.key?.[above[column] ?? ''];
      }
      const read = old.reads.find((each) => isUndeclared(each) && each.table === key.to);
      const row = read === undefined ? undefined : (unit.inputs[read.name] as Values | null | undefined);
      if (read === undefined || row === undefined || row === null) return undefined;
      return stableRow(was.model, tableOf(was.model, read.table), row)[above[column] ?? ''];
    }
  }
  return undefined;
}

/** What became of the row that a foreign key of an old row led to. */
function movedAbove(
  { was, now, moved }: Both,
  { old, unit, key }: { readonly old: Table; readonly unit: Unit; readonly key: Key },
): Moved | undefined {
  const former = old.keys.find((each) => each.id === key.id);
  if (former === undefined) return undefined;
  const target = tableOf(now.model, key.to);
  const maker = target.master ?? target.id;
  const parent = Object.entries(keyColumns(was.model, former)).map(([name, of]): [string, string] => [
    stableNames(was.model, tableOf(was.model, former.to))[of] ?? '',
    String(unit.key[name]),
  ]);
  return moved.get(maker)?.find(({ unit: each }) => {
    const row = stableRow(was.model, tableOf(was.model, maker), each.key);
    return parent.every(([name, value]) => row[name] === undefined || row[name] === value);
  });
}

interface Below {
  readonly old: Table | undefined;
  readonly table: Table;
  readonly unit: Unit;
  /** Rows of tables above, such as those that nobody can say anything of. */
  readonly above: ReadonlyMap<string, ReadonlySet<Unit>>;
}

/** Whether a table, or a part of it, has a column that only its make knows. */
function isMadeAnew({ was, now }: Pick<Both, 'was' | 'now'>, table: Table): boolean {
  return [table, ...now.model.tables.filter(({ master }) => master === table.id)].some((each) => {
    const known = new Set(ancestors(was.model, each).flatMap(({ columns }) => columns.map(({ id }) => id)));
    return each.columns.some(
      ({ id, nullable, default: value }) => !known.has(id) && nullable !== true && value === undefined,
    );
  });
}

/** Whether the make is given something now of which nothing is on record of this row. */
function isReadAnew(
  both: Pick<Both, 'was' | 'now'>,
  { old, table, unit }: { readonly old: Table; readonly table: Table; readonly unit: Unit },
): boolean {
  return table.reads.some((read) => {
    if (isUndeclared(read)) return false;
    const former = formerRead(both, { old, table }, read);
    if (former === undefined) return true;
    if (rowsOf(both.was.model, former, unit).length === 0) return false;
    return leavesOut(both.was.model, former, read) || leavesAway(both, former, read);
  });
}

/** Whether a read has a column no more that it had: the digest of the others alone is not on record. */
function leavesAway({ was, now }: Pick<Both, 'was' | 'now'>, former: Read, read: Read): boolean {
  if (isUndeclared(former)) return false;
  const own = ({ columns }: Table): readonly string[] => columns.map(({ id }) => id);
  const present = read.columns ?? own(tableOf(now.model, read.table));
  return (former.columns ?? own(tableOf(was.model, former.table))).some((id) => !present.includes(id));
}

/** Whether a row above that has another key now is one of these: then what is said of it is said of this one. */
function isBelow(both: Both, { old, table, unit, above: rows }: Below): boolean {
  if (old === undefined) return false;
  return table.keys.some((key) => {
    const target = tableOf(both.now.model, key.to);
    const maker = target.master ?? target.id;
    if (key.kind !== 'primary' || !changesKey(both, maker)) return false;
    const above = movedAbove(both, { old, unit, key });
    return above !== undefined && rows.get(maker)?.has(above.unit) === true;
  });
}

function changesKey({ was, now }: Both, id: string): boolean {
  const table = tableOf(now.model, id);
  const [old] = ancestors(was.model, table);
  if (old === undefined) return false;
  const ids = (model: Model, of: Table): string => sourceColumns(model, of).toSorted().join();
  return ids(was.model, old) !== ids(now.model, table);
}

/** What is on record by now: of what was kept, only the columns that it was computed from. */
export function recordedSince(
  was: Side,
  now: Side,
  computed: ReadonlyMap<string, ReadonlySet<string>>,
): Settled {
  const units = [...now.settled.units].map(([id, all]): [string, readonly Unit[]] => {
    const table = tableOf(now.model, id);
    const known = knownColumns({ was, now }, table);
    return [
      id,
      all.map((unit) => {
        const isComputed = computed.get(id)?.has(keyText(stableRow(now.model, table, unit.key))) === true;
        return isComputed ? unit : { ...unit, known };
      }),
    ];
  });
  return { data: now.settled.data, units: new Map(units) };
}

function knownColumns(
  both: Pick<Both, 'was' | 'now'>,
  table: Table,
): ReadonlyMap<string, ReadonlySet<string>> {
  const olds = ancestors(both.was.model, table);
  return new Map(
    table.reads.flatMap((read): readonly [string, ReadonlySet<string>][] => {
      const columns = olds.flatMap((old) => {
        const former = formerRead(both, { old, table }, read);
        if (former === undefined || isUndeclared(former)) return [];
        return (
          former.columns ?? Object.values(stableNames(both.was.model, tableOf(both.was.model, former.table)))
        );
      });
      return columns.length === 0 ? [] : [[read.name, new Set(columns)]];
    }),
  );
}

/** A row before that goes into a row now. */
interface Kept {
  readonly old: Table | undefined;
  readonly unit: Unit | undefined;
}

/** Whether every input now is on record as it was, of one of the rows that go into this one. */
function inputsHold(
  both: Pick<Both, 'was' | 'now'>,
  table: Table,
  unit: Unit,
  kept: readonly Kept[],
): boolean {
  // What a make reads without saying so is no input of the graph, before and after.
  return table.reads
    .filter((read) => !isUndeclared(read))
    .every((read) =>
      kept.some(({ old, unit: was }) => {
        if (old === undefined || was === undefined) return false;
        const former = formerRead(both, { old, table }, read);
        if (former === undefined) return false;
        const before = rowsOf(both.was.model, former, was);
        const present = rowsOf(both.now.model, read, unit);
        if (before.length !== present.length) return false;
        // Where nothing was read, no column of it can have been left out.
        if (before.length > 0 && leavesOut(both.was.model, former, read)) return false;
        // Of what was read without a declaration the very row is on record, whatever of it is declared now.
        const gone = goneKey(both, former, read);
        const columns = Object.keys((isUndeclared(former) ? present : before)[0] ?? {}).filter(
          (id) => !gone.has(id),
        );
        return inOrder(before, columns) === inOrder(present, columns);
      }),
    );
}

/** What left the key of the table that is read, and with it the table: it told rows apart that the rest tells apart now. */
function goneKey({ was, now }: Pick<Both, 'was' | 'now'>, former: Read, read: Read): ReadonlySet<string> {
  const old = tableOf(was.model, former.table);
  const names = stableNames(was.model, old);
  const there = new Set(Object.values(stableNames(now.model, tableOf(now.model, read.table))));
  const ids = primaryKey(was.model, old).map((name) => names[name] ?? '');
  return new Set(ids.filter((id) => !there.has(id)));
}

function inOrder(rows: readonly Readonly<Record<string, string>>[], columns: readonly string[]): string {
  return rows
    .map((row) => keyText(Object.fromEntries(columns.map((id) => [id, row[id] ?? '?']))))
    .toSorted()
    .join('\n');
}

/** The row of a partner that goes to a key. */
function unitOn(moved: readonly Moved[], key: string): Unit | undefined {
  return moved.find((each) => each.key !== undefined && keyText(each.key) === key)?.unit;
}

/** Whether a read has a column now that it had not before, although its table had it; one that names columns leaves out the key. */
function leavesOut(model: Model, former: Read, { columns }: Read): boolean {
  const before = former.columns;
  if (before === undefined) return false;
  const had = tableOf(model, former.table).columns.map(({ id }) => id);
  return columns === undefined || columns.some((id) => had.includes(id) && !before.includes(id));
}

/** What found the same rows before: by its name, or, since a name is only how a make calls them, in the same way. */
function formerRead(
  { was, now }: Pick<Both, 'was' | 'now'>,
  { old, table }: { readonly old: Table; readonly table: Table },
  read: Read,
): Read | undefined {
  const target = tableOf(now.model, read.table);
  const sources = new Set(ancestors(was.model, target).map(({ id }) => id));
  const known = old.reads.filter((each) => sources.has(each.table));
  // Of tables that are merged the keys have the ids of the first one.
  const isBySame = ({ by }: Read): boolean => {
    if (by === read.by) return true;
    const [left, right] = [old.keys.find(({ id }) => id === by), table.keys.find(({ id }) => id === read.by)];
    return left !== undefined && right !== undefined && left.to === right.to && left.suffix === right.suffix;
  };
  return (
    known.find(({ name }) => name === read.name) ??
    known.find((each) => each.how === read.how && isBySame(each))
  );
}

function rowsOf(
  model: Model,
  read: Read,
  { inputs, known }: Unit,
): readonly Readonly<Record<string, string>>[] {
  const given = inputs[read.name];
  const rows = Array.isArray(given) ? (given as readonly Values[]) : [given as Values | null | undefined];
  const table = tableOf(model, read.table);
  const columns = known?.get(read.name);
  return rows.flatMap((row) => {
    if (row === null || row === undefined) return [];
    const entries = Object.entries(stableRow(model, table, row));
    return [Object.fromEntries(entries.filter(([id]) => columns?.has(id) !== false))];
  });
}
