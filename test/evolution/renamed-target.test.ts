import { sql as ksql } from 'kysely';
import { expect, it } from 'vitest';
import { checkRecordedReads, t, why, type Pipeline } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, type Lab } from './lab.ts';
import { definitionsFrom } from './side-pipeline.ts';
import { lab } from './tables.ts';

interface Shape {
  /** What the table that is read is called, and what it was. */
  readonly law?: string;
  readonly was?: string;
  /** Another table that takes the name. */
  readonly another?: string;
  /** Which table `r` declares to read. */
  readonly declares?: 'law' | 'another';
  /** What the result's column is called. */
  readonly value?: 'value' | 'sum';
}

/** Results that read the latest row of a table; whether they declare it, and what it is called, changes. */
function laws({ law = 'rule', was, another, declares, value = 'value' }: Shape): Pipeline {
  return lab((given, s) => {
    const shape = { key: { rule: t.integer() }, columns: { off: t.integer() } };
    const named = given.manual(law, { ...shape, ...(was === undefined ? {} : { renamedFrom: was }) });
    const other = another === undefined ? undefined : given.manual(another, shape);
    const target = declares === 'another' ? other : named;
    const columns = { [value]: value === 'sum' ? t.integer().renamedFrom('value') : t.integer() };
    if (declares === undefined || target === undefined) {
      given.computed('r', {
        parents: [s],
        columns,
        strict: 'observe',
        reads: { s },
        makeWith: async (db) => {
          const { v } = await db.selectFrom('s').select('v').executeTakeFirstOrThrow();
          const latest = await ksql<{ off: number }>`
            select "off" from ${ksql.id('lab', law)} order by rule desc limit 1`.execute(db);
          return { [value]: v + (latest.rows[0]?.off ?? 0) };
        },
      });
      return;
    }
    given.computed('r', {
      parents: [s],
      references: { target },
      columns,
      reads: { s, rules: target.all() },
      make: ({ s: { v }, rules }) => {
        const latest = rules.reduce((best, each) => (each.rule > best.rule ? each : best));
        return { rule: latest.rule, [value]: v + latest.off };
      },
    });
  });
}

/** The name of the run that computed. */
async function begin(at: Lab): Promise<string> {
  await at.deploy(laws({}));
  await at.store.script('insert into lab.s values (1, 10), (2, 20); insert into lab.rule values (4, 7)');
  const populated = await at.populate(laws({}));
  if (populated.status !== 'done') throw new Error(JSON.stringify(populated));
  return populated.run;
}

async function originOf(at: Lab, asOf?: string) {
  const answer = await why(at.store, 'lab.r', { s: 1 }, asOf === undefined ? {} : { asOf });
  if (answer.status !== 'ok') throw new Error(JSON.stringify(answer));
  return answer.origin.computation;
}

withStores('a table that was read undeclared and goes by another name since', (given) => {
  it('is found by what it was called, and the rows are backfilled', async () => {
    await using at = await openLab(given.store);
    await begin(at);
    const renamed = laws({ law: 'law', was: 'rule' });
    await at.deploy(renamed);
    expect(await originOf(at)).toMatchObject({
      recorded: [{ subject: 'lab.rule', now: 'lab.law', keys: [{ rule: 4 }] }],
    });
    expect(await checkRecordedReads(at.store, definitionsFrom(renamed))).toMatchObject([
      { code: 'undeclared_read', subject: 'lab.r', detail: { reads: 'lab.law', keys: 2 } },
    ]);

    const declared = laws({ law: 'law', declares: 'law' });
    const id = await at.planned(declared);
    expect(await at.apply(declared, id)).toMatchObject({
      status: 'applied',
      tables: [{ table: 'lab.r', backfill: 2, recompute: 0, ambiguous: 0 }],
    });
    expect(await at.rows('select s, rule, value from lab.r order by s')).toEqual([
      { s: 1, rule: 4, value: 17 },
      { s: 2, rule: 4, value: 27 },
    ]);
    expect(await originOf(at)).toMatchObject({ origin: 'attributed', recorded: [] });
    expect(await checkRecordedReads(at.store, definitionsFrom(declared))).toEqual([]);
    expect(await at.populate(declared)).toMatchObject({ status: 'done' });
    expect(await at.verify(declared)).toMatchObject({ status: 'equal' });
  });

  it('is told by both names of rows that were carried since, and found of them too', async () => {
    await using at = await openLab(given.store);
    const run = await begin(at);
    await at.deploy(laws({ law: 'law', was: 'rule' }));
    await at.deploy(laws({ law: 'law', value: 'sum' }));
    const told = { subject: 'lab.rule', now: 'lab.law', declared: false, keys: [{ rule: 4 }] };
    expect(await originOf(at)).toMatchObject({ origin: 'attributed', recorded: [told] });
    expect(await originOf(at, run)).toMatchObject({ origin: 'computed', recorded: [told] });
    const declared = laws({ law: 'law', value: 'sum', declares: 'law' });
    expect(await at.apply(declared, await at.planned(declared))).toMatchObject({
      status: 'applied',
      tables: [{ table: 'lab.r', backfill: 2, ambiguous: 0 }],
    });
  });

  it('is not taken for the table that has its name since', async () => {
    await using at = await openLab(given.store);
    await begin(at);
    await at.deploy(laws({ law: 'law', was: 'rule' }));
    await at.deploy(laws({ law: 'law', another: 'rule' }));
    await at.store.script('insert into lab.rule values (4, 100)');
    expect(await originOf(at)).toMatchObject({ recorded: [{ subject: 'lab.rule', now: 'lab.law' }] });
    const wrong = laws({ law: 'law', another: 'rule', declares: 'another' });
    expect(await at.apply(wrong, await at.planned(wrong))).toMatchObject({
      status: 'refused',
      findings: [{ code: 'rows_ambiguous', subject: 'lab.r', detail: { rows: 2 } }],
    });
    const right = laws({ law: 'law', another: 'rule', declares: 'law' });
    expect(await at.apply(right, await at.planned(right))).toMatchObject({
      status: 'applied',
      tables: [{ table: 'lab.r', backfill: 2, ambiguous: 0 }],
    });
  });
});
