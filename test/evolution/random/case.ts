/**
 * One case from one seed: a pipeline is drawn, filled and computed, edited at random, evolved, and compared with what
 * dropping everything and computing it anew would give; then the way back.
 */
import type { Store } from '../../../src/store/index.ts';
import { assertCalls, assertComputed, assertEqual, assertSameContent, type Keys } from './compare.ts';
import type { RunOutcome } from '../../../src/migration/index.ts';
import { openLab, type Lab } from '../lab.ts';
import { liveState } from '../state.ts';
import { planAndApply } from './apply.ts';
import { ancestors, build } from './build.ts';
import { carry } from './carry.ts';
import { keySource, settle, type Data } from './compute.ts';
import {
  computedAfter,
  contentIn,
  contentOf,
  deployFirst,
  fill,
  insert,
  lastRun,
  shapeOf,
  versionOf,
  type Version,
} from './database.ts';
import { drawNewRow, drawWorld, type World } from './draw.ts';
import { EDITS, isReadUnseen } from './edit.ts';
import { expectedCalls, keyText, stableRow } from './expect.ts';
import { drawMeanwhile, nothingMeanwhile } from './meanwhile.ts';
import type { Values } from './make.ts';
import { primaryKey, tableOf, type Model, type Table } from './model.ts';
import { randomOf, type Random } from './random.ts';

/** What a case did, for counting what the cases together have covered. */
export interface CaseReport {
  readonly edits: readonly string[];
  readonly outcome: 'done' | 'nothing' | 'refused';
  /** The codes of what stood against the first plan, before a rule was given. */
  readonly codes: readonly string[];
}

/** How a case is narrowed. */
export interface CaseOptions {
  readonly seed: number;
  /** Names of edits that may be drawn. */
  readonly edits: readonly string[];
}

/** Runs a case; throws what is wrong, with the fewest of its edits that still go wrong. */
export async function runCase(store: Store, options: CaseOptions): Promise<CaseReport> {
  const { edits, error, world } = await tryCase(store, options);
  if (error === undefined) return world;
  const needed = await shrink(store, options, edits.length);
  const last = needed.length === edits.length ? { edits, error } : await tryCase(store, options, needed);
  const text = last.error instanceof Error ? last.error.message : String(last.error);
  throw new Error(`seed ${String(options.seed)}, ${last.edits.join(', ')}: ${text}`, { cause: last.error });
}

interface Tried {
  readonly edits: readonly string[];
  readonly world: CaseReport;
  /** Undefined where all is well. */
  readonly error?: unknown;
}

const NOTHING: CaseReport = { edits: [], outcome: 'nothing', codes: [] };

/** `places` keeps to the edits that came at these places; the others are drawn and left out. */
async function tryCase(store: Store, options: CaseOptions, places?: readonly number[]): Promise<Tried> {
  const world = drawWorld(randomOf(options.seed));
  const edited = drawEdits(world, randomOf(options.seed ^ 0x1f3a), options.edits, places);
  try {
    await using lab = await openLab(store);
    const report = await evolve({ lab, random: randomOf(options.seed ^ 0x77c1) }, world, edited.world);
    return { edits: edited.names, world: { ...report, edits: edited.names } };
  } catch (error) {
    return { edits: edited.names, world: NOTHING, error };
  }
}

/** The places of edits without which nothing is wrong: each is left out in turn. */
async function shrink(store: Store, options: CaseOptions, count: number): Promise<readonly number[]> {
  let places = Array.from({ length: count }, (_, place) => place);
  for (const place of places) {
    const fewer = places.filter((each) => each !== place);
    if (fewer.length > 0 && (await tryCase(store, options, fewer)).error !== undefined) places = fewer;
  }
  return places;
}

interface Edited {
  readonly world: World;
  readonly names: readonly string[];
}

/** Up to three edits that can stand together. */
export function drawEdits(
  world: World,
  random: Random,
  allowed: readonly string[],
  places?: readonly number[],
): Edited {
  let edited: Edited = { world, names: [] };
  const wanted = 1 + random.upTo(3);
  let count = 0;
  for (let at = 0; at < 12 && count < wanted; at += 1) {
    const name = random.pick(allowed);
    // Each edit draws from its own seed, so that those after one that is left out are what they were.
    const next = EDITS[name]?.(edited.world, randomOf(random.upTo(2 ** 31)), at);
    if (next === undefined || !stands(world, next)) continue;
    const isKept = places?.includes(count) ?? true;
    count += 1;
    if (isKept) edited = { world: carriedWorld(edited.world, next), names: [...edited.names, name] };
  }
  return edited;
}

function carriedWorld({ model, written }: World, next: World): World {
  const all = new Map([...settle(model, written).data, ...next.written]);
  return { model: next.model, written: carry(model, next.model, all) };
}

/** Whether definitions can be made of it, and no key became too wide to go through here. */
function stands(before: World, { model, written }: World): boolean {
  try {
    build(model, before.model, () => {});
    const all = new Map([...written, ...settle(before.model, before.written).data]);
    const carried = carry(before.model, model, all);
    const { data } = settle(model, carried);
    // Rows that people keep below a key that widens are given their place by the rows above: not said here. Two of them
    // on one key are for them to choose between.
    const isKeyed = model.tables.every((table) => {
      const rows = carried.get(table.id) ?? [];
      const keys = rows.map((row) => primaryKey(model, table).map((column) => row[column] ?? null));
      return (
        keys.every((key) => !key.includes(null)) &&
        new Set(keys.map((key) => key.join())).size === keys.length
      );
    });
    if (!isKeyed || !isFilled(model, carried) || isBelowEmpty(before.model, model)) return false;
    return model.tables.every(
      (table) => table.make === undefined || keySource(model, table, data).length <= 40,
    );
  } catch {
    return false;
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

interface Bench {
  readonly lab: Lab;
  readonly random: Random;
}

async function evolve(
  { lab, random }: Bench,
  before: World,
  after: World,
): Promise<Omit<CaseReport, 'edits'>> {
  const calls = new Map<string, Set<string>>();
  const as = random.chance(0.25) ? 'one of several' : 'alone';
  const first = versionOf(lab, before.model, undefined, () => {});
  await deployFirst(lab.store, first);
  await fill(lab.store, before.model, before.written);
  await first.populate(as);
  const was = { model: before.model, settled: settle(before.model, before.written) };
  assertSameContent(
    'after the first populate',
    await contentOf(lab.store, before.model),
    contentIn(was.settled.data),
  );

  const own = randomOf(random.upTo(2 ** 31));
  const written = random.chance(0.3) ? await writeMore(lab.store, before, { after, random }) : before.written;
  const second = versionOf(lab, after.model, before.model, counting(after.model, calls));
  const all = new Map([...after.written, ...was.settled.data, ...written]);
  const now = carry(before.model, after.model, all);
  const since = await lastRun(lab.store);
  const expected = expectedCalls(was, { model: after.model, settled: settle(after.model, now) });
  const content = await contentOf(lab.store, before.model);
  const [baseline, shape] = [await liveState(lab.store), await shapeOf(lab.store, before.model)];
  const meanwhile = random.chance(0.3)
    ? drawMeanwhile(lab.store, { ...before, written }, { data: was.settled.data, after, random: own })
    : nothingMeanwhile(written);
  const done = await planAndApply(second, before.model, { expected, content, fault: meanwhile.fault });
  if (done === undefined) return { outcome: 'nothing', codes: [] };
  const isWritten = meanwhile.written() !== written;
  const old = { ...content, ...contentIn(manualRows(before.model, meanwhile.written())) };
  if (done.id === undefined) {
    assertSameContent('the rows after a refusal', await contentOf(lab.store, before.model), old);
    if (!isWritten) assertEqual('the state after a refusal', await liveState(lab.store), baseline);
    return { outcome: 'refused', codes: done.codes };
  }
  if (random.chance(0.4)) {
    await rolledBack(second, done.id);
    assertSameContent(
      'the structure after the way back',
      { all: await shapeOf(lab.store, before.model) },
      { all: shape },
    );
    assertSameContent('the rows after the way back', await contentOf(lab.store, before.model), old);
    if (!isWritten) assertEqual('the baseline after the way back', await liveState(lab.store), baseline);
    await applied(second, done.id);
  }

  calls.clear();
  await fillNew(lab.store, before.model, after.model, now);
  await second.populate(as);
  const last = new Map([...after.written, ...was.settled.data, ...meanwhile.written()]);
  const settled = settle(after.model, carry(before.model, after.model, last));
  assertSameContent('after the evolution', await contentOf(lab.store, after.model), contentIn(settled.data));
  const computed = keysOf(after.model, await computedAfter(lab.store, after.model, since));
  assertComputed(after.model, computed, expectedCalls(was, { model: after.model, settled }));
  assertCalls(after.model, calls, computed);

  // What a make computed for a table that people filled before is theirs when they fill it again.
  const isCompared = expected.asked.size === 0;
  if (isCompared && random.chance(0.3))
    await goBack({ lab, first, second }, before.model, { id: done.id, written: meanwhile.written() });
  return { outcome: 'done', codes: done.codes };
}

/** What people wrote. */
function manualRows(model: Model, written: Data): Data {
  const ids = new Set(model.tables.filter(({ tier }) => tier === 'manual').map(({ id }) => id));
  return new Map([...written].filter(([id]) => ids.has(id)));
}

interface Versions {
  readonly lab: Lab;
  readonly first: Version;
  readonly second: Version;
}

/** Back after all was populated: the old pipeline holds what it would if nothing had been evolved. */
async function goBack(
  { lab, first, second }: Versions,
  model: Model,
  { id, written }: { readonly id: string; readonly written: Data },
): Promise<void> {
  const outcome = await second.rollback(id);
  // Rows that were computed since may have no place in the old shape; that is said, and nothing happens.
  if (outcome.status !== 'applied' && isOnly(outcome, 'rows_unrepresentable')) return;
  if (outcome.status !== 'applied') throw new Error(`rollback after populate: ${findingsIn(outcome)}`);
  await first.populate('alone');
  assertSameContent(
    'after the way back',
    await contentOf(lab.store, model),
    contentIn(settle(model, written).data),
  );
}

function isOnly(outcome: RunOutcome, code: string): boolean {
  return (
    'findings' in outcome &&
    outcome.findings.length > 0 &&
    outcome.findings.every((each) => each.code === code)
  );
}

function keysOf(model: Model, rows: ReadonlyMap<string, readonly Values[]>): Keys {
  return new Map(
    [...rows].map(([id, keys]) => {
      const table = tableOf(model, id);
      return [id, new Set(keys.map((key) => keyText(stableRow(model, table, key))))];
    }),
  );
}

function counting(model: Model, calls: Map<string, Set<string>>) {
  return (id: string, key: Values): void => {
    const text = keyText(stableRow(model, tableOf(model, id), key));
    calls.set(id, (calls.get(id) ?? new Set()).add(text));
  };
}

/** People go on writing before the evolution: rows of computed tables are out of date then. */
async function writeMore(
  store: Store,
  world: World,
  { after, random }: { readonly after: World; readonly random: Random },
): Promise<Data> {
  const open = world.model.tables.filter(
    ({ id, tier }) => tier === 'manual' && !isReadUnseen(after.model, id),
  );
  if (open.length === 0) return world.written;
  const table = random.pick(open);
  const rows = world.written.get(table.id) ?? [];
  const row = drawNewRow(world, table.id, random);
  const known =
    row !== undefined && rows.every((each) => JSON.stringify(each, text) !== JSON.stringify(row, text));
  if (row === undefined || !known) return world.written;
  await insert(store, world.model, table.id, [row]);
  return new Map([...world.written, [table.id, [...rows, row]]]);
}

function text(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

/** Rows of tables that the new model brings. */
async function fillNew(store: Store, before: Model, model: Model, written: Data): Promise<void> {
  for (const table of model.tables) {
    if (table.tier !== 'manual' || ancestors(before, table).length > 0) continue;
    await insert(store, model, table.id, written.get(table.id) ?? []);
  }
}

async function applied(version: Version, id: string): Promise<void> {
  const outcome = await version.apply(id);
  if (outcome.status !== 'applied') throw new Error(`apply: ${outcome.status} ${findingsIn(outcome)}`);
}

async function rolledBack(version: Version, id: string): Promise<void> {
  const outcome = await version.rollback(id);
  if (outcome.status !== 'applied') throw new Error(`rollback: ${outcome.status} ${findingsIn(outcome)}`);
}

/** What stood against it, without the evidence. */
function findingsIn(outcome: RunOutcome): string {
  return JSON.stringify('findings' in outcome ? outcome.findings : outcome);
}
