/** What people keep beside what `drawWorld` draws: notes on rows, of which two can be merged, and parts of their own. */
import { settle } from './compute.ts';
import { drawColumn, type World } from './draw.ts';
import { written, type Values } from './make.ts';
import { keyColumns, primaryKey, type Key, type Model, type Table } from './model.ts';
import type { Random } from './random.ts';

/** Adds some of them, each now and then. */
export function drawMore(world: World, random: Random): World {
  let more = world;
  const roots = world.model.tables.filter(({ tier, keys }) => tier === 'manual' && keys.length === 0);
  if (roots.length > 0 && random.chance(0.25)) {
    const root = random.pick(roots);
    more = withNotes(withNotes(more, root, 'k0', random), root, 'k1', random);
  }
  const made = world.model.tables.filter(({ make }) => make !== undefined);
  if (made.length > 0 && random.chance(0.3)) more = withNotes(more, random.pick(made), 'k2', random);
  if (roots.length > 0 && random.chance(0.25)) more = withPart(more, random.pick(roots), random);
  return more;
}

/** A table with a row for most rows of another one. */
function withNotes({ model, written: data }: World, above: Table, id: string, random: Random): World {
  const key: Key = { id: `${id}.p`, to: above.id, kind: 'primary', label: 'p' };
  const table: Table = { ...shell(id, random), schema: above.schema, tier: 'manual', keys: [key] };
  const next: Model = { tables: [...model.tables, table] };
  const columns = Object.entries(keyColumns(next, key));
  const rows = (settle(model, data).data.get(above.id) ?? [])
    .filter(() => random.chance(0.8))
    .map((row): Values => ({
      ...Object.fromEntries(columns.map(([child, column]) => [child, row[column] ?? null])),
      ...drawOwn(table, random),
    }));
  return { model: next, written: new Map([...data, [id, rows]]) };
}

/** Up to two rows of a part for each row of a table that people fill. */
function withPart({ model, written: data }: World, above: Table, random: Random): World {
  const id = `${above.id}p`;
  const n = { id: `${id}.n`, name: `${id}_n`, type: 'integer' } as const;
  const table: Table = {
    ...shell(id, random),
    schema: above.schema,
    name: 'item',
    tier: 'part',
    key: [n],
    master: above.id,
  };
  const key = primaryKey(model, above);
  const rows = (data.get(above.id) ?? []).flatMap((row) =>
    Array.from({ length: random.upTo(3) }, (_, at): Values => ({
      ...Object.fromEntries(key.map((column) => [column, row[column] ?? null])),
      [n.name]: at,
      ...drawOwn(table, random),
    })),
  );
  return { model: { tables: [...model.tables, table] }, written: new Map([...data, [id, rows]]) };
}

function shell(id: string, random: Random): Omit<Table, 'tier' | 'schema'> {
  const columns = Array.from({ length: 1 + random.upTo(2) }, (_, at) => drawColumn(id, at, random));
  return { id, name: id, key: [], keys: [], columns, reads: [] };
}

function drawOwn({ columns }: Table, random: Random): Values {
  return Object.fromEntries(
    columns.map((column) => [
      column.name,
      written(column, column.nullable === true && random.chance(0.25) ? null : random.upTo(20)),
    ]),
  );
}
