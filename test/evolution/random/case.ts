/**
 * One case from one seed: a pipeline is drawn, filled and computed, edited at random, evolved, and compared with what
 * dropping everything and computing it anew would give; then the way back.
 */
import type { Store } from '../../../src/store/index.ts';
import type { Attribution } from '../../../src/evolution/index.ts';
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
import { expectedCalls, keyText, namesOf, stableRow, type Calls } from './expect.ts';
import type { Values } from './make.ts';
import { nameOf, tableOf, type Model } from './model.ts';
import { randomOf, type Random } from './random.ts';

/** What a case did, for counting what the cases together have covered. */
export interface CaseReport {
  readonly edits: readonly string[];
  readonly outcome: 'done' | 'nothing' | 'refused';
  /** The codes of a refusal. */
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
  same('after the first populate', await contentOf(lab.store, before.model), contentIn(was.settled.data));

  const written = random.chance(0.3) ? await writeMore(lab.store, before, { after, random }) : before.written;
  const second = versionOf(lab, after.model, before.model, counting(after.model, calls));
  const all = new Map([...after.written, ...was.settled.data, ...written]);
  const now = carry(before.model, after.model, all);
  const planned = await planWith(second, {
    was,
    now: { model: after.model, settled: settle(after.model, now) },
  });
  if (planned.status !== 'planned') return { outcome: planned.status, codes: planned.codes };

  const baseline = await liveState(lab.store);
  await applied(second, planned.id);
  if (random.chance(0.4)) {
    await rolledBack(second, planned.id);
    equal('the baseline after the way back', await liveState(lab.store), baseline);
    calls.clear();
    await applied(second, planned.id);
  }
  await fillNew(lab.store, before.model, after.model, now);
  await second.populate();
  const settled = settle(after.model, now);
  same('after the evolution', await contentOf(lab.store, after.model), contentIn(settled.data));
  compareCalls(after.model, calls, expectedCalls(was, { model: after.model, settled }));

  if (random.chance(0.3)) {
    await rolledBack(second, planned.id);
    await first.populate();
    const back = settle(before.model, written);
    same('after the way back', await contentOf(lab.store, before.model), contentIn(back.data));
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
  | { readonly status: 'nothing' | 'refused'; readonly codes: readonly string[] };

/** Plans; where it is not known what becomes of rows, they are to be computed. */
async function planWith(
  version: Version,
  sides: { readonly was: Side; readonly now: Side },
): Promise<Planned> {
  const { ambiguous, asked } = expectedCalls(sides.was, sides.now);
  const rules = (ids: Iterable<string>): Attribution =>
    Object.fromEntries(namesOf(version.model, ids).map((name) => [name, 'recompute']));
  const made = await version.plan(rules(asked));
  const codes = codesOf(made);
  if (made.status === 'nothing') return { status: 'nothing', codes: [] };
  if (made.status === 'planned' && made.outcome.status === 'planned') {
    return { status: 'planned', id: made.migrationId, codes: [] };
  }
  if (ambiguous.size === 0) throw new Error(`the plan is refused: ${JSON.stringify(made)}`);
  const attribute = rules([...asked, ...ambiguous]);
  const again = await version.plan(attribute);
  if (again.status === 'planned' && again.outcome.status === 'planned') {
    return { status: 'planned', id: again.migrationId, codes };
  }
  throw new Error(`the plan is refused with ${JSON.stringify(attribute)}: ${JSON.stringify(again)}`);
}

type Side = Parameters<typeof expectedCalls>[0];

function codesOf(made: unknown): readonly string[] {
  return [...JSON.stringify(made).matchAll(/"code":"([a-z_]+)"/g)].flatMap(([, code]) => code ?? []);
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

function equal(what: string, found: object, wanted: object): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: found ${left}, wanted ${right}`);
}

/** Table by table, and only what differs. */
function same(what: string, found: Content, wanted: Content): void {
  const differing = Object.keys({ ...found, ...wanted }).flatMap((id) => {
    const [left, right] = [found[id] ?? [], wanted[id] ?? []];
    const extra = left.filter((row) => !right.includes(row));
    const missing = right.filter((row) => !left.includes(row));
    if (extra.length + missing.length === 0 && left.length === right.length) return [];
    return [`${id}: found ${JSON.stringify(extra)}, wanted ${JSON.stringify(missing)}`];
  });
  if (differing.length > 0) throw new Error(`${what}\n${differing.join('\n')}`);
}

/** Makes ran for what had to be computed, and for nothing that could be kept. */
function compareCalls(
  model: Model,
  calls: ReadonlyMap<string, ReadonlyMap<string, number>>,
  expected: Calls,
): void {
  const wrong = model.tables.flatMap((table) => {
    const found = calls.get(table.id) ?? new Map<string, number>();
    const must = expected.must.get(table.id) ?? new Set<string>();
    const may = expected.may.get(table.id) ?? new Set<string>();
    const missing = [...must].filter((key) => !found.has(key));
    const needless = [...found.keys()].filter((key) => !must.has(key) && !may.has(key));
    if (missing.length + needless.length === 0) return [];
    return [
      `${nameOf(model, table)}: not computed ${JSON.stringify(missing)}, computed without need ${JSON.stringify(needless)}`,
    ];
  });
  if (wrong.length > 0) throw new Error(`calls of makes\n${wrong.join('\n')}`);
}
