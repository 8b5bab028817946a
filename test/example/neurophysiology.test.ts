import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql, type Row, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase } from '../harness/index.ts';

/** On two idle cores it takes about two minutes; a busy machine gets more. */
const LIMIT_MS = 1_500_000;

/** How much is recorded: a recording is a probe in a session of a subject. */
interface Size {
  readonly subjects: number;
  readonly sessions: number;
  readonly probes: number;
}

const FULL: Size = { subjects: 20, sessions: 10, probes: 5 };
const RECORDINGS = 1000;

/** The example's project on a database of its own. */
interface Laboratory extends AsyncDisposable {
  readonly store: Store;
  /** Runs `varve ... --json` in a process of its own; fails the test where it does not end well. */
  readonly varve: <T>(...argv: readonly string[]) => Promise<T>;
  /** Decides on all that waits for a person. */
  readonly curate: () => Promise<Curated>;
}

interface Curated {
  readonly sortings: number;
}

async function openLaboratory(size: Size): Promise<Laboratory> {
  await mkdir('.cache', { recursive: true });
  const folder = await mkdtemp(path.resolve('.cache', 'neurophysiology-'));
  await cp('examples/02-neurophysiology/lab', folder, { recursive: true });
  const database = await postgresDatabase(18);
  const store = await postgresStore({ url: database.url });
  const run = (script: string, argv: readonly string[]): Promise<string> =>
    runNode([script, ...argv], { cwd: folder, url: database.url });
  const varve = async <T>(...argv: readonly string[]): Promise<T> =>
    JSON.parse(
      await run(path.resolve('bin/varve.js'), [...argv, '--store', 'server', '--json', '--yes']),
    ) as T;
  await varve('plan');
  await varve('apply');
  const counts = Object.entries(size).flatMap(([name, count]) => [`--${name}`, String(count)]);
  await run(path.resolve(EXAMPLE, 'seed.ts'), counts);
  return {
    store,
    varve,
    curate: async () => JSON.parse(await run(path.resolve(EXAMPLE, 'curate.ts'), [])) as Curated,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const EXAMPLE = 'examples/02-neurophysiology';

/** What a process printed; fails the test where it does not end well. */
async function runNode(
  argv: readonly string[],
  { cwd, url }: { readonly cwd: string; readonly url: string },
): Promise<string> {
  const child = spawn('node', ['--conditions=@varve/source', ...argv], {
    cwd,
    env: { ...process.env, DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [printed, said] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [status] = (await once(child, 'close')) as readonly (number | null)[];
  expect(status, `${argv.join(' ')}: ${printed}${said}`).toBe(0);
  return printed;
}

interface Populated {
  readonly tables: readonly {
    readonly table: string;
    readonly computed: number;
    readonly failed: number;
    readonly remaining: number;
  }[];
}

const POPULATE = ['populate', '--batch', '25'] as const;

/** Two processes at once; the keys that each of them computed, by table. */
async function populateTwice({ varve }: Laboratory): Promise<ReadonlyMap<string, number>> {
  const both = await Promise.all([varve<Populated>(...POPULATE), varve<Populated>(...POPULATE)]);
  const computed = new Map<string, number>();
  for (const { table, computed: keys, failed, remaining } of both.flatMap(({ tables }) => tables)) {
    expect([table, failed, remaining]).toEqual([table, 0, 0]);
    computed.set(table, (computed.get(table) ?? 0) + keys);
  }
  return computed;
}

/** The first of a statement's rows. */
async function first<T extends Row>(store: Store, statement: Parameters<Store['query']>[0]): Promise<T> {
  const [row] = await store.query<T>(statement);
  if (row === undefined) throw new TypeError('no row');
  return row;
}

/** What each key's rows, part rows included, were when they were written: digests by table and key. */
async function outputs(store: Store): Promise<ReadonlyMap<string, string>> {
  const rows = await store.query<{ key: string; output: string }>(sql`
    select r.name || ' ' || encode(c.key_hash, 'hex') as key, encode(c.output, 'hex') as output
    from varve.computation c join varve.relation r on r.id = c.relation`);
  return new Map(rows.map(({ key, output }) => [key, output]));
}

interface Walk {
  readonly tables: readonly { readonly table: string; readonly rows: number }[];
}

interface Why {
  readonly above: readonly { readonly table: string; readonly key: Readonly<Record<string, unknown>> }[];
}

describe('example 02, a neurophysiology pipeline', () => {
  let lab: Laboratory;
  const computed: ReadonlyMap<string, number>[] = [];

  beforeAll(async () => {
    lab = await openLaboratory(FULL);
    computed.push(await populateTwice(lab));
    expect((await lab.curate()).sortings).toBe(RECORDINGS);
    computed.push(await populateTwice(lab));
  }, LIMIT_MS);

  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
  });

  it('records a thousand sessions of a probe, with over a million part rows', async () => {
    const counts = await first<Record<string, number>>(
      lab.store,
      sql`select
      (select count(*)::integer from ephys.recording) as recordings,
      (select count(*)::integer from ephys.sorting) as sortings,
      (select count(*)::integer from ephys.curated) as curated,
      (select count(*)::integer from ephys.sorting__spike) as spikes,
      (select count(*)::integer from ephys.sorting s where s.spikes <> (
        select count(*) from ephys.sorting__spike p
        where (p.subject, p.session, p.probe, p.sorter) = (s.subject, s.session, s.probe, s.sorter))) as torn`,
    );
    expect(counts).toMatchObject({ recordings: 1000, sortings: 2000, curated: 1000, torn: 0 });
    expect(counts['spikes']).toBeGreaterThan(1_000_000);
  });

  it('has each key computed once, by one of two processes', async () => {
    const rows = await lab.store.query<{ name: string; keys: number; again: number }>(sql`
      select r.name, count(*)::integer as keys,
        (select count(*)::integer from varve.superseded s where s.relation = r.id) as again
      from varve.computation c join varve.relation r on r.id = c.relation group by r.id, r.name`);
    // These two were there before the curation, of no units, and are replaced by what follows from it.
    const singles = rows.filter(({ name }) => !['ephys.session_summary', 'ephys.stability'].includes(name));
    expect(singles).toHaveLength(6);
    for (const { name, keys, again } of singles) {
      const total = computed.reduce((sum, keysByTable) => sum + (keysByTable.get(name) ?? 0), 0);
      expect([name, total, again]).toEqual([name, keys, 0]);
    }
  });

  it('leaves nothing stale', async () => {
    const { tables } = await lab.varve<{ readonly tables: readonly { readonly stale: readonly object[] }[] }>(
      'stale',
    );
    expect(tables.filter(({ stale }) => stale.length > 0)).toEqual([]);
  });

  it(
    'gives what one undisturbed process gives',
    async () => {
      await using alone = await openLaboratory({ ...FULL, subjects: 1 });
      await alone.varve(...POPULATE);
      await alone.curate();
      await alone.varve(...POPULATE);
      const [wanted, found] = [await outputs(alone.store), await outputs(lab.store)];
      expect(wanted.size).toBeGreaterThan(FULL.sessions * FULL.probes * 5);
      for (const [key, output] of wanted) expect([key, found.get(key)]).toEqual([key, output]);
    },
    LIMIT_MS,
  );

  it('finds the neurons that were planted, and curation helps', async () => {
    const rows = await lab.store.query<{ name: string; recall: number; precision: number }>(sql`
      select name, sum(found)::double precision / sum(planted) as recall,
        sum(found)::double precision / sum(sorted) as precision
      from (select sorter as name, planted, sorted, found from ephys.accuracy
        union all select 'curated', planted, sorted, found from ephys.curated_accuracy) a
      group by name order by name`);
    const [automatic, byHand, curated] = rows;
    expect(rows.map(({ name }) => name)).toEqual(['automatic', 'by-hand', 'curated']);
    for (const good of [automatic, curated]) {
      expect(good?.recall).toBeGreaterThan(0.85);
      expect(good?.precision).toBeGreaterThan(0.97);
    }
    expect(byHand?.precision).toBeLessThan(curated?.precision ?? 0);
  });

  it('says of one metric from which session and which signal it is', async () => {
    const session = { subject: 'm007', session: 3 };
    const key = await first(
      lab.store,
      sql`select subject, session, probe, sorter, unit, metric_params from ephys.quality_metrics
        where subject = ${session.subject} and session = ${session.session} order by 3, 4, 5, 6 limit 1`,
    );
    const why = await lab.varve<Why>('why', 'ephys.quality_metrics', '--key', JSON.stringify(key), '--deep');
    const keyByTable = new Map(why.above.map((row) => [row.table, row.key]));
    expect(keyByTable.get('ephys.session')).toEqual(session);
    expect(keyByTable.get('ephys.recording')).toEqual({ ...session, probe: key['probe'] });
    expect(keyByTable.get('ephys.curation')).toMatchObject({ ...session, sorter: 'by-hand' });
  });

  it('counts what rests on one session, that which names it as its reference too', async () => {
    const { tables } = await lab.varve<Walk>(
      'cascade',
      'ephys.session',
      '--where',
      "subject = 'm003' and session = 1",
    );
    const rows = Object.fromEntries(tables.map(({ table, rows }) => [table, rows]));
    const own = await first<Record<string, number>>(
      lab.store,
      sql`select
        (select count(*)::integer from ephys.sorting__spike where subject = 'm003' and session = 1) as spikes,
        (select count(*)::integer from ephys.curated__unit where subject = 'm003' and session = 1) as units`,
    );
    expect(rows).toMatchObject({
      'ephys.session': 1,
      'ephys.insertion': 5,
      'ephys.recording': 5,
      'ephys.recording__neuron': 25,
      'ephys.sorting': 10,
      'ephys.sorting__spike': own['spikes'],
      'ephys.curated': 5,
      'ephys.curated__unit': own['units'],
      'ephys.quality_metrics': 2 * (own['units'] ?? 0),
      // Session 10 of this animal is compared with session 1.
      'ephys.comparison': 1,
      'ephys.stability': 1,
      'ephys.session_summary': 1,
    });
  });
});
