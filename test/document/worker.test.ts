import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DocumentType, Model } from '../../src/document/index.ts';
import { migrateFile } from '../../src/document/edge/index.ts';
import { readBlocks } from '../../src/document/edge/read-blocks.ts';
import { linesOf, readLines } from '../../src/document/edge/read-lines.ts';
import { fickle, note } from './thread-type.ts';

const MODULE = new URL('./thread-type.ts', import.meta.url).href;
const LIMIT_MS = 120_000;
const NAMES = ['', '.quarantine.jsonl', '.beside.jsonl'] as const;
let root: string;
let folder: string;
let made = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'varve-worker-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  folder = join(root, String((made += 1)));
  await mkdir(folder);
});

function modelOf(type: DocumentType<unknown>): Model {
  const model = type.model();
  if (model.status === 'refused') throw new TypeError(JSON.stringify(model));
  return model.value;
}

const lines = Array.from({ length: 3_000 }, (_, at) => {
  if (at % 97 === 5) return `{"title":"cut ${at}`;
  if (at % 101 === 7) return `{"title":"${'x'.repeat(5_000)}"}`;
  if (at % 43 === 9) return '  ';
  if (at % 5 === 0) return `{"schema_version":2,"n":${at}.0}\r`;
  return `{"title":"${at}","draft":[${at}],"context":${at % 2 === 0 ? 'null' : '{}'}}`;
}).join('\n');

const run = (input: string, out: string, workers: number | undefined, options: object = {}) =>
  migrateFile(modelOf(note), input, join(folder, out), {
    now: '2026-05-12T00:00:00.000Z',
    maxQuarantined: 9_999,
    batchBytes: 8_000,
    ...(workers === undefined ? {} : { workers: { count: workers, module: MODULE } }),
    ...options,
  });
const filesOf = (out: string) => Promise.all(NAMES.map((end) => readFile(join(folder, out + end))));

describe('lines on several threads', () => {
  it.each<readonly [string, Uint8Array]>([
    ['in.jsonl', Buffer.from(lines)],
    ['ended.jsonl', Buffer.from(`${lines}\n`)],
    ['in.jsonl.gz', gzipSync(lines)],
    ['cut.jsonl.gz', gzipSync(lines).subarray(0, -2_000)],
  ])(
    'write the bytes of one thread: %s',
    async (name, content) => {
      const input = join(folder, name);
      await writeFile(input, content);
      const one = await run(input, `one-${name}`, undefined);
      expect(one).toMatchObject({ status: 'ok' });
      const expected = await filesOf(`one-${name}`);
      for (const workers of [1, 3]) {
        const out = `${workers}-${name}`;
        expect(await run(input, out, workers)).toEqual({ ...one, out: join(folder, out) });
        const found = await filesOf(out);
        expect(found.map((bytes, at) => bytes.equals(expected[at] ?? Buffer.of()))).toEqual([
          true,
          true,
          true,
        ]);
      }
    },
    LIMIT_MS,
  );

  it.each(['in.jsonl', 'in.jsonl.gz'])(
    'F12 stopped and resumed, on threads or on one, they write the same bytes: %s',
    async (name) => {
      const input = join(folder, name);
      await writeFile(input, name.endsWith('.gz') ? gzipSync(lines) : lines);
      await run(input, 'whole', undefined);
      const expected = await filesOf('whole');
      for (const [stopAt, first, second] of [
        [1, 2, undefined],
        [7, undefined, 2],
        [4, 2, 2],
      ] as const) {
        let batches = 0;
        const stop = () => {
          batches += 1;
          if (batches === stopAt) throw new Error('killed');
        };
        const out = `out-${stopAt}`;
        await expect(run(input, out, first, { onBatch: stop })).rejects.toThrow('killed');
        for (const end of ['.part', '.quarantine.jsonl', '.beside.jsonl'])
          await appendFile(join(folder, out + end), 'half a line');
        expect(await run(input, out, second, { resume: true })).toMatchObject({ status: 'ok' });
        const found = await filesOf(out);
        expect(found.map((bytes, at) => bytes.equals(expected[at] ?? Buffer.of()))).toEqual([
          true,
          true,
          true,
        ]);
      }
    },
    LIMIT_MS,
  );

  it(
    'a run that is asked to stop goes on later',
    async () => {
      const input = join(folder, 'in.jsonl');
      await writeFile(input, lines);
      await run(input, 'whole', undefined);
      const controller = new AbortController();
      let batches = 0;
      const onBatch = () => {
        batches += 1;
        if (batches === 3) controller.abort();
      };
      expect(await run(input, 'out', 2, { signal: controller.signal, onBatch })).toMatchObject({
        findings: [{ code: 'interrupted' }],
      });
      expect(await run(input, 'out', 2, { resume: true })).toMatchObject({ status: 'ok' });
      expect(await filesOf('out')).toEqual(await filesOf('whole'));
    },
    LIMIT_MS,
  );

  it('a thread that loads another type is refused before anything is moved', async () => {
    const input = join(folder, 'in.jsonl');
    await writeFile(input, lines);
    const workers = { count: 2, module: MODULE };
    expect(await migrateFile(modelOf(fickle), input, join(folder, 'out'), { workers })).toMatchObject({
      status: 'refused',
      findings: [{ code: 'plan_changed', detail: { changed: 'the document type of a thread' } }],
    });
    const elsewhere = { count: 1, module: new URL('./corpus-process.ts', import.meta.url).href };
    await expect(
      migrateFile(modelOf(note), input, join(folder, 'other'), {
        workers: { ...elsewhere, module: `${MODULE}.none` },
      }),
    ).rejects.toMatchObject({ code: 'internal' });
  });
});

it('blocks hold the lines of the file, and end where batches do, wherever the chunks end', async () => {
  const whole = Buffer.from(lines);
  async function* chunks(size: number) {
    for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
  }
  const wanted: unknown[] = [];
  let since = 0;
  for await (const line of readLines(chunks(1_000), 1_000)) {
    since += line.length;
    const isEnd = since >= 8_000;
    if (isEnd) since = 0;
    wanted.push([line.place, line.length, line.lineBreak, line.bytes?.length, isEnd]);
  }
  for (const size of [37, 1_000, 8_000, 100_000]) {
    const found: unknown[] = [];
    for await (const { place, bytes, unit, isEnd } of readBlocks(chunks(size), 8_000, 1_000, 0)) {
      const all = bytes === undefined ? [unit] : [...linesOf(bytes, 1_000, place)];
      for (const [at, line] of all.entries())
        if (line !== undefined)
          found.push([
            line.place,
            line.length,
            line.lineBreak,
            line.bytes?.length,
            isEnd && at === all.length - 1,
          ]);
    }
    expect(found).toEqual(wanted);
  }
});
