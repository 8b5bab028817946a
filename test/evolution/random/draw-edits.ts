/** Edits that can stand together, of one evolution or of two after each other. */
import { ancestors, build } from './build.ts';
import { carry } from './carry.ts';
import { keySource, settle, type Data } from './compute.ts';
import type { World } from './draw.ts';
import { EDITS } from './edit.ts';
import type { Values } from './make.ts';
import { primaryKey, tableOf, type Model, type Table } from './model.ts';
import { randomOf, type Random } from './random.ts';

/** Edits from here on have other names than those of a first evolution. */
const SECOND = 12;

/** A world after edits. */
export interface Edited {
  readonly world: World;
  readonly names: readonly string[];
  /** How many edits there would be with all of them kept. */
  readonly count: number;
}

/** One evolution, or two of which the second changes what the first one left. */
export function drawSteps(
  world: World,
  { seed, edits }: { readonly seed: number; readonly edits: readonly string[] },
  places: readonly number[] | undefined,
): readonly Edited[] {
  const first = drawEdits(world, { random: randomOf(seed ^ 0x1f3a), allowed: edits, places, from: 0, at: 0 });
  const more = randomOf(seed ^ 0x3c6e);
  const steps = [first];
  if (more.chance(0.2)) {
    const settledWorld = { model: withoutOrigins(first.world.model), written: first.world.written };
    steps.push(
      drawEdits(settledWorld, { random: more, allowed: edits, places, from: first.count, at: SECOND }),
    );
  }
  return steps.filter(({ names }) => names.length > 0);
}

interface Drawing {
  readonly random: Random;
  readonly allowed: readonly string[];
  readonly places: readonly number[] | undefined;
  /** The place of the first one. */
  readonly from: number;
  readonly at: number;
}

/** Up to three edits that can stand together. */
function drawEdits(world: World, { random, allowed, places, from, at }: Drawing): Edited {
  let edited: World = world;
  const names: string[] = [];
  const wanted = 1 + random.upTo(3);
  let count = 0;
  for (let tries = 0; tries < SECOND && count < wanted; tries += 1) {
    const name = random.pick(allowed);
    // Each edit draws from its own seed, so that those after one that is left out are what they were.
    const next = EDITS[name]?.(edited, randomOf(random.upTo(2 ** 31)), at + tries);
    const carried = next === undefined ? undefined : standing(world, edited, next);
    if (carried === undefined) continue;
    const isKept = places?.includes(from + count) ?? true;
    count += 1;
    if (!isKept) continue;
    edited = carried;
    names.push(name);
  }
  return { world: edited, names, count };
}

/** The rows of people after an edit: those that were there before all edits come from there, new ones from the edit before. */
function carriedWorld(before: World, edited: World, { model, written }: World): World {
  const from = (world: World): Data => {
    const { data, units } = settle(world.model, world.written);
    return carry(world.model, model, { data: new Map([...written, ...data]), units });
  };
  const [old, own] = [from(before), from(edited)];
  const rows = model.tables.flatMap((table): readonly [string, readonly Values[]][] => {
    const its = (ancestors(before.model, table).length > 0 ? old : own).get(table.id);
    return its === undefined ? [] : [[table.id, its]];
  });
  return { model, written: new Map(rows) };
}

/** The model as the next evolution finds it: where its tables came from is past. */
export function withoutOrigins({ tables }: Model): Model {
  return {
    tables: tables.map((table) => {
      const { splitFrom: _, mergedFrom: __, ...rest } = table;
      return rest;
    }),
  };
}

/** What an edit leaves, where definitions can be made of it and no key becomes too wide to go through here. */
function standing(before: World, edited: World, next: World): World | undefined {
  const { model } = next;
  try {
    build(model, before.model, () => {});
    const world = carriedWorld(before, edited, next);
    const { data } = settle(model, world.written);
    // Rows that people keep below a row of which nobody knows where it goes, and two of them on one key, are for them.
    const isKeyed = model.tables.every((table) => {
      const rows = world.written.get(table.id) ?? [];
      const keys = rows.map((row) => primaryKey(model, table).map((column) => row[column] ?? null));
      return (
        keys.every((key) => !key.includes(null)) &&
        new Set(keys.map((key) => key.join())).size === keys.length
      );
    });
    if (!isKeyed || !isFilled(model, world.written) || isBelowEmpty(before.model, model)) return undefined;
    const isNarrow = model.tables.every(
      (table) => table.make === undefined || keySource(model, table, data).length <= 40,
    );
    return isNarrow ? world : undefined;
  } catch {
    return undefined;
  }
}

/** Whether people's rows have what they may not lack: of a column that comes empty, they would have to say it. */
function isFilled(model: Model, carried: Data): boolean {
  return model.tables.every((table) =>
    table.columns
      .filter(({ nullable }) => nullable !== true)
      .every(({ name }) => (carried.get(table.id) ?? []).every((row) => row[name] !== null)),
  );
}

/** Whether rows that are there would stand below a table that people have yet to fill. */
function isBelowEmpty(before: Model, model: Model): boolean {
  const isEmpty = (table: Table): boolean => table.tier === 'manual' && ancestors(before, table).length === 0;
  return model.tables.some(
    (table) =>
      ancestors(before, table).length > 0 &&
      table.keys.some(({ kind, to }) => kind === 'primary' && isEmpty(tableOf(model, to))),
  );
}
