import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sqlStoreOf } from '../../src/cli/document-store.ts';
import {
  migrateTable,
  postgresTable,
  readTable,
  sqliteTable,
  type DocumentTable,
  type MigrateTableOptions,
} from '../../src/document/edge/index.ts';
import { defineDocument } from '../../src/document/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { noteModel, noteText, noteType } from './note-type.ts';

const NOW = '2026-05-12T00:00:00.000Z';
const ROWS = 6_000;

/** A store with notes, however it keeps them. */
interface Given extends AsyncDisposable {
  readonly where: string;
  readonly table: DocumentTable;
  readonly set: (id: number, text: string) => Promise<void>;
  /** Every note with its id, as one text. */
  readonly all: () => Promise<string>;
  readonly one: (id: number) => Promise<string>;
  /** Everything kept of every run, as one text without what names the run. */
  readonly kept: () => Promise<string>;
}

const texts = Array.from({ length: ROWS }, (_, at) => noteText(at));

/** A process that migrates; killed in the middle of what follows so many lines. */
async function migrateIn(
  where: string,
  { killAfter = Infinity, now = NOW, connections = 1 } = {},
): Promise<string> {
  const argv = [
    '--conditions=@varve/source',
    'test/document/table-process.ts',
    where,
    now,
    String(connections),
  ];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (output.split('\n').length - 1 >= killAfter) child.kill('SIGKILL');
  });
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals | null>();
  child.on('close', (_code, signal) => resolve(signal));
  expect(await promise).toBe(killAfter === Infinity ? null : 'SIGKILL');
  return output;
}

/** Of a long text, what fits into a failure. */
const short = (text: string): string => createHash('sha256').update(text).digest('hex');

const lastLine = (output: string): unknown => JSON.parse(output.trimEnd().split('\n').at(-1) ?? '');

/** What holds for every store. */
function conformance(open: () => Promise<Given>, type: string): void {
  const migrate = async (given: Given, options: MigrateTableOptions = {}) =>
    migrateTable(noteModel(), given.table, { now: NOW, limits: { quarantined: 1_000 }, ...options });

  it('builds, counts, keeps originals and puts all in place', async () => {
    await using given = await open();
    const phases = new Set<string>();
    const result = await migrate(given, { onBatch: (phase) => void phases.add(phase) });
    expect(result).toMatchObject({
      status: 'ok',
      counts: { documents: ROWS, current: 1_498, quarantined: 9, migrated: 4_493 },
    });
    expect([...phases]).toEqual(['build', 'cut over']);
    const moved = JSON.parse(await given.one(1)) as Record<string, unknown>;
    expect(moved).toMatchObject({
      name: '1',
      schema_version: 2,
      context: { by: 1, metadata: { migrated_from: '1', legacy_draft: 1 } },
    });
    expect(JSON.parse(await given.one(8))).toMatchObject({ name: 'n', n: 8 });
    expect(JSON.parse(await given.one(5))).toEqual({ draft: 5 });
    expect((await given.kept()).includes('{"migrated_from":"1"')).toBe(true);
    const again = await migrate(given, { run: 'again' });
    expect(again).toMatchObject({ status: 'ok', counts: { migrated: 0, current: 5_991, quarantined: 9 } });
  }, 60_000);

  it('F7 a result that fits only the old schema is quarantined, and above the allowed count nothing is changed', async () => {
    await using given = await open();
    const before = short(await given.all());
    const result = await migrate(given, { limits: { quarantined: 8 } });
    expect(result).toMatchObject({
      status: 'refused',
      findings: [{ code: 'document_quarantined', detail: { found: 9, most: 8 } }],
    });
    expect(short(await given.all())).toBe(before);
  }, 60_000);

  it('changes outside the allowed pointers quarantine the document', async () => {
    await using given = await open();
    const result = await migrate(given, { allowedPaths: { allowed: ['/title', '/draft'] } });
    expect(result).toMatchObject({ status: 'refused', counts: { migrated: 0 } });
    const wider = await migrate(given, {
      allowedPaths: { allowed: ['/title', '/draft', '/name'] },
    });
    expect(wider).toMatchObject({ status: 'ok', counts: { migrated: 4_493 } });
  }, 60_000);

  it('another plan than the one that was begun is refused', async () => {
    await using given = await open();
    await migrate(given, { run: 'r', limits: { quarantined: 0 } });
    const other = await migrateTable(noteModel({ provenance: 'beside' }), given.table, {
      run: 'r',
      now: NOW,
    });
    expect(other).toMatchObject({ status: 'refused', findings: [{ code: 'plan_changed' }] });
  }, 60_000);

  it('F12 rows changed between read and write, and rows that came meanwhile, are built again', async () => {
    await using given = await open();
    let isDone = false;
    const result = await migrate(given, {
      onBatch: async (phase) => {
        if (phase !== 'cut over' || isDone) return;
        isDone = true;
        await given.set(5_001, '{"title":"changed"}');
        await given.set(1, '{"title":"old again"}');
        await given.set(2, '{"schema_version":2,"name":"edited"}');
        await given.set(ROWS + 1, '{"title":"came later"}');
      },
    });
    expect(result).toMatchObject({ status: 'ok' });
    for (const [id, name] of [
      [5_001, 'changed'],
      [1, 'old again'],
      [2, 'edited'],
      [ROWS + 1, 'came later'],
    ] as const) {
      expect(JSON.parse(await given.one(id))).toMatchObject({ schema_version: 2, name });
    }
    // Both texts of a document that an old writer wrote over are kept.
    expect((await given.kept()).includes('old again')).toBe(true);
    expect(/"title": ?"1"/u.test(await given.kept())).toBe(true);
  }, 60_000);

  it('F12 SIGKILL in a batch of building, and between batches of putting in place: the end is that of an unbroken run', async () => {
    await using whole = await open();
    await migrateIn(whole.where);
    const [all, kept] = [short(await whole.all()), short(await whole.kept())];
    for (const [killAfter, connections, afterwards] of [
      [1, 3, 1],
      [6, 1, 1],
      [6, 4, 2],
      [17, 1, 3],
      [19, 3, 1],
    ] as const) {
      await using given = await open();
      const killed = await migrateIn(given.where, { killAfter, connections });
      expect(killed.includes('cut over')).toBe(killAfter > 16);
      const again = { now: '2027-01-01T00:00:00.000Z', connections: afterwards };
      const end = lastLine(await migrateIn(given.where, again));
      expect(end).toMatchObject({ status: 'ok', counts: { migrated: 4_493 } });
      expect(short(await given.all())).toBe(all);
      expect(short(await given.kept())).toBe(kept);
    }
  }, 180_000);

  it('F12 of two runs at once the second is refused and names the first', async () => {
    await using given = await open();
    let second: unknown;
    await migrate(given, {
      onBatch: async () => {
        second ??= await migrateTable(noteModel(), given.table, { now: NOW, run: 'second' });
      },
    });
    expect(second).toMatchObject({ status: 'refused', findings: [{ code: 'output_locked' }] });
    expect(JSON.stringify(second)).toContain(String(process.pid));
  }, 60_000);

  it('coverage reads the column page by page', async () => {
    await using given = await open();
    const report = await noteType().coverage(readTable(given.table), '2');
    expect(report).toMatchObject({ report: { documents: ROWS, byVersion: { '1': 4_502, '2': 1_498 } } });
  }, 60_000);

  it(`reads ${type}`, async () => {
    await using given = await open();
    expect(await given.table.page(undefined, 2)).toHaveLength(2);
    expect(given.table.place).toContain('body');
  });
}

describe.each(['jsonb', 'json', 'text'])('a PostgreSQL column of type %s', (type) => {
  let database: PostgresDatabase;
  let store: Store;
  beforeAll(async () => {
    database = await postgresDatabase(18);
    store = await postgresStore({ url: database.url });
  }, 60_000);
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await store.script(
      'drop schema if exists app cascade; drop schema if exists varve_history cascade; create schema app',
    );
    await store.script(`create table app.note (id bigint, part text, body ${type}, primary key (id, part))`);
    await store.execute(sql`
      insert into app.note select n - 1, 'a', t::text::${sql.raw(type)}
      from unnest(${texts}::text[]) with ordinality as u(t, n)`);
  });

  const one = async (statement: ReturnType<typeof sql>): Promise<string> => {
    const [row] = await store.query<{ text: string }>(statement);
    return row?.text ?? '';
  };
  const opened = async (): Promise<Given> => {
    await store.script('drop schema if exists varve_history cascade; truncate app.note');
    await store.execute(sql`
      insert into app.note select n - 1, 'a', t::text::${sql.raw(type)}
      from unnest(${texts}::text[]) with ordinality as u(t, n)`);
    const table = await postgresTable(sqlStoreOf(store), { schema: 'app', table: 'note', column: 'body' });
    if (table.status === 'refused') throw new TypeError(JSON.stringify(table));
    return {
      where: database.url,
      table: table.value,
      set: async (id, text) => {
        await store.execute(sql`
          insert into app.note values (${id}, 'a', ${text}::${sql.raw(type)})
          on conflict (id, part) do update set body = excluded.body`);
      },
      all: () => one(sql`select string_agg(id || body::text, chr(10) order by id) as text from app.note`),
      one: (id) => one(sql`select body::text as text from app.note where id = ${id}`),
      kept: async () => {
        const rows = await store.query<{ name: string }>(
          sql`select table_name::text as name from information_schema.tables where table_schema = 'varve_history' and table_name like '%kept'`,
        );
        const all: string[] = [];
        for (const { name } of rows) {
          all.push(
            await one(sql`select coalesce(string_agg(k1 || original::text || encode(written, 'hex') || coalesce(beside, ''), chr(10) order by k1, seq), '') as text
              from varve_history.${sql.id(name)}`),
          );
        }
        return all.join('\n');
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  };
  conformance(opened, type);

  it('says why a column cannot be used', async () => {
    const refusedFor = async (table: string, column: string): Promise<unknown> =>
      postgresTable(sqlStoreOf(store), { schema: 'app', table, column });
    await store.script('create table app.bare (body jsonb)');
    expect(await refusedFor('note', 'nope')).toMatchObject({
      findings: [{ detail: { reason: 'no_such_column' } }],
    });
    expect(await refusedFor('note', 'id')).toMatchObject({ findings: [{ detail: { reason: 'type' } }] });
    expect(await refusedFor('bare', 'body')).toMatchObject({
      findings: [{ detail: { reason: 'no_primary_key' } }],
    });
  });

  it('a row that another transaction holds is passed over, and taken when it is free', async () => {
    await using given = await opened();
    const held = Promise.withResolvers<void>();
    const free = Promise.withResolvers<void>();
    const holder = store.transaction({}, async (transaction) => {
      await transaction.query(sql`select 1 from app.note where id = 7 for update`);
      held.resolve();
      await free.promise;
    });
    await held.promise;
    const result = await migrateTable(noteModel(), given.table, {
      now: NOW,
      limits: { quarantined: 10 },
      onBatch: (phase) => {
        if (phase === 'settle') free.resolve();
      },
    });
    await holder;
    expect(result).toMatchObject({ status: 'ok' });
    expect(JSON.parse(await given.one(7))).toMatchObject({ name: '7' });
  }, 60_000);

  it('a row that is held without end is told of, with who writes', async () => {
    await using given = await opened();
    const held = Promise.withResolvers<void>();
    const free = Promise.withResolvers<void>();
    const holder = store.transaction({}, async (transaction) => {
      await transaction.query(sql`select set_config('application_name', 'old-app', true)`);
      await transaction.execute(sql`update app.note set part = 'a' where id = 7`);
      held.resolve();
      await free.promise;
    });
    await held.promise;
    const result = await migrateTable(noteModel(), given.table, { now: NOW, limits: { quarantined: 10 } });
    free.resolve();
    await holder;
    expect(result).toMatchObject({
      status: 'refused',
      findings: [{ code: 'not_caught_up', detail: { documents: 1 } }],
    });
    expect(JSON.stringify(result)).toContain('old-app');
    const end = await migrateTable(noteModel(), given.table, { limits: { quarantined: 10 } });
    expect(end).toMatchObject({ status: 'ok' });
  }, 60_000);
});

describe('a PostgreSQL column of type jsonb, alone', () => {
  it('quarantines what JSON can say and jsonb cannot hold', async () => {
    await using database = await postgresDatabase(18);
    await using store = await postgresStore({ url: database.url });
    await store.script('create table note (id int primary key, body jsonb)');
    await store.execute(sql`insert into note select n, '{"title":"a"}' from generate_series(1, 20) n`);
    await store.execute(sql`update note set body = '{"title":"b", "bad":true}' where id = 9`);
    const { code } = await import('../../src/document/index.ts');
    const type = defineDocument('note', {
      schema: {},
      current: '2',
      version: { missing: '1', order: 'integer' },
      versions: { '1': {}, '2': {} },
      steps: [
        code('1', '2', {
          up: (document) => ({
            ...(document as object),
            note: 'bad' in (document as object) ? '\u0000' : 'a\u001f"\\b',
          }),
          loss: 'residue',
          revision: 1,
        }),
      ],
    }).model();
    if (type.status === 'refused') throw new TypeError(JSON.stringify(type));
    const table = await postgresTable(sqlStoreOf(store), { schema: 'public', table: 'note', column: 'body' });
    if (table.status === 'refused') throw new TypeError(JSON.stringify(table));
    const result = await migrateTable(type.value, table.value, { now: NOW, limits: { quarantined: 1 } });
    expect(result).toMatchObject({ status: 'ok', counts: { migrated: 19, quarantined: 1 } });
    // Control signs, quotes and backslashes of a value arrive as they were.
    expect(
      await store.query(sql`select body->>'note' as note, count(*)::int as rows from note group by 1`),
    ).toEqual(expect.arrayContaining([{ note: 'a\u001f"\\b', rows: 19 }]));
  }, 60_000);
});

describe('a SQLite column', () => {
  let folder: string;
  let count = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-document-sqlite-'));
    using db = new DatabaseSync(join(folder, 'start.db'));
    db.exec('create table note (id integer, part text, body text, primary key (id, part)); begin');
    const insert = db.prepare("insert into note values (?, 'a', ?)");
    texts.forEach((text, at) => insert.run(at, text));
    db.exec('commit');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const opened = async (maxPages?: number): Promise<Given> => {
    const file = join(folder, `${(count += 1)}.db`);
    await copyFile(join(folder, 'start.db'), file);
    const db = new DatabaseSync(file, { timeout: 5_000 });
    const table = sqliteTable(
      { file, table: 'note', column: 'body' },
      maxPages === undefined ? {} : { maxPages },
    );
    if (table.status === 'refused') throw new TypeError(JSON.stringify(table));
    const text = (query: string, ...values: readonly (string | number)[]): string =>
      (db.prepare(query).all(...values) as { text: string }[]).map((row) => row.text).join('\n');
    return {
      where: file,
      table: table.value,
      set: async (id, body) => {
        db.prepare("insert into note values (?, 'a', ?) on conflict do update set body = excluded.body").run(
          id,
          body,
        );
      },
      all: async () => text('select id || body as text from note order by id'),
      one: async (id) => text('select body as text from note where id = ?', id),
      kept: async () => {
        const names = text(
          "select name as text from sqlite_master where type = 'table' and name like '%kept' order by 1",
        );
        return names
          .split('\n')
          .filter((name) => name !== '')
          .map((name) =>
            text(
              `select k1 || original || written || coalesce(beside, '') as text from ${name} order by k1, seq`,
            ),
          )
          .join('\n');
      },
      [Symbol.asyncDispose]: async () => {
        table.value[Symbol.dispose]();
        db.close();
      },
    };
  };
  conformance(() => opened(), 'text');

  it('F12 a full disk ends the run with what was done whole, and it goes on when there is room', async () => {
    const pages = Math.ceil((await pagesOf(join(folder, 'start.db'))) * 1.6);
    await using given = await opened(pages);
    const options = { limits: { quarantined: 10 }, now: NOW, run: 'full' };
    await expect(migrateTable(noteModel(), given.table, options)).rejects.toMatchObject({
      code: 'database_full',
    });
    const roomy = sqliteTable({ file: given.where, table: 'note', column: 'body' });
    if (roomy.status === 'refused') throw new TypeError(JSON.stringify(roomy));
    using table = roomy.value;
    expect(await migrateTable(noteModel(), table, options)).toMatchObject({
      status: 'ok',
      counts: { migrated: 4_493 },
    });
    await using whole = await opened();
    await migrateTable(noteModel(), whole.table, options);
    expect(short(await given.all())).toBe(short(await whole.all()));
  }, 60_000);

  it('says why a column cannot be used', async () => {
    await using given = await opened();
    const reasonFor = (column: string): unknown => sqliteTable({ file: given.where, table: 'note', column });
    expect(reasonFor('nope')).toMatchObject({ findings: [{ detail: { reason: 'no_such_column' } }] });
    expect(reasonFor('id')).toMatchObject({ findings: [{ detail: { reason: 'type' } }] });
  });

  async function pagesOf(file: string): Promise<number> {
    using db = new DatabaseSync(file);
    return (db.prepare('pragma page_count').get() as { page_count: number }).page_count;
  }
});
