import { expect, it } from 'vitest';
import { withStores } from '../../test/harness/index.ts';
import { fingerprint } from './fingerprint.ts';

const TABLES = `create table a (id int primary key, name text default 'x' not null, check (id > 0));
  create table b (id int primary key, a int references a); create view v as select id from a;
  create sequence q; create type mood as enum ('good', 'bad')`;

/** One change of the catalog each; every one has to show. */
const CHANGES: readonly string[] = [
  'alter table a add column extra int',
  'alter table a alter column name drop not null',
  "alter table a alter column name set default 'y'",
  'alter table a drop constraint a_id_check',
  'create index on b (a)',
  'alter table b enable row level security',
  'create policy p on b using (true)',
  'create or replace view v as select id from a where id > 1',
  'alter sequence q increment 2',
  "alter type mood add value 'odd'",
  'create function f() returns int language sql as $$ select 1 $$',
  'grant select on a to public',
  "comment on table a is 'said'",
  'alter table a set (fillfactor = 70)',
  'create rule r as on delete to b do instead nothing',
  'alter table a alter column name type varchar(9) using name',
];

withStores('fingerprint', (given) => {
  const make = async (text: string): Promise<string> => {
    const schema = await given.freshSchema();
    await given.store.script(`set search_path = "${schema}"; ${text}; reset search_path`);
    return schema;
  };

  it('is the same when nothing changed, and alters with any single change', async () => {
    const schema = await make(TABLES);
    let before = await fingerprint(given.store, { schema });
    expect(await fingerprint(given.store, { schema })).toEqual(before);
    for (const change of CHANGES) {
      await given.store.script(`set search_path = "${schema}"; ${change}; reset search_path`);
      const after = await fingerprint(given.store, { schema });
      expect(after.digest, change).not.toBe(before.digest);
      before = after;
    }
  });

  it('does not depend on the gap that a dropped column leaves, and keeps the order of columns when strict', async () => {
    const schema = await make('create table t (a int, gone int, b int)');
    await given.store.script(`alter table "${schema}".t drop column gone`);
    const [logical, strict] = [
      await fingerprint(given.store, { schema }),
      await fingerprint(given.store, { schema, mode: 'strict' }),
    ];
    await given.store.script(`drop table "${schema}".t; create table "${schema}".t (a int, b int)`);
    expect(await fingerprint(given.store, { schema })).toEqual(logical);
    expect(await fingerprint(given.store, { schema, mode: 'strict' })).toEqual(strict);
    await given.store.script(`drop table "${schema}".t; create table "${schema}".t (b int, a int)`);
    expect(await fingerprint(given.store, { schema })).toEqual(logical);
    expect((await fingerprint(given.store, { schema, mode: 'strict' })).digest).not.toBe(strict.digest);
  });
});
