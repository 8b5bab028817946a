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
import { ancestors } from './build.ts';
import { carry } from './carry.ts';
import { settle, type Data, type Settled } from './compute.ts';
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
  type When,
} from './database.ts';
import { drawMore } from './draw-more.ts';
import { drawNewRow, drawWorld, type World } from './draw.ts';
import { isReadUnseen } from './editing.ts';
import { expectedCalls, recordedSince } from './expect.ts';
import { keyText, stableRow } from './stable.ts';
import { drawSteps, withoutOrigins } from './draw-edits.ts';
import { drawMeanwhile, nothingMeanwhile } from './meanwhile.ts';
import type { Values } from './make.ts';
import { isByPeople, tableOf, type Model } from './model.ts';
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
  await fillNew(lab.store, { before: before.model, model: after.model, written: now, when: 'before makes' });
  await second.populate(as);
  await fillNew(lab.store, { before: before.model, model: after.model, written: now, when: 'after them' });
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
async function fillNew(
  store: Store,
  {
    before,
    model,
    written,
    when,
  }: { readonly before: Model; readonly model: Model; readonly written: Data; readonly when: When },
): Promise<void> {
  const known = new Set(
    model.tables.filter((table) => ancestors(before, table).length > 0).map(({ id }) => id),
  );
  await fill(store, model, new Map([...written].filter(([id]) => !known.has(id))), when);
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
