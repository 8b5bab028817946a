/** What the port promises; every driver is held to it. A capability flag brings its tests, an absent one others. */
import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isVarveError } from '../../src/base/index.ts';
import { isStoreError, sql, StoreError, type Sql, type Store } from '../../src/store/index.ts';
import { uniqueName, type StoreUnderTest } from '../harness/index.ts';
import { copies } from './copy-conformance.ts';

/** Declares the whole suite; `open` gives another store on the same database where processes may share it. */
export function storeConformance(
  given: StoreUnderTest,
  open: (() => Promise<Store>) | undefined,
  fresh: () => Promise<Store>,
): void {
  describe('statements', () => statements(given));
  describe('kept plans', () => keptPlans(given));
  describe('values out', () => valuesOut(given));
  describe('values in and out', () => valuesRoundTrip(given));
  describe('transactions', () => transactions(given));
  describe('savepoints', () => savepoints(given));
  describe('errors', () => errors(given));
  describe('locks', () => locks(given, open));
  describe('flags', () => flags(given));
  describe('copies', () => copies(given));
  describe('closing', () => closing(fresh));
}

async function mouseTable(given: StoreUnderTest): Promise<Sql> {
  const table = sql.id(await given.freshSchema(), 'mouse');
  await given.store.execute(sql`create table ${table} (id integer primary key, name text not null)`);
  return table;
}

async function countOf(store: Pick<Store, 'query'>, table: Sql): Promise<bigint | undefined> {
  const [row] = await store.query<{ rows: bigint }>(sql`select count(*) as rows from ${table}`);
  return row?.rows;
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => expect.unreachable('it did not fail'),
    (error: unknown) => error,
  );
}

function statements(given: StoreUnderTest): void {
  it('gives rows, and counts what a statement touched', async () => {
    const table = await mouseTable(given);
    expect(await given.store.execute(sql`insert into ${table} values (1, 'a'), (2, 'b'), (3, 'c')`)).toBe(3);
    expect(await given.store.execute(sql`update ${table} set name = 'z' where id > ${1}`)).toBe(2);
    expect(await given.store.execute(sql`delete from ${table} where id = ${9}`)).toBe(0);
    expect(await given.store.execute(sql`create index on ${table} (name)`)).toBe(0);
    expect(await given.store.query(sql`delete from ${table} where id = 1 returning id, name`)).toEqual([
      { id: 1, name: 'a' },
    ]);
    expect(await given.store.query(sql`select id from ${table} where false`)).toEqual([]);
  });

  it('takes an identifier that needs quotes', async () => {
    const name = `Mäuse "x"; drop`;
    const table = sql.id(await given.freshSchema(), name);
    await given.store.execute(sql`create table ${table} (${sql.id('a b')} integer)`);
    await given.store.execute(sql`insert into ${table} values (1)`);
    expect(await given.store.query(sql`select * from ${table}`)).toEqual([{ 'a b': 1 }]);
  });

  it('keeps a column that is named like a prototype, and the last of two with one name', async () => {
    const [row] = await given.store.query(
      sql`select 1 as "__proto__", 2 as "constructor", 3 as twice, 4 as twice`,
    );
    expect(Object.entries(row ?? {})).toEqual([
      ['__proto__', 1],
      ['constructor', 2],
      ['twice', 4],
    ]);
  });

  it('runs exactly one statement', async () => {
    expect(await failure(given.store.query(sql`select 1; select 2`))).toMatchObject({
      code: 'sql_invalid',
      fields: { sqlstate: '42601' },
    });
  });

  it('runs a script of several statements as one transaction', async () => {
    const table = await mouseTable(given);
    const text = (last: string): string =>
      sqlText(
        sql`insert into ${table} values (1, 'a;b'); insert into ${table} values (2, $$c$$); ${sql.raw(last)}`,
      );
    await failure(given.store.script(text('select 1/0')));
    expect(await countOf(given.store, table)).toBe(0n);
    await given.store.script(text('-- done'));
    expect(await countOf(given.store, table)).toBe(2n);
  });

  it('goes on after a failed statement', async () => {
    await failure(given.store.query(sql`select 1/0`));
    await failure(given.store.query(sql`selec`));
    expect(await given.store.query(sql`select 1 as one`)).toEqual([{ one: 1 }]);
  });

  it('answers statements sent at once each with its own rows', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => given.store.query(sql`select ${n}::int4 as n`)),
    );
    expect(answers.flat()).toEqual(Array.from({ length: 40 }, (_, n) => ({ n })));
  });

  it('reads a hundred thousand rows', async () => {
    const rows = await given.store.query<{ n: number }>(
      sql`select n, n::text as text from generate_series(1, 100000) n`,
    );
    expect(rows.length).toBe(100_000);
    expect(rows.at(-1)).toEqual({ n: 100_000, text: '100000' });
  });

  it('pins the settings that decide the text of a value', async () => {
    const names = ['TimeZone', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'bytea_output', 'jit'];
    const read = sql`
      select name, current_setting(name) as value from unnest(${names}::text[]) with ordinality n (name, i) order by i`;
    const want = ['UTC', 'ISO, YMD', 'iso_8601', '1', 'hex', 'off'];
    const rows = await given.store.query<{ value: string }>(read);
    expect(rows.map(({ value }) => value)).toEqual(want);
    const after = await given.store.transaction({}, async (transaction) => {
      await transaction.script(`set timezone = 'Asia/Tokyo'; reset timezone`);
      return await transaction.query<{ value: string }>(read);
    });
    expect(after.map(({ value }) => value)).toEqual(want);
  });
}

function sqlText(statement: Sql): string {
  return statement.parts.map((part) => (part.kind === 'text' ? part.text : '?')).join('');
}

function keptPlans(given: StoreUnderTest): void {
  const plans = sql`select name from pg_prepared_statements where name like 'varve_plan_%'`;

  it('are kept by the session for statements that are marked, and renewed after many uses', async () => {
    const table = await mouseTable(given);
    const marked = (id: number): Sql =>
      sql.kept(sql`insert into ${table} values (${id}, ${`m${id}`}) returning id`);
    await given.store.transaction({}, async (transaction) => {
      const before = await transaction.query(plans);
      const ids: unknown[] = [];
      for (let id = 1; id <= 300; id += 1) {
        const [row] = await transaction.query(marked(id));
        ids.push(row?.['id']);
        await transaction.query(sql`select count(*) from ${table} where id = ${id}`);
      }
      expect(ids).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
      expect(await transaction.query(plans)).toHaveLength(before.length + 1);
    });
    expect(await countOf(given.store, table)).toBe(300n);
  });

  it('see a table that took the place of another under its name', async () => {
    const schema = await given.freshSchema();
    const [table, other] = [sql.id(schema, 'mouse'), sql.id(schema, 'other')];
    const marked = sql.kept(sql`select count(*) as rows from ${table}`);
    await given.store.script(
      `create table ${schema}.mouse (id integer); create table ${schema}.other (x text, y text)`,
    );
    await given.store.execute(sql`insert into ${other} values ('a', 'b')`);
    await given.store.transaction({}, async (transaction) => {
      for (let round = 0; round < 10; round += 1) {
        expect(await transaction.query(marked)).toEqual([{ rows: 0n }]);
      }
      await transaction.execute(sql`alter table ${table} rename to gone`);
      await transaction.execute(sql`alter table ${other} rename to mouse`);
      expect(await transaction.query(marked)).toEqual([{ rows: 1n }]);
      await transaction.execute(sql`alter table ${table} drop column x`);
      expect(await transaction.query(marked)).toEqual([{ rows: 1n }]);
    });
  });

  it('stay right when a statement fails, at its first use or later', async () => {
    const table = await mouseTable(given);
    const marked = (id: number): Sql => sql.kept(sql`insert into ${table} values (${id}, 'x') returning id`);
    const absent = sql.kept(sql`select count(*) as rows from ${sql.id(await given.freshSchema(), 'absent')}`);
    await given.store.execute(sql`insert into ${table} values (0, 'x')`);
    for (let round = 1; round <= 20; round += 1) {
      expect(isStoreError(await failure(given.store.query(marked(0))), '23505')).toBe(true);
      expect(isStoreError(await failure(given.store.query(absent)), '42P01')).toBe(true);
      await failure(
        given.store.transaction({}, async (transaction) => {
          await transaction.query(marked(round));
          await transaction.query(marked(0));
        }),
      );
      expect(await given.store.query(marked(round))).toEqual([{ id: round }]);
    }
    expect(await countOf(given.store, table)).toBe(21n);
  });
}

function valuesOut(given: StoreUnderTest): void {
  it.each<[expression: string, value: unknown]>([
    ['true', true],
    ['null::boolean', null],
    ['7::int2', 7],
    ['-7::int4', -7],
    ['4294967295::oid', 4_294_967_295],
    ['9223372036854775807::int8', 9_223_372_036_854_775_807n],
    ['0.1::float4', 0.1],
    ['0.1::float8 + 0.2::float8', 0.300_000_000_000_000_04],
    [`'NaN'::float8`, Number.NaN],
    [`'-Infinity'::float8`, Number.NEGATIVE_INFINITY],
    [`'-0'::float8`, -0],
    ['123456789012345678901234567890.10::numeric', '123456789012345678901234567890.10'],
    [`'NaN'::numeric`, 'NaN'],
    [`'a''b'::text`, `a'b`],
    [`'ab'::char(4)`, 'ab  '],
    [`'x'::"char"`, 'x'],
    [`'7f4d0c1e-0b0e-4b0e-8b0e-0b0e0b0e0b0e'::uuid`, '7f4d0c1e-0b0e-4b0e-8b0e-0b0e0b0e0b0e'],
    [`'2026-05-12'::date`, '2026-05-12'],
    [`'infinity'::date`, 'infinity'],
    [`'0044-03-15 BC'::date`, '0044-03-15 BC'],
    [`'09:14:07'::time`, '09:14:07.000000'],
    [`'09:14:07.12+02'::timetz`, '09:14:07.12+02'],
    [`'2026-05-12 09:14:07.1'::timestamp`, '2026-05-12T09:14:07.100000'],
    [`'2026-05-12 09:14:07'::timestamp`, '2026-05-12T09:14:07.000000'],
    [`'2026-05-12 09:14:07.123456+02'::timestamptz`, '2026-05-12T07:14:07.123456Z'],
    [`'12026-05-12 09:14:07Z'::timestamptz`, '12026-05-12T09:14:07.000000Z'],
    [`'0044-03-15 12:00:00Z BC'::timestamptz`, '0044-03-15T12:00:00.000000Z BC'],
    [`'0044-03-15 12:00:00 BC'::timestamp`, '0044-03-15T12:00:00.000000 BC'],
    [`'-infinity'::timestamptz`, '-infinity'],
    [`'infinity'::timestamp`, 'infinity'],
    [`interval '1 year 2 mons 3 days 04:05:06.7'`, 'P1Y2M3DT4H5M6.7S'],
    [`'\\x00ff10'::bytea`, Uint8Array.of(0, 255, 16)],
    [`''::bytea`, new Uint8Array()],
    [`'{"a": [1, null]}'::json`, { a: [1, null] }],
    [`'{"a": {"b": 1.50}}'::jsonb`, { a: { b: 1.5 } }],
    [`'null'::jsonb`, null],
    [`'"x"'::jsonb`, 'x'],
    [`'{1,NULL,3}'::int4[]`, [1, null, 3]],
    [
      `'{{1,2},{3,4}}'::int8[]`,
      [
        [1n, 2n],
        [3n, 4n],
      ],
    ],
    [`'[0:1]={a,b}'::text[]`, ['a', 'b']],
    [`array['', 'NULL', null, 'a,b', '"', '\\', '{}', ' ']`, ['', 'NULL', null, 'a,b', '"', '\\', '{}', ' ']],
    [`'{}'::int4[]`, []],
    [`array[true, false]`, [true, false]],
    [`array['\\x01'::bytea]`, [Uint8Array.of(1)]],
    [`array['{"a":"b,c"}'::jsonb, null]`, [{ a: 'b,c' }, null]],
    [`array['2026-05-12 09:14:07Z'::timestamptz]`, ['2026-05-12T09:14:07.000000Z']],
    [`array[0.10::numeric]`, ['0.10']],
    [`int4range(1, 5)`, '[1,5)'],
    [`'10.0.0.1/8'::inet`, '10.0.0.1/8'],
    [`row(1, 'a')`, '(1,a)'],
    [`'pg_class'::regclass`, 'pg_class'],
    [`B'101'`, '101'],
  ])('decodes %s', async (expression, value) => {
    const [row] = await given.store.query(sql`select ${sql.raw(expression)} as value`);
    expect(row).toStrictEqual({ value });
  });

  it('decodes an enum as its label and a domain as its base type', async () => {
    const schema = await given.freshSchema();
    await given.store.execute(sql`create type ${sql.id(schema, 'mood')} as enum ('sad', 'glad')`);
    await given.store.execute(sql`create domain ${sql.id(schema, 'count')} as int8`);
    expect(
      await given.store.query(
        sql`select 'sad'::${sql.id(schema, 'mood')} as mood, 5::${sql.id(schema, 'count')} as count`,
      ),
    ).toEqual([{ mood: 'sad', count: 5n }]);
  });

  it('refuses to decode an instant of a session that left UTC', async () => {
    const error = await failure(
      given.store.transaction({}, async (transaction) => {
        await transaction.execute(sql`set local timezone = 'Asia/Tokyo'`);
        return await transaction.query(sql`select now() as now`);
      }),
    );
    expect(error).toMatchObject({ code: 'internal', detail: { setting: 'TimeZone' } });
  });
}

function valuesRoundTrip(given: StoreUnderTest): void {
  const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
  const int8 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const two = (part: number): string => String(part).padStart(2, '0');
  const instant = fc
    .tuple(
      fc.integer({ min: 1, max: 9999 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 28 }),
      fc.integer({ min: 0, max: 23 }),
      fc.integer({ min: 0, max: 59 }),
      fc.integer({ min: 0, max: 59_999_999 }),
    )
    .map(([year, month, day, hour, minute, micros]) => {
      const seconds = `${two(Math.floor(micros / 1_000_000))}.${String(micros % 1_000_000).padStart(6, '0')}`;
      return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${seconds}Z`;
    });
  const cases: readonly [type: string, arbitrary: fc.Arbitrary<never>][] = [
    ['boolean', fc.boolean()],
    ['int4', fc.integer()],
    ['int8', int8],
    ['float8', fc.double()],
    ['text', text],
    ['numeric', fc.tuple(int8, fc.nat()).map(([whole, part]) => `${whole}.${part}`)],
    ['uuid', fc.uuid()],
    ['timestamptz', instant],
    ['bytea', fc.uint8Array()],
    ['text[]', fc.array(fc.option(text))],
    ['int8[]', fc.array(fc.option(int8))],
    ['float8[]', fc.array(fc.option(fc.double()))],
    ['bool[]', fc.array(fc.option(fc.boolean()))],
    ['timestamptz[]', fc.array(instant)],
  ].map(([type, arbitrary]) => [type as string, arbitrary as fc.Arbitrary<never>]);

  it.each(cases)('gives back any %s as it was', async (type, arbitrary) => {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (value) => {
        const [row] = await given.store.query(sql`select ${value}::${sql.raw(type)} as value`);
        expect(row).toStrictEqual({ value });
      }),
      { numRuns: 60 },
    );
  });

  it('gives back any float4 as the shortest number that stands for it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.float(), async (value) => {
        const [row] = await given.store.query<{ value: number }>(sql`select ${value}::float4 as value`);
        expect(Math.fround(row?.value ?? 0)).toBe(value);
      }),
      { numRuns: 60 },
    );
  });

  it('gives back any JSON document that was passed as text', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.json({ stringUnit: 'grapheme' }).filter((doc) => !doc.includes('\\u0000')),
        async (doc) => {
          const [row] = await given.store.query(sql`select ${doc}::json as value`);
          expect(row).toStrictEqual({ value: JSON.parse(doc) as unknown });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('gives back null of any type', async () => {
    expect(await given.store.query(sql`select ${null}::int8 as a, ${null}::text[] as b`)).toEqual([
      { a: null, b: null },
    ]);
  });

  it('refuses text that has no UTF-8 form instead of changing it', async () => {
    for (const value of ['a\uD800', ['b\uDC00']]) {
      const error = await failure(given.store.query(sql`select ${value}::text as value`));
      expect(error).toMatchObject({ code: 'sql_invalid', fields: { sqlstate: '22021' } });
    }
    expect(await failure(given.store.query(sql`select ${'a\0b'}::text as value`))).toMatchObject({
      code: 'sql_invalid',
    });
  });
}

function transactions(given: StoreUnderTest): void {
  it('keeps what it did when its work returns, and gives back the result', async () => {
    const table = await mouseTable(given);
    const result = await given.store.transaction({}, async (transaction) => {
      await transaction.execute(sql`insert into ${table} values (1, 'a')`);
      return await countOf(transaction, table);
    });
    expect(result).toBe(1n);
    expect(await countOf(given.store, table)).toBe(1n);
  });

  it('takes everything back when its work throws, and throws the same', async () => {
    const table = await mouseTable(given);
    const reason = new RangeError('stop');
    const error = await failure(
      given.store.transaction({}, async (transaction) => {
        await transaction.execute(sql`insert into ${table} values (1, 'a')`);
        throw reason;
      }),
    );
    expect(error).toBe(reason);
    expect(await countOf(given.store, table)).toBe(0n);
  });

  it('does not claim to have committed when a failed statement was swallowed', async () => {
    const table = await mouseTable(given);
    const error = await failure(
      given.store.transaction({}, async (transaction) => {
        await transaction.execute(sql`insert into ${table} values (1, 'a')`);
        await failure(transaction.query(sql`select 1/0`));
      }),
    );
    expect(error).toMatchObject({ code: 'database_error', fields: { sqlstate: '25P02' } });
    expect(await countOf(given.store, table)).toBe(0n);
  });

  it('takes everything back when a deferred constraint fails at the commit', async () => {
    const table = await mouseTable(given);
    await given.store.execute(
      sql`alter table ${table} add boss integer references ${table} deferrable initially deferred`,
    );
    const error = await failure(
      given.store.transaction({}, (transaction) =>
        transaction.execute(sql`insert into ${table} values (1, 'a', 2)`),
      ),
    );
    expect(error).toMatchObject({ code: 'constraint_violated', fields: { sqlstate: '23503' } });
    expect(await countOf(given.store, table)).toBe(0n);
  });

  it.each(['read committed', 'repeatable read', 'serializable'] as const)('runs as %s', async (isolation) => {
    const rows = await given.store.transaction({ isolation }, (transaction) =>
      transaction.query(sql`select current_setting('transaction_isolation') as isolation`),
    );
    expect(rows).toEqual([{ isolation }]);
  });

  it('refuses a write when it is read only', async () => {
    const table = await mouseTable(given);
    const error = await failure(
      given.store.transaction({ readOnly: true }, (transaction) =>
        transaction.execute(sql`insert into ${table} values (1, 'a')`),
      ),
    );
    expect(error).toMatchObject({ code: 'sql_invalid', fields: { sqlstate: '25006' } });
    expect(await countOf(given.store, table)).toBe(0n);
  });

  it('leaves no setting of its own behind', async () => {
    await given.store.transaction({ readOnly: true, lockTimeoutMs: 1234 }, (transaction) =>
      transaction.execute(sql`set local search_path = pg_catalog`),
    );
    for (let i = 0; i < 5; i += 1) {
      expect(
        await given.store.query(sql`
        select current_setting('lock_timeout') as lock, current_setting('transaction_read_only') as read_only,
          current_setting('search_path') like '%public%' as path`),
      ).toEqual([{ lock: '0', read_only: 'off', path: true }]);
    }
  });

  it('has a handle that dies with it', async () => {
    const handle = await given.store.transaction({}, async (transaction) => transaction);
    expect(await failure(handle.query(sql`select 1`))).toMatchObject({ code: 'internal' });
    expect(await failure(handle.savepoint(async () => 1))).toMatchObject({ code: 'internal' });
  });

  it('answers statements sent at once inside it', async () => {
    const rows = await given.store.transaction({}, (transaction) =>
      Promise.all([1, 2, 3].map((n) => transaction.query(sql`select ${n}::int4 as n`))),
    );
    expect(rows.flat()).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  it('lets more of them wait than there are sessions', async () => {
    const table = await mouseTable(given);
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        given.store.transaction({}, async (transaction) => {
          await transaction.execute(sql`insert into ${table} values (${n}, 'a')`);
          await transaction.query(sql`select pg_sleep(0.005)::text`);
        }),
      ),
    );
    expect(await countOf(given.store, table)).toBe(20n);
  });
}

function savepoints(given: StoreUnderTest): void {
  it('takes back only its own work when that throws', async () => {
    const table = await mouseTable(given);
    await given.store.transaction({}, async (transaction) => {
      const insert = (id: number): Promise<number> =>
        transaction.execute(sql`insert into ${table} values (${id}, 'a')`);
      await insert(1);
      expect(isStoreError(await failure(transaction.savepoint(() => insert(1))), '23505')).toBe(true);
      expect(await transaction.savepoint(() => insert(2))).toBe(1);
      await failure(
        transaction.savepoint(async () => {
          await insert(3);
          await transaction.savepoint(() => insert(4));
          throw new Error('outer');
        }),
      );
      await failure(
        transaction.savepoint(async () => {
          await insert(5);
          await failure(transaction.query(sql`select 1/0`));
        }),
      );
    });
    expect(await given.store.query(sql`select id from ${table} order by id`)).toEqual([{ id: 1 }, { id: 2 }]);
  });
}

function errors(given: StoreUnderTest): void {
  it('names code and objects of a broken constraint', async () => {
    const schema = await given.freshSchema();
    const table = sql.id(schema, 'mouse');
    await given.store.execute(sql`
      create table ${table} (id integer constraint one primary key, name text not null,
        boss integer constraint above references ${table}, age integer constraint old check (age > 0))`);
    const insert = (
      id: number | null,
      name: string | null,
      boss: number | null,
      age: number,
    ): Promise<unknown> =>
      failure(given.store.execute(sql`insert into ${table} values (${id}, ${name}, ${boss}, ${age})`));
    await given.store.execute(sql`insert into ${table} values (1, 'a', null, 1)`);
    const where = { schema, table: 'mouse' };
    const cases: readonly [unknown, object][] = [
      [await insert(1, 'a', null, 1), { sqlstate: '23505', ...where, constraint: 'one' }],
      [await insert(2, null, null, 1), { sqlstate: '23502', ...where, column: 'name' }],
      [await insert(2, 'a', 9, 1), { sqlstate: '23503', ...where, constraint: 'above' }],
      [await insert(2, 'a', null, -1), { sqlstate: '23514', ...where, constraint: 'old' }],
    ];
    for (const [error, fields] of cases) {
      expect(error).toBeInstanceOf(StoreError);
      expect(error).toMatchObject({ code: 'constraint_violated', fields });
    }
  });

  it.each([
    ['selec 1', 'sql_invalid', '42601'],
    ['select nothing', 'sql_invalid', '42703'],
    ['select * from nowhere', 'sql_invalid', '42P01'],
    ['select * from nowhere.nothing', 'sql_invalid', '42P01'],
    ['create table nowhere.nothing ()', 'sql_invalid', '3F000'],
    ['select 1/0', 'sql_invalid', '22012'],
    [`select 'x'::int4`, 'sql_invalid', '22P02'],
    [`do $$ begin raise exception 'x'; end $$`, 'database_error', 'P0001'],
  ])('answers %s with %s', async (text, code, sqlstate) => {
    const error = await failure(given.store.query(sql.raw(text)));
    expect(error).toMatchObject({ code, fields: { sqlstate } });
    expect(isVarveError(error) && error.hint).toMatch(/^[A-Z][^{}]+\.$/);
  });

  it('says where in the statement', async () => {
    expect(await failure(given.store.query(sql`select nothing`))).toMatchObject({ fields: { position: 8 } });
  });

  it('never holds a value of a row, in any part', async () => {
    const table = await mouseTable(given);
    await given.store.execute(sql`alter table ${table} add secret text unique check (secret <> 'forbidden')`);
    const secret = `secret-${randomUUID()}`;
    const insert = (id: number, value: string): Promise<number> =>
      given.store.execute(sql`insert into ${table} values (${id}, 'a', ${value})`);
    await insert(1, secret);
    const caught = [
      await failure(insert(2, secret)),
      await failure(given.store.query(sql`select ${secret}::int4`)),
      await failure(given.store.query(sql`select ${secret}::jsonb`)),
      await failure(given.store.query(sql`select secret::int4 from ${table}`)),
      await failure(given.store.query(sql`update ${table} set name = null where secret = ${secret}`)),
      await failure(
        given.store.script(`do $$ begin raise exception '${secret}' using detail = '${secret}'; end $$`),
      ),
      await failure(
        given.store.transaction({}, async (transaction) => {
          await failure(transaction.savepoint(() => transaction.query(sql`select ${secret}::int4`)));
          await transaction.query(sql`select ${secret}::uuid`);
        }),
      ),
    ];
    for (const error of caught) expect(everythingIn(error)).not.toContain(secret);
  });
}

/** All that could ever be printed of an error: own and inherited text, hidden properties, causes. */
function everythingIn(value: unknown, seen: Set<unknown> = new Set()): string {
  if (typeof value !== 'object' || value === null || seen.has(value)) return String(value);
  seen.add(value);
  return Reflect.ownKeys(value)
    .map((key) => `${String(key)}=${everythingIn(Reflect.get(value, key), seen)}`)
    .join('\n');
}

function locks(given: StoreUnderTest, open: (() => Promise<Store>) | undefined): void {
  it('is held once at a time, by name, until it is let go', async () => {
    const name = uniqueName('lock');
    const lock = await given.store.tryLock(name);
    expect(lock?.name).toBe(name);
    expect(await given.store.tryLock(name)).toBeUndefined();
    await using other = await given.store.tryLock(`${name}x`);
    expect(other).toBeDefined();
    await lock?.[Symbol.asyncDispose]();
    await lock?.[Symbol.asyncDispose]();
    await using again = await given.store.tryLock(name);
    expect(again).toBeDefined();
    expect(again?.lost.aborted).toBe(false);
  });

  it('stands beside transactions', async () => {
    await using lock = await given.store.tryLock(uniqueName('lock'));
    await failure(given.store.transaction({}, (transaction) => transaction.query(sql`select 1/0`)));
    expect(await given.store.tryLock(lock?.name ?? '')).toBeUndefined();
  });

  if (open === undefined) return;

  it('is seen by other stores on the database, and ends with its store', async () => {
    const name = uniqueName('lock');
    const other = await open();
    const lock = await other.tryLock(name);
    expect(await given.store.tryLock(name)).toBeUndefined();
    await other[Symbol.asyncDispose]();
    expect(lock?.lost.aborted).toBe(true);
    await expect
      .poll(async () => {
        const taken = await given.store.tryLock(name);
        await taken?.[Symbol.asyncDispose]();
        return taken !== undefined;
      })
      .toBe(true);
  });

  it('says so when its session was ended from outside', async () => {
    const name = uniqueName('lock');
    await using lock = await given.store.tryLock(name);
    await given.store.query(sql`
      select pg_terminate_backend(pid)::text from pg_locks
      where locktype = 'advisory' and classid::int8 << 32 | objid::int8 = hashtextextended(${`varve:${name}`}, 0)`);
    await expect.poll(() => lock?.lost.aborted).toBe(true);
  });
}

function flags(given: StoreUnderTest): void {
  it('keeps its promise about concurrent sessions', async () => {
    const table = await mouseTable(given);
    const { store } = given;
    const order: string[] = [];
    const first = store.transaction({}, async (transaction) => {
      await transaction.execute(sql`insert into ${table} values (1, 'a')`);
      order.push('first works');
      if (store.capabilities.concurrentSessions) {
        expect(await countOf(store, table)).toBe(0n);
        await store.transaction({}, (inner) => inner.execute(sql`insert into ${table} values (2, 'b')`));
      } else {
        expect(await failure(store.query(sql`select 1`))).toMatchObject({ code: 'internal' });
        expect(await failure(store.transaction({}, async () => 1))).toMatchObject({ code: 'internal' });
      }
      await transaction.query(sql`select pg_sleep(0.02)::text`);
      order.push('first ends');
    });
    const second = store.transaction({}, async (transaction) => {
      order.push('second works');
      await transaction.query(sql`select 1`);
    });
    await Promise.all([first, second]);
    const queued = ['first works', 'first ends', 'second works'];
    if (store.capabilities.concurrentSessions) expect(order).not.toEqual(queued);
    else expect(order).toEqual(queued);
  });

  it('keeps its promise about stopping statements', async () => {
    const slow = given.store.transaction({ statementTimeoutMs: 50 }, (transaction) =>
      transaction.query(sql`select pg_sleep(5)::text`),
    );
    expect(await failure(slow)).toMatchObject(
      given.store.capabilities.cancelStatement
        ? { code: 'statement_cancelled', fields: { sqlstate: '57014' } }
        : { code: 'capability_missing', detail: { capability: 'cancelStatement' } },
    );
  });

  it('keeps its promise about roles', async () => {
    const table = await mouseTable(given);
    const role = uniqueName('limited');
    await given.store.execute(sql`create role ${sql.id(role)}`);
    const read = (): Promise<unknown> =>
      given.store.transaction({}, async (transaction) => {
        await transaction.execute(sql`set local role ${sql.id(role)}`);
        return await transaction.query(sql`select * from ${table}`);
      });
    const error = await failure(read());
    // Without the flag the role may well limit; it is no promise, so nothing is asked of it.
    if (given.store.capabilities.restrictedRole) {
      expect(error).toMatchObject({ code: 'permission_denied', fields: { sqlstate: '42501' } });
    }
  });

  it('M95 M143 gives up waiting for a lock in time, where sessions can meet at all', async () => {
    const table = await mouseTable(given);
    const error = await given.store.transaction({}, async (transaction) => {
      await transaction.execute(sql`lock table ${table}`);
      return await failure(
        given.store.transaction({ lockTimeoutMs: 30 }, (other) => other.query(sql`select * from ${table}`)),
      );
    });
    expect(error).toMatchObject(
      given.store.capabilities.concurrentSessions
        ? { code: 'transaction_conflict', fields: { sqlstate: '55P03' } }
        : { code: 'internal' },
    );
  });

  it('reports concurrent work that got in the way, where there can be any', async () => {
    const table = await mouseTable(given);
    await given.store.execute(sql`insert into ${table} values (1, 'a')`);
    const error = await failure(
      given.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
        await countOf(transaction, table);
        await given.store.execute(sql`update ${table} set name = 'b'`);
        await transaction.execute(sql`update ${table} set name = 'c'`);
      }),
    );
    expect(error).toMatchObject(
      given.store.capabilities.concurrentSessions
        ? { code: 'transaction_conflict', fields: { sqlstate: '40001' } }
        : { code: 'internal' },
    );
  });
}

function closing(fresh: () => Promise<Store>): void {
  it('lets a running transaction end, then refuses everything, and closes once', async () => {
    const store = await fresh();
    const running = store.transaction({}, async (transaction) => {
      await transaction.query(sql`select pg_sleep(0.05)::text`);
      return await transaction.query(sql`select 1 as one`);
    });
    const closed = store[Symbol.asyncDispose]();
    expect(await running).toEqual([{ one: 1 }]);
    await closed;
    await store[Symbol.asyncDispose]();
    expect(await failure(store.query(sql`select 1`))).toMatchObject({ code: 'internal' });
    expect(await failure(store.transaction({}, async () => 1))).toMatchObject({ code: 'internal' });
    expect(await failure(store.tryLock('x'))).toMatchObject({ code: 'internal' });
  });
}
