import { spawn } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pipelineKind } from '../../src/evolution/index.ts';
import { FAULT_POINTS } from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { SETTLED, type LiveState } from './state.ts';

const ENDINGS = ['apply', 'rollback', 'recover'] as const;
const kind = pipelineKind(() => Promise.reject(new Error('never asked')));
/** Points on the way of a run that is undone are reached by a make that changed. */
const isOfUndo = (point: string): boolean => /^F\d+_undo/u.test(point);
const CASES = [...FAULT_POINTS, ...kind.faultPoints].map(
  (point, index) => [point, ENDINGS[index % ENDINGS.length] ?? 'apply'] as const,
);

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

describe.skipIf(!(process.env['VARVE_TEST_STORES'] ?? 'postgres-18').includes('postgres-18'))(
  'an evolution killed on PostgreSQL',
  () => {
    let database: PostgresDatabase;
    let base: Base;
    let folder: string;
    let count = 0;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'varve-evolution-crash-'));
      database = await postgresDatabase(18);
      base = await prepare(database.url, join(folder, 'base'));
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
      () => base,
      () => fresh(),
    );
  },
);

describe.skipIf(!(process.env['VARVE_TEST_STORES'] ?? 'embedded').includes('embedded'))(
  'an evolution killed in an embedded store',
  () => {
    let base: Base;
    let folder: string;
    let count = 0;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'varve-evolution-crash-'));
      base = await prepare(join(folder, 'base.db'), join(folder, 'base'));
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
      () => base,
      () => fresh(),
    );
  },
);

function suite(base: () => Base, fresh: () => Promise<Place>): void {
  let after: LiveState;
  beforeAll(async () => {
    await using place = await fresh();
    const { outcome, stderr } = await child(place, 'apply', base().good, 0);
    expect(outcome, stderr).toMatchObject({ status: 'applied', settled: SETTLED });
    after = (outcome as { readonly live: LiveState }).live;
    expect(after).not.toEqual(base().before);
  }, 60_000);

  it.each(CASES)(
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
}

async function prepare(address: string, root: string): Promise<Base> {
  const { outcome, stderr } = await child({ address, root }, 'prepare', '', 0);
  if (outcome === undefined) throw new Error(stderr);
  return { ...(outcome as unknown as Omit<Base, 'root'>), root };
}

async function child(
  place: Pick<Place, 'address' | 'root'>,
  verb: string,
  id: string,
  change: number,
  point?: string,
): Promise<Ended> {
  const script = fileURLToPath(new URL('run-process.ts', import.meta.url));
  const args = [
    script,
    place.address,
    place.root,
    verb,
    id,
    String(change),
    ...(point === undefined ? [] : [point]),
  ];
  const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  process_.stdout.on('data', (data) => (stdout += String(data)));
  process_.stderr.on('data', (data) => (stderr += String(data)));
  const signal = await new Promise<string | null>((resolve) =>
    process_.on('close', (_code, ended) => resolve(ended)),
  );
  return { signal, stderr, ...(stdout === '' ? {} : { outcome: JSON.parse(stdout) }) };
}
