import { expect, it } from 'vitest';
import { retireVerbs } from '../../src/evolution/let-go.ts';
import { retire } from '../../src/evolution/retire.ts';
import type { PlanContext, RunContext } from '../../src/migration/index.ts';
import { history, loadRelations, part, pipeline, relationOf, t, why } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { bytes, collect, objectLab, planOf } from '../pipeline/object-lab.ts';
import { deploy } from '../pipeline/pipeline-lab.ts';

const RUN = 'varve://run/2026-05-12T09:14:07Z.migration.PIPE-MIG-2026-05-12-01.00000001';
const RETIRE = 'varve://run/2026-05-13T09:14:07Z.migration.PIPE-MIG-2026-05-12-01.00000002';
const MIGRATION = 'PIPE-MIG-2026-05-12-01';

withStores('a structure with parts and objects that is let go', (given) => {
  it('leaves its objects to be collected, and is remembered with its parts', async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    await using place = await objectLab(given.store);
    const { objects } = place;
    const schema = uniqueName('s');
    const lab = pipeline(schema);
    const source = lab.manual('source', { key: { id: t.integer() }, columns: { seed: t.text() } });
    lab.imported('recording', {
      parents: [source],
      columns: { signal: t.object() },
      parts: { channel: part({ key: { n: t.integer() }, columns: { trace: t.object() } }) },
      reads: { source },
      make: async ({ source: { seed } }, { files }) => ({
        signal: await files.put(bytes(`signal ${seed}`)),
        parts: { channel: [{ n: 1, trace: await files.put(bytes(`trace ${seed}`)) }] },
      }),
    });
    const world = await deploy(given.store, lab);
    await world.insert(source, [
      { id: 1, seed: 'a' },
      { id: 2, seed: 'b' },
    ]);
    await world.populate({ objects });
    await given.store.transaction({}, async (transaction) => {
      const relations = await loadRelations(transaction);
      await retire(transaction, relationOf(relations, `${schema}.recording__channel`), RUN);
      await retire(transaction, relationOf(relations, `${schema}.recording`), RUN);
      await transaction.execute(sql`
        insert into varve.ledger (seq, prev, digest, run_id, migration_id, phase, environment, direction, attempt,
          bundle_digest, plan_digest, body_digest, at, body)
        select 1, z, z, ${RUN}, ${MIGRATION}, 'committed', 'dev', 'forward', 1, z, z, z, '2026-05-12T09:14:07.000Z', '{}'
        from (select 'sha256:' || repeat('0', 64) as z) z`);
    });
    await place.age();
    expect(await planOf(given.store, objects)).toMatchObject({
      named: { objects: 4 },
      garbage: { objects: 0 },
    });

    await given.store.transaction({}, async (transaction) => {
      const plan = await retireVerbs.plan({
        bundle: { id: MIGRATION },
        transaction,
      } as unknown as PlanContext);
      expect(plan.tables).toMatchObject([
        { table: `${schema}.recording`, retire: 2 },
        { table: `${schema}.recording__channel`, retire: 2 },
      ]);
      const context = {
        runId: RETIRE,
        bound: plan.bound,
        fault: () => Promise.resolve(),
      } as unknown as RunContext;
      for (const step of retireVerbs.apply(plan.bound)) {
        if (step.mode === 'decide') expect(await step.run(context, transaction)).toEqual({ findings: [] });
      }
      expect(await retireVerbs.observe(context, transaction, [])).toMatchObject({
        tables: plan.tables,
        checks: [{ name: 'history_remembered', status: 'pass' }],
      });
    });

    expect(await planOf(given.store, objects)).toMatchObject({
      named: { objects: 0 },
      garbage: { objects: 4 },
    });
    expect(await collect(given.store, objects)).toMatchObject({
      status: 'collected',
      removed: { objects: 4 },
    });
    expect(await history(given.store, `${schema}.recording`, { key: { id: 1 } })).toMatchObject({
      status: 'ok',
      versions: [{ rows: {}, ended: 'structure', untilRun: RUN, letGo: { run: RETIRE, by: 'unknown' } }],
    });
    expect(await why(given.store, `${schema}.recording__channel`, { id: 1, n: 1 })).toMatchObject({
      status: 'refused',
      findings: [{ code: 'row_missing' }],
    });
  });
});
