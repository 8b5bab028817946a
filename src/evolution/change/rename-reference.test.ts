import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

function notes(refer: 'source' | 'origin' | 'origin, column too'): Pipeline {
  return lab((given, s) => {
    given.manual('note', {
      key: { note: t.integer() },
      references:
        refer === 'source' ? { source: s } : { origin: refer === 'origin' ? s : s.as({ s: 'origin' }) },
    });
  });
}

/** Two foreign keys to one table, by other names each time. */
function pairs(refer: 'old' | 'new' | 'said'): Pipeline {
  return lab((given, s) => {
    const [first, second] = [s.as({ s: 'from_s' }), s.as({ s: 'to_s' })];
    given.manual('pair', {
      key: { pair: t.integer() },
      references:
        refer === 'old'
          ? { left: s.as({ s: 'left_s' }), right: s.as({ s: 'right_s' }).optional() }
          : refer === 'new'
            ? { from: first, to: second.optional() }
            : {
                from: first.renamedFrom({ s: 'right_s' }).optional(),
                to: second.renamedFrom({ s: 'left_s' }),
              },
    });
  });
}

/** The same as part of the key. */
function links(isRenamed: boolean): Pipeline {
  return lab((given, s) => {
    given.manual('link', {
      parents: isRenamed
        ? [s.as({ s: 'child' }).renamedFrom({ s: 'b' }), s.as({ s: 'parent' }).renamedFrom({ s: 'a' })]
        : [s.as({ s: 'a' }), s.as({ s: 'b' })],
    });
  });
}

const PAIRS = `${TWO_SOURCES} insert into lab.pair (pair, left_s, right_s) values (1, 1, 2), (2, 2, null)`;

const ROWS = `${TWO_SOURCES} insert into lab.note values (1, 2)`;
const HELD =
  "select count(*)::int as keys from pg_constraint where contype = 'f' and conrelid = 'lab.note'::regclass";

lifecycleTable('renaming a foreign key', [
  {
    name: 'its name alone is a word in the definition',
    given: { from: notes('source'), to: notes('origin'), rows: ROWS },
    look: 'lab.note',
    wantCounts: { 'lab.note': { keep: 1 } },
    afterApply: [{ note: 1, s: 2 }],
    also: { [HELD]: [{ keys: 1 }] },
    afterRollback: [{ note: 1, s: 2 }],
    afterSecondApply: [{ note: 1, s: 2 }],
  },
  {
    name: 'its column goes by what it leads to, and needs no word',
    given: { from: notes('source'), to: notes('origin, column too'), rows: ROWS },
    look: 'lab.note',
    wantWords: ['rename lab.note.s -> origin'],
    wantCounts: { 'lab.note': { keep: 1 } },
    afterApply: [{ note: 1, origin: 2 }],
    also: { [HELD]: [{ keys: 1 }] },
    afterRollback: [{ note: 1, s: 2 }],
    afterSecondApply: [{ note: 1, origin: 2 }],
  },
  {
    name: 'several at once are asked about',
    given: { from: pairs('old'), to: pairs('new'), rows: PAIRS },
    look: 'lab.pair',
    wantFindings: ['rename_unclear', 'rename_unclear'],
  },
  {
    name: 'and told apart where the definition says which is which',
    given: { from: pairs('old'), to: pairs('said'), rows: PAIRS },
    look: 'lab.pair',
    wantCounts: { 'lab.pair': { keep: 2 } },
    afterApply: [
      { pair: 1, from_s: 2, to_s: 1 },
      { pair: 2, from_s: null, to_s: 2 },
    ],
    afterRollback: [
      { pair: 1, left_s: 1, right_s: 2 },
      { pair: 2, left_s: 2, right_s: null },
    ],
    afterSecondApply: [
      { pair: 1, from_s: 2, to_s: 1 },
      { pair: 2, from_s: null, to_s: 2 },
    ],
  },
  {
    name: 'in the key as well',
    given: {
      from: links(false),
      to: links(true),
      rows: `${TWO_SOURCES} insert into lab.link (a, b) values (1, 2)`,
    },
    look: 'lab.link',
    wantCounts: { 'lab.link': { keep: 1 } },
    afterApply: [{ child: 2, parent: 1 }],
    afterRollback: [{ a: 1, b: 2 }],
    afterSecondApply: [{ child: 2, parent: 1 }],
  },
]);
