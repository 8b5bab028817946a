import { expect, it } from 'vitest';
import {
  applyMigration,
  readStatus,
  rollbackMigration,
  showReceipt,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { attemptStatement } from './attempt-statement.ts';
import { sql } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { columnsOf } from './fixture.ts';
import { planSql, type SqlBundle } from './sql-bundle.ts';
import { sqlScene } from './sql-scene.ts';

function suite(given: StoreUnderTest): void {
  const scene = sqlScene(given);
  let count = 0;

  async function plots(): Promise<string> {
    const schema = await given.freshSchema();
    await given.store.script(`
      create table ${schema}.plot (id int primary key, area float8);
      insert into ${schema}.plot select i, i from generate_series(1, 5) i;`);
    return schema;
  }

  async function planned(bundle: Omit<SqlBundle, 'id'>): Promise<string> {
    count += 1;
    const id = `PG-MIG-2026-06-01-${String(count).padStart(2, '0')}`;
    const outcome = await planSql(scene.options, { tables: ['plot'], ...bundle, id });
    expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'planned' });
    // What a test changed by hand since the last run is told, and refuses nothing.
    expect(outcome.findings.filter(({ code }) => code !== 'catalog_drifted')).toEqual([]);
    return id;
  }

  async function sumOf(schema: string): Promise<unknown> {
    const [row] = await given.store.query(sql`select sum(area) as sum from ${sql.id(schema, 'plot')}`);
    return row?.['sum'];
  }

  it('M77 a statement that ends its transaction has its connection cut', async () => {
    const schema = await plots();
    const outcome = await attemptStatement(given, schema, 'commit');
    expect(outcome).toMatchObject({ code: 'transaction_escape' });
  });

  it('M76 a text of two statements is refused by the protocol', async () => {
    const schema = await plots();
    expect(await attemptStatement(given, schema, 'select 1; select 2')).toMatchObject({
      findings: [{ code: 'statement_failed', detail: { sqlstate: '42601' } }],
    });
    expect(await sumOf(schema)).toBe(15);
  });

  it('M126 a failing statement is told by names and places, never by values', async () => {
    const schema = await plots();
    const id = await planned({
      schema,
      forward: `update plot set area = 1;\n  insert into plot values (1, 4711);`,
      rollback: 'delete from plot where id = 99',
    });
    const outcome = await applyMigration(scene.options, id);
    expect(outcome).toMatchObject({
      status: 'rolled_back',
      findings: [
        {
          code: 'statement_failed',
          subject: 'forward.sql:2:3',
          detail: { statement: 2, of: 2, sqlstate: '23505', schema, table: 'plot', constraint: 'plot_pkey' },
        },
      ],
    });
    expect(JSON.stringify(outcome)).not.toContain('4711');
    expect(await sumOf(schema)).toBe(15);
    expect(await showReceipt(scene.options.root, id)).toMatchObject({
      receipt: { outcome: 'rolled_back', proof: { status: 'equal' } },
    });
  });

  it('M81 an invariant that does not hold aborts the run, and cannot write itself', async () => {
    const schema = await plots();
    const id = await planned({
      schema,
      forward: `update plot set area = area + 1;`,
      rollback: 'update plot set area = area - 1',
      invariants: [
        { name: 'five plots', query: `select count(*) from plot`, expect: 5 },
        { name: 'no negative area', query: `select min(area) from plot`, expect: 1 },
      ],
    });
    expect(await applyMigration(scene.options, id)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'invariant_failed', subject: 'no negative area' }),
      ]),
    });
    await given.store.script(
      `create function ${schema}.sly() returns int language sql as $$ update ${schema}.plot set area = 0 returning 1 $$`,
    );
    const sly = await planned({
      schema,
      forward: `update plot set area = area + 1;`,
      rollback: 'update plot set area = area - 1',
      invariants: [{ name: 'sly', query: `select sly()`, expect: 1 }],
    });
    expect(await applyMigration(scene.options, sly)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'invariant_failed', detail: { reason: '25006' } }),
      ]),
    });
    expect(await sumOf(schema)).toBe(15);
  });

  it('M18 an allowed name that nothing stands for is refused with the nearest one', async () => {
    const schema = await plots();
    count += 1;
    const id = `PG-MIG-2026-06-01-${String(count).padStart(2, '0')}`;
    const outcome = await planSql(scene.options, {
      id,
      schema,
      tables: ['plots'],
      forward: 'create table other (id int)',
    });
    expect(outcome.findings).toContainEqual(
      expect.objectContaining({ code: 'unknown_object', subject: 'plots', detail: { nearest: 'plot' } }),
    );
  });

  it('F19 M112 a way back that gives the shape without the rows, fails half-way or leaves its scope changes nothing', async () => {
    const schema = await plots();
    await given.store.script(`create table ${schema}.other (id int)`);
    const backs = [
      ['alter table plot add column area float8', 'baseline_differs'],
      ['alter table plot add column area float8; select 1 / 0', 'statement_failed'],
    ] as const;
    for (const [rollback, code] of backs) {
      const id = await planned({ schema, forward: 'alter table plot drop column area', rollback });
      expect(await applyMigration(scene.options, id)).toMatchObject({ status: 'applied' });
      expect(await columnsOf(given.store, `${schema}.plot`)).toEqual(['id']);
      const back = await rollbackMigration(scene.options, id);
      expect(back).toMatchObject({
        status: 'rolled_back',
        findings: expect.arrayContaining([expect.objectContaining({ code })]),
      });
      expect(await columnsOf(given.store, `${schema}.plot`)).toEqual(['id']);
      await given.store.script(`alter table ${schema}.plot add column area float8`);
    }
    expect((await readStatus(scene.options)).unfinished).toEqual([]);
  }, 60_000);

  it('M19 M20 what a function does is judged by what it touched, and a comment touches its table', async () => {
    const schema = await plots();
    await given.store.script(`create table ${schema}.other (id int)`);
    const id = await planned({
      schema,
      forward: `do $$ begin execute 'comment on table other is ''x'''; end $$`,
      statements: ['do', 'dynamic_sql'],
      rollback: 'delete from plot where id = 99',
    });
    expect(await applyMigration(scene.options, id)).toMatchObject({
      status: 'rolled_back',
      findings: [expect.objectContaining({ code: 'scope_violation', subject: `${schema}.other` })],
    });
  });

  it('functions, types and sequences need a place of their own in scope', async () => {
    const schema = await plots();
    const forward = `
      create function side(area float8) returns float8 language sql return sqrt(area);
      create type colour as enum ('red');
      create sequence numbers;`;
    const rollback = 'drop function side; drop type colour; drop sequence numbers';
    count += 1;
    const outcome = await planSql(scene.options, {
      id: `PG-MIG-2026-06-01-${String(count).padStart(2, '0')}`,
      schema,
      tables: ['plot'],
      forward,
      rollback,
    });
    expect(outcome.findings.map(({ code, subject }) => `${code} ${subject}`)).toEqual([
      `scope_violation function ${schema}.side`,
      `scope_violation sequence ${schema}.numbers`,
      `scope_violation type ${schema}.colour`,
    ]);
    const id = await planned({ schema, forward, rollback, objects: ['side', 'colour', 'numbers'] });
    const applied = await applyMigration(scene.options, id);
    expect(applied, JSON.stringify(applied.findings)).toMatchObject({ status: 'applied' });
    const back = await rollbackMigration(scene.options, id);
    expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
  });

  it('M91 M92 an index is built beside the transaction, and one that fails is taken away', async () => {
    const schema = await plots();
    await given.store.script(`insert into ${schema}.plot values (6, 1)`);
    const concurrent = (unique: string): Omit<SqlBundle, 'id'> => ({
      schema,
      forward: 'update plot set area = area where id = 1',
      files: {
        'index.sql': `create ${unique} index concurrently if not exists plot_area on ${schema}.plot (area)`,
      },
      phases: [
        { file: 'index.sql', mode: 'nontransactional' },
        { file: 'forward.sql', mode: 'transactional' },
      ],
      rollback: 'drop index plot_area',
      limits: { max_index_count_delta: 1 },
    });
    const failing = await planned(concurrent('unique'));
    expect(await applyMigration(scene.options, failing)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'statement_failed', subject: 'index.sql:1:1' }),
      ]),
    });
    expect(await indexesOf(given, schema)).toEqual(['plot_pkey true']);
    const id = await planned(concurrent(''));
    expect(await applyMigration(scene.options, id)).toMatchObject({ status: 'applied' });
    expect(await indexesOf(given, schema)).toEqual(['plot_area true', 'plot_pkey true']);
    expect(await rollbackMigration(scene.options, id)).toMatchObject({ status: 'applied' });
    expect(await indexesOf(given, schema)).toEqual(['plot_pkey true']);
  }, 60_000);

  it('F18 an index built concurrently inside the transaction is refused, and so is a second statement or an unqualified name in a phase beside it', async () => {
    const schema = await plots();
    count += 1;
    const inside = await planSql(scene.options, {
      id: `PG-MIG-2026-06-01-${String(count).padStart(2, '0')}`,
      schema,
      tables: ['plot'],
      forward: 'create index concurrently on plot (area)',
      rollback: 'delete from plot where id = 99',
    });
    expect(inside.findings).toContainEqual(
      expect.objectContaining({
        code: 'construct_refused',
        detail: { reason: 'not_in_transaction', statement: 1 },
      }),
    );
    count += 1;
    const two = await planSql(scene.options, {
      id: `PG-MIG-2026-06-01-${String(count).padStart(2, '0')}`,
      schema,
      tables: ['plot'],
      forward: `create index concurrently a on ${schema}.plot (area); create index concurrently b on ${schema}.plot (area)`,
      phases: [{ file: 'forward.sql', mode: 'nontransactional' }],
      rollback: 'delete from plot where id = 99',
    });
    expect(two.findings).toContainEqual(
      expect.objectContaining({ code: 'construct_refused', detail: { reason: 'several_statements' } }),
    );
    count += 1;
    const unqualified = await planSql(scene.options, {
      id: `PG-MIG-2026-06-01-${String(count).padStart(2, '0')}`,
      schema,
      tables: ['plot'],
      forward: 'create index concurrently a on plot (area)',
      phases: [{ file: 'forward.sql', mode: 'nontransactional' }],
      rollback: 'drop index a',
    });
    expect(unqualified.findings).toContainEqual(
      expect.objectContaining({ code: 'construct_refused', detail: { reason: 'not_of_the_list' } }),
    );
  });

  if (given.name === 'embedded') return;

  it('F16 M94 a long reader is waited for, and named when the tries are used up', async () => {
    const schema = await plots();
    const id = await planned({
      schema,
      forward: 'alter table plot add column x int',
      rollback: 'alter table plot drop column x',
    });
    await using reader = await postgresStore({ url: given.url(), poolSize: 1, applicationName: 'reader' });
    await reader.transaction({}, async (transaction) => {
      await transaction.query(sql`select from ${sql.id(schema, 'plot')}`);
      const outcome = await applyMigration({ ...scene.options, lockTimeoutMs: 50, deadlineMs: 500 }, id);
      expect(outcome).toMatchObject({
        status: 'rolled_back',
        findings: [
          {
            code: 'lock_unavailable',
            subject: `${schema}.plot`,
            detail: { holders: [{ application: 'reader' }] },
          },
        ],
      });
    });
    expect(await applyMigration(scene.options, id)).toMatchObject({ status: 'applied' });
  }, 60_000);

  it('F16 M94 a row that another writes meanwhile is a serialization failure, tried again', async () => {
    const schema = await plots();
    const id = await planned({
      schema,
      forward: 'update plot set area = area + 1 where id = 1',
      rollback: 'update plot set area = area - 1 where id = 1',
    });
    expect(await applyMigration(writingOnce(schema, 1), id)).toMatchObject({ status: 'applied' });
    expect(await sumOf(schema)).toBe(115);
  }, 60_000);

  it('M79 an abort is proved by the server where others write meanwhile', async () => {
    const schema = await plots();
    const id = await planned({
      schema,
      forward: 'insert into plot values (1, 1)',
      rollback: 'delete from plot where id = 99',
    });
    const outcome = await applyMigration(writingOnce(schema, 2), id);
    expect(outcome).toMatchObject({
      status: 'rolled_back',
      receipt: { receipt: { outcome: 'rolled_back' } },
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'concurrent_change', severity: 'info' }),
      ]),
    });
  }, 60_000);

  /** Another session writes a row once the run's snapshot is taken, and before it locks anything. */
  function writingOnce(schema: string, row: number): RunnerOptions {
    let isWritten = false;
    return {
      ...scene.options,
      fault: async (point) => {
        if (point !== 'F05_baselined' || isWritten) return;
        isWritten = true;
        await using writer = await postgresStore({ url: given.url(), poolSize: 1 });
        await writer.execute(sql`update ${sql.id(schema, 'plot')} set area = 100 where id = ${row}`);
      },
    };
  }
}

async function indexesOf(given: StoreUnderTest, schema: string): Promise<readonly unknown[]> {
  const rows = await given.store.query(sql`
    select c.relname || ' ' || i.indisvalid as text from pg_index i join pg_class c on c.oid = i.indexrelid
    join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} order by 1`);
  return rows.map(({ text }) => text);
}

withEmbedded('runs of kind postgis', suite);
withPostgres('runs of kind postgis', 18, suite);
