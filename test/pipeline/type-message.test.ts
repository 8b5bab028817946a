import { beforeAll, describe, expect, it } from 'vitest';
import { openEditor, type Editor } from './type-lab.ts';

let editor: Editor;

beforeAll(() => {
  editor = openEditor();
});

/** A table over a mouse and all policies, with one member of its options to try. */
function table(
  making: string,
  { reads = '{ mouse: Mouse, policies: Policy.all() }', more = '' } = {},
): string {
  return `lab.computed('out', {
  parents: [Mouse], columns: { heavy: t.boolean(), note: t.text().nullable() }, reads: ${reads}, ${more}
  ${making}
});
`;
}
const RIGHT = 'make: () => ({ heavy: true }),';

describe('what the compiler says of a mistake names the column', () => {
  it.each<readonly [mistake: string, fixture: string]>([
    ['a column that a read does not have', table('make: ({ mouse }) => ({ heavy: mouse.wieght > 1 }),')],
    ['a read that is not declared', table('make: ({ moose }) => ({ heavy: true }),')],
    ['a column of another type', table("make: () => ({ heavy: 'yes' }),")],
    ['a column that is missing', table("make: () => ({ note: 'x' }),")],
    ['null where there must be a value', table('make: () => ({ heavy: null }),')],
    ['a column of another type from an async make', table("make: async () => ({ heavy: 'yes' }),")],
    ['a column of another type from a generator', table("*make() { yield { heavy: 'yes' }; },")],
    ['a column that cannot be read', table(RIGHT, { reads: "{ mouse: Mouse.columns('wieght') }" })],
    [
      'a column that cannot be matched',
      table(RIGHT, { reads: "{ p: Policy.matching({ polcy: 'mouse' }) }" }),
    ],
    ['a derived column that is none', table(RIGHT, { more: "derives: { hevy: ['mouse.weight'] }," })],
    [
      'a source of a derived column that is none',
      table(RIGHT, { more: "derives: { heavy: ['mouse.wieght'] }," }),
    ],
    ['a unique column that is none', table(RIGHT, { more: "uniques: [['hevy']]," })],
    [
      'a foreign key filled from another type',
      table(RIGHT, { more: "references: { p: Policy.from({ policy: Mouse.column('strain') }) }," }),
    ],
    [
      'a foreign key filled under another name',
      table(RIGHT, { more: "references: { p: Policy.from({ polcy: Mouse.column('weight') }) }," }),
    ],
    [
      'a renamed key that is none',
      "lab.computed('out', { parents: [Mouse.as({ mose: 'x' })], reads: {}, make: () => ({}) });",
    ],
    ['a key that the context does not have', table('make: (_, { key }) => ({ heavy: key.mose > 1n }),')],
    [
      'a table that makeWith does not see',
      table("makeWith: async (db) => { await db.selectFrom('polices').execute(); return { heavy: true }; },"),
    ],
    [
      'a column that such a table does not have',
      table(
        "makeWith: async (db) => { await db.selectFrom('policies').where('bond', '=', 1).execute(); return { heavy: true }; },",
      ),
    ],
    [
      'a part row without one of its columns',
      "lab.computed('out', { parents: [Mouse], reads: { mouse: Mouse }, parts: { frame: part({ key: { n: t.integer() }, columns: { hue: t.double() } }) },\n  make: () => ({ parts: { frame: [{ n: 1 }] } }) });",
    ],
    [
      'a part that is none',
      "lab.computed('out', { parents: [Mouse], reads: { mouse: Mouse }, parts: { frame: part({ key: { n: t.integer() } }) },\n  make: () => ({ parts: { frames: [{ n: 1 }] } }) });",
    ],
    [
      'a row of a lookup that is no member of its enum',
      "lab.lookup('l', { key: { a: t.enum('x', 'y') }, columns: { n: t.integer() }, contents: [{ a: 'z', n: 1 }] });",
    ],
    ['a query that is plain text', table("query: 'select 1',")],
  ])('%s', (_mistake, fixture) => {
    expect(editor.errors(fixture).join('\n')).toMatchSnapshot();
  });

  it('and nothing is said where there is no mistake', () => {
    expect(editor.errors(table(RIGHT))).toEqual([]);
  });
});

describe('an editor offers what is declared, and nothing else', () => {
  it.each<readonly [place: string, fixture: string, offered: readonly string[]]>([
    [
      'the reads of a make',
      table('make: (inputs) => { inputs.|; return { heavy: true }; },'),
      ['mouse', 'policies'],
    ],
    ['the reads, taken apart', table('make: ({ | }) => ({ heavy: true }),'), ['mouse', 'policies']],
    [
      'the columns of a row',
      table('make: ({ mouse }) => { mouse.|; return { heavy: true }; },'),
      ['mouse', 'strain', 'weight'],
    ],
    [
      'the columns of a row that are read',
      table('make: ({ mouse }) => { mouse.|; return { heavy: true }; },', {
        reads: "{ mouse: Mouse.columns('weight') }",
      }),
      ['weight'],
    ],
    [
      'the context',
      table('make: (_, context) => { context.|; return { heavy: true }; },'),
      ['files', 'key', 'log', 'now', 'random', 'signal'],
    ],
    ['the key', table('make: (_, { key }) => { key.|; return { heavy: true }; },'), ['mouse']],
    [
      'the tables of makeWith',
      table("makeWith: async (db) => { db.selectFrom('|'); return { heavy: true }; },"),
      ['mouse', 'policies'],
    ],
    [
      'the columns to select',
      table("makeWith: async (db) => { db.selectFrom('policies').select('|'); return { heavy: true }; },"),
      ['policy', 'bound', 'policies.policy', 'policies.bound'],
    ],
    [
      'the columns of a condition',
      table(
        "makeWith: async (db) => { db.selectFrom('policies').where('|', '=', 1); return { heavy: true }; },",
      ),
      ['policy', 'bound', 'policies.policy', 'policies.bound'],
    ],
    [
      'the columns to read',
      table(RIGHT, { reads: "{ mouse: Mouse.columns('|') }" }),
      ['mouse', 'weight', 'strain'],
    ],
    ['the columns to match', table(RIGHT, { reads: '{ p: Policy.matching({ | }) }' }), ['bound', 'policy']],
    ['the columns that derive', table(RIGHT, { more: 'derives: { | },' }), ['heavy', 'note']],
    [
      'what they derive from',
      table(RIGHT, { more: "derives: { heavy: ['|'] }," }),
      ['mouse.mouse', 'mouse.weight', 'mouse.strain', 'policies.policy', 'policies.bound'],
    ],
    ['the columns that are unique', table(RIGHT, { more: "uniques: [['|']]," }), ['mouse', 'heavy', 'note']],
    ['the parts of a table', 'Session.parts.|', ['probe', 'unit']],
  ])('%s', (_place, fixture, offered) => {
    expect(editor.completions(fixture).toSorted()).toEqual([...offered].toSorted());
  });
});
