/**
 * Side by side with DataJoint: two processes on one server, which take turns at the same work on tables of one shape.
 *
 * | work | DataJoint | varve |
 * |---|---|---|
 * | a make that reads nothing | `populate()` | pure make |
 * | a make that reads its parent's row | `populate()`, the row fetched by key | pure make with a declared read |
 * | the same through what is restricted to the key | `self.upstream` | pure make with a declared read; `makeWith`, enforced |
 * | shared by one worker, and by two | `populate(reserve_jobs=True)` | see `WAYS` in `varve-peer.ts` |
 * | preview of a delete over 21 tables that DataJoint made | `Diagram.cascade(...).counts()` | `catalogGraph`, `cascade` |
 *
 * Each work is done once before it is timed, then five times in turn with its counterpart, from empty tables; the result
 * is counted afterwards. Round trips are those of one more time, by way of a relay that nothing else is timed through.
 */
import { VarveError } from '../../src/base/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { alternateAll, figure, median, spread, type Figure } from '../figure.ts';
import type { AreaResult, BenchStores } from '../stores.ts';
import { startPeer, type Peer, type Task } from './peer.ts';
import { processorMs } from './processor-time.ts';
import { openPython } from './python.ts';
import { countRoundTrips } from './round-trips.ts';

const ROUNDS = 5;
const KEYS = Number(process.env['VARVE_BENCH_PEER_KEYS'] ?? 2_000);
/** DataJoint's slower ways get fewer keys, and varve the same. */
const JOB_KEYS = Math.ceil(KEYS / 4);
const HANDLE_KEYS = Math.ceil(KEYS / 10);
const CHAIN_ROWS = 1_000;
const CHAIN_WHERE = 'id <= 500';
const CHAINS = ['plain', 'inherited'] as const;

/** Measures both sides; where there is no Python or no DataJoint, says so and measures nothing. */
export async function benchPeers({ server, serverUrl, progress }: BenchStores): Promise<AreaResult> {
  const found = await openPython(progress);
  if (found.status === 'missing') return { status: 'not_run', reason: found.reason };
  const result = await measure(found.python, server, serverUrl, progress);
  await clearUp(server);
  return result;
}

/** The processes end before what they hold open is dropped. */
async function measure(
  python: string,
  server: Store,
  serverUrl: string,
  progress: BenchStores['progress'],
): Promise<AreaResult> {
  await using one = startSides(python, serverUrl);
  await using two = startSides(python, serverUrl);
  await using relay = await countRoundTrips(serverUrl);
  await using counted = startSides(python, relay.url);
  await declare(server, [one, two, counted]);
  const scene: Scene = { server, one, two, counted, trips: relay.count, progress };
  const figures = [...(await measurePopulate(scene)), ...(await measureChains(scene))];
  const versions = await one.datajoint.ask<Readonly<Record<string, string>>>({ do: 'versions' });
  return { status: 'measured', figures, versions };
}

interface Sides extends AsyncDisposable {
  readonly varve: Peer;
  readonly datajoint: Peer;
}

interface Scene {
  readonly server: Store;
  readonly one: Sides;
  /** A second worker of each side. */
  readonly two: Sides;
  /** Those whose round trips are counted. */
  readonly counted: Sides;
  readonly trips: () => number;
  readonly progress: BenchStores['progress'];
}

function startSides(python: string, url: string): Sides {
  const varve = startPeer({
    command: process.execPath,
    arguments: ['--conditions=@varve/source', new URL('varve-peer.ts', import.meta.url).pathname],
    url,
  });
  const datajoint = startPeer({
    command: python,
    arguments: ['-W', 'ignore', new URL('datajoint_peer.py', import.meta.url).pathname],
    url,
    environment: { DJ_IGNORE_CONFIG_FILE: 'true', DJ_LOG_LEVEL: 'ERROR', DJ_LOG_STREAM: 'stderr' },
  });
  return {
    varve,
    datajoint,
    [Symbol.asyncDispose]: async () => {
      await varve[Symbol.asyncDispose]();
      await datajoint[Symbol.asyncDispose]();
    },
  };
}

async function declare(server: Store, [first, ...others]: readonly Sides[]): Promise<void> {
  await first?.varve.ask({ do: 'declare' });
  for (const sides of [first, ...others]) {
    await sides?.datajoint.ask({ do: 'declare' });
    for (const chain of CHAINS) await sides?.datajoint.ask({ do: 'declare_chain', chain });
  }
  for (const chain of CHAINS) await fillChain(server, chain);
  await server.script('vacuum analyze');
}

async function fillChain(server: Store, chain: string): Promise<void> {
  for (let at = 0; at < 21; at += 1) {
    const table = sql.id(`peer_chain_${chain}`, `link${String(at).padStart(2, '0')}`);
    await server.execute(sql`insert into ${table} select g, g from generate_series(1, ${CHAIN_ROWS}::int) g`);
  }
}

async function clearUp(server: Store): Promise<void> {
  const schemas = ['peer_varve', 'peer_datajoint', ...CHAINS.map((chain) => `peer_chain_${chain}`)];
  for (const schema of [...schemas, 'varve']) {
    await server.execute(sql`drop schema if exists ${sql.id(schema)} cascade`);
  }
}

type Side = 'varve' | 'datajoint';

/** One way to populate: whose it is and how its make is written. */
interface Way {
  readonly side: Side;
  readonly way: string;
  readonly title: string;
}

/** Ways that are compared, the first of them DataJoint's, over so many keys. */
interface Comparison {
  readonly name: string;
  readonly keys: number;
  readonly workers?: 2;
  readonly ways: readonly [Way, ...Way[]];
}

const TABLE_BY_WAY: Readonly<Record<string, string>> = {
  constant: 'constant',
  reading: 'reading',
  handle: 'handle',
  jobs: 'reading',
};

const COMPARISONS: readonly Comparison[] = [
  { name: 'a make that reads nothing', keys: KEYS, ways: both('constant') },
  { name: 'a make that reads a row', keys: KEYS, ways: both('reading') },
  {
    name: 'reads restricted to the key',
    keys: HANDLE_KEYS,
    ways: [
      { side: 'datajoint', way: 'handle', title: 'DataJoint (upstream)' },
      { side: 'varve', way: 'reading', title: 'varve (declared read)' },
      { side: 'varve', way: 'handle', title: 'varve (makeWith)' },
    ],
  },
  { name: 'jobs, one worker', keys: JOB_KEYS, ways: both('jobs') },
  { name: 'jobs, two workers', keys: JOB_KEYS, workers: 2, ways: both('jobs') },
];

function both(way: string): Comparison['ways'] {
  return [
    { side: 'datajoint', way, title: 'DataJoint' },
    { side: 'varve', way, title: 'varve' },
  ];
}

async function measurePopulate(scene: Scene): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const comparison of COMPARISONS) {
    scene.progress(`${comparison.name}, ${comparison.keys} keys`);
    await fillSources(scene.server, comparison.keys);
    figures.push(...(await compare(scene, comparison)));
    // How often two workers ask depends on which of them is first.
    if (comparison.workers === undefined) figures.push(...(await countTrips(scene, comparison)));
  }
  return figures;
}

/** What one run cost. */
interface Cost {
  readonly ms: number;
  /** Of client and server together. */
  readonly processorMs: number;
}

async function compare(scene: Scene, comparison: Comparison): Promise<readonly Figure[]> {
  const { name, keys, ways } = comparison;
  const works = ways.map((way) => () => populateFromEmpty(scene, comparison, way, scene.one));
  for (const work of works) await work();
  const costs = await alternateAll(ROUNDS, works);
  const scale = { times: 1000 / keys, unit: 'us/key' };
  return ways.flatMap(({ title }, at) => [
    ...costFigures(`${name}, ${title}`, costs[at] ?? [], scale),
    ...(at === 0 ? [] : ratios(`${name}, ${ways[0].title} / ${title}`, costs[0] ?? [], costs[at] ?? [])),
  ]);
}

function costFigures(
  name: string,
  costs: readonly Cost[],
  { times, unit }: { readonly times: number; readonly unit: string },
): readonly Figure[] {
  const scaled = (each: (cost: Cost) => number): readonly number[] => costs.map((cost) => each(cost) * times);
  return [
    spread(
      name,
      scaled(({ ms }) => ms),
      unit,
    ),
    spread(
      `${name}, processor time`,
      scaled(({ processorMs: used }) => used),
      unit,
    ),
  ];
}

function ratios(name: string, theirs: readonly Cost[], ours: readonly Cost[]): readonly Figure[] {
  const of = (each: (cost: Cost) => number): number => median(theirs.map(each)) / median(ours.map(each));
  return [
    figure(
      name,
      of(({ ms }) => ms),
      'times',
    ),
    figure(
      `${name}, processor time`,
      of(({ processorMs: used }) => used),
      'times',
    ),
  ];
}

async function countTrips(scene: Scene, comparison: Comparison): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const way of comparison.ways) {
    // Once to know the tables, once to be counted.
    await populateFromEmpty(scene, comparison, way, scene.counted);
    const before = scene.trips();
    await populateFromEmpty(scene, comparison, way, scene.counted);
    const trips = (scene.trips() - before) / comparison.keys;
    figures.push(figure(`${comparison.name}, ${way.title}, round trips`, trips, 'a key'));
  }
  return figures;
}

async function fillSources(server: Store, keys: number): Promise<void> {
  await server.script('truncate peer_varve.source, peer_datajoint.source cascade');
  for (const schema of ['peer_varve', 'peer_datajoint']) {
    await server.execute(
      sql`insert into ${sql.id(schema, 'source')} select g, g from generate_series(1, ${keys}::int) g`,
    );
  }
  await server.script('vacuum analyze peer_varve.source, peer_datajoint.source');
}

/** What it cost from empty tables, with what was written before on disk. */
async function populateFromEmpty(
  scene: Scene,
  { keys, workers }: Comparison,
  way: Way,
  sides: Sides,
): Promise<Cost> {
  const { server, two } = scene;
  const table = tableOf(way);
  await server.execute(sql`truncate ${sql.id(...table)}`);
  await server.script('truncate varve.computation; checkpoint');
  const peers = [sides, ...(workers === 2 ? [two] : [])].map((side) => side[way.side]);
  const cost = await askAll(server, peers, { do: 'populate', way: way.way });
  const [row] = await server.query<{ count: bigint }>(sql`select count(*) as count from ${sql.id(...table)}`);
  if (Number(row?.count) !== keys) throw failed(`Not every key of ${table.join('.')} has a row.`);
  return cost;
}

/** The same task for each of these at once: it takes as long as the slowest of them says. */
async function askAll(server: Store, peers: readonly Peer[], task: Task): Promise<Cost> {
  const processIds = peers.map(({ processId }) => processId);
  const before = await processorMs(server, processIds);
  const answers = await Promise.all(peers.map((peer) => peer.ask<{ readonly ms: number }>(task)));
  const after = await processorMs(server, processIds);
  return { ms: Math.max(...answers.map(({ ms }) => ms)), processorMs: after - before };
}

/** DataJoint's name for a computed table begins with two underscores. */
function tableOf({ side, way }: Way): readonly [string, string] {
  const name = TABLE_BY_WAY[way] ?? way;
  return side === 'varve' ? ['peer_varve', name] : ['peer_datajoint', `__${name}`];
}

async function measureChains(scene: Scene): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const chain of CHAINS) {
    scene.progress(`cascade over a chain, foreign keys ${chain}`);
    figures.push(...(await measureChain(scene, chain)));
  }
  return figures;
}

async function measureChain(scene: Scene, chain: (typeof CHAINS)[number]): Promise<readonly Figure[]> {
  const name =
    chain === 'plain'
      ? 'cascade over 21 tables, foreign key beside the key'
      : 'cascade over 21 tables, foreign key is the key';
  const works = SIDES.map(
    ({ side }) =>
      () =>
        walk(scene.server, scene.one[side], chain),
  );
  for (const work of works) await work();
  const [theirs = [], ours = []] = await alternateAll(ROUNDS, works);
  const trips: Figure[] = [];
  for (const { side, title } of SIDES) {
    await walk(scene.server, scene.counted[side], chain);
    const before = scene.trips();
    await walk(scene.server, scene.counted[side], chain);
    trips.push(figure(`${name}, ${title}, round trips`, scene.trips() - before, 'a walk'));
  }
  const scale = { times: 1, unit: 'ms' };
  return [
    ...costFigures(`${name}, DataJoint`, theirs, scale),
    ...costFigures(`${name}, varve`, ours, scale),
    ...ratios(`${name}, DataJoint / varve`, theirs, ours),
    ...trips,
  ];
}

const SIDES = [
  { side: 'datajoint', title: 'DataJoint' },
  { side: 'varve', title: 'varve' },
] as const;

/** Both sides have to find the same rows. */
async function walk(server: Store, peer: Peer, chain: string): Promise<Cost> {
  const before = await processorMs(server, [peer.processId]);
  const answer = await peer.ask<{ readonly ms: number; readonly tables: number; readonly rows: number }>({
    do: 'cascade',
    chain,
    where: CHAIN_WHERE,
  });
  const used = (await processorMs(server, [peer.processId])) - before;
  if (answer.tables !== 21 || answer.rows !== 21 * 500) throw failed(JSON.stringify(answer));
  return { ms: answer.ms, processorMs: used };
}

function failed(hint: string): VarveError {
  return new VarveError('internal', { hint });
}
