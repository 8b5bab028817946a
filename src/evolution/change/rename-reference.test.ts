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
]);
