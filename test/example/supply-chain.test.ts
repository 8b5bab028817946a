import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { postgresDatabase } from '../harness/index.ts';

const LIMIT_MS = 180_000;
const folders: string[] = [];

/** A project's folder as deep below the repository as the example's own, so that its `filesFolder` still leads there. */
async function projectFolder(): Promise<string> {
  await mkdir('.cache', { recursive: true });
  const folder = await mkdtemp(path.resolve('.cache', 'example-'));
  folders.push(folder);
  return path.join(folder, 'project');
}

interface Story {
  readonly status: number | null;
  /** What each command printed, by the line that was typed, in order. */
  readonly shown: readonly (readonly [line: string, output: string])[];
  readonly text: string;
}

/** Runs the story in a folder. */
async function tell(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Story> {
  // Both streams into one file, so that their lines stand in the order in which they were written.
  const transcriptPath = `${folder}.txt`;
  const transcript = await open(transcriptPath, 'w');
  const child = spawn(
    'node',
    ['--conditions=@varve/source', 'examples/01-supply-chain/run.ts', '--folder', folder, ...args],
    { env: { ...process.env, NO_COLOR: '1', ...env }, stdio: ['ignore', transcript.fd, transcript.fd] },
  );
  const [status] = (await once(child, 'close')) as readonly (number | null)[];
  await transcript.close();
  const text = await readFile(transcriptPath, 'utf8');
  const shown = text
    .split('\n$ ')
    .slice(1)
    .map((block) => [block.slice(0, block.indexOf('\n')), block] as const);
  return { status: status ?? null, shown, text };
}

function outputsOf({ shown }: Story, command: string): readonly string[] {
  return shown.filter(([line]) => line.startsWith(command)).map(([, output]) => output);
}

/** The numbers in the line of a table. */
function numbers(output: string | undefined, table: string): readonly number[] {
  const line = output?.split('\n').find((each) => each.startsWith(`${table} `)) ?? '';
  return [...line.matchAll(/ (?<count>[\d,]+)(?= |$)/gu)].map(([, count = '']) =>
    Number(count.replaceAll(',', '')),
  );
}

function assertTold(story: Story): void {
  expect(story.text).toContain('All as told');
  expect(story.status).toBe(0);
  const [first, unnoticed, repaired] = outputsOf(story, 'varve populate');
  const [packages = 0] = numbers(first, 'audit.manifest');
  expect(packages).toBeGreaterThan(100);
  expect(numbers(first, 'audit.license_verdict')).toEqual([packages, 0, 0, 0]);
  expect(numbers(unnoticed, 'audit.license_verdict')).toEqual([0, 0, 0, packages]);
  const [again = 0, , , unchanged = 0] = numbers(repaired, 'audit.license_verdict');
  expect(again).toBeGreaterThan(0);
  expect(again + unchanged).toBe(packages);
  expect(outputsOf(story, 'varve check')[0]).toMatch(/undeclared_read {2}audit\.license_verdict/u);
  expect(numbers(outputsOf(story, 'varve plan')[1], 'audit.license_verdict')).toEqual([0, packages, 0, 0, 0]);
  expect(outputsOf(story, 'varve why')[0]).toContain(
    'audit.license_policy {"license":"MPL-2.0"}, not declared',
  );
  expect(outputsOf(story, 'varve history')[0]?.match(/node_modules\//gu)).toHaveLength(4);
  const [rows, equal, ...others] = numbers(outputsOf(story, 'varve verify')[0], 'audit.license_verdict');
  expect([rows, equal, others]).toEqual([packages, packages, [0, 0, 0, 0]]);
  expect(outputsOf(story, 'varve receipts')[0]).toContain('everything holds');
}

describe('example 01, a supply-chain audit', () => {
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  });

  it(
    'tells its story on the embedded store',
    async () => {
      assertTold(await tell(await projectFolder(), []));
    },
    LIMIT_MS,
  );

  it(
    'tells the same story on a server',
    async () => {
      await using database = await postgresDatabase(18);
      const story = await tell(await projectFolder(), ['--store', 'server'], { DATABASE_URL: database.url });
      assertTold(story);
    },
    LIMIT_MS,
  );

  it(
    'ends with a failure where a command does',
    async () => {
      const story = await tell(await projectFolder(), ['--store', 'server'], { DATABASE_URL: '' });
      expect(story.status).toBe(1);
      expect(story.text).toContain('DATABASE_URL is not set');
      expect(story.text).not.toContain('All as told');
    },
    LIMIT_MS,
  );
});
