import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defineDocument, op, step, type Op, type Policy } from '../index.ts';
import type { Model } from '../model.ts';
import { migrateFile } from './migrate-file.ts';

const NOW = '2026-05-12T00:00:00.000Z';
let root: string;
let folder: string;
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'varve-document-'));
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

describe('lines', () => {
  it('F10, F11 current lines leave as they came, with CRLF, blank lines and a last line without a break', async () => {
    const content =
      '{"schema_version": 2, "n": 1.0}\r\n\n{"schema_version":2,"a":"\\u0041"}\n  \n{"schema_version":2}';
    const input = await write('in.jsonl', content);
    expect(await run(modelOf(), input, 'out.jsonl')).toMatchObject({
      status: 'ok',
      counts: { documents: 3, current: 3, migrated: 0, quarantined: 0 },
    });
    expect(await text('out.jsonl')).toBe(content);
    expect(await readdir(folder)).toEqual(['in.jsonl', 'out.jsonl']);
  });

  it('moved lines keep their order, line breaks and numbers', async () => {
    const input = await write(
      'in.jsonl',
      '{"title":"a","n":9007199254740993}\r\n{"schema_version":2}\n{"title":"b"}\n',
    );
    await run(
      modelOf([op.rename('/title', 'name')], { provenance: 'beside', residue: 'beside' }),
      input,
      'out.jsonl',
    );
    expect(await text('out.jsonl')).toBe(
      '{"name":"a","n":9007199254740993,"schema_version":2}\r\n{"schema_version":2}\n{"name":"b","schema_version":2}\n',
    );
    const besides = (await text('out.jsonl.beside.jsonl'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(besides).toMatchObject([{ place: 0, provenance: { migrated_from: '1' } }, { place: 57 }]);
  });

  it('F11 what cannot be taken is quarantined with its bytes, and nothing is cut over', async () => {
    const bad = [
      '{"title":1,"title":2}',
      '{"schema_version":null}',
      `{"a":"${'x'.repeat(2000)}"}`,
      `{"a":${'['.repeat(60)}${']'.repeat(60)}}`,
      '{"title":"cut',
    ];
    const input = await write(
      'in.jsonl',
      Buffer.concat([
        Buffer.from('{"a":"\xff"}\n', 'latin1'),
        Buffer.from(`{"title":"ok"}\n${bad.join('\n')}`),
      ]),
    );
    const model = modelOf();
    const refused = await run(model, input, 'out.jsonl');
    expect(refused).toMatchObject({
      status: 'refused',
      findings: [{ code: 'document_quarantined', detail: { found: 6, most: 0 } }],
    });
    await expect(stat(join(folder, 'out.jsonl'))).rejects.toThrow('ENOENT');
    const rows = await quarantine('out.jsonl');
    expect(rows.map(({ findings }) => findings[0]?.code)).toEqual([
      'json_invalid',
      'duplicate_key',
      'bad_version',
      'document_too_large',
      'document_too_deep',
      'json_invalid',
    ]);
    expect(rows.map(({ bytes }) => bytes === undefined)).toEqual([false, false, false, true, false, false]);
    expect(Buffer.from(rows[1]?.bytes ?? '', 'base64').toString()).toBe(bad[0]);
    expect(await run(model, input, 'other.jsonl', { maxQuarantined: 6 })).toMatchObject({
      status: 'ok',
      counts: { migrated: 1 },
    });
    expect(JSON.parse(await text('other.jsonl'))).toMatchObject({ name: 'ok', schema_version: 2 });
  });

  it('F7 a result that fits only the old schema is refused after its step, and quarantined', async () => {
    const model = modelOf([op.rename('/title', 'name')], { provenance: 'beside', residue: 'beside' });
    const input = await write('in.jsonl', '{"title":"a"}\n{"title":7}\n{"title":"b"}\n');
    expect(await run(model, input, 'out.jsonl', { maxQuarantined: 1 })).toMatchObject({
      status: 'ok',
      counts: { migrated: 2, quarantined: 1 },
    });
    expect(await quarantine('out.jsonl')).toMatchObject([
      {
        place: 14,
        findings: [
          {
            code: 'document_result_invalid',
            subject: 'note 1 -> 2',
            detail: { faults: [{ pointer: '/name', keyword: 'type' }] },
          },
        ],
      },
    ]);
    expect(await text('out.jsonl')).toBe(
      '{"name":"a","schema_version":2}\n{"name":"b","schema_version":2}\n',
    );
  });

  it('a compressed file stays one, and F11 a cut one gives all but its last line', async () => {
    const lines = Array.from({ length: 200 }, (_, at) => `{"title":"${at}${'x'.repeat(at % 50)}"}\n`);
    const zipped = gzipSync(lines.join(''));
    const input = await write(
      'in.jsonl.gz',
      Buffer.concat([zipped, gzipSync('{"title":"second member"}\n')]),
    );
    expect(await run(modelOf(), input, 'out.jsonl.gz', { batchBytes: 1000 })).toMatchObject({
      counts: { migrated: 201 },
    });
    const unzipped = gunzipSync(await readFile(join(folder, 'out.jsonl.gz'))).toString();
    expect(unzipped.trimEnd().split('\n')).toHaveLength(201);
    const cut = await write('cut.jsonl.gz', zipped.subarray(0, zipped.length - 40));
    const result = await run(modelOf(), cut, 'cut-out.jsonl.gz', { maxQuarantined: 1 });
    expect(result).toMatchObject({ status: 'ok', counts: { quarantined: 1 } });
    expect(await quarantine('cut-out.jsonl.gz')).toMatchObject([{ findings: [{ code: 'json_invalid' }] }]);
  });
});

describe('F12 a run that is stopped', () => {
  const lines = Array.from({ length: 120 }, (_, at) =>
    at % 17 === 3
      ? `{"title":"cut ${at}`
      : at % 5 === 0
        ? `{"schema_version":2,"n":${at}.0}`
        : `{"title":"${at}","draft":${at},"context":null}`,
  );

  it.each(['in.jsonl', 'in.jsonl.gz'])('goes on to the bytes of one that was not: %s', async (name) => {
    const content = lines.join('\n');
    const input = await write(name, name.endsWith('.gz') ? gzipSync(content) : content);
    const whole = `whole-${name}`;
    const options = { batchBytes: 500, maxQuarantined: 99 };
    const unbroken = await run(modelOf(), input, whole, options);
    expect(unbroken).toMatchObject({ status: 'ok' });
    const names = ['', '.quarantine.jsonl', '.beside.jsonl'];
    const expected = await Promise.all(names.map((end) => readFile(join(folder, whole + end))));
    for (const stopAt of [1, 2, 5, 9]) {
      const out = `${stopAt}-${name}`;
      let batches = 0;
      const stop = () => {
        batches += 1;
        if (batches === stopAt) throw new Error('killed');
      };
      await expect(run(modelOf(), input, out, { ...options, onBatch: stop })).rejects.toThrow('killed');
      // What a killed run had written behind its last checkpoint.
      for (const end of ['.part', '.quarantine.jsonl', '.beside.jsonl'])
        await appendFile(join(folder, out + end), 'half a line');
      expect(
        await run(modelOf(), input, out, { ...options, resume: true, now: '2027-01-01T00:00:00.000Z' }),
      ).toMatchObject({
        status: 'ok',
        counts: unbroken.counts,
      });
      const found = await Promise.all(names.map((end) => readFile(join(folder, out + end))));
      expect(found.map((bytes, at) => bytes.equals(expected[at]!))).toEqual([true, true, true]);
    }
  });

  it('is refused with another plan, or another input', async () => {
    const input = await write('in.jsonl', lines.join('\n'));
    const stop = () => {
      throw new Error('killed');
    };
    await expect(run(modelOf(), input, 'out.jsonl', { batchBytes: 500, onBatch: stop })).rejects.toThrow(
      'killed',
    );
    expect(
      await run(modelOf([op.rename('/title', 'label')]), input, 'out.jsonl', { resume: true }),
    ).toMatchObject({
      findings: [
        { code: 'plan_changed', detail: { changed: 'the document type, its target or the options' } },
      ],
    });
    await appendFile(input, '\n{}');
    expect(await run(modelOf(), input, 'out.jsonl', { resume: true })).toMatchObject({
      findings: [{ code: 'plan_changed', detail: { changed: 'the input' } }],
    });
  });

  it('two runs on one output: the second is refused', async () => {
    const input = await write('in.jsonl', '{"title":"a"}\n');
    let second: unknown;
    let started = false;
    const first = await run(modelOf(), input, 'out.jsonl', {
      onBatch: () => {
        started = true;
        second = run(modelOf(), input, 'out.jsonl');
      },
    });
    expect(started).toBe(true);
    expect(first.status).toBe('ok');
    expect(await second).toMatchObject({ status: 'refused' });
    await writeFile(join(folder, 'next.jsonl.lock'), `${process.ppid}\n`);
    expect(await run(modelOf(), input, 'next.jsonl')).toMatchObject({
      findings: [{ code: 'output_locked' }],
    });
    await writeFile(join(folder, 'next.jsonl.lock'), '999999999\n');
    expect(await run(modelOf(), input, 'next.jsonl')).toMatchObject({ status: 'ok' });
  });

  it('an output that is there, or is the input, is not written to', async () => {
    const input = await write('in.jsonl', '{}\n');
    await write('there.jsonl', 'mine');
    expect(await run(modelOf(), input, 'there.jsonl')).toMatchObject({ findings: [{ code: 'files_exist' }] });
    expect(await run(modelOf(), input, 'in.jsonl')).toMatchObject({ findings: [{ code: 'files_exist' }] });
    expect(await text('there.jsonl')).toBe('mine');
  });
});

describe('files and folders', () => {
  it('what is no file, and an output within its input, are refused before anything is written', async () => {
    await mkdir(join(folder, 'in'));
    await writeFile(join(folder, 'in/a.json'), '{"title":"a"}');
    expect(await run(modelOf(), join(folder, 'in'), 'in/new')).toMatchObject({
      findings: [{ code: 'files_exist', hint: expect.stringContaining('outside of the input') as string }],
    });
    expect(await run(modelOf(), join(folder, 'none'), 'new')).toMatchObject({
      findings: [{ code: 'file_unreadable', detail: { reason: 'there is no such file' } }],
    });
    expect(await run(modelOf(), '/dev/null', 'new')).toMatchObject({
      findings: [{ code: 'file_unreadable', detail: { reason: 'it is neither a file nor a folder' } }],
    });
    expect(await readdir(folder)).toEqual(['in']);
    expect(await readdir(join(folder, 'in'))).toEqual(['a.json']);
  });

  it('one document keeps its layout', async () => {
    const input = await write('in.json', '{\n  "title": "a",\n  "n": 1.0\n}\n');
    await run(
      modelOf([op.rename('/title', 'name')], { provenance: 'beside', residue: 'beside' }),
      input,
      'out.json',
    );
    expect(await text('out.json')).toBe('{\n  "name": "a",\n  "n": 1.0,\n  "schema_version": 2\n}\n');
  });

  it('a folder is rebuilt under its paths, and a stopped run goes on', async () => {
    await mkdir(join(folder, 'in', 'deep'), { recursive: true });
    const names = ['a.json', 'deep/b.json', 'deep/c.json', 'z.json'];
    for (const name of names) await write(`in/${name}`, `{"title":"${name}"}`);
    await write('in/bad.json', '{');
    await write('in/readme.md', 'no document');
    const input = join(folder, 'in');
    const options = { batchBytes: 1, maxQuarantined: 1 };
    let batches = 0;
    const stop = () => {
      batches += 1;
      if (batches === 2) throw new Error('killed');
    };
    await expect(run(modelOf(), input, 'out', { ...options, onBatch: stop })).rejects.toThrow('killed');
    expect(await run(modelOf(), input, 'out', { ...options, resume: true })).toMatchObject({
      status: 'ok',
      counts: { documents: 5, migrated: 4, quarantined: 1 },
    });
    for (const name of names) expect(JSON.parse(await text(`out/${name}`))).toMatchObject({ name });
    expect((await readdir(join(folder, 'out'), { recursive: true })).toSorted()).toEqual([
      'a.json',
      'deep',
      'deep/b.json',
      'deep/c.json',
      'z.json',
    ]);
    expect(await quarantine('out')).toMatchObject([
      { place: 'bad.json', findings: [{ code: 'json_invalid' }] },
    ]);
  });
});
