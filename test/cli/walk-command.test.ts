import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { capturedIo } from './captured-io.ts';

let database: PostgresDatabase;

beforeAll(async () => {
  database = await postgresDatabase(18);
  await using store = await postgresStore({ url: database.url });
  await store.script(`create schema lab;
    create table lab.mouse (mouse_id int primary key, name text);
    create table lab.session (mouse_id int references lab.mouse, day date, primary key (mouse_id, day));
    create table lab.session__trial (mouse_id int, day date, trial int, primary key (mouse_id, day, trial),
      foreign key (mouse_id, day) references lab.session);
    create table lab.scan (scan_id int primary key, subject int references lab.mouse (mouse_id));
    insert into lab.mouse values (1, 'a'), (2, 'b');
    insert into lab.session values (1, '2026-01-01'), (1, '2026-01-02'), (2, '2026-01-03');
    insert into lab.session__trial values (1, '2026-01-01', 1), (1, '2026-01-01', 2);
    insert into lab.scan values (7, 1), (8, null)`);
}, 60_000);
afterAll(async () => await database[Symbol.asyncDispose]());

it.each([
  ['cascade', ['cascade', 'lab.mouse', '--where', 'mouse_id = 1'], 0],
  ['cascade-json', ['cascade', 'lab.mouse', '--where', 'mouse_id = 1', '--json'], 0],
  ['cascade-parts-refused', ['cascade', 'lab.session__trial', '--where', 'trial = 1'], 3],
  ['cascade-parts-refused-json', ['cascade', 'lab.session__trial', '--where', 'trial = 1', '--json'], 3],
  ['cascade-parts-cascade', ['cascade', 'session__trial', '--where', 'trial = 1', '--parts', 'cascade'], 0],
  ['trace', ['trace', 'lab.scan', '--where', 'scan_id = 7'], 0],
  ['trace-unrelated', ['trace', 'lab.scan', '--only', 'lab.session'], 3],
  ['trace-where-invalid', ['trace', 'lab.scan', '--where', 'scan = 7'], 3],
  ['trace-unknown-table', ['trace', 'lab.scam'], 3],
  ['trace-usage', ['trace', 'lab.scan', '--timeout', 'soon'], 2],
  ['trace-help', ['trace', '--help'], 0],
  ['graph', ['graph'], 0],
  ['graph-json', ['graph', '--json'], 0],
  ['graph-dot', ['graph', '--format', 'dot'], 0],
  ['graph-mermaid', ['graph', '--format', 'mermaid'], 0],
] as const)('prints %s as committed', async (name, argv, exit) => {
  const captured = capturedIo();
  expect(await main([...argv, '--db', database.url], captured.io)).toBe(exit);
  const text = `${captured.stdout()}${captured.stderr() === '' ? '' : `--- stderr\n${captured.stderr()}`}`;
  await expect(text).toMatchFileSnapshot(`output/${name}.txt`);
});

it('prints the same fingerprint twice, whole with --json', async () => {
  const print = async (): Promise<string> => {
    const captured = capturedIo();
    expect(await main(['fingerprint', '--schema', 'lab', '--json', '--db', database.url], captured.io)).toBe(
      0,
    );
    return captured.stdout();
  };
  const text = await print();
  expect(await print()).toBe(text);
  expect(JSON.parse(text)).toMatchObject({
    status: 'ok',
    algorithm: 'pg-catalog/1',
    major: 18,
    schemas: [
      {
        schema: 'lab',
        kinds: expect.arrayContaining([expect.objectContaining({ kind: 'column', objects: 9 })]) as unknown,
      },
    ],
  });
});

it('says which database it cannot reach, without its password', async () => {
  const captured = capturedIo();
  expect(await main(['graph', '--db', 'postgres://u:hidden@127.0.0.1:1/d', '--json'], captured.io)).toBe(3);
  expect(JSON.parse(captured.stdout())).toMatchObject({
    status: 'refused',
    findings: [{ code: 'database_unreachable' }],
  });
  expect(captured.stdout()).not.toContain('hidden');
});

it('compares with a saved fingerprint and names objects and properties that differ, never a value', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'varve-fingerprint-'));
  const run = async (...argv: readonly string[]) => {
    const captured = capturedIo();
    const exit = await main(['fingerprint', ...argv, '--db', database.url, '--json'], captured.io);
    return {
      exit,
      text: captured.stdout(),
      result: JSON.parse(captured.stdout()) as Record<string, unknown>,
    };
  };
  const file = join(folder, 'before.json');
  const coarse = join(folder, 'coarse.json');
  await writeFile(file, (await run('--schema', 'lab', '--objects')).text);
  await writeFile(coarse, (await run('--schema', 'lab')).text);
  expect(await run('--schema', 'lab', '--against', file)).toMatchObject({ exit: 0, result: { same: true } });

  await using store = await postgresStore({ url: database.url });
  await store.script(
    `alter table lab.mouse alter column name set default 'secret'; create table lab.more (id int)`,
  );
  const fine = await run('--schema', 'lab', '--against', file);
  expect(fine).toMatchObject({
    exit: 3,
    result: {
      status: 'refused',
      findings: [{ code: 'fingerprint_differs' }],
      same: false,
      differences: [
        { change: 'added', kind: 'column', schema: 'lab', table: 'more', name: 'id' },
        {
          change: 'changed',
          kind: 'column',
          schema: 'lab',
          table: 'mouse',
          name: 'name',
          properties: ['default'],
        },
        { change: 'added', kind: 'relation', schema: 'lab', table: 'more', name: 'more' },
      ],
    },
  });
  expect(fine.text).not.toContain('secret');
  expect(await run('--schema', 'lab', '--against', coarse)).toMatchObject({
    exit: 3,
    result: {
      differences: [
        { change: 'changed', kind: 'column', table: null },
        { change: 'changed', kind: 'relation', table: null },
        { change: 'added', kind: 'table', table: 'more' },
        { change: 'changed', kind: 'table', table: 'mouse' },
      ],
    },
  });
  await store.script('alter table lab.mouse alter column name drop default; drop table lab.more');

  expect(await run('--against', file)).toMatchObject({
    exit: 3,
    result: { findings: [{ code: 'fingerprint_incomparable', detail: { differs: 'of' } }] },
  });
  await writeFile(coarse, (await readFile(coarse, 'utf8')).replace('"major": 18', '"major": 17'));
  expect(await run('--schema', 'lab', '--against', coarse)).toMatchObject({
    exit: 3,
    result: {
      findings: [{ code: 'fingerprint_incomparable', detail: { differs: 'major', saved: 17, found: 18 } }],
    },
  });
  expect(await run('--against', join(folder, 'none.json'))).toMatchObject({
    exit: 3,
    result: { findings: [{ code: 'file_unreadable' }] },
  });
  await rm(folder, { recursive: true });
});
