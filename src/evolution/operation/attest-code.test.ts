import { expect, it } from 'vitest';
import { planEvolution, type Attestation, type EvolutionPlan } from '../index.ts';
import { populate, why, type Pipeline } from '../../pipeline/index.ts';
import { sql } from '../../store/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../../../test/harness/index.ts';
import { openLab, worldOf, type Lab } from '../../../test/evolution/lab.ts';
import { definitionsFrom } from '../../../test/evolution/side-pipeline.ts';
import { liveState, SETTLED, settledState } from '../../../test/evolution/state.ts';
import { OTHER, SAME, WORDS, words } from '../../../test/evolution/word-pipeline.ts';

const TWICE: Attestation = { table: 'lab.twice' };

async function wordLab(lab: Lab): Promise<void> {
  await lab.deploy(WORDS);
  await lab.store.script(`insert into lab.note select n, 'a word ' || n from generate_series(1, 8) n`);
  expect(await lab.populate(WORDS)).toMatchObject({ status: 'done' });
}

function attest(lab: Lab, given: Pipeline, some: readonly Attestation[] = [TWICE]): Promise<EvolutionPlan> {
  return planEvolution(lab.options(given), worldOf(definitionsFrom(given)), {}, { attest: some });
}

async function attested(lab: Lab, given: Pipeline, some?: readonly Attestation[]): Promise<string> {
  const plan = await attest(lab, given, some);
  if (plan.status !== 'planned' || plan.outcome.findings.length > 0) throw new Error(JSON.stringify(plan));
  return plan.migrationId;
}

async function staleRows(lab: Lab, given: Pipeline): Promise<Readonly<Record<string, number>>> {
  const found = await lab.stale(given);
  if (found.status !== 'ok') throw new Error(JSON.stringify(found));
  return Object.fromEntries(found.tables.map(({ table, stale }) => [table, stale.length]));
}

const suite = (given: StoreUnderTest): void => {
  it('keeps every row under the new code, goes back to the old one, and comes again', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab);
    const before = await liveState(lab.store);
    const rows = await lab.rows('select *, xmin::text from lab.twice order by 1');
    expect(await staleRows(lab, SAME)).toEqual({ 'lab.split': 0, 'lab.twice': 8 });

    const id = await attested(lab, SAME);
    expect(await lab.apply(SAME, id)).toMatchObject({
      status: 'applied',
      tables: [{ table: 'lab.twice', keep: 8 }],
    });
    expect(await staleRows(lab, SAME)).toEqual({ 'lab.split': 0, 'lab.twice': 0 });
    expect(await lab.rows('select *, xmin::text from lab.twice order by 1')).toEqual(rows);
    const answer = await why(lab.store, 'lab.twice', { note: 3 });
    expect(answer).toMatchObject({
      origin: {
        computation: {
          origin: 'attributed',
          attribution: { rule: 'attested', migration: id, sample: 8, seed: '' },
        },
      },
    });
    const after = await liveState(lab.store);

    expect(await lab.rollback(SAME, id)).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await liveState(lab.store)).toEqual(before);
    expect(await lab.apply(SAME, id)).toMatchObject({ status: 'applied', already: false });
    expect(await liveState(lab.store)).toEqual(after);
    expect(await lab.populate(SAME)).toMatchObject({
      tables: [{ computed: 0 }, { computed: 0, skippedUnchanged: 8 }],
    });
    expect(await lab.verify(SAME)).toMatchObject({ status: 'equal' });
    expect(await settledState(lab.options(SAME))).toEqual(SETTLED);
  });

  it('leaves rows stale whose inputs moved, and takes none of them for its sample', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab);
    await lab.store.script(`update lab.note set text = 'b' where note <= 3`);
    await lab.populate(WORDS, ['lab.split']);
    const id = await attested(lab, SAME);
    expect(await lab.apply(SAME, id)).toMatchObject({ status: 'applied' });
    expect(await staleRows(lab, SAME)).toEqual({ 'lab.split': 0, 'lab.twice': 3 });
    expect(await lab.populate(SAME)).toMatchObject({ tables: [{}, { table: 'lab.twice', computed: 3 }] });
    expect(await lab.verify(SAME)).toMatchObject({ status: 'equal' });

    // What was computed since keeps its own origin on the way back; the others get back the code they had.
    expect(await lab.rollback(SAME, id)).toMatchObject({ status: 'applied' });
    expect(await staleRows(lab, SAME)).toEqual({ 'lab.split': 0, 'lab.twice': 5 });
    expect(await staleRows(lab, WORDS)).toEqual({ 'lab.split': 0, 'lab.twice': 3 });
  });

  it('attests every earlier code by a sample of its own', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab);
    await lab.store.script(`insert into lab.note select n, 'a word ' || n from generate_series(9, 12) n`);
    await lab.populate(WORDS, ['lab.split']);
    const second = worldOf(definitionsFrom(SAME));
    const where = sql`note > 8`;
    expect(await populate(lab.store, { ...second, tables: ['lab.twice'], where })).toMatchObject({
      tables: [{ computed: 4 }],
    });
    const third = words(({ split }) => ({ twice: 4 * (split.count / 2) }));
    const plan = await attest(lab, third, [{ table: 'lab.twice', sample: 5, seed: 'x' }]);
    if (plan.status !== 'planned' || plan.outcome.status !== 'planned') throw new Error(JSON.stringify(plan));
    expect(plan.outcome.plan.bound.work['states']).toMatchObject([{ codes: [{ keys: 8 }, { keys: 4 }] }]);
    expect(await lab.apply(third, plan.migrationId)).toMatchObject({ status: 'applied' });
    expect(await staleRows(lab, third)).toEqual({ 'lab.split': 0, 'lab.twice': 0 });
    const found = await lab.rows(`
      select attribution ->> 'sample' as sample, attribution ->> 'seed' as seed, count(*)::int as keys
      from varve.computation c join varve.computation_spec s on s.id = c.spec
      where attribution ->> 'rule' = 'attested' group by 1, 2, s.id order by 3`);
    expect(found).toEqual([
      { sample: '4', seed: 'x', keys: 4 },
      { sample: '5', seed: 'x', keys: 8 },
    ]);
  });

  it('is refused where the make gives something else or fails, and changes nothing', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab);
    const before = await liveState(lab.store);
    const failing = words(({ split }) => {
      throw new RangeError(String(split.count));
    });
    for (const [make, code] of [
      [OTHER, 'make_changed'],
      [failing, 'make_failed'],
    ] as const) {
      const id = await attested(lab, make);
      const outcome = await lab.apply(make, id);
      expect(outcome).toMatchObject({
        status: 'rolled_back',
        findings: expect.arrayContaining([expect.objectContaining({ code })]) as unknown,
      });
      expect(await liveState(lab.store)).toEqual(before);
      expect(await settledState(lab.options(make))).toEqual(SETTLED);
    }
  });

  it.each(['E04_sampled', 'E02_attributed', 'E06_renamed'])(
    'is undone when it breaks at %s',
    async (point) => {
      await using lab = await openLab(given.store);
      await wordLab(lab);
      const before = await liveState(lab.store);
      const id = await attested(lab, SAME);
      const fault = (hit: string): Promise<void> =>
        hit === point ? Promise.reject(new TypeError('broken here')) : Promise.resolve();
      expect(await lab.apply(SAME, id, { fault })).toMatchObject({ status: 'rolled_back' });
      expect(await liveState(lab.store)).toEqual(before);
      const specs = await lab.rows(
        `select count(*)::int as n from varve.computation_spec where origin = 'attributed'`,
      );
      expect(specs).toEqual([{ n: 0 }]);
      expect(await settledState(lab.options(SAME))).toEqual(SETTLED);
      expect(await lab.apply(SAME, id)).toMatchObject({ status: 'applied', already: false });
      expect(await staleRows(lab, SAME)).toMatchObject({ 'lab.twice': 0 });
    },
  );

  it('is not planned where there is nothing to attest, or no such table', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab);
    const codes = async (given_: Pipeline, some: readonly Attestation[]): Promise<readonly string[]> => {
      const plan = await attest(lab, given_, some);
      if (plan.status === 'nothing') return ['nothing'];
      const findings = plan.status === 'refused' ? plan.findings : plan.outcome.findings;
      return findings.map(({ code }) => code);
    };
    expect(await codes(WORDS, [TWICE])).toEqual(['nothing_to_attest']);
    expect(await codes(SAME, [{ table: 'lab.note' }])).toEqual(['unknown_table']);
    expect(await codes(SAME, [])).toEqual(['nothing']);
  });

  it('is refused when more was computed since the plan', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab);
    const id = await attested(lab, SAME);
    await lab.populate(SAME);
    expect(await lab.apply(SAME, id)).toMatchObject({
      status: 'refused',
      findings: expect.arrayContaining([expect.objectContaining({ code: 'plan_changed' })]) as unknown,
    });
  });
};

withEmbedded('the life of attest_code', suite);
withPostgres('the life of attest_code', 18, suite);
