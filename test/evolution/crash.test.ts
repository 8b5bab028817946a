import { spawn } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pipelineKind } from '../../src/evolution/index.ts';
import { FAULT_POINTS } from '../../src/migration/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { embeddedStore, postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { SETTLED, type LiveState } from './state.ts';

const ENDINGS = ['apply', 'rollback', 'recover'] as const;
const kind = pipelineKind(() => Promise.reject(new Error('never asked')));
/** Points on the way of a run that is undone are reached by a make that changed. */
const isOfUndo = (point: string): boolean => /^F\d+_undo/u.test(point);
const casesOf = (points: readonly string[]): readonly (readonly [string, (typeof ENDINGS)[number]])[] =>
  points.map((point, index) => [point, ENDINGS[index % ENDINGS.length] ?? 'apply'] as const);
/** Every point of the small evolution; of the large one those between which its tables are built, change and settle. */
const CASES = {
  declare: casesOf([...FAULT_POINTS, ...kind.faultPoints]),
  widen: casesOf([
    'F06_step_started',
    ...kind.faultPoints,
    'F09_decided',
    'F12_ledger_row',
    'F13_committed',
    'F15_after_done',
    'F22_undo_announced',
    'F24_undone',
  ]),
} as const;
/** An embedded store takes seconds to open, and the large evolution is opened twice a case: every second one there. */
const casesFor = <T>(
  cases: readonly T[],
  { story, on }: { readonly story: Story; readonly on: StoreKind },
): readonly T[] =>
  story === 'widen' && on === 'embedded' ? cases.filter((_, index) => index % 2 === 0) : cases;
/** While others write, in the large one. */
const WRITING = casesOf(['E02_attributed', 'E05_checked', 'E06_renamed', 'F13_committed']);
type Story = keyof typeof CASES;
type StoreKind = 'postgres' | 'embedded';

/** A database with something to evolve and two planned bundles: a good one, and one whose make changed. */
interface Base {
  readonly root: string;
  readonly good: string;
  readonly changed: string;
  readonly before: LiveState;
}

interface Place extends AsyncDisposable {
  /** URL or folder: what a child process opens. */
  readonly address: string;
  readonly root: string;
}

interface Ended {
  readonly signal: string | null;
  readonly stderr: string;
  readonly outcome?: { readonly status: string; readonly live: LiveState; readonly settled: object };
}

const STORIES = ['declare', 'widen'] as const;

describe.skipIf(!(process.env['VARVE_TEST_STORES'] ?? 'postgres-18').includes('postgres-18')).each(STORIES)(
  'an evolution killed on PostgreSQL (%s)',
  (story) => {
    let database: PostgresDatabase;
    let base: Base;
    let folder: string;
    let count = 0;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'varve-evolution-crash-'));
      database = await postgresDatabase(18);
      base = await prepare(story, database.url, join(folder, 'base'));
    }, 60_000);
    afterAll(async () => {
      await database[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });
    const fresh = async (): Promise<Place> => {
      const url = new URL(database.url);
      const template = url.pathname.slice(1);
      const name = `${template}_${String((count += 1))}`;
      url.pathname = '/postgres';
      const server = await postgresStore({ url: url.href });
      await server.execute(sql`create database ${sql.id(name)} template ${sql.id(template)}`);
      url.pathname = `/${name}`;
      const root = join(folder, name);
      await cp(base.root, root, { recursive: true });
      return {
        address: url.href,
        root,
        [Symbol.asyncDispose]: async () => {
          await server.execute(sql`drop database ${sql.id(name)} with (force)`);
          await server[Symbol.asyncDispose]();
        },
      };
    };
    suite(
      { story, on: 'postgres' },
      () => base,
      () => fresh(),
    );
  },
);

describe.skipIf(!(process.env['VARVE_TEST_STORES'] ?? 'embedded').includes('embedded')).each(STORIES)(
  'an evolution killed in an embedded store (%s)',
  (story) => {
    let base: Base;
    let folder: string;
    let count = 0;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'varve-evolution-crash-'));
      base = await prepare(story, join(folder, 'base.db'), join(folder, 'base'));
    }, 60_000);
    afterAll(() => rm(folder, { recursive: true, force: true }));
    const fresh = async (): Promise<Place> => {
      const root = join(folder, String((count += 1)));
      await cp(base.root, root, { recursive: true });
      await cp(join(folder, 'base.db'), `${root}.db`, { recursive: true });
      return {
        address: `${root}.db`,
        root,
        [Symbol.asyncDispose]: () => rm(`${root}.db`, { recursive: true, force: true }),
      };
    };
    suite(
      { story, on: 'embedded' },
      () => base,
      () => fresh(),
    );
  },
);

function suite(
  { story, on }: { readonly story: Story; readonly on: StoreKind },
  base: () => Base,
  fresh: () => Promise<Place>,
): void {
  const child = (
    place: Where,
    verb: string,
    id: string,
    change: number,
    ...rest: readonly string[]
  ): Promise<Ended> => run([story, place.address, place.root, verb, id, String(change), ...rest]);
  let after: LiveState;
  beforeAll(async () => {
    await using place = await fresh();
    const { outcome, stderr } = await child(place, 'apply', base().good, 0);
    expect(outcome, stderr + JSON.stringify(outcome)).toMatchObject({ status: 'applied', settled: SETTLED });
    after = (outcome as { readonly live: LiveState }).live;
    expect(after).not.toEqual(base().before);
  }, 60_000);

  it.each(casesFor(CASES[story], { story, on }))(
    'at %s and ended by %s is as if undisturbed',
    async (point, way) => {
      await using place = await fresh();
      const [id, change] = isOfUndo(point) ? [base().changed, 1] : [base().good, 0];
      const killed = await child(place, 'apply', id, change, point);
      expect(killed.signal, killed.stderr).toBe('SIGKILL');
      const { outcome, stderr } = await child(place, way, id, change);
      expect(outcome?.settled, stderr).toEqual(SETTLED);
      const both = [base().before, after];
      const wanted =
        isOfUndo(point) || way === 'rollback' ? [base().before] : way === 'apply' ? [after] : both;
      expect(wanted, JSON.stringify(outcome)).toContainEqual(outcome?.live);
    },
    60_000,
  );

  it('and taken back while it is being recovered is as if undisturbed', async () => {
    await using place = await fresh();
    const { good } = base();
    expect((await child(place, 'apply', good, 0, 'E05_checked')).signal).toBe('SIGKILL');
    expect((await child(place, 'recover', good, 0, 'F23_undo_row')).signal).toBe('SIGKILL');
    expect((await child(place, 'rollback', good, 0, 'F24_undone')).signal).toBe('SIGKILL');
    const { outcome, stderr } = await child(place, 'apply', good, 0);
    expect(outcome, stderr).toMatchObject({ status: 'applied', live: after, settled: SETTLED });
  }, 60_000);

  if (story !== 'widen') return;
  it.each(casesFor(WRITING, { story, on }))(
    'while others write, at %s and ended by %s, what they committed is there once',
    async (point, way) => {
      await using place = await fresh();
      const { good, before } = base();
      const killed = await child(place, 'apply', good, 0, point, 'writing');
      expect(killed.signal, killed.stderr).toBe('SIGKILL');
      const { outcome, stderr } = await child(place, way, good, 0);
      expect(outcome?.settled, stderr).toEqual(SETTLED);
      expect([before.definitions, after.definitions]).toContain(outcome?.live.definitions);
      if (way === 'rollback') expect(outcome?.live.definitions).toBe(before.definitions);
      await using store = await openStore(place.address);
      const [rows] = await store.query(sql`
        select count(*) filter (where w.n is null) as lost, count(*) filter (where n.note is null) as invented,
          count(*) > 0 as "someWritten"
        from public.written w full join (select note from lab.note where note > 1000) n on n.note = w.n`);
      expect(rows).toEqual({ lost: 0n, invented: 0n, someWritten: true });
      const kept = await store.query(sql`select note from lab.note where note <= 5 order by 1`);
      expect(kept).toHaveLength(5);
    },
    60_000,
  );
}

function openStore(address: string): Promise<Store> {
  return address.startsWith('postgres')
    ? postgresStore({ url: address })
    : embeddedStore({ folder: address });
}

async function prepare(story: Story, address: string, root: string): Promise<Base> {
  const { outcome, stderr } = await run([story, address, root, 'prepare']);
  if (outcome === undefined) throw new Error(stderr);
  return { ...(outcome as unknown as Omit<Base, 'root'>), root };
}

type Where = Pick<Place, 'address' | 'root'>;

async function run(args: readonly string[]): Promise<Ended> {
  const script = fileURLToPath(new URL('run-process.ts', import.meta.url));
  const process_ = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  process_.stdout.on('data', (data) => (stdout += String(data)));
  process_.stderr.on('data', (data) => (stderr += String(data)));
  const signal = await new Promise<string | null>((resolve) =>
    process_.on('close', (_code, ended) => resolve(ended)),
  );
  return { signal, stderr, ...(stdout === '' ? {} : { outcome: JSON.parse(stdout) }) };
}
