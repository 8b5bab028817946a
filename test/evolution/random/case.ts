/**
 * One case from one seed: a pipeline is drawn, filled and computed, edited at random, evolved, and compared with what
 * dropping everything and computing it anew would give; then the way back.
 */
import type { Store } from '../../../src/store/index.ts';
import type { TableCounts } from '../../../src/evidence/index.ts';
import type { Attribution, EvolutionPlan } from '../../../src/evolution/index.ts';
import { assertCalls, assertCounts, assertEqual, assertSameContent, namesOf } from './compare.ts';
import type { RunOutcome } from '../../../src/migration/index.ts';
import { openLab, type Lab } from '../lab.ts';
import { liveState } from '../state.ts';
import { build } from './build.ts';
import { carry } from './carry.ts';
import { keySource, settle, type Data } from './compute.ts';
import {
  contentIn,
  contentOf,
  deployFirst,
  fill,
  insert,
  versionOf,
  type Content,
  type Version,
} from './database.ts';
import { drawNewRow, drawWorld, type World } from './draw.ts';
import { EDITS, isReadUnseen } from './edit.ts';
import { expectedCalls, keyText, stableRow, type Calls } from './expect.ts';
import type { Values } from './make.ts';
import { nameOf, tableOf, type Model } from './model.ts';
import { randomOf, type Random } from './random.ts';

/** What a case did, for counting what the cases together have covered. */
export interface CaseReport {
  readonly edits: readonly string[];
  readonly outcome: 'done' | 'nothing';
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
function drawEdits(
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
    const { data } = settle(model, carry(before.model, model, all));
    return model.tables.every(
      (table) => table.make === undefined || keySource(model, table, data).length <= 40,
    );
  } catch {
    return false;
  }
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
  const calls = new Map<string, Map<string, number>>();
  const first = versionOf(lab, before.model, undefined, () => {});
  await deployFirst(lab.store, first);
  await fill(lab.store, before.model, before.written);
  await first.populate();
  const was = { model: before.model, settled: settle(before.model, before.written) };
  assertSameContent(
    'after the first populate',
    await contentOf(lab.store, before.model),
    contentIn(was.settled.data),
  );

  const written = random.chance(0.3) ? await writeMore(lab.store, before, { after, random }) : before.written;
  const second = versionOf(lab, after.model, before.model, counting(after.model, calls));
  const all = new Map([...after.written, ...was.settled.data, ...written]);
  const now = carry(before.model, after.model, all);
  const planned = await planWith(second, before.model, {
    expected: expectedCalls(was, { model: after.model, settled: settle(after.model, now) }),
    content: await contentOf(lab.store, before.model),
  });
  if (planned.status !== 'planned') return { outcome: planned.status, codes: planned.codes };

  const baseline = await liveState(lab.store);
  await applied(second, planned.id);
  if (random.chance(0.4)) {
    await rolledBack(second, planned.id);
    assertEqual('the baseline after the way back', await liveState(lab.store), baseline);
    calls.clear();
    await applied(second, planned.id);
  }
  await fillNew(lab.store, before.model, after.model, now);
  await second.populate();
  const settled = settle(after.model, now);
  assertSameContent('after the evolution', await contentOf(lab.store, after.model), contentIn(settled.data));
  assertCalls(after.model, calls, expectedCalls(was, { model: after.model, settled }));

  if (random.chance(0.3)) {
    await rolledBack(second, planned.id);
    await first.populate();
    const back = settle(before.model, written);
    assertSameContent('after the way back', await contentOf(lab.store, before.model), contentIn(back.data));
  }
  return { outcome: 'done', codes: [] };
}

function counting(model: Model, calls: Map<string, Map<string, number>>) {
  return (id: string, key: Values): void => {
    const text = keyText(stableRow(model, tableOf(model, id), key));
    const counts = calls.get(id) ?? new Map<string, number>();
    calls.set(id, counts.set(text, (counts.get(text) ?? 0) + 1));
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
  const known = new Set(before.tables.map(({ id }) => id));
  for (const { id, tier } of model.tables) {
    if (tier === 'manual' && !known.has(id)) await insert(store, model, id, written.get(id) ?? []);
  }
}

type Planned =
  | { readonly status: 'planned'; readonly id: string; readonly codes: readonly string[] }
  | { readonly status: 'nothing'; readonly codes: readonly string[] };

/** Plans; where it is not known what becomes of rows, they are to be computed. */
async function planWith(version: Version, before: Model, { expected, content }: Known): Promise<Planned> {
  const rules = (ids: Iterable<string>): Attribution =>
    Object.fromEntries(namesOf(version.model, ids).map((name) => [name, 'recompute']));
  const made = await version.plan(rules(expected.asked));
  if (made.status === 'nothing') return { status: 'nothing', codes: [] };
  const first = planned(made);
  assertCounts(first.tables, { before, model: version.model, content, expected });
  if (first.findings.length === 0) return { status: 'planned', id: first.id, codes: [] };
  const attribute = rules([...expected.asked, ...unclearTables(version.model, first.tables)]);
  const second = planned(await version.plan(attribute));
  if (second.findings.length === 0) {
    return { status: 'planned', id: second.id, codes: first.findings.map(({ code }) => code) };
  }
  throw new Error(
    `the plan is refused with ${JSON.stringify(attribute)}: ${JSON.stringify(second.findings)}`,
  );
}

interface Known {
  readonly expected: Calls;
  readonly content: Content;
}

/** The tables that have rows of which the plan does not know what becomes of them; those with a make. */
function unclearTables(model: Model, tables: readonly TableCounts[]): readonly string[] {
  return model.tables
    .filter((table) => tables.some((each) => each.table === nameOf(model, table) && each.ambiguous > 0))
    .map(({ id }) => id);
}

function planned(made: EvolutionPlan) {
  if (made.status !== 'planned' || made.outcome.status !== 'planned') {
    throw new Error(`the plan is refused: ${JSON.stringify(made)}`);
  }
  const { plan, findings } = made.outcome;
  const refusing = findings.filter(({ severity }) => severity === 'error');
  return { id: made.migrationId, tables: plan.bound.tables, findings: refusing };
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
