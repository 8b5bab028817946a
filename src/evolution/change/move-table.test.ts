import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare, lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { part, pipeline, t, type Pipeline } from '../../pipeline/index.ts';

/** A table with a part, and one below. */
function results(isRenamed: boolean): Pipeline {
  return lab((given, s) => {
    const r = given.computed(isRenamed ? 'result' : 'r', {
      ...(isRenamed ? { renamedFrom: 'r' } : {}),
      parents: [s],
      columns: { value: t.integer() },
      reads: { s },
      parts: { piece: part({ key: { n: t.integer() }, columns: { x: t.integer() } }) },
      make: (inputs) => ({ value: inputs.s.v * 2, parts: { piece: [{ n: 1, x: inputs.s.v }] } }),
    });
    given.computed('d', {
      parents: [r],
      columns: { half: t.integer() },
      reads: { r },
      make: (inputs) => ({ half: inputs.r.value / 2 }),
    });
  });
}

/** Five tables in a row, in one schema or another. */
function chain(schema: 'lab' | 'hut'): Pipeline {
  const given = pipeline(schema);
  const moved = schema === 'hut' ? { movedFrom: 'lab' } : {};
  const s = given.manual('s', { key: { s: t.integer() }, columns: { x: t.integer() }, ...moved });
  let above: unknown = s;
  for (const name of ['a', 'b']) {
    above = given.computed(name, {
      parents: [above as typeof s],
      columns: { x: t.integer() },
      reads: { above: above as typeof s },
      make: (inputs) => ({ x: inputs.above.x + 1 }),
      ...moved,
    });
  }
  return given;
}

/** Trials as parts of a session, or as a table of their own. */
function trials(as: 'part' | 'table'): Pipeline {
  return bare((given) => {
    const session = given.manual('session', {
      key: { session: t.integer() },
      ...(as === 'part'
        ? { parts: { trial: part({ key: { n: t.integer() }, columns: { at: t.integer() } }) } }
        : {}),
    });
    if (as === 'table') {
      given.manual('trial', {
        renamedFrom: 'session__trial',
        parents: [session],
        key: { n: t.integer() },
        columns: { at: t.integer() },
      });
    }
  });
}

/** The way back as a further evolution: a table becomes a part. */
function partAgain(): Pipeline {
  return bare((given) => {
    given.manual('session', {
      key: { session: t.integer() },
      parts: { trial: part({ renamedFrom: 'trial', key: { n: t.integer() }, columns: { at: t.integer() } }) },
    });
  });
}

function trialTable(): Pipeline {
  return bare((given) => {
    const session = given.manual('session', { key: { session: t.integer() } });
    given.manual('trial', { parents: [session], key: { n: t.integer() }, columns: { at: t.integer() } });
  });
}

const TRIALS = [
  { session: 1, n: 1, at: 5 },
  { session: 1, n: 2, at: 9 },
];
const VALUES = (table: string): string => `select * from ${table} order by 1`;

lifecycleTable('move_table', [
  {
    name: 'another name keeps the rows, those of its parts and those below',
    given: { from: results(false), to: results(true), rows: TWO_SOURCES },
    look: 'lab.r',
    also: {
      [VALUES('lab.result')]: [
        { s: 1, value: 20 },
        { s: 2, value: 40 },
      ],
      [VALUES('lab.result__piece')]: [
        { s: 1, n: 1, x: 10 },
        { s: 2, n: 1, x: 20 },
      ],
      [VALUES('lab.d')]: [
        { s: 1, half: 10 },
        { s: 2, half: 20 },
      ],
    },
    afterRollback: [
      { s: 1, value: 20 },
      { s: 2, value: 40 },
    ],
  },
  {
    name: 'a schema moves with all that is in it',
    given: { from: chain('lab'), to: chain('hut'), rows: 'insert into lab.s values (1, 10), (2, 20)' },
    look: 'lab.b',
    wantCounts: { 'hut.s': { keep: 2 }, 'hut.a': { keep: 2 }, 'hut.b': { keep: 2 } },
    also: {
      [VALUES('hut.b')]: [
        { s: 1, x: 12 },
        { s: 2, x: 22 },
      ],
    },
    afterRollback: [
      { s: 1, x: 12 },
      { s: 2, x: 22 },
    ],
  },
  {
    name: 'a part becomes a table',
    given: {
      from: trials('part'),
      to: trials('table'),
      rows: 'insert into lab.session values (1); insert into lab.session__trial values (1, 1, 5), (1, 2, 9)',
    },
    look: 'lab.session__trial',
    wantCounts: { 'lab.trial': { keep: 2 } },
    also: { [VALUES('lab.trial')]: TRIALS },
    afterRollback: TRIALS,
  },
  {
    name: 'and a table a part',
    given: {
      from: trialTable(),
      to: partAgain(),
      rows: 'insert into lab.session values (1); insert into lab.trial values (1, 1, 5), (1, 2, 9)',
    },
    look: 'lab.trial',
    wantCounts: { 'lab.session__trial': { keep: 2 } },
    also: { [VALUES('lab.session__trial')]: TRIALS },
    afterRollback: TRIALS,
  },
]);
