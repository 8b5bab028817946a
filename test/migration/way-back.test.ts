import { expect, it } from 'vitest';
import { applyMigration, rollbackMigration } from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { planSql, type SqlBundle } from './sql-bundle.ts';
import { sqlScene } from './sql-scene.ts';

function suite(given: StoreUnderTest): void {
  const scene = sqlScene(given);
  let count = 0;

  async function plots(): Promise<string> {
    const schema = await given.freshSchema();
    await given.store.script(`
      create table ${schema}.plot (id int primary key, area float8);
      create table ${schema}.other (id int primary key, area float8);
      create table ${schema}.secret (id int primary key, area float8);
      insert into ${schema}.plot select i, i from generate_series(1, 5) i;
      insert into ${schema}.other select i, i from generate_series(1, 5) i;
      insert into ${schema}.secret select i, i from generate_series(1, 5) i;`);
    return schema;
  }

  async function applied(bundle: Omit<SqlBundle, 'id'>): Promise<string> {
    count += 1;
    const id = `PG-MIG-2026-08-01-${String(count).padStart(2, '0')}`;
    const outcome = await planSql(scene.options, { tables: ['plot', 'other'], ...bundle, id });
    expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'planned' });
    const done = await applyMigration(scene.options, id);
    expect(done, JSON.stringify(done)).toMatchObject({ status: 'applied' });
    return id;
  }

  it('M106 M110 a renamed table goes back to its name, also when rows came and went meanwhile; rows that stay refuse it', async () => {
    const schema = await plots();
    const renaming = {
      schema,
      tables: ['plot', 'parcel'],
      forward: 'alter table plot rename to parcel',
      rollback: 'alter table parcel rename to plot',
    };
    const id = await applied(renaming);
    await given.store.script(
      `insert into ${schema}.parcel values (6, 6); delete from ${schema}.parcel where id = 6`,
    );
    const back = await rollbackMigration(scene.options, id);
    expect(back, JSON.stringify(back)).toMatchObject({ status: 'applied' });
    const again = await applied({ ...renaming, tables: ['plot', 'parcel'] });
    await given.store.script(`insert into ${schema}.parcel values (7, 7)`);
    const refused = await rollbackMigration(scene.options, again);
    expect(refused, JSON.stringify(refused)).toMatchObject({
      status: 'rolled_back',
      findings: [{ code: 'baseline_differs', detail: { differing: [`${schema}.plot`] } }],
    });
    expect(
      await given.store.query(sql`select count(*)::int4 as rows from ${sql.id(schema, 'parcel')}`),
    ).toEqual([{ rows: 6 }]);
  }, 120_000);

  it('M106 what others made and wrote elsewhere since is in no way back’s way', async () => {
    const schema = await plots();
    const id = await applied({
      schema,
      forbiddenTables: ['secret'],
      forward: 'update plot set area = area + 1',
      rollback: 'update plot set area = area - 1',
    });
    await applied({
      schema,
      forward: 'alter table other add column note text; create index other_area on other (area)',
      rollback: 'drop index other_area; alter table other drop column note',
    });
    await given.store.script(`
      update ${schema}.secret set area = 7 where id = 1;
      insert into ${schema}.other values (6, 6);
      create view ${schema}.later as select 1 as one;`);
    const back = await rollbackMigration(scene.options, id);
    expect(back, JSON.stringify(back)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { validation: { status: 'pass' }, proof: { status: 'equal', new_writes: [] } } },
    });
    expect(back.findings).toEqual([]);
    const told =
      back.status === 'applied'
        ? back.receipt.receipt.validation.findings.filter(({ code }) => code === 'concurrent_change')
        : [];
    const names = told.map(({ subject }) => subject);
    expect(names).toContain(`${schema}.secret`);
    expect(names).toContain(`${schema}.other`);
    expect(names).toContain(`column ${schema}.other.note`);
    expect(names.join()).not.toContain('plot');
    expect(await given.store.query(sql`select sum(area) as sum from ${sql.id(schema, 'plot')}`)).toEqual([
      { sum: 15 },
    ]);
  }, 60_000);

  it('M106 a way back that changes what the run had not touched is aborted, though it is in scope', async () => {
    const schema = await plots();
    for (const more of [
      'update other set area = 0',
      'create index other_area on other (area)',
      'alter table other drop column area',
    ]) {
      const id = await applied({
        schema,
        forward: 'update plot set area = area + 1',
        rollback: `update plot set area = area - 1; ${more}`,
      });
      const back = await rollbackMigration(scene.options, id);
      expect(back, JSON.stringify(back)).toMatchObject({
        status: 'rolled_back',
        findings: expect.arrayContaining([
          expect.objectContaining({
            code: 'baseline_differs',
            detail: expect.objectContaining({
              differing: expect.arrayContaining([expect.stringContaining(`${schema}.other`)]),
            }),
          }),
        ]),
      });
    }
  }, 60_000);

  it('M105 R2 F19 a way back that names what is out of scope is refused before the way there', async () => {
    const schema = await plots();
    const cases: readonly (readonly [rollback: string, code: string, subject: string])[] = [
      [
        'update plot set area = 1; update secret set area = 1',
        'protected_domain_changed',
        `${schema}.secret`,
      ],
      ['drop index third_area', 'scope_violation', `${schema}.third`],
      ['drop function if exists side()', 'scope_violation', `function ${schema}.side`],
    ];
    await given.store.script(
      `create table ${schema}.third (id int, area float8); create index third_area on ${schema}.third (area)`,
    );
    for (const [rollback, code, subject] of cases) {
      count += 1;
      const id = `PG-MIG-2026-08-01-${String(count).padStart(2, '0')}`;
      const outcome = await planSql(scene.options, {
        id,
        schema,
        tables: ['plot', 'other'],
        forbiddenTables: ['secret'],
        forward: 'update plot set area = area + 1',
        rollback,
      });
      expect(outcome, JSON.stringify(outcome)).toMatchObject({
        findings: expect.arrayContaining([
          expect.objectContaining({ code, subject, detail: expect.objectContaining({ rung: 'R2' }) }),
        ]),
      });
      expect(await applyMigration(scene.options, id)).toMatchObject({ status: 'refused' });
    }
  }, 60_000);

  it('M106 F19 a way back has to give back each object and each row that the run had touched', async () => {
    const schema = await plots();
    const cases: readonly (readonly [forward: string, rollback: string, differing: string])[] = [
      ['update other set area = 0', 'update other set area = 1', `${schema}.other`],
      ['create index other_area on other (area)', 'reindex table other', `index ${schema}.other.other_area`],
      [
        'alter table plot add column note text',
        'alter table plot drop column note; alter table plot add column note2 text',
        `column ${schema}.plot.note2`,
      ],
    ];
    for (const [forward, rollback, differing] of cases) {
      const id = await applied({ schema, forward, rollback });
      const back = await rollbackMigration(scene.options, id);
      expect(back, JSON.stringify(back)).toMatchObject({
        status: 'rolled_back',
        findings: expect.arrayContaining([
          expect.objectContaining({
            code: 'baseline_differs',
            detail: expect.objectContaining({ differing: expect.arrayContaining([differing]) }),
          }),
        ]),
      });
    }
  }, 60_000);
}

withEmbedded('the proof of a way back', suite);
withPostgres('the proof of a way back', 18, suite);
