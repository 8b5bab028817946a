import { expect, it } from 'vitest';
import { applyMigration, rollbackMigration } from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { planSql, type SqlBundle } from './sql-bundle.ts';
import { sqlScene } from './sql-scene.ts';

/** Each is a migration, what people write after it, and what comes of the way back. */
interface Case {
  readonly forward: string;
  readonly rollback: string;
  readonly writes: string;
  readonly class: 'lossless' | 'lossy_on_new_writes' | 'restore_from_capture';
  readonly newWrites: readonly { readonly rows: number; readonly gone: number }[];
  /** `id area` of each plot then. */
  readonly plots: readonly string[];
  /** Rows that the way back kept in history as people had written them. */
  readonly kept: number;
}

const WRITES = `insert into plot (id, area) values (6, 60), (7, 70); update plot set area = 30 where id = 3; delete from plot where id = 5`;
const PLOTS = ['1 1', '2 2', '3 30', '4 4', '6 60', '7 70'];

const CASES: Readonly<Record<string, Case>> = {
  'an index, which no value is in the way of': {
    forward: 'create index plot_area on plot (area)',
    rollback: 'drop index plot_area',
    writes: WRITES,
    class: 'lossless',
    newWrites: [{ rows: 3, gone: 2 }],
    plots: PLOTS,
    kept: 3,
  },
  'a new column, filled': {
    forward: `alter table plot add column note text; update plot set note = 'none'`,
    rollback: 'alter table plot drop column note',
    writes: `${WRITES}; update plot set note = 'mine' where id = 6`,
    class: 'lossy_on_new_writes',
    newWrites: [{ rows: 3, gone: 2 }],
    plots: PLOTS,
    kept: 3,
  },
  'a dropped column, asked for again': {
    forward: 'alter table plot drop column area',
    rollback: `alter table plot add column area float8;
      update plot p set area = c.area from varve.captured(null::plot) c where c.id = p.id`,
    writes: 'insert into plot (id) values (6); delete from plot where id = 5',
    class: 'restore_from_capture',
    newWrites: [{ rows: 1, gone: 1 }],
    plots: ['1 1', '2 2', '3 3', '4 4', '6 null'],
    kept: 1,
  },
  'values that were overwritten, but for rows that others changed': {
    forward:
      'update plot set area = area * 10 where id < 5; insert into plot values (8, 8); delete from plot where id = 2',
    rollback: `delete from plot where id = 8;
      update plot p set area = c.area from varve.captured(null::plot) c where c.id = p.id and p.area = c.area * 10;
      insert into plot select * from varve.captured(null::plot) c where not exists (select from plot p where p.id = c.id) and c.id = 2`,
    writes: WRITES.replace('area = 30', 'area = 31'),
    class: 'restore_from_capture',
    newWrites: [{ rows: 3, gone: 2 }],
    plots: ['1 1', '2 2', '3 31', '4 4', '6 60', '7 70'],
    kept: 3,
  },
  'a column with a random default, which writes the table anew': {
    forward: 'alter table plot add column mark uuid default gen_random_uuid()',
    rollback: 'alter table plot drop column mark',
    writes: WRITES,
    class: 'lossy_on_new_writes',
    newWrites: [{ rows: 3, gone: 2 }],
    plots: PLOTS,
    kept: 3,
  },
};

function suite(given: StoreUnderTest): void {
  const scene = sqlScene(given);
  let count = 0;

  async function plots(): Promise<string> {
    const schema = await given.freshSchema();
    await given.store.script(`
      create table ${schema}.plot (id int primary key, area float8);
      create table ${schema}.bare (id int);
      insert into ${schema}.plot select i, i from generate_series(1, 5) i;
      insert into ${schema}.bare select i from generate_series(1, 5) i;`);
    return schema;
  }

  async function applied(bundle: Omit<SqlBundle, 'id'>): Promise<string> {
    count += 1;
    const id = `PG-MIG-2026-08-03-${String(count).padStart(2, '0')}`;
    const outcome = await planSql(scene.options, { tables: ['plot', 'bare'], ...bundle, id });
    expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'planned' });
    const done = await applyMigration(scene.options, id);
    expect(done, JSON.stringify(done)).toMatchObject({ status: 'applied' });
    return id;
  }

  const write = async (schema: string, text: string): Promise<unknown> =>
    given.store.script(`begin; set local search_path = ${schema}; ${text}; commit`);

  const plotsOf = async (schema: string): Promise<readonly unknown[]> => {
    const rows = await given.store.query(
      sql`select id || ' ' || coalesce(area::text, 'null') as plot from ${sql.id(schema, 'plot')} order by id`,
    );
    return rows.map(({ plot }) => plot);
  };

  const keptBy = async (run: string): Promise<unknown> =>
    (
      await given.store.query(
        sql`select sum(rows)::int4 as rows from varve.captured where run_id = ${run} and cause = 'written'`,
      )
    )[0]?.['rows'];

  it.each(Object.entries(CASES))(
    'M110 F20 rows that were written since are kept and counted: %s',
    async (_, about) => {
      const schema = await plots();
      const id = await applied({ schema, forward: about.forward, rollback: about.rollback });
      await write(schema, about.writes);
      const back = await rollbackMigration(scene.options, id);
      expect(back, JSON.stringify(back)).toMatchObject({
        status: 'applied',
        receipt: {
          receipt: {
            rollback: { class: about.class },
            proof: {
              status: 'equal_except_new_writes',
              new_writes: about.newWrites.map((each) => ({ table: `${schema}.plot`, ...each })),
            },
          },
        },
      });
      expect(await plotsOf(schema)).toEqual(about.plots);
      expect(await keptBy(back.status === 'applied' ? back.runId : '')).toBe(about.kept);
    },
    60_000,
  );

  it('M110 a table that the run made goes with its new rows, which are in history then', async () => {
    const schema = await plots();
    const id = await applied({
      schema,
      tables: ['note'],
      forward: `create table note (id int primary key, text text); insert into note values (1, 'x')`,
      rollback: 'drop table note',
    });
    await write(schema, `insert into note values (2, 'y'), (3, 'z')`);
    const back = await rollbackMigration(scene.options, id);
    expect(back, JSON.stringify(back)).toMatchObject({
      status: 'applied',
      receipt: {
        receipt: {
          proof: {
            status: 'equal_except_new_writes',
            new_writes: [{ table: `${schema}.note`, rows: 2, gone: 0 }],
          },
        },
      },
    });
    const texts = await given.store
      .query(sql`select r.texts from varve.captured_row r join varve.captured c on c.id = r.captured
      where c.schema_name = ${schema} and c.cause = 'written' order by 1`);
    expect(texts).toEqual([{ texts: ['2', 'y'] }, { texts: ['3', 'z'] }]);
  }, 60_000);

  it('M110 what the old shape cannot hold is listed and refused, unless the class says that it goes', async () => {
    const schema = await plots();
    const id = await applied({
      schema,
      forward: 'alter table plot add column note text; alter table plot drop column area',
      rollback: `alter table plot drop column note; alter table plot add column area float8;
        update plot p set area = c.area from varve.captured(null::plot) c where c.id = p.id`,
    });
    await write(schema, `update plot set note = 'secret' where id = 4; insert into plot values (6, null)`);
    const refused = await rollbackMigration(scene.options, id);
    expect(refused, JSON.stringify(refused)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({
          code: 'rows_unrepresentable',
          subject: `${schema}.plot`,
          detail: { rows: 1, keys: [{ key: '{"id" : "4"}', why: 'a value is not there: note' }] },
        }),
      ]),
    });
    expect(JSON.stringify(refused)).not.toContain('secret');
    await write(schema, `update plot set note = null where id = 4`);
    expect(await rollbackMigration(scene.options, id)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { proof: { status: 'equal_except_new_writes' } } },
    });
    expect(await plotsOf(schema)).toEqual(['1 1', '2 2', '3 3', '4 4', '5 5', '6 null']);
  }, 60_000);

  it('M110 M106 a way back that loses an old row, or a new one, is aborted beside new writes as well', async () => {
    const schema = await plots();
    for (const rollback of [
      'alter table plot drop column note; delete from plot where id = 1',
      'alter table plot drop column note; update plot set area = 9 where id = 1',
    ]) {
      const id = await applied({
        schema,
        forward: 'alter table plot add column note text; update plot set note = $$x$$ where id = 2',
        rollback,
      });
      await write(schema, 'insert into plot (id) values ((select max(id) + 1 from plot))');
      const back = await rollbackMigration(scene.options, id);
      expect(back, JSON.stringify(back)).toMatchObject({
        status: 'rolled_back',
        findings: expect.arrayContaining([
          expect.objectContaining({
            code: 'baseline_differs',
            detail: expect.objectContaining({ differing: [`${schema}.plot`] }),
          }),
        ]),
      });
      await given.store.script(`alter table ${schema}.plot drop column note`);
    }
    const lost = await applied({
      schema,
      forward: 'update plot set area = 0',
      rollback: 'delete from plot; insert into plot select * from varve.captured(null::plot)',
    });
    await write(schema, 'insert into plot values (100, 1)');
    expect(await rollbackMigration(scene.options, lost)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({
          code: 'rows_unrepresentable',
          detail: { rows: 1, keys: [{ key: '{"id" : "100"}', why: 'the row is not there' }] },
        }),
      ]),
    });
  }, 60_000);

  it('M110 rows of a table without a primary key cannot be told apart, and are left as they are', async () => {
    const schema = await plots();
    const id = await applied({
      schema,
      forward: 'update bare set id = id + 1',
      rollback: 'update bare set id = id - 1',
    });
    await write(schema, 'insert into bare values (9)');
    expect(await rollbackMigration(scene.options, id)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'new_writes_unknown', detail: { reason: 'no_primary_key' } }),
      ]),
    });
  }, 60_000);
}

withEmbedded('rows that were written after a run', suite);
withPostgres('rows that were written after a run', 18, suite);
