import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { DUMP_FILE, dumpCatalog, dumpSchema } from '../../scripts/catalog-dump.ts';
import { sql } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withStores } from '../harness/index.ts';

withStores('catalog dump', (given) => {
  it("equals the committed test/schema.sql; after a change of sql/ run 'node scripts/catalog-dump.ts'", async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    expect(await dumpCatalog(given.store)).toBe(await readFile(DUMP_FILE, 'utf8'));
  });

  it('shows every kind of object, alike on every store', async () => {
    const schema = await given.freshSchema();
    const at = sql.id(schema);
    await given.store.execute(sql`create type ${at}.mood as enum ('sad', 'it''s')`);
    await given.store.execute(sql`create domain ${at}.positive as integer check (value > 0)`);
    await given.store.execute(sql`
      create table ${at}.mouse (
        id bigint generated always as identity primary key, name text not null default 'x' check (name <> ''),
        mood ${at}.mood, size ${at}.positive, twice integer generated always as (size * 2) stored, unique (name))`);
    await given.store.execute(
      sql`create table ${at}.cage (mouse bigint references ${at}.mouse on delete cascade)`,
    );
    await given.store.execute(sql`create index cage_mouse on ${at}.cage (mouse) where mouse > 1`);
    await given.store.execute(sql`create view ${at}.mice as select id, name from ${at}.mouse`);
    await given.store.execute(sql`
      create function ${at}.stamp() returns trigger language plpgsql as 'begin return new; end'`);
    await given.store.execute(sql`
      create trigger stamped before insert on ${at}.mouse for each row execute function ${at}.stamp()`);
    await expect((await dumpSchema(given.store, schema)).replaceAll(schema, 's')).toMatchFileSnapshot(
      'catalog-dump.expected.sql',
    );
  });
});
