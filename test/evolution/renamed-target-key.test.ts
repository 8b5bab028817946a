import { sql as ksql } from 'kysely';
import { expect, it } from 'vitest';
import { explainEvolution } from '../../src/evolution/index.ts';
import { history, t, why, type Pipeline } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, worldOf, type Lab } from './lab.ts';
import { definitionsFrom } from './side-pipeline.ts';
import { lab, type Source } from './tables.ts';

/** Results that read the latest row of a table without saying so. */
function observed(
  given: Pipeline,
  s: Source,
  { table, key }: { readonly table: string; readonly key: string },
): void {
  given.computed('r', {
    parents: [s],
    columns: { value: t.integer() },
    strict: 'observe',
    reads: { s },
    makeWith: async (db) => {
      const { v } = await db.selectFrom('s').select('v').executeTakeFirstOrThrow();
      const latest = await ksql<{ off: number }>`
        select "off" from ${ksql.id('lab', table)} order by ${ksql.id(key)} desc limit 1`.execute(db);
      return { value: v + (latest.rows[0]?.off ?? 0) };
    },
  });
}

const columns = { off: t.integer() };

function first(): Pipeline {
  return lab((given, s) => {
    given.manual('rule', { key: { rule: t.integer() }, columns });
    observed(given, s, { table: 'rule', key: 'rule' });
  });
}

/** The column of the key is called otherwise. */
function renamed(): Pipeline {
  return lab((given, s) => {
    given.manual('rule', { key: { law: t.integer().renamedFrom('rule') }, columns });
    observed(given, s, { table: 'rule', key: 'law' });
  });
}

/** And so is the table. */
function renamedTwice(): Pipeline {
  return lab((given, s) => {
    given.manual('act', { key: { law: t.integer() }, columns, renamedFrom: 'rule' });
    observed(given, s, { table: 'act', key: 'law' });
  });
}

/** What was read is declared. */
function declared(): Pipeline {
  return lab((given, s) => {
    const act = given.manual('act', { key: { law: t.integer() }, columns });
    given.computed('r', {
      parents: [s],
      references: { act },
      columns: { value: t.integer() },
      reads: { s, acts: act.all() },
      make: ({ s: { v }, acts }) => {
        const latest = acts.reduce((best, each) => (each.law > best.law ? each : best));
        return { law: latest.law, value: v + latest.off };
      },
    });
  });
}

/** Another key column takes the place of the one that was read by. */
function another(): Pipeline {
  return lab((given, s) => {
    given.manual('rule', { key: { law: t.integer() }, columns });
    observed(given, s, { table: 'rule', key: 'law' });
  });
}

async function begin(at: Lab): Promise<void> {
  await at.deploy(first());
  await at.store.script(
    'insert into lab.s values (1, 10), (2, 20); insert into lab.rule values (3, 5), (4, 7)',
  );
  await at.populate(first());
}

withStores('a table that was read undeclared and whose key is called otherwise since', (given) => {
  it('is told of as it was called then, and the row that was read is found', async () => {
    await using at = await openLab(given.store);
    await begin(at);
    await at.deploy(renamed());
    expect(await why(at.store, 'lab.r', { s: 1 }, { deep: true })).toMatchObject({
      origin: { computation: { recorded: [{ subject: 'lab.rule', keys: [{ rule: 4 }] }] } },
      above: [
        { table: 'lab.s', key: { s: 1 } },
        { table: 'lab.rule', key: { law: 4 } },
      ],
    });
    expect(await history(at.store, 'lab.rule', { key: { rule: 4 } })).toMatchObject({
      versions: [{ rows: { 'lab.rule': [{ rule: 4, off: 7 }] }, ended: 'structure' }],
    });
    await at.deploy(renamedTwice());
    expect(await why(at.store, 'lab.r', { s: 1 }, { deep: true })).toMatchObject({
      above: [{ table: 'lab.s' }, { table: 'lab.act', key: { law: 4 } }],
    });
  });

  it('is what rows are attributed to once it is declared', async () => {
    await using at = await openLab(given.store);
    await begin(at);
    await at.deploy(renamed());
    await at.deploy(renamedTwice());
    const world = worldOf(definitionsFrom(declared()));
    const asked = { table: 'lab.r', key: { s: 1 } };
    expect(await explainEvolution(at.options(declared()), world, asked)).toMatchObject({
      row: {
        class: 'backfill',
        recorded: [{ subject: 'lab.rule', now: 'lab.act', keys: [{ rule: 4 }] }],
      },
    });
    const id = await at.planned(declared());
    expect(await at.apply(declared(), id)).toMatchObject({
      status: 'applied',
      tables: [{ table: 'lab.r', backfill: 2, recompute: 0, ambiguous: 0 }],
    });
    expect(await at.rows('select s, law, value from lab.r order by s')).toEqual([
      { s: 1, law: 4, value: 17 },
      { s: 2, law: 4, value: 27 },
    ]);
    expect(await at.populate(declared())).toMatchObject({ status: 'done' });
    expect(await at.verify(declared())).toMatchObject({ status: 'equal' });
  });

  it('is not guessed at where another column took the place of its key', async () => {
    await using at = await openLab(given.store);
    await begin(at);
    const id = await at.deploy(another(), { 'lab.rule.law': 'rule + 1' });
    expect(await at.rows('select law, "off" from lab.rule order by 1')).toEqual([
      { law: 4, off: 5 },
      { law: 5, off: 7 },
    ]);
    expect(await why(at.store, 'lab.r', { s: 1 }, { deep: true })).toMatchObject({
      origin: { computation: { recorded: [{ keys: [{ rule: 4 }] }] } },
      above: [{ table: 'lab.s' }],
    });
    await at.deploy(renamedTwice());
    expect(await at.apply(declared(), await at.planned(declared()))).toMatchObject({
      status: 'refused',
      findings: [{ code: 'rows_ambiguous', subject: 'lab.r', detail: { rows: 2 } }],
    });
    expect(id).toMatch(/^PIPE-MIG-/u);
  });
});
