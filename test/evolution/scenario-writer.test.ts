import { expect, it } from 'vitest';
import { t, type Pipeline } from '../../src/pipeline/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openLab } from './lab.ts';
import { liveState, SETTLED, settledState } from './state.ts';
import { bare, lab as pipelineOf, TWO_SOURCES } from './tables.ts';
import { committed, startWriter, startWriterHere, type Writer } from './writer.ts';

/** A result whose make waits where it is told to; under another name later. */
function results(isRenamed: boolean, wait: () => Promise<void> = () => Promise.resolve()): Pipeline {
  return pipelineOf((given, s) => {
    const value = isRenamed ? t.integer().renamedFrom('value') : t.integer();
    const make = async (v: number): Promise<number> => {
      await wait();
      return v * 2;
    };
    if (isRenamed)
      given.computed('r', {
        parents: [s],
        columns: { result: value },
        reads: { s },
        make: async (inputs) => ({ result: await make(inputs.s.v) }),
      });
    else
      given.computed('r', {
        parents: [s],
        columns: { value },
        reads: { s },
        make: async (inputs) => ({ value: await make(inputs.s.v) }),
      });
  });
}

/** A table that people write to and one below; with one more column it is built anew. */
function entries(isWider: boolean): Pipeline {
  return bare((given) => {
    const entry = given.manual('entry', {
      key: { entry: t.integer() },
      columns: { v: t.integer(), ...(isWider ? { w: t.integer().default(5) } : {}) },
    });
    given.computed('twice', {
      parents: [entry],
      columns: { x: t.integer() },
      reads: { entry: entry.columns('v') },
      make: (inputs) => ({ x: (inputs.entry as { readonly v: number }).v * 2 }),
    });
  });
}

/** Samples, with a replicate in their key or without. */
function samples(hasReplicate: boolean): Pipeline {
  return bare((given) => {
    given.manual('sample', {
      key: { sample: t.integer(), ...(hasReplicate ? { replicate: t.integer() } : {}) },
      columns: { w: t.integer() },
    });
  });
}

function lateWorker(given: StoreUnderTest): void {
  it('scenario 11: a worker of the old definitions writes nothing after the cutover, and a new one takes its key over', async () => {
    await using lab = await openLab(given.store);
    const next = results(true);
    await lab.deploy(results(false));
    await lab.store.script(TWO_SOURCES);
    await lab.populate(results(false));
    const id = await lab.planned(next);
    await lab.store.script('insert into lab.s values (3, 30)');
    const reached = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const slow = results(false, async () => {
      reached.resolve();
      await released.promise;
    });
    const late = lab.populate(slow, ['lab.r']).then(
      () => 'done',
      (error: unknown) => (error as { readonly code?: string }).code,
    );
    await reached.promise;
    expect(await lab.apply(next, id, { deadlineMs: 10_000 })).toMatchObject({ status: 'applied' });
    const after = await liveState(lab.store);
    released.resolve();
    expect(await late).toBe('relation_retired');
    expect(await liveState(lab.store)).toEqual(after);
    expect(await lab.populate(next)).toMatchObject({ status: 'done' });
    expect(await lab.rows('select * from lab.r where s = 3')).toEqual([{ s: 3, result: 60 }]);
    expect(await lab.verify(next)).toMatchObject({ status: 'equal' });
    expect(await settledState(lab.options(next))).toEqual(SETTLED);
  });
}

function suite(given: StoreUnderTest): void {
  it('scenario 12: of what a writer commits through the whole apply nothing is lost and nothing doubled', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(entries(false));
    await lab.store.script('insert into lab.entry select i, i from generate_series(1, 2000) i');
    await lab.populate(entries(false));
    const id = await lab.planned(entries(true));
    const isShared = given.store.capabilities.sharedByProcesses;
    const writing = {
      perSecond: isShared ? 200 : 50,
      statements: [
        'insert into lab.entry (entry, v) values (1000000 + :n, :n)',
        'update lab.entry set v = v + 1000 where entry = :n % 1000 + 1',
        'delete from lab.entry where entry = 1000000 + :n - 62',
      ],
    };
    // From the first moment after the plan was found to hold: a plan of rows that moved since is refused.
    let writer: Writer | undefined;
    const applied = await lab.apply(entries(true), id, {
      deadlineMs: 60_000,
      fault: async (point) => {
        if (point === 'F05_baselined' && writer === undefined)
          writer = isShared ? await startWriter(given.url(), writing) : startWriterHere(given.store, writing);
      },
    });
    const writes = (await writer?.stop()) ?? [];
    await writer?.[Symbol.asyncDispose]();
    expect(applied, JSON.stringify('findings' in applied ? applied.findings : [])).toMatchObject({
      status: 'applied',
    });
    expect(committed(writes, 0).length).toBeGreaterThan(2);
    expect(writes.filter(({ outcome }) => outcome.status === 'failed')).toEqual([]);
    const expected = new Map(Array.from({ length: 2000 }, (_, index) => [index + 1, index + 1]));
    for (const n of committed(writes, 0)) expected.set(1_000_000 + n, n);
    for (const n of committed(writes, 1))
      expected.set((n % 1000) + 1, (expected.get((n % 1000) + 1) ?? 0) + 1000);
    for (const { n, outcome } of writes.filter(({ statement }) => statement === 2))
      if (outcome.status === 'committed' && outcome.rows === 1) expected.delete(1_000_000 + n - 62);
    expect(await lab.rows('select entry, v from lab.entry order by entry')).toEqual(
      [...expected].map(([entry, v]) => ({ entry, v })).toSorted((left, right) => left.entry - right.entry),
    );
    await lab.populate(entries(true));
    expect(await lab.verify(entries(true))).toMatchObject({ status: 'equal' });
    expect(await settledState(lab.options(entries(true)))).toEqual(SETTLED);
  }, 180_000);

  it('scenario 13: what was written since is carried back, and what the old shape cannot hold is a refusal with its key', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(samples(false));
    await lab.store.script('insert into lab.sample values (1, 4), (2, 6)');
    const id = await lab.deploy(samples(true), { 'lab.sample.replicate': '1' });
    await lab.store.script(`
      insert into lab.sample values (3, 7, 8);
      update lab.sample set w = 5 where sample = 1;
      insert into lab.sample values (2, 2, 9)`);
    const before = await liveState(lab.store);
    const refused = await lab.rollback(samples(true), id);
    expect(refused.status).not.toBe('applied');
    expect(refused).toMatchObject({
      findings: [
        { code: 'rows_unrepresentable', subject: 'lab.sample', detail: { keys: [{ key: '{"sample": 2}' }] } },
      ],
    });
    expect(await liveState(lab.store)).toEqual(before);
    await lab.store.script('delete from lab.sample where sample = 2 and replicate = 2');
    expect(await lab.rollback(samples(true), id)).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await lab.rows('select * from lab.sample order by sample')).toEqual([
      { sample: 1, w: 5 },
      { sample: 2, w: 6 },
      { sample: 3, w: 8 },
    ]);
    expect(await settledState(lab.options(samples(false)))).toEqual(SETTLED);
  });
  lateWorker(given);
}

withEmbedded('others who write meanwhile and after', suite);
withPostgres('others who write meanwhile and after', 18, suite);
