import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  applyMigration,
  approveMigration,
  capturedTables,
  createKeyPair,
  planRetire,
  readSigner,
  registerKey,
  rehearseMigration,
  retireMigration,
  rollbackMigration,
  type RunOutcome,
} from '../../src/migration/index.ts';
import { systemClock } from '../../src/base/index.ts';
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
      create table ${schema}.plot (id int primary key, area float8, note text[], at timestamptz);
      insert into ${schema}.plot values (1, 0.1, '{a,"b c",NULL}', '2026-01-01 00:00:00.000001+00'), (2, 'NaN', '{}', null),
        (3, '-0', null, '-infinity'), (4, 1e300, '[2:3]={x,y}', '2026-07-01 12:00+02'), (5, null, '{"q\\"u"}', 'infinity');
      create table ${schema}.shot (id int primary key, plot int references ${schema}.plot on delete cascade, name varchar(5));
      insert into ${schema}.shot select i, i, 's' || i from generate_series(1, 5) i;`);
    return schema;
  }

  async function planned(bundle: Omit<SqlBundle, 'id'>): Promise<string> {
    count += 1;
    const id = `PG-MIG-2026-08-02-${String(count).padStart(2, '0')}`;
    const outcome = await planSql(scene.options, { tables: ['plot', 'shot'], ...bundle, id });
    expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'planned' });
    return id;
  }

  async function applied(
    bundle: Omit<SqlBundle, 'id'>,
  ): Promise<{ readonly id: string; readonly run: string }> {
    const id = await planned(bundle);
    const done = await applyMigration(scene.options, id);
    expect(done, JSON.stringify(done)).toMatchObject({ status: 'applied' });
    return { id, run: done.status === 'applied' ? done.runId : '' };
  }

  const keptBy = async (run: string): Promise<unknown> =>
    given.store.query(sql`select table_name as table, cause, rows::int4 as rows,
        (select count(*)::int4 from varve.captured_row r where r.captured = c.id) as texts
      from varve.captured c where run_id = ${run} order by id`);

  const isEqualAgain = (outcome: RunOutcome): void =>
    expect(outcome, JSON.stringify(outcome)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { proof: { status: 'equal' }, rollback: { class: 'restore_from_capture' } } },
    });

  const textOf = async (schema: string): Promise<unknown> =>
    given.store.query(sql`select t::text as row from ${sql.id(schema, 'plot')} t order by id`);

  it('M109 M108 values that are overwritten, deleted, truncated or dropped are kept, and come back exactly', async () => {
    const cases: readonly (readonly [forward: string, rollback: string, kept: readonly unknown[]])[] = [
      [
        'update plot set area = 0, note = null, at = now(); update plot set area = 1 where id < 3',
        'update plot p set area = c.area, note = c.note, at = c.at from varve.captured(null::plot) c where c.id = p.id',
        [
          { table: 'plot', cause: 'update', rows: 5, texts: 5 },
          { table: 'plot', cause: 'update', rows: 2, texts: 2 },
        ],
      ],
      [
        'delete from plot where id > 3',
        'insert into plot select * from varve.captured(null::plot); insert into shot select * from varve.captured(null::shot)',
        [
          { table: 'plot', cause: 'delete', rows: 2, texts: 2 },
          { table: 'shot', cause: 'delete', rows: 2, texts: 2 },
        ],
      ],
      [
        'truncate plot cascade',
        'insert into plot select * from varve.captured(null::plot); insert into shot select * from varve.captured(null::shot)',
        [
          { table: 'plot', cause: 'truncate', rows: 5, texts: 5 },
          { table: 'shot', cause: 'truncate', rows: 5, texts: 5 },
        ],
      ],
      [
        'alter table plot drop column note, drop column area',
        `alter table plot add column area float8, add column note text[];
         update plot p set area = c.area, note = c.note from varve.captured(null::plot) c where c.id = p.id`,
        [{ table: 'plot', cause: 'whole', rows: 5, texts: 5 }],
      ],
      [
        'alter table plot alter area type int using id; update plot set area = 7',
        `alter table plot alter area type float8;
         update plot p set area = c.area from varve.captured(null::plot) c where c.id = p.id`,
        [
          { table: 'plot', cause: 'whole', rows: 5, texts: 5 },
          { table: 'plot', cause: 'update', rows: 5, texts: 5 },
        ],
      ],
      [
        'drop table shot',
        `create table shot (id int primary key, plot int references plot on delete cascade, name varchar(5));
         insert into shot select * from varve.captured(null::shot)`,
        [{ table: 'shot', cause: 'whole', rows: 5, texts: 5 }],
      ],
      [
        `merge into plot p using (values (1), (2), (9)) v (id) on p.id = v.id
           when matched and v.id = 1 then delete when matched then update set area = 3 when not matched then insert (id) values (v.id);
         insert into plot (id) values (3) on conflict (id) do update set area = 8`,
        `delete from plot where id = 9; insert into plot select * from varve.captured(null::plot) c on conflict (id) do update set area = excluded.area;
         insert into shot select * from varve.captured(null::shot)`,
        [
          { table: 'shot', cause: 'delete', rows: 1, texts: 1 },
          { table: 'plot', cause: 'update', rows: 1, texts: 1 },
          { table: 'plot', cause: 'delete', rows: 1, texts: 1 },
          { table: 'plot', cause: 'update', rows: 1, texts: 1 },
        ],
      ],
    ];
    for (const [forward, rollback, kept] of cases) {
      const schema = await plots();
      const before = await textOf(schema);
      const { id, run } = await applied({ schema, forward, rollback });
      expect(await keptBy(run), forward).toEqual(expect.arrayContaining([...kept]));
      expect((await keptBy(run)) as readonly unknown[], forward).toHaveLength(kept.length);
      isEqualAgain(await rollbackMigration(scene.options, id));
      expect((await textOf(schema)) as readonly unknown[], forward).toHaveLength(5);
      if (!forward.startsWith('alter')) expect(await textOf(schema), forward).toEqual(before);
    }
    expect(await given.store.query(sql`select from pg_trigger where tgname like '%varve_capture%'`)).toEqual(
      [],
    );
  }, 240_000);

  it('M109 what triggers, functions and partitions do is kept too', async () => {
    const schema = await plots();
    await given.store.script(`
      create table ${schema}.part (id int, kind int, area float8, primary key (id, kind)) partition by list (kind);
      create table ${schema}.part_1 partition of ${schema}.part for values in (1);
      create table ${schema}.part_2 partition of ${schema}.part for values in (2);
      insert into ${schema}.part select i, 1 + i % 2, i from generate_series(1, 6) i;
      create function ${schema}.side() returns trigger language plpgsql as $$ begin update ${schema}.shot set name = 'x'; return null; end $$;
      create trigger side after update on ${schema}.part for each statement execute function ${schema}.side();`);
    const { id, run } = await applied({
      schema,
      tables: ['plot', 'shot', 'part'],
      forward:
        'update part set kind = 2 where id = 2; delete from part_2 where id < 4; update part set area = 0',
      rollback: `delete from part; insert into part select * from varve.captured(null::part);
        update shot s set name = c.name from varve.captured(null::shot) c where c.id = s.id`,
    });
    expect(await keptBy(run)).toEqual([
      { table: 'part', cause: 'update', rows: 1, texts: 1 },
      { table: 'shot', cause: 'update', rows: 5, texts: 5 },
      { table: 'part_2', cause: 'delete', rows: 3, texts: 3 },
      { table: 'part', cause: 'update', rows: 3, texts: 3 },
      { table: 'shot', cause: 'update', rows: 5, texts: 5 },
    ]);
    // The row that moved was kept under two keys, so that the way back has to choose; the proof notices.
    const back = await rollbackMigration(scene.options, id);
    expect(back, JSON.stringify(back)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([expect.objectContaining({ code: 'baseline_differs' })]),
    });
  }, 60_000);

  it('M109 a column that is dropped out of sight, or rows whose taking was not seen, abort the run', async () => {
    const schema = await plots();
    const hidden = await planned({
      schema,
      statements: ['do', 'dynamic_sql'],
      forward: `do $$ begin execute 'alter table plot drop column note'; end $$`,
      rollback: 'alter table plot add column note text[]',
    });
    expect(await applyMigration(scene.options, hidden)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({
          code: 'values_not_captured',
          subject: `${schema}.plot`,
          detail: { reason: 'columns' },
        }),
      ]),
    });
    await given.store.script(`create function ${schema}.forge() returns int language sql as $$
      insert into varve.captured (run_id, relation, schema_name, table_name, cause, columns, types, rows)
        select run_id, relation, schema_name, table_name, cause, columns, types, 1 from varve.captured order by id desc limit 1; select 1 $$`);
    const forged = await planned({
      schema,
      forward: 'update plot set area = 1; select forge()',
      rollback: 'update plot set area = 2',
    });
    expect(await applyMigration(scene.options, forged)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({
          code: 'values_not_captured',
          subject: `${schema}.plot`,
          detail: { reason: 'rows', kept: 6, taken: 5 },
        }),
      ]),
    });
    await given.store.script(
      `create function ${schema}.lose() returns int language sql as $$ delete from varve.captured; select 1 $$`,
    );
    const lost = await planned({
      schema,
      forward: 'update plot set area = 1; select lose()',
      rollback: 'update plot set area = 2',
    });
    expect(await applyMigration(scene.options, lost)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'scope_violation', subject: 'varve.captured' }),
      ]),
    });
  }, 60_000);

  it('M109 text that gets more room is not copied, and an index takes no lock on account of it', async () => {
    const schema = await plots();
    const wider = await applied({
      schema,
      forward: 'alter table shot alter name type text',
      rollback: 'alter table shot alter name type varchar(5)',
    });
    expect(await keptBy(wider.run)).toEqual([]);
    const index = await applied({
      schema,
      forward: 'create index shot_name on shot (name)',
      rollback: 'drop index shot_name',
    });
    expect(await keptBy(index.run)).toEqual([]);
    expect(await rollbackMigration(scene.options, index.id)).toMatchObject({ status: 'applied' });
    expect(await rollbackMigration(scene.options, wider.id)).toMatchObject({ status: 'applied' });
  }, 60_000);

  it('M109 only an approved retire lets go of what was kept, and the line of it stays', async () => {
    const schema = await plots();
    const { id, run } = await applied({
      schema,
      forward: 'update plot set area = 0',
      rollback: 'update plot p set area = c.area from varve.captured(null::plot) c where c.id = p.id',
    });
    expect(await capturedTables(given.store)).toContainEqual({
      migrationId: id,
      table: `${schema}.plot`,
      rows: 5,
      sizeBytes: expect.any(Number),
    });
    expect(await planRetire(scene.options, id)).toMatchObject({
      status: 'planned',
      plan: { bound: { tables: [{ table: `${schema}.plot`, retire: 5 }] } },
    });
    expect(await retireMigration(scene.options, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'approval_missing' }],
    });
    expect(await keptBy(run)).toEqual([{ table: 'plot', cause: 'update', rows: 5, texts: 5 }]);
    const pair = createKeyPair();
    const key = join(scene.root, 'eve.pem');
    await writeFile(key, pair.privatePem, { mode: 0o600 });
    await registerKey(scene.root, systemClock, {
      principal: 'user:eve',
      publicKey: pair.publicKey,
      role: 'approver',
      environments: ['dev'],
    });
    const signer = await readSigner(key);
    if ('code' in signer) throw new Error(signer.code);
    const approved = await approveMigration(scene.options, id, {
      principal: 'user:eve',
      grant: 'retire',
      signer,
    });
    expect(approved, JSON.stringify(approved)).toMatchObject({ status: 'approved' });
    const gone = await retireMigration(scene.options, id);
    expect(gone, JSON.stringify(gone)).toMatchObject({
      status: 'applied',
      tables: [{ table: `${schema}.plot`, retire: 5 }],
      receipt: { receipt: { validation: { status: 'pass' } } },
    });
    expect(await keptBy(run)).toEqual([{ table: 'plot', cause: 'update', rows: 5, texts: 0 }]);
    expect((await capturedTables(given.store)).some(({ migrationId }) => migrationId === id)).toBe(false);
    expect(await retireMigration(scene.options, id)).toMatchObject({ status: 'applied', already: true });
    expect(await rollbackMigration(scene.options, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'structure_missing' }],
    });
  }, 60_000);

  it('M108 R4 a way back that asks for captured rows is rehearsed like any other', async () => {
    const schema = await plots();
    const id = await planned({
      schema,
      forward: 'update plot set area = area * 2 where id = 1; delete from shot where id = 1;',
      rollback: `update plot p set area = c.area from varve.captured(null::plot) c where c.id = p.id;
        insert into shot select * from varve.captured(null::shot)`,
    });
    const outcome = await rehearseMigration(scene.options, id);
    expect(outcome, JSON.stringify(outcome)).toMatchObject({
      status: 'rehearsed',
      receipt: { receipt: { rollback: { class: 'restore_from_capture', rung: 'R4' } } },
    });
  }, 120_000);
}

withEmbedded('what a run overwrites', suite);
withPostgres('what a run overwrites', 18, suite);
