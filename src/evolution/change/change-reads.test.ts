import { expect, it } from 'vitest';
import { withEmbedded } from '../../../test/harness/index.ts';
import { openLab, worldOf } from '../../../test/evolution/lab.ts';
import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { definitionsFrom } from '../../../test/evolution/side-pipeline.ts';
import { bare, lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { explainEvolution } from '../index.ts';
import type { RunOutcome } from '../../migration/index.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

type Reading = 'source' | 'source and sides' | 'a column';

function reads(what: Reading): Pipeline {
  return lab((given, s) => {
    const side = given.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
    const options = { parents: [s], columns: { value: t.integer() } } as const;
    if (what === 'source')
      given.computed('r', { ...options, reads: { s }, make: (inputs) => ({ value: inputs.s.v }) });
    if (what === 'a column')
      given.computed('r', {
        ...options,
        reads: { s: s.columns('v') },
        make: (inputs) => ({ value: inputs.s.v }),
      });
    if (what === 'source and sides')
      given.computed('r', {
        ...options,
        reads: { s, sides: side.all() },
        make: (inputs) => ({ value: inputs.s.v + inputs.sides.reduce((sum, { off }) => sum + off, 0) }),
      });
  });
}

/** The same where the source has one more column, which `columns` reads as well. */
function widerSource(what: Reading | 'columns' = 'source'): Pipeline {
  return bare((given) => {
    const columns = { v: t.integer(), more: t.integer().default(0) };
    const s = given.manual('s', { key: { s: t.integer() }, columns });
    const side = given.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: {
        s: what === 'a column' ? s.columns('v') : what === 'columns' ? s.columns('v', 'more') : s,
        ...(what === 'source and sides' ? { sides: side.all() } : {}),
      },
      make: (inputs) => ({ value: inputs.s.v }),
    });
  });
}

const ROWS = `${TWO_SOURCES} insert into lab.side values (1, 7);`;
const OLD = [
  { s: 1, value: 10 },
  { s: 2, value: 20 },
];
const NEW = [
  { s: 1, value: 17 },
  { s: 2, value: 27 },
];

/** A sum over what is read: of one column of the source, or of both that it has all along. The make is the same text. */
function sum(isWide: boolean): Pipeline {
  return bare((given) => {
    const s = given.manual('s', { key: { s: t.integer() }, columns: { v: t.integer(), w: t.integer() } });
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s: isWide ? s : s.columns('v') },
      make: (inputs) => ({
        value: Object.entries(inputs.s).reduce((all, [name, n]) => (name === 's' ? all : all + n), 0),
      }),
    });
  });
}

const BOTH = 'insert into lab.s values (1, 10, 5), (2, 20, 6);';
const SUMS = [
  { s: 1, value: 15 },
  { s: 2, value: 26 },
];

lifecycleTable('change_reads', [
  {
    name: 'a read of which nothing is recorded has the rows computed',
    given: { from: reads('source'), to: reads('source and sides'), rows: ROWS },
    look: 'lab.r',
    wantWords: ['reads lab.r sides'],
    wantCounts: { 'lab.r': { recompute: 2 } },
    afterApply: NEW,
    afterRollback: OLD,
    afterSecondApply: NEW,
  },
  {
    name: 'a read that is no more leaves the rows as they are, if the make gives the same',
    given: { from: reads('source and sides'), to: reads('source'), rows: TWO_SOURCES },
    look: 'lab.r',
    wantCounts: { 'lab.r': { keep: 2 } },
    afterApply: OLD,
    afterRollback: OLD,
    afterSecondApply: OLD,
  },
  {
    name: 'and is found out if it does not',
    given: { from: reads('source and sides'), to: reads('source'), rows: ROWS },
    look: 'lab.r',
    wantCounts: { 'lab.r': { keep: 2 } },
    wantApplyFindings: ['make_changed'],
  },
  {
    name: 'also where what it goes on reading has a column more',
    given: { from: reads('source and sides'), to: widerSource(), rows: ROWS },
    look: 'lab.r',
    wantCounts: { 'lab.r': { keep: 2 } },
    wantApplyFindings: ['make_changed'],
  },
  {
    name: 'less of a row that was read is less than what is recorded',
    given: { from: reads('source'), to: reads('a column'), rows: ROWS },
    look: 'lab.r',
    afterApply: OLD,
    afterRollback: OLD,
    afterSecondApply: OLD,
  },
  {
    name: 'a column that was there and was not read has the rows computed',
    given: { from: sum(false), to: sum(true), rows: BOTH },
    look: 'lab.r',
    wantWords: ['reads lab.r s'],
    wantCounts: { 'lab.r': { recompute: 2 } },
    afterApply: SUMS,
    afterRollback: OLD,
    afterSecondApply: SUMS,
  },
]);

withEmbedded('a read that takes in a column that was there', (given) => {
  it('is explained, leaves nothing to populate, equals what is computed from scratch, and goes back', async () => {
    await using at = await openLab(given.store);
    await at.deploy(sum(false));
    await at.store.script(BOTH);
    expect(await at.populate(sum(false))).toMatchObject({ status: 'done' });
    const id = await at.planned(sum(true));
    const world = worldOf(definitionsFrom(sum(true)));
    const question = { table: 'lab.r', key: { s: 1 } };
    expect(await explainEvolution(at.options(sum(true)), world, question)).toMatchObject({
      status: 'row',
      row: { class: 'recompute', why: 'read anew: lab.s', inputs: [{ read: 's', known: 'unknown' }] },
    });
    expect(await at.apply(sum(true), id)).toMatchObject({ status: 'applied' });
    expect(await at.rows('select s, value from lab.r order by s')).toEqual(SUMS);
    expect(await at.populate(sum(true))).toMatchObject({
      status: 'done',
      tables: [expect.objectContaining({ table: 'lab.r', computed: 0 })],
    });
    expect(await at.verify(sum(true))).toMatchObject({ status: 'equal' });
    expect(await at.rollback(sum(true), id)).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await at.rows('select s, value from lab.r order by s')).toEqual(OLD);
    expect(await at.verify(sum(false))).toMatchObject({ status: 'equal' });
  });

  it.each<[string, 'keep' | 'recompute', Pipeline, readonly Pipeline[]]>([
    ['comes with the read: kept', 'keep', reads('a column'), [widerSource('columns')]],
    ['is the key: computed', 'recompute', reads('a column'), [reads('source')]],
    [
      'came before it: computed',
      'recompute',
      reads('a column'),
      [widerSource('a column'), widerSource('columns')],
    ],
    [
      'came to what was read: kept',
      'keep',
      reads('source and sides'),
      [widerSource('source and sides'), widerSource('source')],
    ],
  ])('or of one that %s', async (_, becomes, from, steps) => {
    await using at = await openLab(given.store);
    await at.deploy(from);
    await at.store.script(TWO_SOURCES);
    expect(await at.populate(from)).toMatchObject({ status: 'done' });
    const outcomes: RunOutcome[] = [];
    for (const to of steps) outcomes.push(await at.apply(to, await at.planned(to)));
    expect(outcomes.at(-1)).toMatchObject({
      status: 'applied',
      tables: expect.arrayContaining([expect.objectContaining({ table: 'lab.r', [becomes]: 2 })]),
    });
    const last = steps.at(-1) ?? from;
    expect(await at.populate(last)).toMatchObject({
      tables: expect.arrayContaining([expect.objectContaining({ table: 'lab.r', computed: 0 })]),
    });
    expect(await at.verify(last)).toMatchObject({ status: 'equal' });
  });
});
