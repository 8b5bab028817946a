/** What people write while an evolution is under way: a few rows of one table, at one of its fault points. */
import { isStoreError, sql, type Store } from '../../../src/store/index.ts';
import type { FaultHook } from '../../../src/migration/index.ts';
import type { Data } from './compute.ts';
import { ancestors } from './build.ts';
import { insert } from './database.ts';
import { drawNewRow, referenced, type World } from './draw.ts';
import { isReadUnseen } from './editing.ts';
import { written, type Values } from './make.ts';
import { keyColumns, nameOf, primaryKey, type Model, type Table } from './model.ts';
import type { Random } from './random.ts';

/** Writes that wait for their moment. */
export interface Meanwhile {
  readonly fault: FaultHook;
  /** What people have written by now, this included where it was done. */
  readonly written: () => Data;
}

type Write =
  | { readonly kind: 'insert'; readonly row: Values }
  | { readonly kind: 'update'; readonly was: Values; readonly row: Values }
  | { readonly kind: 'delete'; readonly was: Values };

/** Points outside of transactions, where the old structures are still the ones that people see. */
const POINTS: readonly string[] = ['E01_classified', 'E02_attributed', 'E03_recomputed', 'E05_checked'];

/** Draws up to three writes of a table that people go on filling; `data` are all rows as they stand. */
export function drawMeanwhile(
  store: Store,
  world: World,
  { data, after, random }: { readonly data: Data; readonly after: World; readonly random: Random },
): Meanwhile {
  let rows = world.written;
  const open = world.model.tables.filter((table) => isOpen(table, world.model, after.model));
  if (open.length === 0) return nothingMeanwhile(rows);
  const table = random.pick(open);
  const count = 1 + random.upTo(3);
  const at = random.upTo(8);
  let passed = 0;
  return {
    written: () => rows,
    fault: async (point) => {
      if (!POINTS.includes(point)) return;
      passed += 1;
      if (passed !== at + 1) return;
      for (let n = 0; n < count; n += 1) {
        const known: World = { ...world, written: rows };
        const write = drawWrite(known, table, { data, random });
        if (write !== undefined && (await isWritten(store, world.model, { table, write })))
          rows = new Map([...rows, [table.id, rowsAfter(rows.get(table.id) ?? [], write)]]);
      }
    },
  };
}

/** Nobody writes. */
export function nothingMeanwhile(written: Data): Meanwhile {
  return { fault: () => Promise.resolve(), written: () => written };
}

/** A table that stays theirs, and that no make reads without saying so. */
function isOpen(table: Table, before: Model, after: Model): boolean {
  const heirs = after.tables.filter((each) => ancestors(before, each).some(({ id }) => id === table.id));
  return (
    table.tier === 'manual' &&
    heirs.length > 0 &&
    heirs.every(({ id, tier }) => tier === 'manual' && !isReadUnseen(after, id)) &&
    !isReadUnseen(before, table.id)
  );
}

function drawWrite(
  world: World,
  table: Table,
  { data, random }: { readonly data: Data; readonly random: Random },
): Write | undefined {
  const rows = world.written.get(table.id) ?? [];
  const kind = random.pick(['insert', 'update', 'update', 'delete'] as const);
  const draws = random.pick([0, 1, 2, 3, 4, 5, 6, 7]);
  if (kind === 'insert') {
    const all = new Map([...data, ...world.written]);
    const row = drawNewRow({ ...world, written: all }, table.id, random);
    if (row === undefined || rows.some((each) => isSameKey(world.model, table, each, row))) return undefined;
    return { kind, row };
  }
  const was = rows[draws % Math.max(rows.length, 1)];
  const column = table.columns.find(({ id }) => referenced(id) === undefined);
  if (was === undefined) return undefined;
  if (kind === 'delete') {
    const isFree = !isLedTo(world.model, data, { table, row: was });
    return isFree ? { kind, was } : undefined;
  }
  if (column === undefined) return undefined;
  return { kind, was, row: { ...was, [column.name]: written(column, 20 + draws) } };
}

function isSameKey(model: Model, table: Table, left: Values, right: Values): boolean {
  return primaryKey(model, table).every((column) => left[column] === right[column]);
}

/** Whether a foreign key leads to a row: then it stays. */
function isLedTo(
  model: Model,
  data: Data,
  { table, row }: { readonly table: Table; readonly row: Values },
): boolean {
  return model.tables.some((other) =>
    other.keys
      .filter(({ to }) => to === table.id)
      .some((key) =>
        (data.get(other.id) ?? []).some((below) =>
          Object.entries(keyColumns(model, key)).every(([child, parent]) => below[child] === row[parent]),
        ),
      ),
  );
}

/** Writes; false where the database refuses, since a row that is being built leads there. */
async function isWritten(
  store: Store,
  model: Model,
  { table, write }: { readonly table: Table; readonly write: Write },
): Promise<boolean> {
  const [schema = '', name = ''] = nameOf(model, table).split('.');
  const same = (row: Values) =>
    sql.join(
      primaryKey(model, table).map((column) => sql`${sql.id(column)} = ${Number(row[column])}::integer`),
      sql` and `,
    );
  try {
    if (write.kind === 'insert') await insert(store, model, table.id, [write.row]);
    if (write.kind === 'delete')
      await store.execute(sql`delete from ${sql.id(schema, name)} where ${same(write.was)}`);
    if (write.kind === 'update') {
      const set = table.columns.map(({ name: column, type }) => {
        const value = write.row[column] ?? null;
        return sql`${sql.id(column)} = ${value === null ? null : String(value)}::text::${sql.raw(type)}`;
      });
      await store.execute(sql`update ${sql.id(schema, name)} set ${sql.join(set)} where ${same(write.row)}`);
    }
    return true;
  } catch (error) {
    if (isStoreError(error) && error.fields.sqlstate === '23503') return false;
    throw error;
  }
}

function rowsAfter(rows: readonly Values[], write: Write): readonly Values[] {
  if (write.kind === 'insert') return [...rows, write.row];
  const others = rows.filter((each) => each !== write.was);
  return write.kind === 'delete' ? others : [...others, write.row];
}
