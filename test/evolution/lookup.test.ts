import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pipeline, t, type Pipeline } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, type Lab } from './lab.ts';

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
