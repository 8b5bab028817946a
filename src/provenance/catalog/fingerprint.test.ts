import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { uniqueName, withStores } from '../../../test/harness/index.ts';
import { fingerprint, listObjects, type CatalogObject } from './index.ts';
import { catalogClasses } from './statement.ts';
import { CHANGES, GROUND, NOT_TRIED } from '../../../test/fixture/catalog-change.ts';

it('M101 tries a change of every property of every class, or says that it does not', () => {
  const tried = new Set([...CHANGES.map(({ shows }) => shows), ...NOT_TRIED]);
  const properties = [15, 18].flatMap((major) =>
    catalogClasses(major).flatMap(({ kind, properties: of }) =>
      Object.keys(of).map((name) => `${kind} ${name}`),
    ),
  );
  expect([...new Set(properties)].filter((name) => !tried.has(name))).toEqual([]);
  expect([...NOT_TRIED].filter((name) => !properties.includes(name))).toEqual([]);
});

withStores('fingerprint', (given) => {
  const run = async (schema: string, text: string): Promise<void> => {
    await given.store.script(
      `set search_path = "${schema}"; ${text.replaceAll('SCHEMA', schema)}; reset search_path`,
    );
  };
  const make = async (text: string): Promise<string> => {
    const schema = await given.freshSchema();
    await run(schema, text);
    return schema;
  };

  it('M101 any single catalog change alters the digest, and the listing names its object and property', async () => {
    const role = uniqueName('r');
    await given.store.script(`create role ${role}`);
    const schema = await make(GROUND.replaceAll('ROLE', role));
    let before = await fingerprint(given.store);
    let listed = await listObjects(given.store);
    expect(await fingerprint(given.store)).toEqual(before);
    const missed: string[] = [];
    const named = (text: string): string => text.replaceAll('ROLE', role);
    for (const { given: first, change, shows, from } of CHANGES) {
      if (before.major < (from ?? 0)) continue;
      if (first !== undefined) {
        await run(schema, named(first));
        [before, listed] = [await fingerprint(given.store), await listObjects(given.store)];
      }
      await run(schema, named(change));
      const [after, now] = [await fingerprint(given.store), await listObjects(given.store)];
      if (after.digest === before.digest) missed.push(`${change}: the digest is the same`);
      const changed = changedProperties(listed, now);
      if (!changed.includes(shows)) missed.push(`${change}: ${shows} is not in ${changed.join(', ')}`);
      [before, listed] = [after, now];
    }
    expect(missed).toEqual([]);
    await given.store.script(
      `drop schema "${schema}" cascade; drop owned by ${role} cascade; drop role ${role}`,
    );
  }, 600_000);

  it('M101 the order of creation does not alter it', async () => {
    const statements = [
      'create table b (id int primary key, v text)',
      'create table a (id int primary key, w text default 1)',
      'create view v as select 1 as one',
      'create sequence q',
      `create type mood as enum ('good', 'bad')`,
      'create function f() returns int language sql as $$ select 1 $$',
      'create domain d as int check (value > 0)',
    ];
    const schema = await make(statements.join(';'));
    const scope = { schemas: [schema] };
    const expected = await fingerprint(given.store, { scope });
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(statements, { minLength: statements.length }), async (order) => {
        await given.store.script(`drop schema "${schema}" cascade; create schema "${schema}"`);
        await run(schema, order.join(';'));
        expect(await fingerprint(given.store, { scope })).toEqual(expected);
      }),
      { numRuns: 8 },
    );
  });

  it('M98 a dropped column leaves no gap, M99 strict keeps the order of columns and logical does not', async () => {
    const schema = await make('create table t (a int, gone int, b int)');
    const scope = { schemas: [schema] };
    await run(schema, 'alter table t drop column gone');
    const gap = await fingerprint(given.store, { scope });
    await run(schema, 'drop table t; create table t (a int, b int)');
    expect(await fingerprint(given.store, { scope })).toEqual(gap);
    await run(schema, 'drop table t; create table t (b int, a int)');
    const turned = await fingerprint(given.store, { scope, byTable: true });
    expect(turned.digest).toBe(gap.digest);
    expect(turned.strictDigest).not.toBe(gap.strictDigest);
    const [table] = turned.schemas[0]?.tables ?? [];
    expect(table?.strictDigest).not.toBe(table?.digest);
  });

  it('M98 privileges given and taken again, and sorted otherwise, are the same', async () => {
    const schema = await make(
      'create table t (a int); create function f() returns int language sql as $$ select 1 $$',
    );
    const before = await fingerprint(given.store, { scope: { schemas: [schema] } });
    await run(schema, 'grant select on t to public; revoke select on t from public');
    await run(schema, 'revoke execute on function f() from public; grant execute on function f() to public');
    expect(await fingerprint(given.store, { scope: { schemas: [schema] } })).toEqual(before);
  });

  it('M97 algorithm and major are part of the digest, and settings of the session are not', async () => {
    const schema = await make(
      `create table t (a date default '2020-02-01', b timestamptz default '2020-02-01 00:00+00')`,
    );
    const before = await fingerprint(given.store);
    expect(before.algorithm).toBe('pg-catalog/1');
    await given.store.transaction({}, async (transaction) => {
      await transaction.script(
        `set local search_path = "${schema}"; set local datestyle = 'German'; set local timezone = 'Asia/Tokyo'; set local quote_all_identifiers = on`,
      );
      expect(await fingerprint(transaction)).toEqual(before);
      const [row] = await transaction.script('show search_path');
      expect(Object.values(row ?? {})).toEqual([schema]);
    });
  });

  it('M100 reads one snapshot, whatever others commit meanwhile', async () => {
    if (!given.store.capabilities.concurrentSessions) return expect(given.name).toBe('embedded');
    const schema = await make('create table t (a int)');
    await given.store.transaction({ isolation: 'repeatable read', readOnly: true }, async (transaction) => {
      const before = await fingerprint(transaction);
      await run(schema, 'create table u (a int); alter table t add column b int');
      expect(await fingerprint(transaction)).toEqual(before);
    });
  });

  it('scoped to a table knows it and what hangs on it, and nothing else', async () => {
    const schema =
      await make(`create table t (id serial primary key, v text); create index i on t (v); create table u (a int);
      comment on column t.v is 'said'; create function f() returns int language sql as $$ select 1 $$`);
    const scope = { tables: [`${schema}.t`] };
    const listed = await listObjects(given.store, scope);
    expect(listed.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'column id',
      'column v',
      'comment column v',
      'constraint t_pkey',
      'index i',
      'index t_pkey',
      'relation t',
      'sequence t_id_seq',
    ]);
    const before = await fingerprint(given.store, { scope });
    await run(schema, 'alter table u add column b int; drop function f()');
    expect(await fingerprint(given.store, { scope })).toEqual(before);
    await run(schema, 'alter index i set (fillfactor = 50)');
    expect((await fingerprint(given.store, { scope })).digest).not.toBe(before.digest);
  });

  it("varve's own guards on others' tables belong to its schema, and are seen there", async () => {
    const schema = await make('create table t (a int)');
    await given.store.script(`create schema if not exists varve;
      create function varve.deny() returns trigger language plpgsql as $$ begin return null; end $$`);
    const [all, own] = [
      await fingerprint(given.store),
      await fingerprint(given.store, { scope: { schemas: ['varve'] } }),
    ];
    await run(schema, 'create trigger deny before delete on t execute function varve.deny()');
    expect(await fingerprint(given.store)).toEqual(all);
    const armed = await fingerprint(given.store, { scope: { schemas: ['varve'] } });
    expect(armed.digest).not.toBe(own.digest);
    await run(schema, 'alter table t disable trigger deny');
    expect((await fingerprint(given.store, { scope: { schemas: ['varve'] } })).digest).not.toBe(armed.digest);
    await given.store.script(`drop schema "${schema}" cascade; drop schema varve cascade`);
  });

  it('says nothing of where a sequence stands, nor of data', async () => {
    const schema = await make('create sequence q; create table t (a int)');
    const before = await fingerprint(given.store, { scope: { schemas: [schema] } });
    await run(schema, `select nextval('q'); insert into t values (1)`);
    expect(await fingerprint(given.store, { scope: { schemas: [schema] } })).toEqual(before);
  });
});

/** `kind property` of all that differs; `kind added` or `kind removed` where an object did not stand on both sides. */
function changedProperties(
  before: readonly CatalogObject[],
  after: readonly CatalogObject[],
): readonly string[] {
  const key = ({ kind, schema, table, name }: CatalogObject): string =>
    JSON.stringify([kind, schema, table, name]);
  const old = new Map(before.map((object) => [key(object), object]));
  const now = new Map(after.map((object) => [key(object), object]));
  const removed = before.filter((object) => !now.has(key(object))).map(({ kind }) => `${kind} removed`);
  const rest = after.flatMap((object) => {
    const was = old.get(key(object));
    if (was === undefined) return [`${object.kind} added`];
    const names = new Set([...Object.keys(was.properties), ...Object.keys(object.properties)]);
    return [...names]
      .filter((name) => was.properties[name] !== object.properties[name])
      .map((name) => `${object.kind} ${name}`);
  });
  return [...removed, ...rest];
}
