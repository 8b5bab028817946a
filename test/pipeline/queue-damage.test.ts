import { expect, it } from 'vitest';
import { isVarveError } from '../../src/base/index.ts';
import { clearJobs, pipeline, populate, t, type PopulateResult } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, uniqueName, withPostgres } from '../harness/index.ts';
import { countsOf, deploy, environment } from './pipeline-lab.ts';

const ids = (count: number) => Array.from({ length: count }, (_, id) => ({ id }));

/** What became of it: a status, or the code and hint of what it threw. */
async function outcomeOf(work: Promise<PopulateResult>): Promise<object> {
  return work.then(
    ({ status, findings }) => ({ status, findings }),
    (error: unknown) =>
      isVarveError(error) ? { code: error.code, hint: error.hint } : { thrown: String(error) },
  );
}

const DAMAGED = {
  code: 'queue_damaged',
  hint: expect.stringMatching(/drop the schema varve_queue/u) as string,
};
const DONE = { status: 'done', findings: [] };

// A database of its own for each: the queue of the one is not to hurt the others.
withPostgres('a job table damaged by hand', 18, () => {
  it.each([
    ['its rows deleted', 'delete from varve_queue.job', DONE],
    ['it truncated', 'truncate varve_queue.job', DONE],
    ['the data of its rows emptied', `update varve_queue.job set data = '{}'`, DONE],
    ['its rows completed', `update varve_queue.job set state = 'completed'`, DONE],
    ['nonsense as relation', `update varve_queue.job set data = '{"relation": "x"}'`, DAMAGED],
    ['nonsense as keys', `update varve_queue.job set data = jsonb_set(data, '{keys}', '"x"')`, DAMAGED],
    [
      'keys of another type',
      `update varve_queue.job set data = jsonb_set(data, '{keys}', '[["x"]]')`,
      DAMAGED,
    ],
    ['the queue deleted', 'delete from varve_queue.job; delete from varve_queue.queue', DAMAGED],
    ['a column dropped', 'alter table varve_queue.job drop column heartbeat_on cascade', DAMAGED],
    [
      'a column dropped that only the library uses',
      'alter table varve_queue.job drop column policy cascade',
      DAMAGED,
    ],
    ['the table dropped', 'drop table varve_queue.job cascade', DAMAGED],
    ['the schema dropped', 'drop schema varve_queue cascade', DAMAGED],
  ])('%s: no loss, and what is to be done is said', async (_what, damage, wanted) => {
    await using database = await postgresDatabase(18);
    await using store = await postgresStore({ url: database.url });
    const lab = pipeline(uniqueName('s'));
    let strike: (() => Promise<unknown>) | undefined;
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { n: t.integer() },
      reads: { source: Source },
      make: async ({ source }) => {
        const now = source.id === 30 ? strike : undefined;
        if (now !== undefined) strike = undefined;
        await now?.();
        // Until another lane has looked at the damage.
        if (now !== undefined) await new Promise((resolve) => setTimeout(resolve, 1000));
        return { n: source.id };
      },
    });
    const world = await deploy(store, lab);
    await world.insert(Source, ids(120));
    strike = () => store.script(damage);
    const result = world.populate({ isShared: true, batchSize: 20, signal: AbortSignal.timeout(20_000) });
    expect(await outcomeOf(result)).toEqual(wanted);
    expect(await world.wrongOutputs(Out)).toBe(0);

    // The way out that the hint gives.
    if (wanted === DAMAGED) await store.script('drop schema if exists varve_queue cascade');
    const again = await world.populate({ isShared: true });
    expect(again).toMatchObject(DONE);
    expect(await world.rows(Out)).toHaveLength(120);
    expect(await world.wrongOutputs(Out)).toBe(0);
  });

  it('a key in varve.job that is none is said, with the way out', async () => {
    await using database = await postgresDatabase(18);
    await using store = await postgresStore({ url: database.url });
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', { parents: [Source], reads: { source: Source }, make: () => ({}) });
    const world = await deploy(store, lab);
    await world.insert(Source, ids(5));
    const relation = await world.relation(Out);
    await store.execute(sql`
      insert into varve.job (relation, key_hash, key, state, attempts, run, changed_at, priority)
      values (${relation.id}, '\\x00', '{"id": "x"}', 'pending', 0, 'ada', now(), 3), (${relation.id}, '\\x01', '{}', 'error', 0, 'ada', now(), 0)`);
    expect(await outcomeOf(world.populate({ isShared: true }))).toEqual({
      code: 'value_invalid',
      hint: expect.stringMatching(/varve jobs clear/u) as string,
    });
    expect(await clearJobs(store, { relation, condition: undefined })).toBe(2);
    expect(await outcomeOf(world.populate({ isShared: true }))).toMatchObject(DONE);
    expect(await world.rows(Out)).toHaveLength(5);
  });

  it('a user without the right to make the queue is told so, and nothing is begun', async () => {
    await using database = await postgresDatabase(18);
    await using store = await postgresStore({ url: database.url });
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      reads: { source: Source },
      make: () => ({}),
    });
    const world = await deploy(store, lab);
    await world.insert(Source, ids(5));
    const role = uniqueName('worker');
    const { placement } = await world.relation(Out);
    await store.script(`
      create role ${role} login password 'pw';
      grant usage on schema varve, "${placement.schema}" to ${role};
      grant select, insert, update, delete on all tables in schema varve, "${placement.schema}" to ${role};
      grant usage on all sequences in schema varve to ${role};
      revoke create on database ${database.name} from public`);
    const url = new URL(database.url);
    url.username = role;
    url.password = 'pw';
    await using as = await postgresStore({ url: url.href });
    const run = populate(as, {
      definitions: world.definitions,
      environment,
      projectFolder: import.meta.dirname,
      codeByTable: world.codeByTable,
      isShared: true,
    });
    expect(await outcomeOf(run)).toEqual({
      code: 'permission_denied',
      hint: expect.stringMatching(/varve_queue/u) as string,
    });
    expect(await world.rows(Out)).toEqual([]);
    // Once somebody has made it and let others in, it works.
    await world.populate({ isShared: true, max: 1 });
    await store.script(`
      grant usage on schema varve_queue to ${role};
      grant select, insert, update, delete on all tables in schema varve_queue to ${role};
      grant execute on all functions in schema varve_queue to ${role}`);
    const done = await populate(as, {
      definitions: world.definitions,
      environment,
      projectFolder: import.meta.dirname,
      codeByTable: world.codeByTable,
      isShared: true,
    });
    expect(countsOf(done, Out)).toMatchObject({ computed: 4, remaining: 0 });
    await store.script(`drop owned by ${role}; drop role ${role}`);
  });
});
