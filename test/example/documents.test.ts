import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { whyNoCorpora } from '../../examples/05-documents/installed.ts';

const LIMIT_MS = 300_000;
// In CI the corpora are there, or the tests fail.
const reason = process.env['CI'] === undefined ? whyNoCorpora() : undefined;
if (reason !== undefined) console.warn(`skipped, example 05: ${reason}`);

it.skipIf(reason !== undefined).each([
  ['bom', '15 moves down give what the generator writes, value for value'],
  ['openapi', '131 are moved to 3.1.1 and back, equal'],
])(
  'example 05, documents that others wrote: tells the story of %s',
  async (story, wanted) => {
    await mkdir('.cache', { recursive: true });
    const folder = await mkdtemp(path.resolve('.cache', 'example-'));
    const argv = ['examples/05-documents/run.ts', '--folder', path.join(folder, 'files'), '--story', story];
    const child = spawn('node', ['--conditions=@varve/source', ...argv], {
      env: { ...process.env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [output, faults, [status]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<readonly number[]>,
    ]);
    await rm(folder, { recursive: true, force: true });
    expect(output + faults).toContain('All as told');
    expect(output).toContain(wanted);
    expect(status).toBe(0);
  },
  LIMIT_MS,
);
