/** What crash tests evolve: the two sides, the rows before, and the rules. */
import { sql as ksql } from 'kysely';
import type { Attribution } from '../../src/evolution/index.ts';
import { part, t, type Pipeline } from '../../src/pipeline/index.ts';
import { versionOne, versionTwo } from './side-pipeline.ts';
import { lab } from './tables.ts';

/** An evolution to be killed at. */
export interface CrashStory {
  readonly from: () => Pipeline;
  /** `change` is what the make adds beyond its reads: 0 is a good make. */
  readonly to: (change: number) => Pipeline;
  /** Rows before `from` is populated, and after. */
  readonly rows: string;
  readonly later: string;
  readonly attribute: Attribution;
  /** What a writer commits meanwhile, into a table of the old shape; `:n` is its number. */
  readonly write?: string;
}

/** By name, as a process is told. */
export const CRASH_STORIES: Readonly<Record<string, CrashStory>> = {
  declare: {
    from: () => versionOne('lab'),
    to: (change) => versionTwo('lab', change),
    rows: `insert into lab.s select i, i * 10 from generate_series(1, 20) i; insert into lab.side values (1, 7)`,
    // One row of which nothing is recorded, so that there is something to compute.
    later: 'insert into lab.s values (21, 210); insert into lab.r values (21, 217)',
    attribute: { 'lab.r': 'recompute' },
  },
  widen: {
    from: narrow,
    to: wide,
    rows: `
      insert into lab.s select i, i * 10 from generate_series(1, 12) i;
      insert into lab.param values (1, 7), (2, 9); insert into lab.tag values (1, 'one')`,
    later: `insert into lab.note select i, i, 'kept' from generate_series(1, 5) i;
      drop table if exists public.written; create table public.written (n integer primary key)`,
    attribute: {},
    write: `with w as (insert into public.written values (1000 + :n)) insert into lab.note values (1000 + :n, 1, 'meanwhile')`,
  },
};

const PIECES = { piece: part({ key: { n: t.integer() }, columns: { x: t.integer() } }) };

/** `r` reads one parameter without declaring it, and both where v is 120; it has parts, and rows below. */
function narrow(): Pipeline {
  return lab((given, s) => {
    given.manual('param', { key: { param: t.integer() }, columns: { k: t.integer() } });
    given.manual('tag', { key: { tag: t.integer() }, columns: { word: t.text() } });
    const r = given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      strict: 'observe',
      reads: { s },
      parts: PIECES,
      makeWith: async (db) => {
        const { v } = await db.selectFrom('s').select('v').executeTakeFirstOrThrow();
        const wanted = v === 120 ? ksql`true` : ksql`param = 1`;
        const found = await ksql<{
          k: number;
        }>`select k from lab.param where ${wanted} order by param`.execute(db);
        const value = v * (found.rows[0]?.k ?? 0);
        return { value, parts: { piece: [{ n: 1, x: value }] } };
      },
    });
    given.computed('d', {
      parents: [r],
      columns: { twice: t.integer() },
      reads: { r },
      make: (inputs) => ({ twice: inputs.r.value * 2 }),
    });
    given.computed('e', {
      parents: [s],
      columns: { w: t.integer() },
      reads: { s },
      make: (inputs) => ({ w: inputs.s.v }),
    });
    given.computed('gone', {
      parents: [s],
      columns: { w: t.integer() },
      reads: { s },
      make: (inputs) => ({ w: inputs.s.v }),
    });
    given.manual('note', {
      key: { note: t.integer() },
      references: { r },
      columns: { text: t.text() },
    });
  });
}

/** The parameter is part of the key, a table stands between `s` and `e`, one has another name, one is gone. */
function wide(change: number): Pipeline {
  return lab((given, s) => {
    const param = given.manual('param', { key: { param: t.integer() }, columns: { k: t.integer() } });
    given.manual('label', { renamedFrom: 'tag', key: { tag: t.integer() }, columns: { word: t.text() } });
    const r = given.computed('r', {
      parents: [s, param],
      columns: { value: t.integer() },
      reads: { s, param },
      parts: PIECES,
      make: (inputs) => {
        const value = inputs.s.v * inputs.param.k + change;
        return { value, parts: { piece: [{ n: 1, x: value }] } };
      },
    });
    given.computed('d', {
      parents: [r],
      columns: { twice: t.integer() },
      reads: { r },
      make: (inputs) => ({ twice: inputs.r.value * 2 }),
    });
    const step = given.computed('step', {
      parents: [s],
      key: { step: t.integer() },
      columns: { factor: t.integer() },
      reads: { s },
      make: () => [{ step: 0, factor: 1 }],
    });
    given.computed('e', {
      parents: [step],
      columns: { w: t.integer() },
      reads: { s, step },
      make: (inputs) => ({ w: inputs.s.v * inputs.step.factor }),
    });
    given.manual('note', {
      key: { note: t.integer() },
      references: { r },
      columns: { text: t.text() },
    });
  });
}
