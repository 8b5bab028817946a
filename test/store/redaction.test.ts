import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { errorFinding } from '../../src/migration/failure.ts';
import { isStoreError } from '../../src/store/index.ts';
import { withStores } from '../harness/index.ts';

/** M126: of a database's error only codes, names and places are kept, since its texts quote values. */
withStores('M126 an error of the database', (given) => {
  const VALUE = 'Hunter2-4711';
  const statements: readonly (readonly [what: string, statement: (schema: string) => string])[] = [
    ['a key that is there already', (s) => `insert into ${s}.nest values (1, '${VALUE}'), (2, '${VALUE}')`],
    ['a value that a check refuses', (s) => `insert into ${s}.nest values (3, 'bad ${VALUE}')`],
    ['a value of another type', (s) => `insert into ${s}.nest values ('${VALUE}', 'x')`],
    ['a reference to nothing', (s) => `insert into ${s}.egg values ('${VALUE}')`],
    ['a name that is not there', () => `select "${VALUE}" from pg_class`],
    ['a syntax that is none', () => `selec '${VALUE}'`],
    [
      'an exception with everything',
      () =>
        `do $$ begin raise exception 'message ${VALUE}' using detail = 'detail ${VALUE}', hint = 'hint ${VALUE}'; end $$`,
    ],
    [
      'a context',
      (s) =>
        `do $$ begin execute 'insert into ${s}.nest values (1, ''${VALUE}''), (1, ''${VALUE}'')'; end $$`,
    ],
    [
      'notices on the way',
      () => `do $$ begin raise notice '${VALUE}'; raise warning '${VALUE}'; raise exception 'x'; end $$`,
    ],
  ];

  it.each(statements)('keeps no value of %s', async (_what, statement) => {
    const schema = await given.freshSchema();
    await given.store.script(`
      create table ${schema}.nest (id int primary key, name text unique check (name not like 'bad%'));
      create table ${schema}.egg (nest text references ${schema}.nest (name));`);
    let caught: unknown;
    try {
      await given.store.script(statement(schema));
    } catch (error) {
      caught = error;
    }
    expect(isStoreError(caught)).toBe(true);
    const finding = errorFinding(caught, 'step');
    for (const said of [
      JSON.stringify(caught),
      JSON.stringify(finding),
      inspect(caught, { depth: 20, showHidden: true }),
    ])
      expect(said.includes(VALUE), said).toBe(false);
    expect(finding.detail['sqlstate']).toMatch(/^[0-9A-Z]{5}$/u);
  });
});
