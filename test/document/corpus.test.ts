import { spawn } from 'node:child_process';
import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { descriptions, whyNoCorpora } from '../../examples/05-documents/installed.ts';

const LIMIT_MS = 300_000;
// In CI the corpora are there, or the tests fail.
const reason = process.env['CI'] === undefined ? whyNoCorpora() : undefined;
if (reason !== undefined) console.warn(`skipped, OpenAPI descriptions: ${reason}`);

interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly result: unknown;
}

/** Runs to the end, or until so many checkpoints were written; then it is killed in the middle of what comes next. */
async function migrate(
  input: string,
  out: string,
  options: { readonly killAfter?: number; readonly resume?: boolean } = {},
): Promise<Ended> {
  const argv = ['--conditions=@varve/source', 'test/document/corpus-process.ts', input, out];
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
  const signal = await promise;
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  return { signal, result: last.startsWith('{') ? (JSON.parse(last) as unknown) : undefined };
}

describe.skipIf(reason !== undefined)('a batch over published descriptions of interfaces', () => {
  let folder: string;
  let lines: string;
  let count: number;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-corpus-'));
    const paths = descriptions(40);
    count = paths.length;
    const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8')));
    // One line each; in the middle one that is cut, which no run may stumble over.
    const documents = texts.map((text) => JSON.stringify(JSON.parse(text)));
    lines = documents.toSpliced(count / 2, 0, '{"openapi":"3.0.0","info":').join('\n');
  }, LIMIT_MS);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(['in.jsonl', 'in.jsonl.gz'])(
    'F12 killed three times and resumed, it writes the bytes of an undisturbed run: %s',
    async (name) => {
      const input = join(folder, name);
      await appendFile(input, name.endsWith('.gz') ? gzipSync(lines) : lines);
      const whole = join(folder, `whole-${name}`);
      const undisturbed = await migrate(input, whole);
      expect(undisturbed.result).toMatchObject({
        status: 'ok',
        counts: { documents: count + 1, quarantined: 1 },
      });
      const out = join(folder, `killed-${name}`);
      for (const [at, killAfter] of [2, 1, 3].entries()) {
        expect((await migrate(input, out, { killAfter, resume: at > 0 })).signal).toBe('SIGKILL');
        await expect(stat(out)).rejects.toThrow('ENOENT');
      }
      const ended = await migrate(input, out, { resume: true });
      expect(ended.result).toMatchObject({ status: 'ok' });
      for (const end of ['', '.quarantine.jsonl', '.beside.jsonl']) {
        const [found, wanted] = await Promise.all([readFile(out + end), readFile(whole + end)]);
        expect(found.length).toBeGreaterThan(0);
        expect(found.equals(wanted)).toBe(true);
      }
      const bytes = await readFile(out);
      const written = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString().trimEnd().split('\n');
      expect(written).toHaveLength(count);
      expect(written.every((line) => line.includes('"openapi":"3.1'))).toBe(true);
    },
    LIMIT_MS,
  );

  it(
    'F12 of two runs at once the second is refused, and the first is not disturbed',
    async () => {
      const input = join(folder, 'twice.jsonl');
      await appendFile(input, lines);
      const out = join(folder, 'twice-out.jsonl');
      const runs = await Promise.all([migrate(input, out), migrate(input, out)]);
      const results = runs.map(({ result }) => result);
      expect(results).toContainEqual(expect.objectContaining({ status: 'ok' }));
      expect(results).toContainEqual(
        expect.objectContaining({
          status: 'refused',
          findings: [expect.objectContaining({ code: 'output_locked' })],
        }),
      );
      expect((await readFile(out)).length).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );
});
