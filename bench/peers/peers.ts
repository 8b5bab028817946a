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
import { startPeer, type Peer } from './peer.ts';
import { openPython } from './python.ts';
import { countRoundTrips } from './round-trips.ts';

const ROUNDS = 5;
const KEYS = Number(process.env['VARVE_BENCH_PEER_KEYS'] ?? 2_000);
/** DataJoint's slower ways get fewer keys, and varve the same. */
const JOB_KEYS = Math.ceil(KEYS / 2);
const HANDLE_KEYS = Math.ceil(KEYS / 10);
const CHAIN_ROWS = 1_000;
const CHAIN_WHERE = 'id <= 500';
const CHAINS = ['plain', 'inherited'] as const;

/** Measures both sides; where there is no Python or no DataJoint, says so and measures nothing. */
export async function benchPeers({ server, serverUrl, progress }: BenchStores): Promise<AreaResult> {
  const found = await openPython(progress);
  if (found.status === 'missing') return { status: 'not_run', reason: found.reason };
  const { python } = found;
  try {
    await using one = startSides(python, serverUrl);
    await using two = startSides(python, serverUrl);
    await using relay = await countRoundTrips(serverUrl);
    await using counted = startSides(python, relay.url);
    await declare(server, [one, two, counted]);
    const scene: Scene = { server, one, two, counted, trips: relay.count, progress };
    const figures = [...(await measurePopulate(scene)), ...(await measureChains(scene))];
    const versions = await one.datajoint.ask<Readonly<Record<string, string>>>({ do: 'versions' });
    return { status: 'measured', figures, versions };
  } finally {
    await clearUp(server);
  }
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

/** One way to populate: whose, how its make is written, and how many keys and workers. */
interface Way {
  readonly side: Side;
  readonly way: string;
  readonly keys: number;
  readonly workers?: 2;
}

const TABLE_BY_WAY: Readonly<Record<string, string>> = {
  constant: 'constant',
  reading: 'reading',
  handle: 'handle',
  jobs: 'reading',
};

async function measurePopulate(scene: Scene): Promise<readonly Figure[]> {
  const both = (way: string, keys: number, workers?: 2): readonly [Way, Way] => {
    const shared = { way, keys, ...(workers === undefined ? {} : { workers }) };
    return [
      { side: 'datajoint', ...shared },
      { side: 'varve', ...shared },
    ];
  };
  return [
    ...(await compare(scene, 'a make that reads nothing', both('constant', KEYS))),
    ...(await compare(scene, 'a make that reads a row', both('reading', KEYS))),
    ...(await compare(scene, 'upstream handle / declared read', [
      { side: 'datajoint', way: 'handle', keys: HANDLE_KEYS },
      { side: 'varve', way: 'reading', keys: HANDLE_KEYS },
    ])),
    ...(await compare(scene, 'upstream handle / makeWith', both('handle', HANDLE_KEYS))),
    ...(await compare(scene, 'jobs, one worker', both('jobs', JOB_KEYS))),
    ...(await compare(scene, 'jobs, two workers', both('jobs', JOB_KEYS, 2))),
  ];
}

async function compare(
  scene: Scene,
  name: string,
  [theirs, ours]: readonly [Way, Way],
): Promise<readonly Figure[]> {
  scene.progress(`${name}, ${ours.keys} keys`);
  await fillSources(scene.server, ours.keys);
  const works = [theirs, ours].map((way) => () => populateFromEmpty(scene, way, scene.one));
  for (const work of works) await work();
  const [their = [], our = []] = await alternateAll(ROUNDS, works);
  const perKey = (values: readonly number[]): readonly number[] =>
    values.map((ms) => (ms * 1000) / ours.keys);
  return [
    spread(`${name}, DataJoint`, perKey(their), 'us/key'),
    spread(`${name}, varve`, perKey(our), 'us/key'),
    figure(`${name}, DataJoint / varve`, median(their) / median(our), 'times'),
    ...(ours.workers === undefined ? await countTrips(scene, name, [theirs, ours]) : []),
  ];
}

async function countTrips(scene: Scene, name: string, ways: readonly [Way, Way]): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const way of ways) {
    // Once to know the tables, once to be counted.
    await populateFromEmpty(scene, way, scene.counted);
    const before = scene.trips();
    await populateFromEmpty(scene, way, scene.counted);
    const title = way.side === 'varve' ? 'varve' : 'DataJoint';
    figures.push(figure(`${name}, ${title}, round trips`, (scene.trips() - before) / way.keys, 'a key'));
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

/** How long it took, in ms, from empty tables and with what was written before on disk. */
async function populateFromEmpty(scene: Scene, way: Way, sides: Sides): Promise<number> {
  const { server, two } = scene;
  const table = tableOf(way);
  await server.execute(sql`truncate ${sql.id(...table)}`);
  await server.script('truncate varve.computation; checkpoint');
  const peers = [sides, ...(way.workers === 2 ? [two] : [])].map((side) => side[way.side]);
  const answers = await Promise.all(
    peers.map((peer) => peer.ask<{ readonly ms: number }>({ do: 'populate', way: way.way })),
  );
  const [row] = await server.query<{ count: bigint }>(sql`select count(*) as count from ${sql.id(...table)}`);
  if (Number(row?.count) !== way.keys) throw failed(`Not every key of ${table.join('.')} has a row.`);
  return Math.max(...answers.map(({ ms }) => ms));
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
  const sides = ['datajoint', 'varve'] as const;
  const works = sides.map((side) => () => walk(scene.one[side], chain));
  for (const work of works) await work();
  const [their = [], our = []] = await alternateAll(ROUNDS, works);
  const trips: Figure[] = [];
  for (const side of sides) {
    await walk(scene.counted[side], chain);
    const before = scene.trips();
    await walk(scene.counted[side], chain);
    const title = side === 'varve' ? 'varve' : 'DataJoint';
    trips.push(figure(`${name}, ${title}, round trips`, scene.trips() - before, 'a walk'));
  }
  return [
    spread(`${name}, DataJoint`, their, 'ms'),
    spread(`${name}, varve`, our, 'ms'),
    figure(`${name}, DataJoint / varve`, median(their) / median(our), 'times'),
    ...trips,
  ];
}

/** Both sides have to find the same rows. */
async function walk(peer: Peer, chain: string): Promise<number> {
  const answer = await peer.ask<{ readonly ms: number; readonly tables: number; readonly rows: number }>({
    do: 'cascade',
    chain,
    where: CHAIN_WHERE,
  });
  if (answer.tables !== 21 || answer.rows !== 21 * 500) throw failed(JSON.stringify(answer));
  return answer.ms;
}

function failed(hint: string): VarveError {
  return new VarveError('internal', { hint });
}
