import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { checkSource } from '../check/check-source.ts';
import { digestCode } from '../code-digest.ts';
import { part, pipeline } from '../pipeline.ts';
import { t } from '../column.ts';
import type { AnyTable } from '../table.ts';
import { command, commandOf } from './command.ts';
import { commandFiles } from './command-source.ts';
import { readAnswer, readRows, requestText } from './message.ts';

const lab = pipeline('lab');
const Scan = lab.manual('scan', { key: { id: t.bigint() }, columns: { depth: t.double() } });
const Score = lab.computed('score', {
  parents: [Scan],
  columns: { score: t.numeric(), note: t.json().nullable() },
  parts: { piece: part({ key: { n: t.integer() }, columns: { big: t.bigint() } }) },
  reads: { scan: Scan },
  make: command(['python3', '-m', 'lab.make']),
});

describe('a definition with an outside command', () => {
  it('is typed by its columns, as any other', () => {
    expectTypeOf<NonNullable<typeof Score.readType>['score']>().toEqualTypeOf<string>();
    expect(Score.spec.form).toBe('make');
    expect(commandOf(Score.definition.make)?.argv).toEqual(['python3', '-m', 'lab.make']);
  });

  it('is refused where the command cannot be one', () => {
    for (const wrong of [[], [''], ['a\0b'], [3 as never]]) {
      expect(() => command(wrong)).toThrow(/no list of a program/u);
    }
    expect(() => command(['a'], { mode: 'other' as never })).toThrow(/no mode "other"/u);
    const columns = { x: t.integer() };
    const options = { parents: [Scan], columns, reads: { scan: Scan }, make: command(['a']) } as const;
    expect(() => pipeline('p').computed('isolated', { ...options, isolate: true })).toThrow(/isolate/u);
    const { make: makeWith, ...others } = options;
    expect(() => pipeline('p').computed('with', { ...others, makeWith })).toThrow(/outside command/u);
  });
});

describe('what is said to a command and by it', () => {
  it('keeps digits, bytes and numbers that JSON does not have', () => {
    const text = requestText({
      table: 'lab.score',
      key: { id: 2n ** 60n },
      reads: { scan: { bytes: Uint8Array.from([0, 255]), list: [Number.NaN, -0, 1.5], none: null } },
      now: '2026-05-12T09:14:07.000000Z',
      seed: 7,
    });
    expect(text).toBe(
      '{"table":"lab.score","key":{"id":"1152921504606846976"},"reads":{"scan":{"bytes":"\\\\x00ff","list":["NaN","-0",1.5],"none":null}},"now":"2026-05-12T09:14:07.000000Z","seed":7}',
    );
  });

  it('reads rows and part rows by their columns', () => {
    const text =
      '{"score": 1.10, "note": {"a": 1e2}, "parts": {"piece": [{"n": 1, "big": 9007199254740993}]}}';
    const row = { score: '1.10', note: { a: 100 }, parts: { piece: [{ n: 1, big: 9007199254740993n }] } };
    expect(readRows(Score, text)).toEqual([row]);
    expect(readRows(Score, `[${text}, ${text}]`)).toEqual([row, row]);
    expect(readAnswer(Score, `{"rows": ${text}}`)).toEqual({ rows: [row] });
    expect(readAnswer(Score, '{"error": "no disk"}')).toEqual({ error: 'no disk' });
    for (const line of ['', 'hello', '7', '{"score": 1}', '{"error": 7}']) {
      expect(readAnswer(Score, line)).toBeUndefined();
    }
    // What fits nothing is for the check of rows to refuse.
    expect(readRows(Score, '{"parts": {"piece": 7, "other": []}}')).toEqual([
      { parts: { piece: 7, other: [] } },
    ]);
  });
});

describe('the code of a command', () => {
  it('is its arguments and the files that they and `files` name, below the project folder', async () => {
    const folder = await project();
    try {
      const { command: settings } = command(
        ['python3', '-m', 'lab.make', 'data.csv', '/etc/hostname', 'no.txt'],
        {
          files: ['lab/part/*.py'],
        },
      );
      expect(commandFiles(settings, folder)).toEqual([
        'data.csv',
        'lab/__init__.py',
        'lab/make.py',
        'lab/part/deep.py',
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('shows an edit of such a file, and of an argument, and of nothing else', async () => {
    const folder = await project();
    try {
      const digest = async (...argv: readonly string[]) => {
        const table = scored(folder, argv);
        const code = await digestCode([table], { projectFolder: folder, cacheFolder: null });
        return code.get('lab.score');
      };
      const before = await digest('python3', '-m', 'lab.make');
      expect(before).toMatchObject({ basis: 'command', packages: {} });
      expect(before?.source).toMatch(
        /argv \["python3","-m","lab.make"\]\nmode once\nsha256:[0-9a-f]{64} lab\/__init__.py\n/u,
      );
      await writeFile(join(folder, 'other.py'), 'pass');
      expect(await digest('python3', '-m', 'lab.make')).toEqual(before);
      expect((await digest('python3', '-m', 'lab.make', 'x'))?.digest).not.toBe(before?.digest);
      await writeFile(join(folder, 'lab/make.py'), 'print("other")');
      expect((await digest('python3', '-m', 'lab.make'))?.digest).not.toBe(before?.digest);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('is told to be unseen by varve check where no file is named', async () => {
    const folder = await project();
    try {
      const findings = await checkSource(
        [scored(folder, ['python3', '-m', 'lab.make']), scored(folder, ['make-it'])],
        { projectFolder: folder },
      );
      expect(findings.map(({ code, severity, subject }) => ({ code, severity, subject }))).toEqual([
        { code: 'source_unresolved', severity: 'info', subject: 'lab.score' },
      ]);
      expect(findings[0]?.hint).toContain('files:');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** As if it were defined in the folder. */
function scored(folder: string, argv: readonly string[]): AnyTable {
  const own = pipeline('lab');
  const table = own.computed('score', {
    parents: [Scan],
    columns: { score: t.numeric() },
    reads: { scan: Scan },
    make: command(argv),
  });
  return { ...table, definition: { ...table.definition, file: join(folder, 'pipeline', 'lab.ts') } };
}

async function project(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-command-'));
  await mkdir(join(folder, 'lab', 'part'), { recursive: true });
  await mkdir(join(folder, 'pipeline'));
  for (const file of [
    'varve.config.ts',
    'pipeline/lab.ts',
    'data.csv',
    'lab/__init__.py',
    'lab/make.py',
    'lab/part/deep.py',
  ]) {
    await writeFile(join(folder, file), '');
  }
  return folder;
}
