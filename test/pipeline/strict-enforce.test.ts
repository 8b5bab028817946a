import { sql as kyselySql } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import { isVarveError, type VarveError } from '../../src/base/index.ts';
import {
  openStrictReads,
  type StrictDb,
  type StrictReads,
} from '../../src/pipeline/strict/open-strict-reads.ts';
import { sql, type Store, type Transaction } from '../../src/store/index.ts';
import { withStores } from '../harness/index.ts';
import { createLab, installCatalog, type Lab } from './strict-lab.ts';

const KEY = { mouse: 1, session: 'a' };

withStores('enforced reads', (given) => {
  let lab: Lab;
  let reads: StrictReads;

  beforeAll(async () => {
    await installCatalog(given.store);
    lab = await createLab(given.store, await given.freshSchema());
    reads = await openStrictReads(given.store, lab.options);
  });

  function make<T>(
    work: (db: StrictDb) => Promise<T>,
    key: Readonly<Record<string, unknown>> = KEY,
  ): Promise<T> {
    return given.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
      const { value, reads: observed } = await reads.run(transaction, key, work);
      expect(observed).toEqual([]);
      return value;
    });
  }

  async function refusalOf(statement: string, values: readonly unknown[] = []): Promise<VarveError> {
    const error: unknown = await make((db) => runText(db, statement, values)).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    if (isVarveError(error)) return error;
    throw new Error(`not refused: ${statement}`);
  }

  it('records the level that it reaches', () => {
    expect(reads.enforcement).toBe(given.store.capabilities.restrictedRole ? 'role' : 'statement');
    expect(reads.findings).toEqual([]);
  });

  it('shows the rows that the key leads to, with the declared columns', async () => {
    const seen = await make(async (db) => ({
      session: await db.selectFrom('session').selectAll().execute(),
      mouse: await db.selectFrom('mouse').selectAll().execute(),
      all: await db.selectFrom('allSessions').select('session').orderBy('session').execute(),
      strain: await db.selectFrom('strain').selectAll().execute(),
      rules: await db.selectFrom('rule').select('bound').where('rule', '=', 2).execute(),
    }));
    expect(seen).toEqual({
      session: [{ score: 0.5 }],
      mouse: [{ mouse: 1, name: 'Ada', weight: 20, strain: 1 }],
      all: [{ session: 'a' }, { session: 'b' }],
      strain: [{ strain: 1, label: 'black' }],
      rules: [{ bound: 0.8 }],
    });
  });

  it('gives raw SQL with its parameters to the database', async () => {
    const rows = await make(async (db) => {
      const least = 0.6;
      const result = await kyselySql<{ n: number }>`
        with best as (select session from "allSessions" where score > ${least} and 'ü$1' = ${'ü$1'})
        select count(*)::int as n from best b join lateral (select 1 from rule where rule = 1) r on true`.execute(
        db,
      );
      return result.rows;
    });
    expect(rows).toEqual([{ n: 1 }]);
  });

  it('runs statements that it runs at once one after the other', async () => {
    const rows = await make((db) =>
      Promise.all(['session', 'mouse', 'rule'].map((name) => db.selectFrom(name).selectAll().execute())),
    );
    expect(rows.map((each) => each.length)).toEqual([1, 1, 2]);
  });

  it('reads the rows of one view through its schema too', async () => {
    const [path] = await make((db) => db.selectFrom('session').selectAll().execute());
    expect(path).toEqual({ score: 0.5 });
    const schema = await schemaOfViews(given.store);
    const rows = await make((db) => runText(db, `select score from "${schema}".session`));
    expect(rows).toEqual([{ score: 0.5 }]);
  });

  describe('an undeclared table is refused, with its name and the declaration, when read by', () => {
    const forms: readonly (readonly [string, string])[] = [
      ['select', 'select bound from S.policy'],
      ['a name without its schema', 'select bound from policy'],
      ['count', 'select count(*) from S.policy'],
      ['exists', 'select exists (select 1 from S.policy where bound > 1) as found'],
      ['join', 'select m.mouse from mouse m join S.policy p on p.id = m.mouse'],
      ['a subquery', 'select name from mouse where mouse in (select id from S.policy)'],
      ['a scalar subquery', 'select (select max(bound) from S.policy) as bound from mouse'],
      ['a common table expression', 'with p as (select * from S.policy) select * from p'],
      [
        'a common table expression of its own name',
        'with policy as (select * from policy) select * from policy',
      ],
      ['an unused common table expression', 'with p as (select * from S.policy) select * from mouse'],
      ['the inside of a later one', 'with a as (select * from policy), policy as (select 1) select * from a'],
      ['union', 'select mouse from mouse union all select id from S.policy'],
      ['lateral', 'select * from mouse m, lateral (select * from S.policy where id = m.mouse) p'],
      [
        'an argument of a set-returning function',
        'select * from generate_series(1, (select max(id) from S.policy))',
      ],
      ['order by', 'select name from mouse order by (select count(*) from S.policy)'],
      ['limit', 'select name from mouse limit (select count(*) from S.policy)'],
      ['a window', 'select rank() over (order by (select count(*) from S.policy)) from mouse'],
      ['values', 'values ((select count(*) from S.policy))'],
      ['table', 'table S.policy'],
      ['case', 'select case when exists (table S.policy) then 1 end from mouse'],
      ['a filter', 'select count(*) filter (where exists (table S.policy)) from mouse'],
      ['a JSON constructor', 'select json_array(select bound from S.policy)'],
      ['an array', 'select array(select bound from S.policy)'],
      ['only', 'select * from only S.policy'],
      ['quoted and in other case', 'select * from S."policy" as "Mouse"'],
    ];
    it.each(forms)('%s', async (_, form) => {
      const text = form.replaceAll('S.', `${lab.schema}.`);
      const error = await refusalOf(text);
      expect(error.code).toBe('undeclared_read');
      expect(error.detail).toMatchObject({ table: `${lab.schema}.grade`, reads: `${lab.schema}.policy` });
      const at = Number(error.detail['position']) - 1;
      expect(text.slice(at)).toMatch(/^(s_[0-9a-f]+\.)?"?policy/);
      expect(error.hint).toBe(
        `Declare the foreign key to ${lab.schema}.policy, \`references: { policy: Policy.optional() }\`, and the read, ` +
          '`reads: { policy: Policy.all() }` or `Policy.matching({ ... })`.',
      );
    });
  });

  it('refuses the real table of a declared read, and says under which name it is read', async () => {
    const error = await refusalOf(`select * from ${lab.schema}.session`);
    expect(error.code).toBe('undeclared_read');
    expect(error.hint).toContain('select from it as "session" or "allSessions"');
  });

  it.each(['policy_view', 'view_on_view'])('names the table under the view %s', async (view) => {
    const error = await refusalOf(`select * from ${lab.schema}.${view}`);
    expect(error.detail).toMatchObject({
      reads: `${lab.schema}.policy`,
      through: `${lab.schema}.${view}`,
    });
  });

  it('tells how to write a name that PostgreSQL folds', async () => {
    const error = await refusalOf('select * from allSessions');
    expect(error.code).toBe('undeclared_read');
    expect(error.hint).toContain('Read "allSessions"');
  });

  it.each([
    ['pg_catalog.pg_class'],
    ['pg_class'],
    ['pg_stats'],
    ['information_schema.tables'],
    ['varve.make_key'],
    ['varve.run'],
  ])('refuses the catalog relation %s', async (name) => {
    expect((await refusalOf(`select * from ${name}`)).code).toBe('undeclared_read');
  });

  describe('a statement that does other than read is refused:', () => {
    const statements: readonly (readonly [string, string])[] = [
      ['several', 'select 1; select 2'],
      ['several', 'select 1; set role none'],
      ['statement', 'insert into mouse values (3)'],
      ['statement', 'update mouse set weight = 1'],
      ['statement', 'delete from mouse'],
      ['write', 'with gone as (delete from mouse returning *) select * from gone'],
      ['write', 'select * into copied from mouse'],
      ['statement', 'create table copied as select * from mouse'],
      ['lock', 'select * from mouse for update'],
      ['statement', 'set role none'],
      ['statement', 'reset role'],
      ['statement', 'set session authorization default'],
      ['statement', 'set search_path = public'],
      ['statement', 'reset all'],
      ['statement', 'do $$ begin perform 1; end $$'],
      ['statement', 'copy S.policy to stdout'],
      ['statement', 'prepare p as select * from S.policy'],
      ['statement', 'execute p'],
      ['statement', 'declare c cursor for select * from S.policy'],
      ['statement', 'explain analyze select * from S.policy'],
      ['statement', 'call S.anything()'],
      ['statement', 'commit'],
      ['statement', 'savepoint x'],
      ['statement', 'listen x'],
      ['function', "select set_config('role', 'none', false)"],
      ['function', "select pg_catalog.set_config('search_path', 'public', false)"],
      ['function', "select current_setting('role')"],
      ['function', "select query_to_xml('select 1', true, true, '')"],
      ['function', "select table_to_xml('S.policy', true, true, '')"],
      ['function', "select schema_to_xml('S', true, true, '')"],
      ['function', "select pg_read_file('/etc/passwd')"],
      ['function', "select * from pg_ls_dir('.')"],
      ['function', "select dblink('x', 'y')"],
      ['function', "select public.dblink('x', 'y')"],
      ['function', "select nextval('x')"],
      ['function', 'select lo_get(1)'],
      ['function', "select ts_stat('select 1')"],
      ['function', 'select random()'],
      ['function', 'select gen_random_uuid()'],
      ['function', 'select clock_timestamp()'],
      ['function', 'select now()'],
      ['function', 'select pg_sleep(1)'],
      ['function', 'select txid_current()'],
      ['function', 'select pg_backend_pid()'],
      ['function', "select pg_relation_size('S.policy')"],
      ['function', 'select age(since) from (select null::timestamptz as since) x'],
      ['function', 'select S.peek()'],
      ['function', 'select * from S.peek()'],
      ['function', 'select name from mouse where S.peek() > 0'],
      ['function', 'select varve.digest_1(name) from mouse'],
      ['clock', 'select current_timestamp'],
      ['clock', 'select current_date'],
      ['clock', 'select localtime'],
      ['clock', 'select current_user'],
      ['clock', 'select session_user'],
      ['clock', "select 'now'::timestamptz"],
      ['clock', "select date 'tomorrow'"],
      ['clock', "select 1 where timestamptz '2020-01-01' < 'now'"],
      ['operator', 'select 1 operator(S.===) 2'],
      ['type', "select 'S.policy'::regclass"],
      ['type', "select 'a'::S.checked_text"],
      ['syntax', 'select * from mouse tablesample system (50)'],
    ];
    it.each(statements)('%s: %s', async (kind, form) => {
      const error = await refusalOf(form.replaceAll('S.', `${lab.schema}.`));
      expect(error.code).toBe('statement_refused');
      expect(error.detail).toMatchObject({ table: `${lab.schema}.grade`, kind });
    });
  });

  it('refuses what does not parse, without quoting it', async () => {
    const error = await refusalOf("select 'secret' frm mouse");
    expect(error.code).toBe('sql_invalid');
    expect(JSON.stringify(error.detail) + error.message).not.toContain('secret');
  });

  it('allows functions, casts and aggregates that only compute', async () => {
    const rows = await make((db) =>
      runText(
        db,
        `select upper(name) as name, date_trunc('day', timestamptz '2026-05-12 09:00Z') as day, coalesce(1, 2) as one,
          jsonb_build_object('a', weight)->>'a' as weight, 'now'::text as word, extract(year from date '2026-01-01')::int as year,
          (select string_agg(label, ',' order by label) from strain) as labels, to_char(weight, '990.0') as printed,
          row_number() over (order by mouse)::int as n, array_length(array[1, 2], 1) as length
        from mouse group by grouping sets ((mouse, name, weight))`,
      ),
    );
    expect(rows).toEqual([
      {
        name: 'ADA',
        day: '2026-05-12T00:00:00.000000Z',
        one: 1,
        weight: '20',
        word: 'now',
        year: 2026,
        labels: 'black',
        printed: '  20.0',
        n: 1,
        length: 2,
      },
    ]);
  });

  it('refuses writes, transactions and streams of the handle', async () => {
    const write = make((db) => db.insertInto('mouse').values({ mouse: 3 }).execute());
    await expect(write).rejects.toMatchObject({ code: 'statement_refused' });
    const nested = make((db) => db.transaction().execute(() => Promise.resolve(1)));
    await expect(nested).rejects.toMatchObject({ code: 'statement_refused' });
  });

  it('fails a make that catches the refusal and goes on', async () => {
    const run = make(async (db) => {
      await runText(db, `select * from ${lab.schema}.policy`).catch(() => undefined);
      return 1;
    });
    await expect(run).rejects.toMatchObject({ code: 'undeclared_read' });
  });

  it('leaves role, search path and transaction as they were', async () => {
    await given.store.transaction({}, async (transaction) => {
      await transaction.query(sql`select set_config('search_path', 'public', true)`);
      const before = await settings(transaction);
      await reads.run(transaction, KEY, (db) => db.selectFrom('mouse').selectAll().execute());
      expect(await settings(transaction)).toEqual(before);
      const failed = reads.run(transaction, KEY, () => Promise.reject(new TypeError('a fault of the make')));
      await expect(failed).rejects.toThrow('a fault of the make');
      expect(await settings(transaction)).toEqual(before);
    });
  });

  it('leaves the transaction usable after a failed statement in the savepoint of the caller', async () => {
    await given.store.transaction({}, async (transaction) => {
      const before = await settings(transaction);
      const failed = transaction.savepoint(() =>
        reads.run(transaction, KEY, (db) => runText(db, 'select 1 / (weight - 20) from mouse')),
      );
      await expect(failed).rejects.toMatchObject({ fields: { sqlstate: '22012' } });
      expect(await settings(transaction)).toEqual(before);
      const { value } = await reads.run(transaction, { mouse: 2, session: 'a' }, (db) =>
        db.selectFrom('session').selectAll().execute(),
      );
      expect(value).toEqual([{ score: 0.9 }]);
    });
  });

  it('throws the failed statement that a make swallowed', async () => {
    const run = make(async (db) => {
      await runText(db, 'select 1 / (weight - 20) from mouse').catch(() => undefined);
      return 1;
    });
    await expect(run).rejects.toMatchObject({ fields: { sqlstate: '22012' } });
  });

  it('waits for a statement that the make did not wait for, and refuses any after its end', async () => {
    let kept: StrictDb | undefined;
    let isDone = false;
    await make((db) => {
      kept = db;
      void db
        .selectFrom('mouse')
        .selectAll()
        .execute()
        .then(() => (isDone = true));
      return Promise.resolve(1);
    });
    expect(isDone).toBe(true);
    await expect(kept?.selectFrom('mouse').selectAll().execute()).rejects.toMatchObject({
      code: 'statement_refused',
    });
  });

  it('keeps two keys at once apart', async () => {
    if (!given.store.capabilities.concurrentSessions) {
      console.info('two keys at once: left out, this store has one session');
      return;
    }
    const seen = await Promise.all(
      [1, 2, 1, 2].map((mouse) =>
        make(
          async (db) => {
            const names: unknown[] = [];
            for (let round = 0; round < 5; round += 1) {
              const [row] = await db.selectFrom('mouse').select('name').execute();
              names.push(row?.['name']);
              await new Promise((resolve) => setTimeout(resolve, 2));
            }
            return new Set(names);
          },
          { mouse, session: 'a' },
        ),
      ),
    );
    expect(seen).toEqual([new Set(['Ada']), new Set(['Bob']), new Set(['Ada']), new Set(['Bob'])]);
  });

  it('uses the index of the real table for the key in hand', async () => {
    const { store } = given;
    const big = await createLab(store, await given.freshSchema());
    await store.script(`insert into ${big.schema}.session
      select i / 10 + 10, 's' || i, 1, null from generate_series(1, 20000) i; analyze ${big.schema}.session`);
    await using strict = await openStrictReads(store, big.options);
    await store.transaction({}, async (transaction) => {
      await strict.run(transaction, { mouse: 11, session: 's17' }, () => Promise.resolve(1));
      const schema = await schemaOfViews(transaction, `${big.schema}_grade`);
      for (const [view, rows] of [
        ['session', 1],
        ['allSessions', 10],
      ] as const) {
        const plan = await transaction.query<Record<'QUERY PLAN', string>>(
          sql`explain (analyze, costs off, timing off) select * from ${sql.id(schema, view)}`,
        );
        const text = plan.map((line) => line['QUERY PLAN']).join('\n');
        expect(text).toMatch(/(Index Scan using|Bitmap Index Scan on) session_pkey/);
        expect(text).not.toContain('Seq Scan on session');
        expect(text).toMatch(new RegExp(`rows=${rows}\\b`));
      }
    });
  });

  it('takes keys of every type, and names with quotes, dots and spaces', async () => {
    await expectHostileNames(given.store, await given.freshSchema());
  });
});

async function expectHostileNames(store: Store, schema: string): Promise<void> {
  const { pipeline } = await import('../../src/pipeline/pipeline.ts');
  const { t } = await import('../../src/pipeline/column.ts');
  const { createTable, optionsOf } = await import('./strict-lab.ts');
  const strange = pipeline(`${schema} "x" ${'é'.repeat(10)}`);
  const key = {
    'a "b" .c': t.text(),
    big: t.bigint(),
    raw: t.bytea(),
    day: t.date(),
    at: t.timestamptz(),
    precise: t.numeric(10, 3),
    tags: t.array(t.text()),
    ratio: t.double(),
    flag: t.boolean(),
  };
  const Thing = strange.manual('Thi"ng; drop', { key, columns: { $1: t.text() } });
  const Pg = strange.manual('pg', { key: { id: t.integer() } });
  const Grade = strange.computed('grade', {
    parents: [Thing],
    columns: {},
    reads: { pg_class: Thing, Select: Thing.columns('$1'), mouse: Pg.all() },
    makeWith: () => ({}),
  });
  await store.execute(sql`create schema ${sql.id(strange.schema)}`);
  for (const table of strange.tables) await store.script(createTable(table.spec));
  const value = {
    'a "b" .c': `it's "x" \\ \u{1f42d}`,
    big: 9007199254740993n,
    raw: new Uint8Array([0, 255]),
    day: '2026-01-02',
    at: '2026-05-12T09:14:07.123456Z',
    precise: '1.500',
    tags: ['a,b', '"', ''],
    ratio: 0.1,
    flag: true,
  };
  const [schemaName, tableName] = [strange.schema, 'Thi"ng; drop'];
  for (const big of [value.big, value.big - 1n]) {
    await store.execute(sql`insert into ${sql.id(schemaName, tableName)} values (${value['a "b" .c']}, ${big},
      ${value.raw}, ${value.day}, ${value.at}, ${value.precise}, ${value.tags}, ${value.ratio}, ${value.flag}, ${'v'})`);
  }
  await using strict = await openStrictReads(store, optionsOf(strange.tables, Grade.spec));
  await store.transaction({}, async (transaction) => {
    const { value: rows } = await strict.run(transaction, value, async (db) => [
      await db.selectFrom('pg_class').selectAll().execute(),
      await db.selectFrom('Select').selectAll().execute(),
      await db.selectFrom('mouse').selectAll().execute(),
    ]);
    expect(rows).toEqual([[{ ...value, $1: 'v' }], [{ $1: 'v' }], []]);
    const other = { ...value, ratio: -0 };
    const { value: none } = await strict.run(transaction, other, (db) =>
      db.selectFrom('pg_class').selectAll().execute(),
    );
    expect(none).toEqual([]);
    await expect(
      strict.run(transaction, value, (db) =>
        db.selectFrom(`${schemaName}.${tableName}`).selectAll().execute(),
      ),
    ).rejects.toMatchObject({ code: 'undeclared_read' });
  });
}

async function runText(
  db: StrictDb,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly unknown[]> {
  const { CompiledQuery } = await import('kysely');
  return (await db.executeQuery(CompiledQuery.raw(text, [...values]))).rows;
}

async function schemaOfViews(store: Pick<Transaction, 'query'>, part = 'grade'): Promise<string> {
  const rows = await store.query<{ name: string }>(sql`
    select nspname::text as name from pg_namespace where nspname like ${`varve_read_%${part}%`} order by oid`);
  return rows[0]?.name ?? '';
}

async function settings(transaction: Transaction): Promise<unknown> {
  const [row] = await transaction.query(sql`
    select current_setting('role') as role, current_user::text as "user", current_setting('search_path') as path`);
  return row;
}
