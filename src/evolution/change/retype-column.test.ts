import { expect, it } from 'vitest';
import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare } from '../../../test/evolution/tables.ts';
import { t, type Pipeline, type ReadSpec, type TableSpec } from '../../pipeline/index.ts';
import { readAsOther } from './retype-column.ts';

function typed(type: ReturnType<typeof t.integer>): Pipeline {
  return bare((given) => {
    given.manual('s', { key: { s: t.integer() }, columns: { v: type } });
  });
}

const TEXT = typed(t.text() as never);
const INTEGER = typed(t.integer());
const BIGINT = typed(t.bigint() as never);
const DOUBLE = typed(t.double());

lifecycleTable('retype_column', [
  {
    name: 'a wider type keeps the rows',
    given: { from: INTEGER, to: BIGINT, rows: 'insert into lab.s values (1, 10), (2, 20)' },
    look: 'lab.s',
    wantWords: ['retype lab.s.v integer -> bigint'],
    wantCounts: { 'lab.s': { keep: 2 } },
    afterApply: [
      { s: 1, v: 10n },
      { s: 2, v: 20n },
    ],
    afterRollback: [
      { s: 1, v: 10 },
      { s: 2, v: 20 },
    ],
    afterSecondApply: [
      { s: 1, v: 10n },
      { s: 2, v: 20n },
    ],
  },
  {
    name: 'a narrower one keeps those that it can hold as they are',
    given: { from: DOUBLE, to: INTEGER, rows: 'insert into lab.s values (1, 10), (2, 20.5)' },
    look: 'lab.s',
    wantCounts: { 'lab.s': { keep: 1, ambiguous: 1 } },
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'and a rule says what becomes of the others',
    given: {
      from: DOUBLE,
      to: INTEGER,
      rows: 'insert into lab.s values (1, 10), (2, 20.5)',
      attribute: { 'lab.s.v': 'round(v)' },
    },
    look: 'lab.s',
    afterApply: [
      { s: 1, v: 10 },
      { s: 2, v: 20 },
    ],
    afterRollback: [
      { s: 1, v: 10 },
      { s: 2, v: 20.5 },
    ],
    afterSecondApply: [
      { s: 1, v: 10 },
      { s: 2, v: 20 },
    ],
  },
  {
    name: 'text that reads as a number becomes one',
    given: { from: TEXT, to: INTEGER, rows: "insert into lab.s values (1, '10'), (2, '20')" },
    look: 'lab.s',
    wantCounts: { 'lab.s': { keep: 2 } },
    afterApply: [
      { s: 1, v: 10 },
      { s: 2, v: 20 },
    ],
    afterRollback: [
      { s: 1, v: '10' },
      { s: 2, v: '20' },
    ],
    afterSecondApply: [
      { s: 1, v: 10 },
      { s: 2, v: 20 },
    ],
  },
  {
    name: 'text that does not is ambiguous',
    given: { from: TEXT, to: INTEGER, rows: "insert into lab.s values (1, '10'), (2, 'twenty'), (3, '020')" },
    look: 'lab.s',
    wantCounts: { 'lab.s': { keep: 1, ambiguous: 2 } },
    wantFindings: ['rows_ambiguous'],
  },
]);

it('tells of the makes that are given another kind of value, and whose rows are kept', () => {
  const read = { name: 's', table: 'lab.s', cardinality: 'one', columns: ['v'], match: {} } as const;
  const table = (name: string, reads: readonly ReadSpec[]): TableSpec => ({
    name,
    tier: 'computed',
    columns: [],
    primaryKey: [],
    sourceKey: [],
    foreignKeys: [],
    unique: [],
    parts: {},
    form: 'make',
    reads,
  });
  const change = { kind: 'retype_column', column: 'v', was: 'integer', now: 'bigint' } as const;
  const tables = [table('lab.r', [read]), table('lab.q', [{ ...read, columns: ['w'] }])];
  expect(readAsOther(change, 'lab.s', tables)).toMatch(
    /^lab\.s\.v is given to makes as a bigint, no longer as a number: what lab\.r made /u,
  );
  expect(readAsOther({ ...change, now: 'double precision' }, 'lab.s', tables)).toBeUndefined();
  expect(readAsOther(change, 'lab.s', tables.slice(1))).toBeUndefined();
});
