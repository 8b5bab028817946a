import { spawn } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAULT_POINTS } from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { SETTLED } from './state.ts';

/** Everything happens in the deciding transaction: no step stands beside it or comes after, and there is nothing to undo. */
const isReached = (point: string): boolean => !/_(?:step|after|undo|undone)(?:_|$)/u.test(point);
const CASES = [...FAULT_POINTS.filter(isReached), 'R01_let_go'].map(
  (point, index) => [point, index % 2 === 0 ? 'retire' : 'recover'] as const,
);
const stores: readonly string[] = process.env['VARVE_TEST_STORES']?.split(',') ?? ['embedded', 'postgres-18'];

interface Place extends AsyncDisposable {
  readonly address: string;
  readonly root: string;
}

interface Outcome {
  readonly id: string;
  readonly status: string;
  readonly live: object;
  readonly structures: number;
  readonly remembered: number;
  readonly settled: object;
}

if (stores.includes('postgres-18')) {
  describe('a retire killed on PostgreSQL', () => {
    let database: PostgresDatabase;
    let folder: string;
    let base: Outcome;
    let count = 0;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'varve-retire-crash-'));
      database = await postgresDatabase(18);
      base = await prepared(database.url, join(folder, 'base'));
    }, 60_000);
    afterAll(async () => {
      await database[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });
    suite(
      () => base,
      async () => {
        const url = new URL(database.url);
        const template = url.pathname.slice(1);
        const name = `${template}_${String((count += 1))}`;
        url.pathname = '/postgres';
        const server = await postgresStore({ url: url.href });
        await server.execute(sql`create database ${sql.id(name)} template ${sql.id(template)}`);
        url.pathname = `/${name}`;
        const root = join(folder, name);
        await cp(join(folder, 'base'), root, { recursive: true });
        return {
          address: url.href,
          root,
          [Symbol.asyncDispose]: async () => {
            await server.execute(sql`drop database ${sql.id(name)} with (force)`);
            await server[Symbol.asyncDispose]();
          },
        };
      },
    );
  });
}

if (stores.includes('embedded')) {
  describe('a retire killed in an embedded store', () => {
    let folder: string;
    let base: Outcome;
    let count = 0;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'varve-retire-crash-'));
      base = await prepared(join(folder, 'base.db'), join(folder, 'base'));
    }, 60_000);
    afterAll(() => rm(folder, { recursive: true, force: true }));
    suite(
      () => base,
      async () => {
        const root = join(folder, String((count += 1)));
        await cp(join(folder, 'base'), root, { recursive: true });
        await cp(join(folder, 'base.db'), `${root}.db`, { recursive: true });
        return {
          address: `${root}.db`,
          root,
          [Symbol.asyncDispose]: () => rm(`${root}.db`, { recursive: true, force: true }),
        };
      },
    );
  });
}

function suite(base: () => Outcome, fresh: () => Promise<Place>): void {
  it.each(CASES)(
    'at %s and ended by %s let go of all or of nothing',
    async (point, way) => {
      await using place = await fresh();
      const { id, live } = base();
      const killed = await child(place, 'retire', id, point);
      expect(killed.signal, killed.stderr).toBe('SIGKILL');
      const { outcome, stderr } = await child(place, way, id);
      expect(outcome, stderr).toMatchObject({ live, settled: SETTLED });
      const [all, nothing] = [
        { structures: 0, remembered: 2 },
        { structures: 1, remembered: 0 },
      ];
      const found = { structures: outcome?.structures, remembered: outcome?.remembered };
      expect(way === 'retire' ? [all] : [all, nothing], stderr).toContainEqual(found);
      const { outcome: again } = await child(place, 'retire', id);
      expect(again).toMatchObject({ ...all, status: 'applied', live, settled: SETTLED });
    },
    60_000,
  );
}

async function prepared(address: string, root: string): Promise<Outcome> {
  const { outcome, stderr } = await child({ address, root }, 'prepare', '');
  if (outcome === undefined) throw new Error(stderr);
  return outcome;
}

interface Ended {
  readonly signal: string | null;
  readonly stderr: string;
  readonly outcome?: Outcome;
}

async function child(
  place: Pick<Place, 'address' | 'root'>,
  verb: string,
  id: string,
  point?: string,
): Promise<Ended> {
  const script = fileURLToPath(new URL('retire-process.ts', import.meta.url));
  const args = [script, place.address, place.root, verb, id, ...(point === undefined ? [] : [point])];
  const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  process_.stdout.on('data', (data) => (stdout += String(data)));
  process_.stderr.on('data', (data) => (stderr += String(data)));
  const signal = await new Promise<string | null>((resolve) =>
    process_.on('close', (_code, ended) => resolve(ended)),
  );
  return { signal, stderr, ...(stdout === '' ? {} : { outcome: JSON.parse(stdout) as Outcome }) };
}
