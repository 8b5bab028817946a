import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

/** A session whose key gets a probe; trials below know its columns under other names, and a table of people refers to trials. */
function sessions(hasProbe: boolean): Pipeline {
  return bare((given) => {
    const mouse = given.manual('mouse', { key: { mouse: t.integer(), day: t.integer() }, columns: {} });
    const session = given.manual('session', {
      parents: [mouse],
      ...(hasProbe ? { key: { probe: t.text() } } : {}),
      columns: { length: t.integer() },
    });
    const named = session.as({ mouse: 'subject', day: 'on_day' });
    const trial = given.computed('trial', {
      parents: [named],
      key: { n: t.integer() },
      reads: { session: named },
      columns: { at: t.integer() },
      make: (inputs) =>
        [1, 2].map((n) => ({ n, at: (inputs.session as { readonly length: number }).length * n })),
    });
    const mean = given.computed('mean', {
      parents: [named],
      columns: { value: t.integer() },
      reads: { trials: trial.matching({ subject: 'subject', on_day: 'on_day' }) },
      make: (inputs) => ({
        value: inputs.trials.reduce((sum, each) => sum + (each as { readonly at: number }).at, 0),
      }),
    });
    given.manual('mark', { key: { mark: t.integer() }, references: { trial, mean: mean.optional() } });
  });
}

const ROWS =
  'insert into lab.mouse values (1, 5), (2, 6); insert into lab.session values (1, 5, 30), (2, 6, 40);';

lifecycleTable('follow_key', [
  {
    name: 'every table below takes the new column along, under its own names',
    given: {
      from: sessions(false),
      to: sessions(true),
      rows: ROWS,
      later: 'insert into lab.mark values (9, 2, 6, 1)',
      attribute: { 'lab.session.probe': "'p' || mouse" },
    },
    look: 'lab.trial',
    wantCounts: {
      'lab.session': { rekey: 2 },
      'lab.trial': { rekey: 4 },
      'lab.mean': { rekey: 2 },
      'lab.mark': { rekey: 1 },
    },
    afterApply: [
      { subject: 1, on_day: 5, probe: 'p1', n: 1, at: 30 },
      { subject: 1, on_day: 5, probe: 'p1', n: 2, at: 60 },
      { subject: 2, on_day: 6, probe: 'p2', n: 1, at: 40 },
      { subject: 2, on_day: 6, probe: 'p2', n: 2, at: 80 },
    ],
    also: { 'select subject, probe, n from lab.mark': [{ subject: 2, probe: 'p2', n: 1 }] },
    afterRollback: [
      { subject: 1, on_day: 5, n: 1, at: 30 },
      { subject: 1, on_day: 5, n: 2, at: 60 },
      { subject: 2, on_day: 6, n: 1, at: 40 },
      { subject: 2, on_day: 6, n: 2, at: 80 },
    ],
    afterSecondApply: [
      { subject: 1, on_day: 5, probe: 'p1', n: 1, at: 30 },
      { subject: 1, on_day: 5, probe: 'p1', n: 2, at: 60 },
      { subject: 2, on_day: 6, probe: 'p2', n: 1, at: 40 },
      { subject: 2, on_day: 6, probe: 'p2', n: 2, at: 80 },
    ],
  },
]);
