import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { postgresDatabase } from '../harness/index.ts';

const LIMIT_MS = 600_000;
const folders: string[] = [];

/** Tells one story in a folder as deep below the repository as the example's own. */
async function tell(
  story: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly output: string }> {
  await mkdir('.cache', { recursive: true });
  const folder = await mkdtemp(path.resolve('.cache', 'example-'));
  folders.push(folder);
  const place = ['--folder', path.join(folder, 'projects'), '--story', story];
  const child = spawn(
    'node',
    ['--conditions=@varve/source', 'examples/03-restructure/run.ts', ...place, ...args],
    { env: { ...process.env, NO_COLOR: '1', ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const [output, faults, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<readonly number[]>,
  ]);
  return { status: status ?? -1, output: output + faults };
}

describe('example 03, structures that turn out to be wrong', () => {
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  });

  it.each(['audit', 'lab'])(
    'tells the story of the %s on the embedded store',
    async (story) => {
      const told = await tell(story);
      expect(told.output).toContain('All as told');
      expect(told.status).toBe(0);
    },
    LIMIT_MS,
  );

  it.each(['audit', 'lab'])(
    'tells the story of the %s on a server',
    async (story) => {
      await using database = await postgresDatabase(18);
      const told = await tell(story, ['--store', 'server'], { DATABASE_URL: database.url });
      expect(told.output).toContain('All as told');
      expect(told.status).toBe(0);
    },
    LIMIT_MS,
  );

  it(
    'names the stories that there are',
    async () => {
      const told = await tell('other');
      expect(told.output).toContain('there are audit, lab');
      expect(told.status).toBe(1);
    },
    LIMIT_MS,
  );
});
