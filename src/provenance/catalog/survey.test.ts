import { expect, it } from 'vitest';
import { uniqueName, withStores } from '../../../test/harness/index.ts';
import { GROUND } from '../../../test/fixture/catalog-change.ts';
import { fingerprint, listObjects, surveyCatalog } from './index.ts';

withStores('survey', (given) => {
  const make = async (text: string): Promise<string> => {
    const schema = await given.freshSchema();
    await given.store.script(
      `set search_path = "${schema}"; ${text.replaceAll('SCHEMA', schema)}; reset search_path`,
    );
    return schema;
  };

  it('M97 M100 says in one reading what both fingerprints and the listing say', async () => {
    const role = uniqueName('r');
    await given.store.script(`create role ${role}`);
    const ground = await make(GROUND.replaceAll('ROLE', role));
    const other = await make('create table t (id serial primary key, v text); create table u (a int)');
    const scopes = [
      { schemas: [ground] },
      { schemas: [ground, other] },
      { tables: [`${other}.t`] },
      { schemas: [ground], tables: [`${other}.t`, `${other}.absent`] },
      { schemas: ['varve', 'information_schema'] },
      { schemas: [] },
    ];
    for (const scope of scopes) {
      for (const listed of scopes) {
        expect(await surveyCatalog(given.store, { scope, listed })).toEqual({
          whole: await fingerprint(given.store),
          inScope: await fingerprint(given.store, { scope }),
          objects: await listObjects(given.store, listed),
        });
      }
    }
    await given.store.script(
      `drop schema "${ground}" cascade; drop schema "${other}" cascade; drop owned by ${role} cascade; drop role ${role}`,
    );
  }, 120_000);

  it('sees in a session that keeps its plan what was changed since', async () => {
    const schema = await make('create table t (a int)');
    const scope = { schemas: [schema] };
    await given.store.transaction({}, async (transaction) => {
      const before = await surveyCatalog(transaction, { scope, listed: scope });
      await transaction.script(`alter table "${schema}".t add column b int; create schema "${schema}_more"`);
      const after = await surveyCatalog(transaction, { scope, listed: scope });
      expect(after.inScope.digest).not.toBe(before.inScope.digest);
      expect(after.whole.schemas.map((of) => of.schema)).toContain(`${schema}_more`);
      expect(after.objects.map(({ name }) => name)).toContain('b');
      await transaction.script(`drop schema "${schema}_more"`);
    });
  });
});
