import { afterEach, beforeEach, expect, it } from 'vitest';
import { codeAsOf, graphAsOf, history, insertRows, walkAsOf, why } from '../../src/pipeline/index.ts';
import { cascade, trace, type WalkOutcome } from '../../src/provenance/index.ts';
import { sql } from '../../src/store/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, sideLab, worldOf, type Lab } from './lab.ts';
import { definitionsFrom, versionOne, versionTwo } from './side-pipeline.ts';

withStores('a pipeline as it was', (given) => {
  const one = versionOne('lab');
  const two = versionTwo('lab');
  let lab: Lab;
  /** The first populate, the migration's run, and the populate after it. */
  let populated: string;
  let migrated: string;
  let later: string;

  beforeEach(async () => {
    lab = await openLab(given.store);
    populated = await sideLab(lab);
    const id = await lab.planned(two);
    const applied = await lab.apply(two, id);
    migrated = applied.status === 'applied' ? applied.runId : '';
    await bring('lab.side', { side: 2, off: 9 });
    await bring('lab.s', { s: 3, v: 30 });
    const result = await lab.populate(two);
    later = result.status === 'refused' ? '' : result.run;
  });
  afterEach(() => lab[Symbol.asyncDispose]());

  /** By a call that is recorded: a plain INSERT has no time of its own. */
  const bring = async (name: string, row: object): Promise<void> => {
    const table = two.tables.find(({ spec }) => spec.name === name) as never;
    const brought = await insertRows(given.store, table, [row] as never, { source: 'test', actor: 'ada' });
    if (brought.status === 'refused') throw new Error(JSON.stringify(brought.findings));
  };
  const edgesAsOf = async (asOf: string): Promise<readonly string[]> => {
    const result = await graphAsOf(given.store, asOf);
    if (result.status === 'refused') throw new Error(JSON.stringify(result.findings));
    return result.past.graph.edges.map(({ from, to, kind }) => `${from} ${kind} ${to}`).toSorted();
  };
  const rowsOf = (outcome: WalkOutcome): Readonly<Record<string, number>> =>
    outcome.status === 'refused'
      ? {}
      : Object.fromEntries(outcome.tables.map(({ table, rows }) => [table, rows]));
  const below = async (asOf: string, table: string, where?: string): Promise<unknown> => {
    const result = await walkAsOf(given.store, {
      asOf,
      tables: [table],
      toParents: false,
      walk: (database, graph) =>
        cascade(database, graph, { table, ...(where === undefined ? {} : { where }) }),
    });
    return result.status === 'refused' ? result.findings : rowsOf(result.outcome);
  };
  const above = async (asOf: string, table: string, where: string): Promise<unknown> => {
    const result = await walkAsOf(given.store, {
      asOf,
      tables: [table],
      toParents: true,
      walk: (database, graph) => trace(database, graph, { table, where }),
    });
    return result.status === 'refused' ? result.findings : rowsOf(result.outcome);
  };

  it('has the graph that was deployed then', async () => {
    const before = ['lab.double primary lab.r', 'lab.r primary lab.s'];
    const after = [...before, 'lab.r read lab.side', 'lab.r secondary lab.side'].toSorted();
    expect(await edgesAsOf(populated)).toEqual(before);
    expect(await edgesAsOf(migrated)).toEqual(after);
    expect(await edgesAsOf(later)).toEqual(after);
    expect(await edgesAsOf(new Date().toISOString())).toEqual(after);
    const past = await graphAsOf(given.store, populated);
    expect(past).toMatchObject({ past: { definitionDigest: definitionsFrom(one).digest, asOf: populated } });
    expect(await graphAsOf(given.store, '2001-01-01T00:00:00Z')).toMatchObject({
      status: 'refused',
      findings: [{ code: 'not_deployed' }],
    });
    expect(await graphAsOf(given.store, 'varve://run/none')).toMatchObject({
      findings: [{ code: 'unknown_run' }],
    });
  });

  it('has the code that computed the rows of then', async () => {
    const codeOf = (which: typeof one): string | undefined =>
      worldOf(definitionsFrom(which)).codeByTable.get('lab.r')?.digest;
    expect(await codeAsOf(given.store, { asOf: populated, table: 'lab.r', source: true })).toMatchObject({
      status: 'ok',
      code: [
        {
          table: 'lab.r',
          digest: codeOf(one),
          run: populated,
          source: expect.stringContaining('order by side') as string,
        },
      ],
    });
    expect(await codeAsOf(given.store, { table: 'lab.r' })).toMatchObject({
      code: [{ digest: codeOf(two), run: later, rows: 3 }],
    });
    expect(await codeAsOf(given.store, { table: 'lab.rr' })).toMatchObject({
      findings: [{ code: 'unknown_table', detail: { nearest: 'lab.r' } }],
    });
  });

  it('walks over the rows of then by the graph of then', async () => {
    expect(await below(populated, 'lab.s')).toEqual({ 'lab.s': 2, 'lab.r': 2, 'lab.double': 2 });
    expect(await below(populated, 'lab.s', 's = 1')).toEqual({ 'lab.s': 1, 'lab.r': 1, 'lab.double': 1 });
    expect(await below(populated, 'lab.side')).toEqual({ 'lab.side': 1 });
    expect(await below(migrated, 'lab.side', 'side = 1')).toEqual({
      'lab.side': 1,
      'lab.r': 2,
      'lab.double': 2,
    });
    expect(await below(later, 'lab.side', 'side = 2')).toMatchObject({ 'lab.side': 1, 'lab.r': 3 });
    expect(await above(populated, 'lab.double', 's = 2')).toEqual({
      'lab.s': 1,
      'lab.r': 1,
      'lab.double': 1,
    });
    expect(await above(populated, 'lab.r', 'value = 17')).toEqual({ 'lab.s': 1, 'lab.r': 1 });
    expect(await above(later, 'lab.r', 'value = 17')).toMatchObject({ 'lab.r': 0 });
    expect(await below(populated, 'lab.nothing')).toMatchObject([{ code: 'unknown_table' }]);
  });

  it('cannot be written to by a condition', async () => {
    expect(await below(populated, 'lab.s', `nextval('lab.q') > 0`)).toMatchObject([
      { code: 'where_invalid' },
    ]);
    await given.store.script('create sequence lab.q');
    expect(await below(populated, 'lab.s', `nextval('lab.q') > 0`)).toMatchObject([
      { code: 'where_invalid' },
    ]);
    expect(await lab.rows('select is_called from lab.q')).toEqual([{ is_called: false }]);
  });

  it('is found under the name that a table had, and under the one it has', async () => {
    await renameDouble();
    const renamed = new Date().toISOString();
    for (const table of ['lab.double', 'lab.twin']) {
      expect(await why(given.store, table, { s: 1 }, { asOf: populated })).toMatchObject({
        status: 'ok',
        origin: { computation: { run: { name: populated } } },
      });
    }
    expect(await history(given.store, 'lab.double', { asOf: populated })).toMatchObject({ count: 2 });
    expect(await history(given.store, 'lab.double', { asOf: renamed })).toMatchObject({ count: 0 });
    expect(await history(given.store, 'lab.twin', { asOf: renamed })).toMatchObject({ count: 3 });
    expect(await why(given.store, 'lab.double', { s: 1 })).toMatchObject({
      findings: [{ code: 'row_missing', detail: { now: 'lab.twin' } }],
    });
    expect(await below(populated, 'lab.s')).toEqual({ 'lab.s': 2, 'lab.r': 2, 'lab.double': 2 });
    expect(await codeAsOf(given.store, { asOf: populated, table: 'lab.double' })).toMatchObject({
      code: [{ table: 'lab.double', run: populated }],
    });
    // Another table of the old name has nothing to do with the rows of the one before it.
    await given.store.script(`
      create table lab.double (s integer primary key, twice integer);
      insert into varve.relation (name, spec, physical_schema, physical_name, state, since_run, since_at)
        select 'lab.double', jsonb_set(spec, '{name}', '"lab.double"'), 'lab', 'double', 'live', 'varve://run/another', now()
        from varve.relation where name = 'lab.twin' and state = 'live'`);
    expect(await history(given.store, 'lab.double', {})).toMatchObject({ count: 0 });
    expect(await history(given.store, 'lab.double', { asOf: populated })).toMatchObject({ count: 2 });
  });

  it('does not know the structure that had been rolled back as one of the time before', async () => {
    const states = await lab.rows('select name, state from varve.relation order by id');
    const id = (await lab.rows(`select migration_id as id from varve.ledger order by seq desc limit 1`))[0]?.[
      'id'
    ];
    expect(await lab.rollback(two, String(id))).toMatchObject({ status: 'applied' });
    const asOf = await history(given.store, 'lab.r', { asOf: later });
    expect(asOf).toMatchObject({ status: 'ok', count: 3, versions: [{}, {}, {}] });
    expect(states.length).toBeGreaterThan(4);
  });

  /** As an evolution renames a table: the same relation, in place. */
  async function renameDouble(): Promise<void> {
    await given.store.transaction({}, async (transaction) => {
      await transaction.execute(sql`
        insert into varve.relation_version (relation, name, spec, until_run)
        select id, name, spec, 'varve://run/rename' from varve.relation where name = 'lab.double' and state = 'live'`);
      await transaction.execute(sql`alter table lab.double rename to twin`);
      await transaction.execute(sql`
        update varve.relation set name = 'lab.twin', physical_name = 'twin', spec = jsonb_set(spec, '{name}', '"lab.twin"')
        where name = 'lab.double' and state = 'live'`);
    });
  }
});
