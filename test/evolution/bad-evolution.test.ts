import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { definitionsOf, t, type Pipeline, type Table } from '../../src/pipeline/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { sql } from '../../src/store/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openLab, sideLab, type Lab } from './lab.ts';
import { versionTwo } from './side-pipeline.ts';
import { liveState, SETTLED, settledState } from './state.ts';
import { lab as pipelineOf, TWO_SOURCES } from './tables.ts';

const TWO = versionTwo('lab');

/** Results, under one name or another. */
function results(name: 'r' | 'outcome'): Pipeline {
  return pipelineOf((given, s) => {
    given.computed(name, {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s },
      make: (inputs) => ({ value: inputs.s.v * 2 }),
    });
  });
}

/** A note leads to a result that the definitions no longer have. */
function withoutWhatItUses(): Pipeline {
  const before = results('r');
  const r = before.tables.find(({ spec }) => spec.name === 'lab.r') as Table<
    { readonly s: number },
    object,
    object
  >;
  return pipelineOf((given) => {
    given.manual('note', { key: { note: t.integer() }, references: { r } });
  });
}

function suite(given: StoreUnderTest): void {
  const unchanged = async (lab: Lab, work: () => Promise<object>): Promise<object> => {
    const before = await liveState(lab.store);
    const outcome = await work();
    expect(await liveState(lab.store)).toEqual(before);
    return outcome;
  };

  it('a rename that nobody declared is asked about, and answered by a word or a rule', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(results('r'));
    await lab.store.script(TWO_SOURCES);
    await lab.populate(results('r'));
    expect(await unchanged(lab, () => lab.plan(results('outcome')))).toMatchObject({
      status: 'refused',
      findings: [
        {
          code: 'rename_unclear',
          subject: 'lab.outcome',
          hint: expect.stringContaining("renamedFrom: 'lab.r'"),
        },
      ],
    });
    await lab.deploy(results('outcome'), { 'lab.r': 'retire' });
    expect(await lab.rows("select to_regclass('lab.r')::text as gone")).toEqual([{ gone: null }]);
  });

  it('a table that is gone from the definitions while others lead to it is named before anything is planned', () => {
    expect(definitionsOf([withoutWhatItUses()])).toMatchObject({
      status: 'refused',
      findings: [{ code: 'unknown_table', hint: expect.stringMatching(/\w/u) }],
    });
  });

  it('an attribution rule that fails on some rows is a refusal, and nothing is written', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await lab.store.script('insert into lab.s values (3, 30); insert into lab.r values (3, 37)');
    const outcome = await unchanged(lab, () =>
      lab
        .plan(TWO, { 'lab.r.side': '1 / (s - 3)' })
        .catch((error: unknown) => ({ threw: (error as { code?: string }).code })),
    );
    expect(outcome).toMatchObject({ status: 'refused', findings: [{ code: 'attribute_invalid' }] });
  });

  it('a rule that gives a key which is not there leaves its rows ambiguous', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await lab.store.script('insert into lab.s values (3, 30); insert into lab.r values (3, 37)');
    expect(await unchanged(lab, () => lab.plan(TWO, { 'lab.r.side': '99' }))).toMatchObject({
      outcome: {
        findings: [{ code: 'rows_ambiguous', subject: 'lab.r', detail: { rows: 1 } }],
        plan: { shown: { reasons: [{ class: 'ambiguous', why: 'no such row: lab.side', rows: 1 }] } },
      },
    });
    await lab.deploy(TWO, { 'lab.r.side': '1' });
    expect(await lab.rows('select * from lab.r where s = 3')).toEqual([{ s: 3, side: 1, value: 37 }]);
  });

  it('a make that throws ends the run as it was before, and the finding names keys, for no job is left to look at', async () => {
    await using lab = await openLab(given.store);
    const one = results('r');
    await lab.deploy(one);
    await lab.store.script(TWO_SOURCES);
    expect(await lab.populate(one)).toMatchObject({ status: 'done' });
    const two = pipelineOf((made, s) => {
      made.computed('r', {
        parents: [s],
        columns: { value: t.integer(), more: t.integer() },
        reads: { s },
        make: (inputs) => {
          if (inputs.s.v === 20) throw new RangeError(`no more of ${String(inputs.s.v)}`);
          return { value: inputs.s.v * 2, more: 1 };
        },
      });
    });
    const id = await lab.planned(two);
    const outcome = await unchanged(lab, () => lab.apply(two, id));
    expect(outcome).toMatchObject({
      status: 'rolled_back',
      findings: [{ code: 'make_failed', subject: 'lab.r', detail: { keys: 1, first: [{ s: 2 }] } }],
    });
    expect(JSON.stringify(outcome)).not.toMatch(/no more of|varve jobs/u);
  });
}

withEmbedded('bad input of an evolution', suite);
withPostgres('bad input of an evolution', 18, suite);

withPostgres('what the server does not give', 18, (given) => {
  it('a lock that cannot be had ends the run as it was before, with a finding that says so', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await using reader = await postgresStore({ url: given.url() });
    const id = await lab.planned(TWO);
    const before = await liveState(lab.store);
    await reader.transaction({}, async (transaction) => {
      await transaction.query(sql`select count(*) from lab.r`);
      expect(await lab.apply(TWO, id, { deadlineMs: 2_000 })).toMatchObject({
        status: 'rolled_back',
        findings: [{ code: 'lock_unavailable' }],
      });
    });
    expect(await liveState(lab.store)).toEqual(before);
    expect(await settledState(lab.options(TWO))).toEqual(SETTLED);
    expect(await lab.apply(TWO, id)).toMatchObject({ status: 'applied' });
  });

  const cannotMount =
    process.platform !== 'linux'
      ? 'tmpfs is mounted on Linux only'
      : process.getuid?.() !== 0
        ? 'mounting needs root'
        : undefined;
  if (cannotMount !== undefined) console.log(`no test of a full disk: ${cannotMount}`);
  else
    it('a disk that is full while rows are attributed ends the run as it was before', async () => {
      await using lab = await openLab(given.store);
      await sideLab(lab);
      await lab.store.script('insert into lab.s select i, i from generate_series(3, 60000) i');
      await lab.store.script('insert into lab.r select i, i + 7 from generate_series(3, 60000) i');
      const [{ folder } = { folder: '' }] = await lab.store.query<{ folder: string }>(
        sql`select current_setting('data_directory') as folder`,
      );
      const mount = `${folder}_small`;
      execFileSync('mkdir', [mount]);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', mount]);
      try {
        execFileSync('chown', ['--reference', folder, mount]);
        const id = await lab.planned(TWO, { 'lab.r': 'recompute', 'lab.r.side': '1' });
        const before = await liveState(lab.store);
        await lab.store.execute(sql`create tablespace small location ${sql.raw(`'${mount}'`)}`);
        const [{ name } = { name: '' }] = await lab.store.query<{ name: string }>(
          sql`select current_database() as name`,
        );
        await lab.store.execute(
          sql`alter role current_user in database ${sql.id(name)} set default_tablespace = small`,
        );
        await using small = await postgresStore({ url: given.url() });
        const outcome = await lab.apply(TWO, id, { store: small });
        await lab.store.execute(
          sql`alter role current_user in database ${sql.id(name)} reset default_tablespace`,
        );
        expect(outcome).toMatchObject({ status: 'rolled_back', findings: [{ code: 'database_full' }] });
        expect(await liveState(lab.store)).toEqual(before);
        expect(await settledState(lab.options(TWO))).toEqual(SETTLED);
        await lab.store.execute(sql`drop tablespace small`);
      } finally {
        execFileSync('umount', [mount]);
        execFileSync('rmdir', [mount]);
      }
    }, 120_000);
});
