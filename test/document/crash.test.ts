import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-document-crash-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs to the end, or until so many checkpoints were written: then it is killed in the middle of what comes next. */
async function migrate(
  input: string,
  out: string,
  options: { killAfter?: number; resume?: boolean } = {},
): Promise<string> {
  const argv = ['--conditions=@varve/source', 'test/document/migrate-process.ts', input, out];
  const child = spawn(process.execPath, [...argv, ...(options.resume === true ? ['resume'] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (output.split('batch\n').length - 1 >= (options.killAfter ?? Infinity)) child.kill('SIGKILL');
  });
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals | null>();
  child.on('close', (_code, signal) => resolve(signal));
  expect(await promise).toBe(options.killAfter === undefined ? null : 'SIGKILL');
  return output.trimEnd().split('\n').at(-1) ?? '';
}

const lines = Array.from({ length: 6_000 }, (_, at) =>
  at % 701 === 5
    ? `{"title":"cut ${at}`
    : at % 4 === 0
      ? `{"schema_version":2,"name":"n","n":${at}.0}`
      : `{"title":"${at}","draft":${at},"context":null}`,
).join('\n');

describe('F12 SIGKILL in a batch', () => {
  it.each(['in.jsonl', 'in.jsonl.gz'])(
    'the resumed run writes the bytes of an unbroken one: %s',
    async (name) => {
      const input = join(folder, name);
      await writeFile(input, name.endsWith('.gz') ? gzipSync(lines) : lines);
      const whole = join(folder, `whole-${name}`);
      expect(JSON.parse(await migrate(input, whole))).toMatchObject({
        status: 'ok',
        counts: { documents: 6_000 },
      });
      for (const killAfter of [1, 4]) {
        const out = join(folder, `${killAfter}-${name}`);
        await migrate(input, out, { killAfter });
        await expect(stat(out)).rejects.toThrow('ENOENT');
        expect(JSON.parse(await migrate(input, out, { resume: true }))).toMatchObject({ status: 'ok' });
        for (const end of ['', '.quarantine.jsonl', '.beside.jsonl']) {
          expect((await readFile(out + end)).equals(await readFile(whole + end))).toBe(true);
        }
      }
    },
  );
});
