import { cp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sql as ksql } from 'kysely';
import { expect, it } from 'vitest';
import { VarveError } from '../../src/base/index.ts';
import { pipeline, t, type Pipeline } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { withPostgres } from '../harness/index.ts';
import { labIn, openLab, sideLab, type Lab } from './lab.ts';
import { versionOne, versionTwo } from './side-pipeline.ts';
import { liveState, SETTLED, settledState } from './state.ts';

const ONE = versionOne('lab');
const TWO = versionTwo('lab');

withPostgres('others at work during an evolution', 18, (given) => {
  it('of two appliers one is refused, and nothing is done twice', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await using store = await postgresStore({ url: given.url() });
    const other = labIn(store, lab.root);
    const id = await lab.planned(TWO);
    const ends = await Promise.all([lab.apply(TWO, id), other.apply(TWO, id)]);
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['applied', 'refused']);
    expect(ends.find(({ status }) => status === 'refused')).toMatchObject({
      findings: [{ code: 'run_in_progress' }],
    });
    expect(
      await lab.rows(
        "select count(*)::int as n from varve.ledger where migration_id = (select max(migration_id) from varve.ledger) and phase = 'committed'",
      ),
    ).toEqual([{ n: 1 }]);
    expect(await settledState(lab.options(TWO))).toEqual(SETTLED);
  });

  it('rows that old workers compute before the cutover are carried over, each once', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await using store = await postgresStore({ url: given.url() });
    const other = labIn(store, lab.root);
    const id = await lab.planned(TWO);
    const outcome = await lab.apply(TWO, id, {
      fault: async (point) => {
        if (point !== 'E05_checked') return;
        await store.script('insert into lab.s values (3, 30); update lab.s set v = 11 where s = 1');
        expect(await other.populate(ONE)).toMatchObject({ status: 'done' });
      },
    });
    expect(outcome).toMatchObject({ status: 'applied' });
    expect(await lab.rows('select * from lab.r order by s')).toEqual([
      { s: 1, side: 1, value: 18 },
      { s: 2, side: 1, value: 27 },
      { s: 3, side: 1, value: 37 },
    ]);
    expect(await lab.verify(TWO)).toMatchObject({ status: 'equal' });
    expect(await lab.rollback(TWO, id)).toMatchObject({ status: 'applied' });
    expect(await settledState(lab.options(TWO))).toEqual(SETTLED);
  });

  it('what old workers compute between a stop and going on takes the place of what was found for it', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await lab.store.script('insert into lab.s values (3, 30)');
    await lab.populate(ONE);
    const id = await lab.planned(TWO);
    // What was found of computations stands in the list, beside what is written of it so far.
    const stopped = lab.apply(TWO, id, {
      fault: (point) =>
        point === 'E02_attributed'
          ? Promise.reject(new VarveError('interrupted', { hint: 'stopped' }))
          : Promise.resolve(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
    expect(await lab.rows("select from pg_attribute where attname = '#output'")).toHaveLength(1);
    await lab.store.script('insert into lab.s values (4, 40); update lab.s set v = 11 where s = 1');
    expect(await lab.populate(ONE)).toMatchObject({ status: 'done' });
    expect(await lab.apply(TWO, id)).toMatchObject({ status: 'applied' });
    expect(await lab.rows('select * from lab.r order by s')).toEqual([
      { s: 1, side: 1, value: 18 },
      { s: 2, side: 1, value: 27 },
      { s: 3, side: 1, value: 37 },
      { s: 4, side: 1, value: 47 },
    ]);
    expect(await lab.stale(TWO)).toMatchObject({ tables: [{ stale: [] }, { stale: [] }] });
    expect(await lab.verify(TWO)).toMatchObject({ status: 'equal' });
    expect(await settledState(lab.options(TWO))).toEqual(SETTLED);
  });

  it.each(['update %t set value = 0 where s = 1', 'delete from %t where s = 2'])(
    'carried rows that are not as they were are found before the cutover (%s)',
    async (fault) => {
      await using lab = await openLab(given.store);
      await sideLab(lab);
      await using store = await postgresStore({ url: given.url() });
      const before = await liveState(lab.store);
      const id = await lab.planned(TWO);
      const outcome = await lab.apply(TWO, id, {
        fault: async (point) => {
          if (point !== 'E03_recomputed') return;
          await store.script(fault.replace('%t', `varve_build."${await builtName(lab)}"`));
        },
      });
      expect(outcome).toMatchObject({
        status: 'rolled_back',
        findings: [{ code: 'kept_rows_changed', subject: 'lab.r', detail: { rows: 1 } }],
      });
      expect(await liveState(lab.store)).toEqual(before);
    },
  );

  it.each(['insert', 'replace'] as const)(
    'a worker of the old definitions that comes to write after the cutover (%s) is refused and writes nothing',
    async (mode) => {
      await using lab = await openLab(given.store);
      await sideLab(lab);
      await using store = await postgresStore({ url: given.url() });
      const worker = labIn(store, lab.root);
      const { slow, reached, release } = slowOne();
      const id = await lab.planned(optionalTwo());
      await lab.store.script(
        mode === 'insert' ? 'insert into lab.s values (3, 30)' : 'update lab.s set v = 11 where s = 1',
      );
      const late = worker.populate(slow, ['lab.r']).then(
        () => 'done',
        (error: unknown) => (error as { code?: string }).code,
      );
      await reached;
      const outcome = await lab.apply(optionalTwo(), id, { deadlineMs: 5_000 });
      const after = await liveState(lab.store);
      release();
      expect(await late).toBe('relation_retired');
      expect(outcome).toMatchObject({ status: 'applied' });
      expect(await liveState(lab.store)).toEqual(after);
      expect(await lab.populate(optionalTwo())).toMatchObject({ status: 'done' });
      expect(await lab.verify(optionalTwo())).toMatchObject({ status: 'equal' });
    },
  );

  it('a long reader of the table is waited for within the deadline, then the run is taken back', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await using store = await postgresStore({ url: given.url() });
    const id = await lab.planned(TWO);
    const before = await liveState(lab.store);
    await store.transaction({}, async (reader) => {
      await reader.query(sql`select count(*) from lab.r`);
      expect(await lab.apply(TWO, id, { deadlineMs: 3_000 })).toMatchObject({ status: 'rolled_back' });
    });
    expect(await liveState(lab.store)).toEqual(before);
    expect(await settledState(lab.options(TWO))).toEqual(SETTLED);

    const reading = store.transaction({}, async (reader) => {
      await reader.query(sql`select count(*) from lab.r`);
      await reader.query(sql`select pg_sleep(5)::text`);
    });
    expect(await lab.apply(TWO, id)).toMatchObject({ status: 'applied', already: false });
    await reading;
  });

  it('a runner that was thought dead writes nothing once another process took its run back', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await lab.store.script('insert into lab.s values (3, 30); insert into lab.r values (3, 37)');
    await using store = await postgresStore({ url: given.url() });
    const before = await liveState(lab.store);
    const id = await lab.planned(TWO, { 'lab.r': 'recompute' });
    // Another machine, with the project's files of its own.
    const other = labIn(store, join(dirname(lab.root), 'other', 'migrations'));
    await cp(lab.root, other.root, { recursive: true });
    let isLost = false;
    const outcome = await lab
      .apply(TWO, id, {
        fault: async (point) => {
          if (point !== 'E02_attributed' || isLost) return;
          isLost = true;
          // Its session is gone and with it its lock, as after a lost network.
          await store.query(sql`
          select pg_terminate_backend(pid)::text from pg_locks
          where locktype = 'advisory' and pid <> pg_backend_pid() and database = (select oid from pg_database where datname = current_database())`);
          await expect
            .poll(async () => (await other.recover(TWO)).status, { timeout: 15_000 })
            .toBe('recovered');
        },
      })
      .catch((error: unknown) => ({ status: (error as { code?: string }).code }));
    expect(outcome.status).not.toBe('applied');
    expect(await liveState(lab.store)).toEqual(before);
    expect(await other.recover(TWO)).toMatchObject({ status: 'recovered' });
    expect(await settledState(other.options(TWO))).toEqual(SETTLED);
  });
});

/** The structure that is built for `lab.r`. */
async function builtName(lab: Lab): Promise<string> {
  const [row] = await lab.rows(
    "select physical_name as name from varve.relation where name = 'lab.r' and state = 'building'",
  );
  return String(row?.['name']);
}

/** Version one whose make of `r` waits, once it has read, until it is let go on; the text of its definition is the same. */
function slowOne(): {
  readonly slow: Pipeline;
  readonly reached: Promise<void>;
  readonly release: () => void;
} {
  let arrive = (): void => undefined;
  let release = (): void => undefined;
  const reached = new Promise<void>((resolve) => (arrive = resolve));
  const gate = new Promise<void>((resolve) => (release = resolve));
  const lab = pipeline('lab');
  const source = lab.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  lab.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
  const result = lab.computed('r', {
    parents: [source],
    columns: { value: t.integer() },
    strict: 'observe',
    reads: { s: source },
    makeWith: async (db) => {
      // Its snapshot is taken, and nothing is read yet: what it had read, a cutover would wait for.
      arrive();
      await gate;
      const { v } = await db.selectFrom('s').select('v').executeTakeFirstOrThrow();
      const latest = await ksql<{
        off: number;
      }>`select "off" from lab.side order by side desc limit 1`.execute(db);
      return { value: v + (latest.rows[0]?.off ?? 0) };
    },
  });
  lab.computed('double', {
    parents: [result],
    columns: { twice: t.integer() },
    reads: { r: result },
    make: ({ r }) => ({ twice: r.value * 2 }),
  });
  return { slow: lab, reached, release };
}

/** Version two with a reference that may be empty: a late row of the old shape would fit into the new table. */
function optionalTwo(): Pipeline {
  const lab = pipeline('lab');
  const source = lab.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  const side = lab.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
  const result = lab.computed('r', {
    parents: [source],
    references: { side: side.optional() },
    columns: { value: t.integer() },
    reads: { s: source, sides: side.all() },
    make: ({ s, sides }) => ({ side: sides[0]?.side ?? null, value: s.v + (sides[0]?.off ?? 0) }),
  });
  lab.computed('double', {
    parents: [result],
    columns: { twice: t.integer() },
    reads: { r: result },
    make: ({ r }) => ({ twice: r.value * 2 }),
  });
  return lab;
}
