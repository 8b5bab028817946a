import { beforeAll, expect, it } from 'vitest';
import { systemClock, systemRandomBytes } from '../../src/base/index.ts';
import { definitionsOf, type Definitions } from '../../src/pipeline/definition-set.ts';
import { createTables } from '../../src/pipeline/deploy.ts';
import { populate, type PopulateResult } from '../../src/pipeline/index.ts';
import { pipeline, type Pipeline } from '../../src/pipeline/pipeline.ts';
import { t } from '../../src/pipeline/column.ts';
import { sql as kyselySql } from 'kysely';
import { sql } from '../../src/store/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { installCatalog } from './strict-lab.ts';

withStores('populate of a makeWith', (given) => {
  beforeAll(() => installCatalog(given.store));

  const environment = {
    actor: 'tester',
    host: 'here',
    processId: 1,
    gitCommit: null,
    lockDigest: null,
    clock: systemClock,
    randomBytes: systemRandomBytes,
  };

  async function populated(lab: Pipeline, contents: string): Promise<PopulateResult> {
    const defined = definitionsOf([lab]);
    if (defined.status === 'refused') throw new Error(JSON.stringify(defined.findings));
    const definitions: Definitions = defined.definitions;
    const { store } = given;
    await store.execute(sql`create schema ${sql.id(lab.schema)}`);
    await store.transaction({}, (transaction) =>
      createTables(transaction, definitions.set.tables, {
        set: definitions.set,
        relations: new Map(),
        run: 'varve://run/x',
      }),
    );
    await store.script(contents.replaceAll('S.', `${lab.schema}.`));
    const code = { digest: `sha256:${'0'.repeat(64)}`, basis: 'text', packages: {}, source: '' } as const;
    return populate(store, {
      definitions,
      environment,
      projectFolder: import.meta.dirname,
      codeByTable: new Map(lab.tables.map(({ spec }) => [spec.name, code])),
    });
  }

  it('writes the rows of keys that read what they declare, fails the others, and records observed reads', async () => {
    const lab = pipeline(uniqueName('s'));
    const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.double() } });
    lab.manual('policy', { key: { id: t.integer() }, columns: { bound: t.double() } });
    const columns = { heavy: t.boolean() };
    lab.computed('strict', {
      parents: [Mouse],
      columns,
      reads: { mouse: Mouse },
      makeWith: async (db, { key }) => {
        const mouse = await db.selectFrom('mouse').select('weight').executeTakeFirstOrThrow();
        if (key.mouse === 2)
          await kyselySql`select bound from ${kyselySql.table(`${lab.schema}.policy`)}`.execute(db);
        return { heavy: mouse.weight > 20 };
      },
    });
    lab.computed('observed', {
      parents: [Mouse],
      columns,
      reads: { mouse: Mouse },
      strict: 'observe',
      makeWith: async (db) => {
        const mouse = await db.selectFrom('mouse').select('weight').executeTakeFirstOrThrow();
        const { rows } = await kyselySql<{ bound: number }>`
          select bound from ${kyselySql.table(`${lab.schema}.policy`)} order by id desc limit 1`.execute(db);
        return { heavy: mouse.weight > (rows[0]?.bound ?? 0) };
      },
    });
    const result = await populated(
      lab,
      'insert into S.mouse values (1, 10), (2, 20), (3, 30); insert into S.policy values (1, 5), (2, 15)',
    );
    expect(result.status).toBe('failed');
    const rows = async (table: string): Promise<unknown> =>
      given.store.query(sql`select * from ${sql.id(lab.schema, table)} order by mouse`);
    expect(await rows('strict')).toEqual([
      { mouse: 1, heavy: false },
      { mouse: 3, heavy: true },
    ]);
    expect(await rows('observed')).toEqual([
      { mouse: 1, heavy: false },
      { mouse: 2, heavy: true },
      { mouse: 3, heavy: true },
    ]);
    const jobs = await given.store.query(sql`select key, code from varve.job`);
    expect(jobs).toEqual([{ key: { mouse: 2 }, code: 'undeclared_read' }]);
    const reads = await given.store.query(sql`
      select distinct subject, declared, columns, keys, row_count from varve.recorded_read`);
    expect(reads).toEqual([
      {
        subject: `${lab.schema}.policy`,
        declared: false,
        columns: ['id', 'bound'],
        keys: [{ id: 2 }],
        row_count: 1n,
      },
    ]);
    const levels = await given.store.query(sql`select enforcement from varve.computation_spec order by id`);
    const level = given.store.capabilities.restrictedRole ? 'role' : 'statement';
    expect(new Set(levels.map((row) => row['enforcement']))).toEqual(new Set([level, 'none']));
  });
});
