import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { history, t, why, type Pipeline } from '../../src/pipeline/index.ts';
import { cascade, catalogGraph } from '../../src/provenance/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, sideLab, type Lab } from './lab.ts';
import { versionOne, versionTwo } from './side-pipeline.ts';
import { leftovers, SETTLED, settledState } from './state.ts';

const ONE = versionOne('lab');
const TWO = versionTwo('lab');

withStores('declaring a read as a foreign key', (given) => {
  it('scenario 1: backfills from recorded reads, and the result equals dropping everything', async () => {
    await using lab = await openLab(given.store);
    const run = await sideLab(lab);
    expect((await below(lab))['lab.r'] ?? 0).toBe(0);
    const before = await originOf(lab, { s: 1 });

    const id = await lab.planned(TWO);
    const outcome = await lab.apply(TWO, id);
    expect(outcome).toMatchObject({
      status: 'applied',
      already: false,
      tables: [
        { table: 'lab.double', keep: 2 },
        { table: 'lab.r', keep: 0, backfill: 2, recompute: 0, ambiguous: 0 },
      ],
    });
    expect(await lab.rows('select * from lab.r order by s')).toEqual([
      { s: 1, side: 1, value: 17 },
      { s: 2, side: 1, value: 27 },
    ]);
    expect(await below(lab)).toMatchObject({ 'lab.r': 2, 'lab.double': 2 });
    expect(await lab.verify(TWO)).toMatchObject({ status: 'equal' });

    const after = await originOf(lab, { s: 1 });
    expect(after.computation).toMatchObject({
      origin: 'attributed',
      attribution: { rule: 'recorded_read', migration: id, reference: 'side' },
      inputs: [
        { read: 's', isPresent: true },
        { read: 'sides', isPresent: true },
      ],
    });
    expect(await originOf(lab, { s: 1 }, run)).toEqual({ ...before, until: after.since });
    expect(before.computation).toMatchObject({
      origin: 'computed',
      recorded: [{ subject: 'lab.side', declared: false, keys: [{ side: 1 }] }],
    });
    const versions = await history(lab.store, 'lab.r', { key: { s: 1 } });
    expect(versions).toMatchObject({
      versions: [
        { rows: { 'lab.r': [{ s: 1, side: 1, value: 17 }] }, until: null },
        { rows: { 'lab.r': [{ s: 1, value: 17 }] } },
      ],
    });
    expect(await leftovers(lab.store)).toEqual([]);
  });

  it('scenario 2: keeps what was read, and refuses rows of which nothing is recorded until a rule says what', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await lab.store.script(`
      insert into lab.side values (2, 9);
      insert into lab.s values (3, 30);
      insert into lab.r values (3, 37);`);
    const state = await stateOf(lab);

    const refused = await lab.planned(TWO);
    expect(await lab.apply(TWO, refused)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'rows_ambiguous', subject: 'lab.r', detail: { rows: 1 } }],
    });
    expect(await stateOf(lab)).toEqual(state);

    const id = await lab.planned(TWO, { 'lab.r': 'recompute' });
    expect(await lab.apply(TWO, id)).toMatchObject({
      status: 'applied',
      tables: [
        { table: 'lab.double', keep: 2 },
        { table: 'lab.r', backfill: 2, recompute: 1, ambiguous: 0 },
      ],
    });
    expect(await lab.rows('select * from lab.r order by s')).toEqual([
      { s: 1, side: 1, value: 17 },
      { s: 2, side: 1, value: 27 },
      { s: 3, side: 2, value: 39 },
    ]);
    // Whether the whole of Side was what it is now is not known of rows that read one row of it.
    expect(await staleKeysOf(lab)).toEqual({ 'lab.r': [{ s: 1 }, { s: 2 }] });
    expect(await lab.populate(TWO)).toMatchObject({ status: 'done' });
    expect(await lab.verify(TWO)).toMatchObject({ status: 'equal' });
  });

  it('scenario 3: attributed rows go stale and settle like computed ones', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await lab.deploy(TWO);
    expect(await staleKeysOf(lab)).toEqual({});

    await lab.store.script('update lab.s set v = 11 where s = 1');
    expect(await lab.stale(TWO)).toMatchObject({
      tables: [
        { table: 'lab.r', stale: [{ key: { s: 1 } }], below: [{ table: 'lab.double', rows: 1 }] },
        { stale: [] },
      ],
    });
    expect(await lab.populate(TWO)).toMatchObject({
      tables: [
        { table: 'lab.r', computed: 1, skippedUnchanged: 1 },
        { table: 'lab.double', computed: 1, skippedUnchanged: 1 },
      ],
    });

    await lab.store.script('update lab.s set v = 5 where s = 2; update lab.side set off = 22');
    await lab.store.script('update lab.s set v = -4 where s = 1');
    expect(await lab.populate(TWO)).toMatchObject({
      tables: [
        { table: 'lab.r', computed: 2 },
        // 11 + 7 = -4 + 22 and 20 + 7 = 5 + 22: the same rows again, so nothing below them is looked at.
        { table: 'lab.double', computed: 0, skippedUnchanged: 2 },
      ],
    });
    expect(await lab.verify(TWO)).toMatchObject({ status: 'equal' });
  });
});

withStores('a plan that no longer holds', (given) => {
  it('scenario 14: applying twice changes nothing and says so', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const id = await lab.deploy(TWO);
    const state = await stateOf(lab);
    expect(await lab.apply(TWO, id)).toMatchObject({ status: 'applied', already: true });
    expect(await stateOf(lab)).toEqual(state);
    expect(await lab.plan(TWO)).toEqual({ status: 'nothing' });
    expect(await settledState(lab.options(TWO))).toEqual(SETTLED);
  });

  it('scenario 14: a plan whose database or project moved on is refused with what moved', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const id = await lab.planned(TWO);
    const refusedWith = async (with_: Pipeline, finding: object): Promise<void> => {
      const state = await stateOf(lab);
      expect(await lab.apply(with_, id)).toMatchObject({
        status: 'refused',
        findings: expect.arrayContaining([expect.objectContaining(finding)]),
      });
      expect(await stateOf(lab)).toEqual(state);
    };

    await refusedWith(edited(), { code: 'definitions_moved', subject: 'definitions' });
    await refusedWith(recoded(), { code: 'definitions_moved', subject: 'lab.r' });

    await lab.store.script('create index since on lab.r (value)');
    await refusedWith(TWO, {
      code: 'plan_changed',
      detail: { reason: 'moved', parts: ['/work/states/0/catalog/lab.r/indexes'], partCount: 1 },
    });
    await lab.store.script('drop index lab.since');

    const further = versionOne('lab');
    further.manual('note', { key: { note: t.integer() } });
    await lab.deploy(further);
    await refusedWith(TWO, { code: 'plan_changed', subject: 'definitions' });
  });
});

withStores('rows that people write between plan and apply', (given) => {
  it('are carried over, and counted apart from those of the plan', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const id = await lab.planned(TWO);
    await lab.store.script('insert into lab.s values (3, 30), (4, 40)');
    await lab.populate(ONE);
    await lab.store.script('update lab.s set v = 11 where s = 1');
    const outcome = await lab.apply(TWO, id);
    const tables = [
      { table: 'lab.double', keep: 2, carried: 2 },
      { table: 'lab.r', backfill: 2, ambiguous: 0, carried: 2 },
    ];
    expect(outcome).toMatchObject({ status: 'applied', tables });
    const summary = JSON.parse(
      await readFile(join(lab.root, 'pipeline', id, 'diffs/summary.json'), 'utf8'),
    ) as object;
    expect(summary).toMatchObject({ witnessed: { tables } });
    expect(await lab.rows('select s, side, value from lab.r order by s')).toEqual(
      [17, 27, 37, 47].map((value, index) => ({ s: index + 1, side: 1, value })),
    );
    expect(await settledState(lab.options(TWO))).toEqual(SETTLED);
    expect(await lab.populate(TWO)).toMatchObject({ status: 'done' });
    expect(await lab.verify(TWO)).toMatchObject({ status: 'equal' });
  });

  it('are listed where nothing attributes them, and nothing is changed', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const id = await lab.planned(TWO);
    await lab.store.script('insert into lab.s values (3, 30); insert into lab.r (s, value) values (3, 1)');
    const state = await stateOf(lab);
    expect(await lab.apply(TWO, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'rows_ambiguous', subject: 'lab.r', detail: { rows: 1, keys: [{ s: 3 }] } }],
    });
    expect(await stateOf(lab)).toEqual(state);
  });
});

/** The edited definitions, edited again. */
function edited(): Pipeline {
  const lab = versionTwo('lab');
  lab.manual('note', { key: { note: t.integer() } });
  return lab;
}

/** The edited definitions with another make. */
function recoded(): Pipeline {
  const lab = versionTwo('lab');
  const tables = lab.tables.map((table) =>
    table.spec.name === 'lab.r'
      ? { ...table, definition: { ...table.definition, make: () => ({ value: 0 }) } }
      : table,
  );
  return { ...lab, tables };
}

/** How many rows of each table lie below side 1. */
async function below(lab: Lab): Promise<Readonly<Record<string, number>>> {
  const graph = await catalogGraph(lab.store);
  const walked = await cascade(lab.store, graph, { table: 'lab.side', where: 'side = 1' });
  if (walked.status !== 'ok') throw new Error(JSON.stringify(walked));
  return Object.fromEntries(walked.tables.map(({ table, rows }) => [table, rows]));
}

async function originOf(lab: Lab, key: { readonly s: number }, asOf?: string) {
  const answer = await why(lab.store, 'lab.r', key, asOf === undefined ? {} : { asOf });
  if (answer.status !== 'ok') throw new Error(JSON.stringify(answer));
  return answer.origin;
}

async function staleKeysOf(lab: Lab): Promise<Readonly<Record<string, readonly object[]>>> {
  const found = await lab.stale(TWO);
  if (found.status !== 'ok') throw new Error(JSON.stringify(found));
  const tables = found.tables.filter((table) => table.stale.length > 0);
  return Object.fromEntries(tables.map(({ table, stale }) => [table, stale.map(({ key }) => key)]));
}

/** Everything of the catalog and of the tables that a refused apply must leave as it was. */
async function stateOf(lab: Lab): Promise<object> {
  return {
    r: await lab.rows('select * from lab.r order by s'),
    relations: await lab.rows('select * from varve.relation order by id'),
    computations: await lab.rows('select * from varve.computation order by relation, key_hash'),
    deployments: await lab.rows('select id from varve.deployment order by id'),
    left: await leftovers(lab.store),
  };
}
