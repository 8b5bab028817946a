import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStrictReads } from '../../src/pipeline/strict/open-strict-reads.ts';
import { dropReadViews } from '../../src/pipeline/strict/read-view.ts';
import { isStoreError, sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { uniqueName, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { countRows, createLab, installCatalog, type Lab } from './strict-lab.ts';

withPostgres('the role of strict reads', 15, roleSuite);
withPostgres('the role of strict reads', 18, roleSuite);

function roleSuite(given: StoreUnderTest): void {
  let lab: Lab;
  const users: string[] = [];

  beforeAll(async () => {
    await installCatalog(given.store);
    lab = await createLab(given.store, await given.freshSchema());
    await given.store.script(`
      create function ${lab.schema}.peek() returns double precision language sql
        as 'select max(bound) from ${lab.schema}.policy';
      create function public.peek_around() returns double precision language sql
        as 'select max(bound) from ${lab.schema}.policy';`);
    await using reads = await openStrictReads(given.store, lab.options);
    expect(reads.enforcement).toBe('role');
  });

  afterAll(async () => {
    for (const role of [...(await roles(given.store)), ...users]) {
      await given.store.script(`drop owned by ${role}; drop role ${role}`);
    }
  });

  /** Runs a statement as the role, without the check that stands before it in a make. */
  async function asRole(form: string): Promise<unknown> {
    const [role] = await roles(given.store);
    return given.store.transaction({}, async (transaction) => {
      await transaction.execute(sql`insert into varve.make_key values (pg_backend_pid(), ${'{"mouse":1,"session":"a"}'}::jsonb)
        on conflict (backend) do update set key = excluded.key`);
      await transaction.execute(sql`set local role ${sql.id(role ?? '')}`);
      await transaction.query(
        sql`select set_config('search_path', ${(await viewSchema(given.store)) ?? ''}, true)`,
      );
      return transaction.query(sql.raw(form.replaceAll('S.', `${lab.schema}.`)));
    });
  }

  it('sees what the key leads to', async () => {
    expect(await asRole('select name, (select count(*)::int from "allSessions") as n from mouse')).toEqual([
      { name: 'Ada', n: 2 },
    ]);
  });

  it.each([
    ['select', 'select * from S.policy'],
    ['count', 'select count(*) from S.policy'],
    ['exists', 'select exists (select 1 from S.policy)'],
    ['join', 'select 1 from mouse m join S.policy p on true'],
    ['subquery', 'select 1 from mouse where mouse in (select id from S.policy)'],
    ['the real table of a declared read', 'select * from S.session'],
    ['a view of a user', 'select * from S.policy_view'],
    ['a function in the pipeline', 'select S.peek()'],
    ['a function that anyone may call', 'select public.peek_around()'],
    ['XML of a table', "select table_to_xml('S.policy', true, true, '')"],
    ['XML of a query', "select query_to_xml('select * from S.policy', true, true, '')"],
    ['copy', 'copy S.policy to stdout'],
    ['a block', 'do $$ begin perform count(*) from S.policy; end $$'],
    ['the key in hand', 'select * from varve.make_key'],
    ['another key', "update varve.make_key set key = '{}'"],
    ['records of varve', 'select * from varve.computation'],
    ['a file', "select pg_read_file('/etc/hostname')"],
    ['a write to a view', "update mouse set name = 'x'"],
    ['a write to a table', "insert into S.policy values (4, '2026-01-01', 1)"],
    ['a new table', 'create table mine (a int)'],
    ['a new function in its schema', "create function f() returns int language sql as 'select 1'"],
  ])('is refused by the database itself: %s', async (_, form) => {
    const error: unknown = await asRole(form).catch((caught: unknown) => caught);
    expect(isStoreError(error, '42501')).toBe(true);
  });

  it('reports what anyone may read, and functions with rights of their own', async () => {
    const open = await createLab(given.store, await given.freshSchema());
    await given.store.script(`
      grant usage on schema ${open.schema} to public;
      grant select on ${open.schema}.policy to public;
      grant select (text) on ${open.schema}.audit_log to public;
      create function ${open.schema}.definer(i integer) returns bigint language sql security definer
        as 'select count(*) from ${open.schema}.policy';`);
    await using reads = await openStrictReads(given.store, open.options);
    expect(reads.enforcement).toBe('role');
    expect(reads.findings.map(({ code, subject }) => [code, subject])).toEqual([
      ['readable_by_public', `${open.schema}.audit_log`],
      ['readable_by_public', `${open.schema}.policy`],
      ['definer_function', `${open.schema}.definer(i integer)`],
    ]);
    await given.store.script(`drop schema ${open.schema} cascade`);
  });

  it('works for a user who is no superuser, and falls back to statements for one who may create no role', async () => {
    for (const [right, level] of [
      ['createrole', 'role'],
      ['nocreaterole', 'statement'],
    ] as const) {
      const user = uniqueName('user');
      users.push(user);
      const database = new URL(given.url()).pathname.slice(1);
      const mine = await createLab(given.store, await given.freshSchema());
      await given.store.script(`
        create role ${user} login password 'x' ${right};
        grant create on database ${database} to ${user};
        grant usage on schema ${mine.schema}, varve to ${user};
        grant select on all tables in schema ${mine.schema} to ${user};
        grant select, insert, update on varve.make_key to ${user};`);
      const url = new URL(given.url());
      url.username = user;
      url.password = 'x';
      await using store = await postgresStore({ url: url.href });
      await using reads = await openStrictReads(store, mine.options);
      expect(reads.enforcement).toBe(level);
      expect(reads.findings.map(({ code }) => code)).toEqual(level === 'role' ? [] : ['role_unavailable']);
      const { value } = await store.transaction({}, (transaction) =>
        reads.run(transaction, { mouse: 2, session: 'a' }, (db) =>
          db.selectFrom('mouse').select('name').execute(),
        ),
      );
      expect(value).toEqual([{ name: 'Bob' }]);
    }
  });

  it('does not read as a role that has rights of its own', async () => {
    const own = await createLab(given.store, await given.freshSchema());
    await openStrictReads(given.store, own.options);
    const role = (await roles(given.store)).find((name) => name.includes(own.schema)) ?? '';
    await given.store.script(`grant pg_read_all_data to ${role}`);
    await using reads = await openStrictReads(given.store, own.options);
    expect(reads.enforcement).toBe('statement');
    expect(reads.findings).toMatchObject([{ code: 'role_unavailable' }]);
  });

  it('opens twice at once, follows a table that was replaced, and lets go of its views', async () => {
    const { store } = given;
    const moved = await createLab(store, await given.freshSchema());
    const opened = await Promise.all([1, 2, 3].map(() => openStrictReads(store, moved.options)));
    expect(opened.map(({ enforcement }) => enforcement)).toEqual(['role', 'role', 'role']);
    await store.script(`
      alter table ${moved.schema}.mouse rename to mouse_old;
      create table ${moved.schema}.mouse as select mouse, 'New' as name, weight, strain from ${moved.schema}.mouse_old`);
    await using reads = await openStrictReads(store, moved.options);
    const { value } = await store.transaction({}, (transaction) =>
      reads.run(transaction, { mouse: 1, session: 'a' }, (db) =>
        db.selectFrom('mouse').select('name').execute(),
      ),
    );
    expect(value).toEqual([{ name: 'New' }]);
    await dropReadViews(store);
    await store.script(`alter table ${moved.schema}.mouse alter column name type varchar(10)`);
    expect(await countRows(store, moved.schema, 'mouse')).toBe(2);
    expect(await viewSchema(store)).toBeUndefined();
    await openStrictReads(store, lab.options);
  });
}

async function roles(store: Store): Promise<readonly string[]> {
  const rows = await store.query<{ name: string }>(sql`
    select r.rolname::text as name from pg_roles r
    where starts_with(r.rolname::text, 'varve_read_') and exists (
      select from pg_namespace n where starts_with(r.rolname::text, substr(n.nspname::text, 1, 46))
        and starts_with(n.nspname::text, 'varve_read_'))
    order by r.oid`);
  return rows.map(({ name }) => name);
}

async function viewSchema(store: Store): Promise<string | undefined> {
  const rows = await store.query<{ name: string }>(sql`
    select nspname::text as name from pg_namespace where starts_with(nspname::text, 'varve_read_') order by oid`);
  return rows[0]?.name;
}
