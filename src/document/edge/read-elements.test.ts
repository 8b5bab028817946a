import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defineDocument, op, step, type Op, type Policy } from '../index.ts';
import type { Model } from '../model.ts';
import { migrateFile } from './migrate-file.ts';
import { readElements } from './read-elements.ts';

const NOW = '2026-05-12T00:00:00.000Z';
let root: string;
let folder: string;
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'varve-elements-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  folder = join(root, String((count += 1)));
  await mkdir(folder);
});

function modelOf(
  ops: readonly Op[] = [op.rename('/title', 'name'), op.remove('/draft')],
  policy: Policy = {},
): Model {
  const model = defineDocument('note', {
    schema: { type: 'object', properties: { name: { type: 'string' } } },
    current: '2',
    version: { missing: '1', order: 'integer' },
    versions: { '1': {}, '2': {} },
    steps: [step('1', '2', ops)],
    policy: { limits: { sizeBytes: 1000, depth: 50 }, ...policy },
  }).model();
  if (model.status === 'refused') throw new Error(JSON.stringify(model));
  return model.value;
}

async function write(name: string, content: string | Uint8Array): Promise<string> {
  await writeFile(join(folder, name), content);
  return join(folder, name);
}

const run = (model: Model, input: string, out: string, options: object = {}) =>
  migrateFile(model, input, join(folder, out), { now: NOW, ...options });
const text = (name: string) => readFile(join(folder, name), 'utf8');
const quarantine = async (name: string) =>
  (await text(`${name}.quarantine.jsonl`))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { place: number; bytes?: string; findings: { code: string }[] });

describe('an array in one file', () => {
  const beside: Policy = { provenance: 'beside', residue: 'beside' };
  const renamed = () => modelOf([op.rename('/title', 'name')], beside);
  const ARRAY =
    '\ufeff [\n  {\n    "title": "a",\n    "in": [\n      1.0\n    ]\n  },\n  {"schema_version": 2, "s": "],\\"}"}  ,\n\n  {\n    "title": "c"\n  }\n]\n';

  it('each element is a document, and all around them stays', async () => {
    const input = await write('in.json', ARRAY);
    expect(await run(renamed(), input, 'out.json')).toMatchObject({
      status: 'ok',
      counts: { documents: 3, migrated: 2, current: 1 },
    });
    expect(await text('out.json')).toBe(
      '\ufeff [\n  {\n    "name": "a",\n    "in": [\n      1.0\n    ],\n    "schema_version": 2\n  },\n  {"schema_version": 2, "s": "],\\"}"}  ,\n\n  {\n    "name": "c",\n    "schema_version": 2\n  }\n]\n',
    );
    const rows = (await text('out.json.beside.jsonl')).trimEnd().split('\n');
    expect(rows.map((row) => (JSON.parse(row) as { place: number }).place)).toEqual([
      ARRAY.indexOf('{') + 2,
      ARRAY.lastIndexOf('{') + 2,
    ]);
  });

  it.each<readonly [string, string, string, readonly string[]]>([
    ['empty', ' [ ] \n', ' [ ] \n', []],
    ['of one', '[{"title":"a"}]', '[{"name":"a","schema_version":2}]', []],
    ['the first is none', '[7, {"schema_version":2}]', '[{"schema_version":2}]', ['7']],
    [
      'one in the middle',
      '[{"schema_version":2},{"a" 1}, {"schema_version":2}]',
      '[{"schema_version":2}, {"schema_version":2}]',
      ['{"a" 1}'],
    ],
    ['the last', '[{"schema_version":2}, nonsense\n]', '[{"schema_version":2}\n]', ['nonsense']],
    ['all', '[1,2]', '[]', ['1', '2']],
    ['a comma too many', '[{"schema_version":2},]', '[{"schema_version":2}]', ['']],
    ['cut in an element', '[{"schema_version":2},{"a":"]', '[{"schema_version":2}]', ['{"a":"]']],
    ['cut behind one', '[{"schema_version":2}', '[]', ['{"schema_version":2}']],
    ['cut behind a comma', '[{"schema_version":2}, ', '[{"schema_version":2}]', ['']],
    ['more behind it', '[{"schema_version":2}] {"a":1}', '[{"schema_version":2}]', [' {"a":1}']],
    [
      'too large',
      `[{"schema_version":2},{"a":"${'x'.repeat(2000)}"},{"schema_version":2}]`,
      '[{"schema_version":2},{"schema_version":2}]',
      ['too large'],
    ],
  ])('F11 %s', async (_what, content, expected, quarantined) => {
    const input = await write('in.json', content);
    await run(renamed(), input, 'out.json', { maxQuarantined: 9 });
    expect(await text('out.json')).toBe(expected);
    const found = quarantined.length === 0 ? [] : await quarantine('out.json');
    expect(
      found.map(({ bytes }) => (bytes === undefined ? 'too large' : Buffer.from(bytes, 'base64').toString())),
    ).toEqual(quarantined);
    for (const { place, bytes } of found)
      if (bytes !== undefined && bytes !== '')
        expect(Buffer.from(content).subarray(place).toString()).toContain(
          Buffer.from(bytes, 'base64').toString(),
        );
  });

  it('F12 a stopped run goes on to the bytes of one that was not, wherever the chunks end', async () => {
    const elements = Array.from({ length: 60 }, (_, at) =>
      at % 7 === 3
        ? `{"title" ${at}}`
        : at % 4 === 0
          ? `{"schema_version":2,"n":${at}.0}`
          : `{"title":"${at}],["}`,
    );
    for (const [name, content] of [
      ['in.json', `[\n ${elements.join('  ,\n ')}\n]\n`],
      ['cut.json', `[${elements.join(',')}`],
      ['in.json.gz', gzipSync(`[\n ${elements.join('  ,\n ')}\n]\n`)],
    ] as const) {
      const input = await write(name, content);
      const options = { batchBytes: 150, maxQuarantined: 99 };
      const unbroken = await run(renamed(), input, `whole-${name}`, options);
      expect(unbroken).toMatchObject({ status: 'ok', counts: { documents: 60 } });
      const expected = await readFile(join(folder, `whole-${name}`));
      if (!name.endsWith('.gz')) expect(JSON.parse(expected.toString())).toHaveLength(51);
      let batches = 0;
      const count = () => {
        batches += 1;
      };
      await run(renamed(), input, `count-${name}`, { ...options, onBatch: count });
      for (let stopAt = 1; stopAt <= batches; stopAt += 3) {
        let seen = 0;
        const stop = () => {
          seen += 1;
          if (seen === stopAt) throw new Error('killed');
        };
        const out = `${stopAt}-${name}`;
        await expect(run(renamed(), input, out, { ...options, onBatch: stop })).rejects.toThrow('killed');
        expect(await run(renamed(), input, out, { ...options, resume: true })).toMatchObject({
          status: 'ok',
          counts: unbroken.status === 'ok' ? unbroken.counts : {},
        });
        expect((await readFile(join(folder, out))).equals(expected)).toBe(true);
      }
    }
  });

  it('what the reader gives does not depend on where its chunks end', async () => {
    const whole = Buffer.from(ARRAY.replace('\ufeff', ''));
    const read = async (size: number) => {
      async function* chunks() {
        for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
      }
      const units = [];
      for await (const unit of readElements(chunks(), 1000)) units.push(unit);
      return JSON.stringify(
        units.map((unit) => ({
          ...unit,
          bytes: Buffer.from(unit.bytes ?? []).toString(),
          lead: Buffer.from(unit.lead ?? []).toString(),
          head: Buffer.from(unit.head ?? []).toString(),
          foot: Buffer.from(unit.foot ?? []).toString(),
        })),
      );
    };
    const expected = await read(1000);
    for (const size of [1, 2, 3, 5, 7, 11]) expect(await read(size)).toBe(expected);
  });
});
