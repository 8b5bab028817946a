import { sql as ksql } from 'kysely';
import { expect, it } from 'vitest';
import { history, t, type Pipeline } from '../../src/pipeline/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openLab } from './lab.ts';
import { SETTLED, settledState } from './state.ts';
import { lab as pipelineOf, TWO_SOURCES } from './tables.ts';

/** `r` reads one parameter without declaring it. */
function narrow(): Pipeline {
  return pipelineOf((given, s) => {
    given.manual('param', { key: { param: t.integer() }, columns: { k: t.integer() } });
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      strict: 'observe',
      reads: { s },
      makeWith: async (db) => {
        const { s: key, v } = await db.selectFrom('s').selectAll().executeTakeFirstOrThrow();
        const found = await ksql<{
          k: number;
        }>`select k from lab.param where param = ${key % 2 === 0 ? 2 : 1}`.execute(db);
        return { value: v * (found.rows[0]?.k ?? 0) };
      },
    });
  });
}

function wide(): Pipeline {
  return pipelineOf((given, s) => {
    const param = given.manual('param', { key: { param: t.integer() }, columns: { k: t.integer() } });
    given.computed('r', {
      parents: [s, param],
      columns: { value: t.integer() },
      reads: { s, param },
      make: (inputs) => ({ value: inputs.s.v * inputs.param.k }),
    });
  });
}

/** Units below a clustering; with a curation between them, of which there may come to be several. */
function units(isCurated: boolean): Pipeline {
  return pipelineOf((given, s) => {
    const clustering = given.computed('clustering', {
      parents: [s],
      columns: { n: t.integer() },
      reads: { s },
      make: (inputs) => ({ n: inputs.s.v }),
    });
    if (!isCurated) {
      given.computed('units', {
        parents: [clustering],
        columns: { m: t.integer() },
        reads: { clustering },
        make: (inputs) => ({ m: inputs.clustering.n + 1 }),
      });
      return;
    }
    const method = given.lookup('method', {
      key: { method: t.text() },
      columns: { shift: t.integer() },
      contents: [{ method: 'default', shift: 1 }],
    });
    const curation = given.computed('curation', {
      parents: [clustering, method],
      columns: { offset: t.integer() },
      reads: { method },
      make: (inputs) => ({ offset: inputs.method.shift }),
    });
    given.computed('units', {
      parents: [curation],
      columns: { m: t.integer() },
      reads: { clustering, curation },
      make: (inputs) => ({ m: inputs.clustering.n + inputs.curation.offset }),
    });
  });
}

function suite(given: StoreUnderTest): void {
  it('scenario 4: rows that read one parameter are rekeyed, and the other combinations are new work', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(narrow());
    await lab.store.script(`${TWO_SOURCES} insert into lab.param values (1, 7), (2, 9)`);
    await lab.populate(narrow());
    const id = await lab.planned(wide());
    expect(await lab.apply(wide(), id)).toMatchObject({
      status: 'applied',
      tables: [{ table: 'lab.r', rekey: 2, recompute: 0, ambiguous: 0 }],
    });
    const rekeyed = [
      { s: 1, param: 1, value: 70 },
      { s: 2, param: 2, value: 180 },
    ];
    expect(await lab.rows('select * from lab.r order by s')).toEqual(rekeyed);
    const found = await history(lab.store, 'lab.r', { key: { s: 1, param: 1 } });
    const versions = found.status === 'ok' ? found.versions : [];
    expect(versions).toMatchObject([
      { key: { s: 1, param: 1 }, rows: { 'lab.r': [{ s: 1, param: 1, value: 70 }] }, until: null },
      { key: { s: 1 }, rows: { 'lab.r': [{ s: 1, value: 70 }] }, ended: 'structure' },
    ]);
    expect(await lab.populate(wide())).toMatchObject({ status: 'done', tables: [{ computed: 2 }] });
    expect(await lab.rows('select * from lab.r order by s, param')).toEqual([
      { s: 1, param: 1, value: 70 },
      { s: 1, param: 2, value: 90 },
      { s: 2, param: 1, value: 140 },
      { s: 2, param: 2, value: 180 },
    ]);
    expect(await lab.verify(wide())).toMatchObject({ status: 'equal' });
    expect(await settledState(lab.options(wide()))).toEqual(SETTLED);
  });

  it('scenario 7: units belong to the default curation, and later curations are new rows', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(units(false));
    await lab.store.script(TWO_SOURCES);
    await lab.populate(units(false));
    const id = await lab.planned(units(true));
    expect(await lab.apply(units(true), id)).toMatchObject({ status: 'applied' });
    expect(await lab.rows('select * from lab.units order by s')).toEqual([
      { s: 1, method: 'default', m: 11 },
      { s: 2, method: 'default', m: 21 },
    ]);
    expect(
      await lab.rows(`select distinct s.origin from varve.computation c join varve.computation_spec s on s.id = c.spec
        join varve.relation r on r.id = c.relation where r.state = 'live' and r.name = 'lab.units'`),
    ).toEqual([{ origin: 'attributed' }]);
    expect(await lab.populate(units(true))).toMatchObject({
      status: 'done',
      tables: expect.not.arrayContaining([expect.objectContaining({ computed: 1 })]),
    });
    await lab.store.script("insert into lab.method values ('strict', 5)");
    await lab.populate(units(true));
    expect(await lab.rows("select s, m from lab.units where method = 'strict' order by s")).toEqual([
      { s: 1, m: 15 },
      { s: 2, m: 25 },
    ]);
    expect(await lab.rows("select s, m from lab.units where method = 'default' order by s")).toEqual([
      { s: 1, m: 11 },
      { s: 2, m: 21 },
    ]);
    expect(await lab.verify(units(true))).toMatchObject({ status: 'equal' });
  });
}

withEmbedded('keys that change', suite);
withPostgres('keys that change', 18, suite);
