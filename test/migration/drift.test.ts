import { expect, it } from 'vitest';
import { applyMigration, planMigration, rollbackMigration } from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
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
      create table ${schema}.other (id int primary key);
      create schema ${schema}_far;
      create table ${schema}_far.secret (id int primary key)`);
    return schema;
  }

  const bundleOf = (schema: string, more: Partial<SqlBundle> = {}): SqlBundle => {
    count += 1;
    return {
      id: `PG-MIG-2026-08-04-${String(count).padStart(2, '0')}`,
      schema,
      tables: ['plot', 'other'],
      forbiddenTables: [`${schema}_far.secret`],
      forward: `create index plot_${count} on plot (area)`,
      rollback: `drop index plot_${count}`,
      ...more,
    };
  };

  it('M72 F25 what somebody changed in scope since the last receipt is named before a run', async () => {
    const schema = await plots();
    const first = bundleOf(schema);
    expect(await planSql(scene.options, first)).toMatchObject({ status: 'planned', findings: [] });
    expect(await applyMigration(scene.options, first.id ?? '')).toMatchObject({ status: 'applied' });
    // Nothing changed but what the run itself did.
    expect(await planSql(scene.options, bundleOf(schema))).toMatchObject({ status: 'planned', findings: [] });
    await given.store.script(`
      alter table ${schema}.plot add column stray int;
      alter table ${schema}_far.secret add column stray int;
      create view ${schema}.stranger as select 1 as one`);
    const next = bundleOf(schema);
    const planned = await planSql(scene.options, next);
    const drifted = {
      code: 'catalog_drifted',
      detail: {
        differing: expect.arrayContaining([
          `column ${schema}.plot.stray`,
          `view ${schema}.stranger`,
          `column ${schema}_far.secret.stray`,
        ]),
      },
    };
    expect(planned.findings).toContainEqual(
      expect.objectContaining({
        ...drifted,
        severity: 'warning',
        detail: expect.objectContaining(drifted.detail),
      }),
    );
    // Where people do not change databases by hand, somebody has to sign for it.
    const stage = await planMigration({ ...scene.options, environment: 'stage' }, next.id ?? '');
    expect(stage.findings).toContainEqual(
      expect.objectContaining({ code: 'catalog_drifted', severity: 'review' }),
    );
    // The run adopts it.
    expect(await planMigration(scene.options, next.id ?? '')).toMatchObject({ status: 'planned' });
    expect(await applyMigration(scene.options, next.id ?? '')).toMatchObject({ status: 'applied' });
    expect((await planSql(scene.options, bundleOf(schema))).findings).toEqual([]);
  }, 60_000);

  it('M72 what changed elsewhere is shown, and is no finding', async () => {
    const schema = await plots();
    const first = bundleOf(schema);
    await planSql(scene.options, first);
    expect(await applyMigration(scene.options, first.id ?? '')).toMatchObject({ status: 'applied' });
    const far = await given.freshSchema();
    const other = bundleOf(schema);
    await planSql(scene.options, other);
    await given.store.script(
      `create table ${far}.thing (id int); create view public.far_${schema} as select 1 as one`,
    );
    expect(await applyMigration(scene.options, other.id ?? '')).toMatchObject({ status: 'applied' });
    await given.store.script(`create view ${far}.seen as select 1 as one`);
    const planned = await planSql(scene.options, bundleOf(schema));
    expect(planned.findings).toEqual([]);
    expect(planned).toMatchObject({
      plan: { shown: { drifted_elsewhere: [`column ${far}`, `view ${far}`] } },
    });
    await given.store.script(`drop view public.far_${schema}`);
  }, 60_000);

  // The embedded store has one session.
  if (given.name === 'embedded') return;
  it('F25 M73 DDL by another session during the run is reported, and blamed on nobody', async () => {
    const schema = await plots();
    const bundle = bundleOf(schema, {
      forward: 'update plot set area = 1',
      rollback: 'update plot set area = 2',
    });
    await planSql(scene.options, bundle);
    let isDone = false;
    const fault = async (point: string): Promise<void> => {
      if (point !== 'P02_statement' || isDone) return;
      isDone = true;
      await using other = await postgresStore({ url: given.url(), poolSize: 1 });
      await other.execute(sql`create view ${sql.id(schema, 'meanwhile')} as select 1 as one`);
    };
    const outcome = await applyMigration({ ...scene.options, fault }, bundle.id ?? '');
    expect(outcome, JSON.stringify(outcome)).toMatchObject({
      status: 'applied',
      receipt: {
        receipt: {
          validation: {
            status: 'pass',
            findings: expect.arrayContaining([
              expect.objectContaining({
                code: 'concurrent_change',
                severity: 'info',
                subject: `view ${schema}.meanwhile`,
              }),
            ]),
          },
        },
      },
    });
    expect(await rollbackMigration(scene.options, bundle.id ?? '')).toMatchObject({ status: 'applied' });
  }, 60_000);
}

withEmbedded('drift against the last receipt', suite);
withPostgres('drift against the last receipt', 18, suite);
