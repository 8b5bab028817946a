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
import { keySource, settle, type Data, type Settled } from './compute.ts';
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
import { drawMore } from './draw-more.ts';
import { drawNewRow, drawWorld, type World } from './draw.ts';
import { EDITS } from './edit.ts';
import { isReadUnseen } from './editing.ts';
import { expectedCalls, keyText, recordedSince, stableRow } from './expect.ts';
import { drawMeanwhile, nothingMeanwhile } from './meanwhile.ts';
import type { Values } from './make.ts';
import { isByPeople, primaryKey, tableOf, type Model, type Table } from './model.ts';
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

/** Edits from here on have other names than those of a first evolution. */
const SECOND = 12;

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
  const world = drawMore(drawWorld(randomOf(options.seed)), randomOf(options.seed ^ 0x2b5d));
  const steps = drawSteps(world, options, places);
  const edits = steps.flatMap(({ names }) => names);
  try {
    await using lab = await openLab(store);
    const random = randomOf(options.seed ^ 0x77c1);
    const report = await evolve(
      { lab, random },
      world,
      steps.map((step) => step.world),
    );
    return { edits, world: { ...report, edits } };
  } catch (error) {
    return { edits, world: NOTHING, error };
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
  /** How many edits there would be with all of them kept. */
  readonly count: number;
}

/** One evolution, or two of which the second changes what the first one left. */
function drawSteps(
  world: World,
  { seed, edits }: CaseOptions,
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
function withoutOrigins({ tables }: Model): Model {
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

interface Bench {
  readonly lab: Lab;
  readonly random: Random;
}

async function evolve(
  bench: Bench,
  before: World,
  steps: readonly World[],
): Promise<Omit<CaseReport, 'edits'>> {
  const { lab } = bench;
  const first = versionOf(lab, before.model, undefined, () => {});
  await deployFirst(lab.store, first);
  await fill(lab.store, before.model, before.written, 'before makes');
  await first.populate(bench.random.chance(0.1) ? 'one of several' : 'alone');
  await fill(lab.store, before.model, before.written, 'after them');
  let known: Known = { world: before, settled: settle(before.model, before.written) };
  assertSameContent(
    'after the first populate',
    await contentOf(lab.store, before.model),
    contentIn(known.settled.data),
  );
  let report: Omit<CaseReport, 'edits'> = NOTHING;
  for (const [at, after] of steps.entries()) {
    const stepped = await step(bench, known, { after, isLast: at === steps.length - 1 });
    report = { outcome: stepped.outcome, codes: [...report.codes, ...stepped.codes] };
    if (stepped.known === undefined) break;
    known = stepped.known;
  }
  return report;
}

/** A pipeline with its rows and what is on record of them. */
interface Known {
  readonly world: World;
  readonly settled: Settled;
}

interface Stepped {
  readonly outcome: CaseReport['outcome'];
  readonly codes: readonly string[];
  /** Undefined where it did not come to that. */
  readonly known?: Known;
}

/** One evolution, forward and, now and then, back. */
async function step(
  { lab, random }: Bench,
  { world: before, settled: recorded }: Known,
  { after, isLast }: { readonly after: World; readonly isLast: boolean },
): Promise<Stepped> {
  const calls = new Map<string, Set<string>>();
  const as = random.chance(0.1) ? 'one of several' : 'alone';
  const was = { model: before.model, settled: recorded };
  const rowsNow = (written: Data): Settled => ({
    data: new Map([...after.written, ...recorded.data, ...written]),
    units: recorded.units,
  });
  const own = randomOf(random.upTo(2 ** 31));
  const written = random.chance(0.3)
    ? await writeMore(lab.store, before, { data: recorded.data, after, random })
    : before.written;
  const second = versionOf(lab, after.model, before.model, counting(after.model, calls));
  const now = carry(before.model, after.model, rowsNow(written));
  const since = await lastRun(lab.store);
  const expected = expectedCalls(was, { model: after.model, settled: settle(after.model, now) });
  const content = await contentOf(lab.store, before.model);
  // Measuring all there is costs as much as a tenth of a case: where nobody goes back, the rows are enough.
  const isTakenBack = random.chance(0.3);
  const baseline = isTakenBack ? await liveState(lab.store) : undefined;
  const shape = await shapeOf(lab.store, before.model);
  const meanwhile = random.chance(0.3)
    ? drawMeanwhile(lab.store, { ...before, written }, { data: recorded.data, after, random: own })
    : nothingMeanwhile(written);
  const done = await planAndApply(second, before.model, { expected, content, fault: meanwhile.fault });
  if (done === undefined) return { outcome: 'nothing', codes: [] };
  const isWritten = meanwhile.written() !== written;
  const old = { ...content, ...contentIn(manualRows(before.model, meanwhile.written())) };
  if (done.id === undefined) {
    assertSameContent('the rows after a refusal', await contentOf(lab.store, before.model), old);
    if (!isWritten && baseline !== undefined)
      assertEqual('the state after a refusal', await liveState(lab.store), baseline);
    return { outcome: 'refused', codes: done.codes };
  }
  if (baseline !== undefined) {
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
  const carried = carry(before.model, after.model, rowsNow(meanwhile.written()));
  const settled = settle(after.model, carried);
  assertSameContent('after the evolution', await contentOf(lab.store, after.model), contentIn(settled.data));
  const computed = keysOf(after.model, await computedAfter(lab.store, after.model, since));
  assertComputed(after.model, computed, expectedCalls(was, { model: after.model, settled }));
  assertCalls(after.model, calls, computed);

  // What a make computed for a table that people filled before is theirs when they fill it again.
  const isCompared = isLast && expected.asked.size === 0;
  if (isCompared && random.chance(0.25)) {
    const first = versionOf(lab, before.model, undefined, () => {});
    await goBack({ lab, first, second }, before.model, { id: done.id, written: meanwhile.written() });
  }
  const model = withoutOrigins(after.model);
  return {
    outcome: 'done',
    codes: done.codes,
    known: {
      world: { model, written: carried },
      settled: recordedSince(was, { model: after.model, settled }, computed),
    },
  };
}

/** What people wrote. */
function manualRows(model: Model, written: Data): Data {
  const ids = new Set(model.tables.filter((table) => isByPeople(model, table)).map(({ id }) => id));
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
  { data, after, random }: { readonly data: Data; readonly after: World; readonly random: Random },
): Promise<Data> {
  const kept = new Set(after.model.tables.map(({ id }) => id));
  const gone = { tables: world.model.tables.filter(({ id }) => !kept.has(id)) };
  const open = world.model.tables.filter(
    ({ id, tier }) => tier === 'manual' && !isReadUnseen(after.model, id) && !isReadUnseen(gone, id),
  );
  if (open.length === 0) return world.written;
  const table = random.pick(open);
  const rows = world.written.get(table.id) ?? [];
  const row = drawNewRow({ ...world, written: new Map([...data, ...world.written]) }, table.id, random);
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
    if (!isByPeople(model, table) || ancestors(before, table).length > 0) continue;
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
