/**
 * What an evolution must do, said slowly: for each key of each made table of the new model, whether its make has to run.
 *
 * A key needs no call when a row of the old model is the same row under the new names, its make is the same, and each of
 * its inputs now is what it read then: as far as it is recorded what that was.
 */
import { ancestors } from './build.ts';
import type { Settled, Unit } from './compute.ts';
import { codeOf, isUndeclared, type Inputs, type Values } from './make.ts';
import { keyColumns, tableOf, type Key, type Model, type Read, type Table } from './model.ts';

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

/** What a column is, whatever it is called: where its values come from in the end. */
export function stableNames(model: Model, table: Table): Readonly<Record<string, string>> {
  const owner = table.master === undefined ? {} : keyNames(model, tableOf(model, table.master));
  const own = [...table.key, ...table.columns].map(({ name, id }): [string, string] => [name, id]);
  const brought = table.keys.flatMap((key) => {
    const parent = keyNames(model, tableOf(model, key.to));
    return Object.entries(keyColumns(model, key)).map(([child, column]): [string, string] => [
      child,
      key.suffix === undefined ? (parent[column] ?? '') : `${parent[column] ?? ''}@${key.id}`,
    ]);
  });
  return { ...owner, ...Object.fromEntries([...brought, ...own]) };
}

function keyNames(model: Model, table: Table): Readonly<Record<string, string>> {
  const columns = new Set([...table.columns.map(({ name }) => name), ...secondaryColumns(model, table)]);
  return Object.fromEntries(Object.entries(stableNames(model, table)).filter(([name]) => !columns.has(name)));
}

function secondaryColumns(model: Model, table: Table): readonly string[] {
  const secondary = table.keys.filter(({ kind }) => kind === 'secondary');
  return secondary.flatMap((key) => Object.keys(keyColumns(model, key)));
}

/** A row by what its columns are. */
export function stableRow(model: Model, table: Table, row: Values): Readonly<Record<string, string>> {
  const names = stableNames(model, table);
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [names[name] ?? name, String(value)]));
}

/** The key of a make as text. */
export function keyText(row: Readonly<Record<string, string>>): string {
  const entries = Object.entries(row).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return entries.map(([name, value]) => `${name}=${value}`).join(' ');
}

interface Side {
  readonly model: Model;
  readonly settled: Settled;
}

/** Old unit with the new key it goes to. */
interface Moved {
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
  const moved = new Map<string, readonly Moved[]>();
  const undecided = new Map<string, ReadonlySet<Unit>>();
  for (const table of now.model.tables) {
    const units = now.settled.units.get(table.id);
    if (units === undefined) continue;
    const [old] = ancestors(was.model, table);
    if (old !== undefined && old.make === undefined) asked.add(table.id);
    const rows = old?.make === undefined ? [] : movedUnits({ was, now, moved }, old, table);
    moved.set(table.id, rows);
    const byKey = Map.groupBy(rows, ({ key }) => (key === undefined ? '' : keyText(key)));
    const isUnsure = old !== undefined && rows.length > 0 && isBelowInserted({ was, now }, old, table);
    if (isUnsure) unsure.add(table.id);
    // Rows that are computed anew whatever is said of them are not asked about for standing on one key.
    const isAnew = old !== undefined && isReadAnew({ was, now }, old, table);
    const open = rows.filter(({ unit, key }) => {
      const isAlone = key !== undefined && (isAnew || byKey.get(keyText(key))?.length === 1);
      return !isAlone || isBelowUndecided({ was, now, moved }, { old, table, unit, undecided });
    });
    undecided.set(table.id, new Set(open.map(({ unit }) => unit)));
    const isOpen = open.length > 0;
    if (isOpen) ambiguous.add(table.id);
    const isOther = old?.make !== undefined && bareCode(was.model, old) !== bareCode(now.model, table);
    const isToldOtherwise = old?.make !== undefined && codeOf(was.model, old) !== codeOf(now.model, table);
    for (const unit of units) {
      const key = keyText(stableRow(now.model, table, unit.key));
      const [kept, another] = byKey.get(key) ?? [];
      const isKnown =
        kept !== undefined &&
        another === undefined &&
        old !== undefined &&
        inputsHold({ was, now }, { old, table, kept, unit });
      const into =
        isUnsure && byKey.has('')
          ? may
          : !isKnown
            ? must
            : isOther || isToldOtherwise || isOpen
              ? may
              : undefined;
      into?.set(table.id, (into.get(table.id) ?? new Set()).add(key));
    }
  }
  return { must, may, ambiguous, asked, unsure };
}

/** The code without how it comes to its inputs: a read that is declared now was read before. */
function bareCode(model: Model, table: Table): string {
  const { undeclared: _, chosen: __, ...rest } = JSON.parse(codeOf(model, table)) as Record<string, unknown>;
  return JSON.stringify(rest);
}

/** Whether a foreign key of the key leads to a table that was not there, and was not read before either. */
function isBelowInserted({ was }: Pick<Both, 'was' | 'now'>, old: Table, table: Table): boolean {
  const known = new Set(was.model.tables.map(({ id }) => id));
  return table.keys.some(
    ({ id, to, kind }) => kind === 'primary' && !known.has(to) && old.keys.every((each) => each.id !== id),
  );
}

interface Both {
  readonly was: Side;
  readonly now: Side;
  readonly moved: ReadonlyMap<string, readonly Moved[]>;
}

function movedUnits(both: Both, old: Table, table: Table): readonly Moved[] {
  const wanted = sourceColumns(both.now.model, table);
  return (both.was.settled.units.get(old.id) ?? []).map((unit) => {
    const known = stableRow(both.was.model, old, unit.key);
    const entries = wanted.map((id): [string, string | undefined] => [
      id,
      known[id] ?? addedValue(both, { old, table, unit, id }),
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

/** The value of a key column that the old row did not have: its parent got it, or it was read. */
function addedValue(
  { was, now, moved }: Both,
  {
    old,
    table,
    unit,
    id,
  }: { readonly old: Table; readonly table: Table; readonly unit: Unit; readonly id: string },
): string | undefined {
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
  readonly undecided: ReadonlyMap<string, ReadonlySet<Unit>>;
}

/** Whether the make is given something now of which nothing is on record for any row. */
function isReadAnew({ was }: Pick<Both, 'was' | 'now'>, old: Table, table: Table): boolean {
  return table.reads.some((read) => {
    if (isUndeclared(read)) return false;
    const former = formerRead(old, read);
    return former === undefined || leavesOut(was.model, former, read);
  });
}

/** Whether a row above has another key now and nobody knows what becomes of it: then neither of this one. */
function isBelowUndecided(both: Both, { old, table, unit, undecided }: Below): boolean {
  if (old === undefined) return false;
  return table.keys.some((key) => {
    const target = tableOf(both.now.model, key.to);
    const maker = target.master ?? target.id;
    if (key.kind !== 'primary' || !changesKey(both, maker)) return false;
    const above = movedAbove(both, { old, unit, key });
    return above !== undefined && undecided.get(maker)?.has(above.unit) === true;
  });
}

function changesKey({ was, now }: Both, id: string): boolean {
  const table = tableOf(now.model, id);
  const [old] = ancestors(was.model, table);
  if (old === undefined) return false;
  const ids = (model: Model, of: Table): string => sourceColumns(model, of).toSorted().join();
  return ids(was.model, old) !== ids(now.model, table);
}

interface Kept {
  readonly old: Table;
  readonly table: Table;
  readonly kept: Moved;
  readonly unit: Unit;
}

/** Whether every input now is on record as it was. */
function inputsHold(both: Pick<Both, 'was' | 'now'>, { old, table, kept, unit }: Kept): boolean {
  // What a make reads without saying so is no input of the graph, before and after.
  return table.reads.every((read) => {
    if (isUndeclared(read)) return true;
    const former = formerRead(old, read);
    if (former === undefined || leavesOut(both.was.model, former, read)) return false;
    const before = rowsOf(both.was.model, former, kept.unit.inputs);
    const present = rowsOf(both.now.model, read, unit.inputs);
    if (before.length !== present.length) return false;
    const order = (rows: readonly Readonly<Record<string, string>>[], columns: readonly string[]) =>
      rows
        .map((row) => keyText(Object.fromEntries(columns.map((id) => [id, row[id] ?? '?']))))
        .toSorted()
        .join('\n');
    const columns = Object.keys(before[0] ?? {});
    return order(before, columns) === order(present, columns);
  });
}

/** Whether a read has a column now that it had not before, although its table had it; one that names columns leaves out the key. */
function leavesOut(model: Model, former: Read, { columns }: Read): boolean {
  const before = former.columns;
  if (before === undefined) return false;
  const had = tableOf(model, former.table).columns.map(({ id }) => id);
  return columns === undefined || columns.some((id) => had.includes(id) && !before.includes(id));
}

/** What found the same rows before: by its name, or, since a name is only how a make calls them, in the same way. */
function formerRead(old: Table, read: Read): Read | undefined {
  const known = old.reads.filter(({ table }) => table === read.table);
  return (
    known.find(({ name }) => name === read.name) ??
    known.find(({ how, by }) => how === read.how && by === read.by)
  );
}

function rowsOf(model: Model, read: Read, inputs: Inputs): readonly Readonly<Record<string, string>>[] {
  const given = inputs[read.name];
  const rows = Array.isArray(given) ? (given as readonly Values[]) : [given as Values | null | undefined];
  const table = tableOf(model, read.table);
  return rows.flatMap((row) => (row === null || row === undefined ? [] : [stableRow(model, table, row)]));
}
