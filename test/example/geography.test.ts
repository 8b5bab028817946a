import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { postgresDatabase, whyNoPostgis } from '../harness/index.ts';

const LIMIT_MS = 900_000;
const folders: string[] = [];
const reason = process.env['CI'] === undefined ? whyNoPostgis() : undefined;
if (reason !== undefined) console.info(`example 04 on a server is skipped: ${reason}`);

/** Tells the story in a folder as deep below the repository as the example's own. */
async function tell(
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly output: string }> {
  await mkdir('.cache', { recursive: true });
  const folder = await mkdtemp(path.resolve('.cache', 'example-'));
  folders.push(folder);
  const child = spawn(
    'node',
    ['--conditions=@varve/source', 'examples/04-geography/run.ts', '--folder', folder, ...args],
    { env: { ...process.env, NO_COLOR: '1', ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const [output, faults, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<readonly number[]>,
  ]);
  return { status: status ?? -1, output: output + faults };
}

describe('example 04, governed changes to real geography', () => {
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  });

  it(
    'tells its story on the embedded store with PostGIS',
    async () => {
      const told = await tell();
      expect(told.output).toContain('All as told');
      expect(told.status).toBe(0);
    },
    LIMIT_MS,
  );

  it.skipIf(reason !== undefined)(
    'tells its story on a server with PostGIS',
    async () => {
      await using database = await postgresDatabase('postgis');
      const told = await tell(['--store', 'server'], { DATABASE_URL: database.url });
      expect(told.output).toContain('All as told');
      expect(told.status).toBe(0);
    },
    LIMIT_MS,
  );
});
