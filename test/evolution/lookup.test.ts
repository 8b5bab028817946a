import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pipeline, t, type Pipeline } from '../../src/pipeline/index.ts';
import { withEmbedded, withStores } from '../harness/index.ts';
import { openLab, type Lab } from './lab.ts';
import { liveState, SETTLED, settledState } from './state.ts';

interface Unit {
  readonly unit: string;
  readonly factor: number;
}

/** A lookup with these rows, and a table below it. */
function units(contents: readonly Unit[], name = 'unit'): Pipeline {
  const lab = pipeline('lab');
  const unit = lab.lookup(name, {
    ...(name === 'unit' ? {} : { renamedFrom: 'lab.unit' }),
    key: { unit: t.text() },
    columns: { factor: t.double() },
    contents,
  });
  lab.manual('reading', {
    key: { reading: t.integer() },
    references: { unit },
    columns: { value: t.double() },
  });
  return lab;
}

const METRIC = [
  { unit: 'm', factor: 1 },
  { unit: 'cm', factor: 0.1 },
  { unit: 'ell', factor: 0.7 },
];
const CORRECTED = [
  { unit: 'm', factor: 1 },
  { unit: 'cm', factor: 0.01 },
  { unit: 'mm', factor: 0.001 },
];

withStores('the rows of a lookup', (given) => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await openLab(given.store);
    await lab.deploy(units(METRIC));
  });
  afterEach(() => lab[Symbol.asyncDispose]());

  it('follow the code: counted in the plan, kept in history, taken back by rollback', async () => {
    const plan = await lab.plan(units(CORRECTED));
    expect(plan).toMatchObject({
      status: 'planned',
      outcome: { plan: { bound: { tables: [{ table: 'lab.unit', keep: 1, backfill: 2, retire: 1 }] } } },
    });
    const id = plan.status === 'planned' ? plan.migrationId : '';
    expect(await lab.apply(units(CORRECTED), id)).toMatchObject({ status: 'applied' });
    expect(await lab.rows('select unit, factor from lab.unit order by unit')).toEqual(
      CORRECTED.toSorted((left, right) => (left.unit < right.unit ? -1 : 1)),
    );
    const archived = await lab.rows(
      `select key ->> 'unit' as unit, rows -> 'lab.unit' -> 0 ->> 'factor' as factor from varve.superseded order by 1`,
    );
    expect(archived).toEqual([
      { unit: 'cm', factor: '0.1' },
      { unit: 'ell', factor: '0.7' },
    ]);
    expect(await lab.rollback(units(METRIC), id)).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await lab.rows('select unit, factor from lab.unit order by unit')).toEqual(
      METRIC.toSorted((left, right) => (left.unit < right.unit ? -1 : 1)),
    );
  });

  it('are taken back where the lookup was given another name in the same step', async () => {
    const measures = units(CORRECTED, 'measure');
    const id = await lab.deploy(measures);
    expect(await lab.rows('select count(*)::int as rows from lab.measure where factor < 1')).toEqual([
      { rows: 2 },
    ]);
    expect(await lab.rollback(measures, id)).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await lab.rows('select unit, factor from lab.unit order by unit')).toEqual(
      METRIC.toSorted((left, right) => (left.unit < right.unit ? -1 : 1)),
    );
  });

  describe('that others refer to', () => {
    it('are not taken away: the run is rolled back and says which table needs them', async () => {
      await given.store.script(`insert into lab.reading values (1, 'ell', 2)`);
      const id = await lab.planned(units(CORRECTED));
      expect(await lab.apply(units(CORRECTED), id)).toMatchObject({
        status: 'rolled_back',
        findings: [{ code: 'row_in_use', subject: 'lab.unit' }],
      });
      expect(await lab.rows('select count(*)::int as rows from lab.unit')).toEqual([{ rows: 3 }]);
    });
  });
});

/** Methods with other contents, and so many other things in one edit. */
function methods(shape: 'old' | 'renamed' | 'key renamed' | 'retyped' | 'more columns' | 'moved'): Pipeline {
  const lab = pipeline('lab');
  const isOld = shape === 'old';
  const name = shape === 'moved' ? 'way' : 'method';
  const key = shape === 'key renamed' ? { way: t.text().renamedFrom('method') } : { method: t.text() };
  const column = {
    old: { bound: t.integer() },
    renamed: { limit_: t.integer().renamedFrom('bound') },
    'key renamed': { bound: t.integer() },
    retyped: { bound: t.text() },
    'more columns': { bound: t.integer(), unit: t.text() },
    moved: { bound: t.integer() },
  }[shape];
  const row = (method: string, bound: number): Record<string, unknown> => ({
    [shape === 'key renamed' ? 'way' : 'method']: method,
    [shape === 'renamed' ? 'limit_' : 'bound']: shape === 'retyped' ? `up to ${String(bound)}` : bound,
    ...(shape === 'more columns' ? { unit: 'mm' } : {}),
  });
  const contents = isOld ? [row('a', 1), row('b', 2), row('c', 3)] : [row('a', 1), row('b', 20), row('d', 4)];
  const method = lab.lookup(name, {
    key,
    columns: column,
    contents: contents as never,
    ...(shape === 'moved' ? { renamedFrom: 'method' } : {}),
  });
  lab.manual('use', { key: { use: t.integer() }, references: { method } });
  return lab;
}

withEmbedded('a lookup that changes beside its contents', (given) => {
  it.each([
    [
      'renamed',
      'lab.method',
      [
        { method: 'a', limit_: 1 },
        { method: 'b', limit_: 20 },
        { method: 'd', limit_: 4 },
      ],
    ],
    [
      'key renamed',
      'lab.method',
      [
        { way: 'a', bound: 1 },
        { way: 'b', bound: 20 },
        { way: 'd', bound: 4 },
      ],
    ],
    [
      'retyped',
      'lab.method',
      [
        { method: 'a', bound: 'up to 1' },
        { method: 'b', bound: 'up to 20' },
        { method: 'd', bound: 'up to 4' },
      ],
    ],
    [
      'more columns',
      'lab.method',
      [
        { method: 'a', bound: 1, unit: 'mm' },
        { method: 'b', bound: 20, unit: 'mm' },
        { method: 'd', bound: 4, unit: 'mm' },
      ],
    ],
    [
      'moved',
      'lab.way',
      [
        { method: 'a', bound: 1 },
        { method: 'b', bound: 20 },
        { method: 'd', bound: 4 },
      ],
    ],
  ] as const)('has its new rows under its new shape: %s', async (shape, table, rows) => {
    await using lab = await openLab(given.store);
    await lab.deploy(methods('old'));
    await lab.store.script("insert into lab.use values (1, 'a'), (2, 'b')");
    const before = await liveState(lab.store);
    const old = await lab.rows('select * from lab.method order by 1');
    const id = await lab.planned(methods(shape));
    for (let turn = 1; turn <= 2; turn += 1) {
      const outcome = await lab.apply(methods(shape), id);
      expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'applied' });
      expect(await lab.rows(`select * from ${table} order by 1`)).toEqual(rows);
      if (turn === 2) break;
      const back = await lab.rollback(methods(shape), id);
      expect(back, JSON.stringify(back)).toMatchObject({ status: 'applied', direction: 'rollback' });
      expect(await lab.rows('select * from lab.method order by 1')).toEqual(old);
      expect(await liveState(lab.store)).toEqual(before);
    }
    expect(await settledState(lab.options(methods(shape)))).toEqual(SETTLED);
  });

  it('keeps a row that others lead to from going, whatever else is changed', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(methods('old'));
    await lab.store.script("insert into lab.use values (1, 'c')");
    const before = await liveState(lab.store);
    for (const shape of ['renamed', 'more columns'] as const) {
      const id = await lab.planned(methods(shape));
      expect(await lab.apply(methods(shape), id)).toMatchObject({
        status: 'rolled_back',
        findings: [{ code: 'row_in_use', subject: 'lab.method' }],
      });
      expect(await liveState(lab.store)).toEqual(before);
    }
  });
});
