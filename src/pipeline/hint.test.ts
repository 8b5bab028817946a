import { describe, expect, it } from 'vitest';
import { definitionsOf, part, pipeline, t, type Hints, type Pipeline } from './index.ts';

const key = { id: t.integer() };

function hints(...pipelines: readonly Pipeline[]): Hints {
  const result = definitionsOf(pipelines);
  if (result.status === 'refused') throw new TypeError(JSON.stringify(result.findings));
  return result.definitions.hints;
}

function manual(options: Record<string, unknown>, schema = 'lab'): Pipeline {
  const lab = pipeline(schema);
  lab.manual('now', { key, ...options });
  return lab;
}

describe('where rows come from', () => {
  it.each([
    [{ renamedFrom: 'old' }, { from: ['lab.old'], how: 'renamed' }],
    [{ renamedFrom: 'raw.old' }, { from: ['raw.old'], how: 'renamed' }],
    [{ movedFrom: 'raw' }, { from: ['raw.now'], how: 'renamed' }],
    [{ movedFrom: 'raw.old' }, { from: ['raw.old'], how: 'renamed' }],
    [
      { movedFrom: 'raw', renamedFrom: 'old' },
      { from: ['raw.old'], how: 'renamed' },
    ],
    [{ splitFrom: 'old' }, { from: ['lab.old'], how: 'split' }],
    [{ mergedFrom: ['old', 'raw.other'] }, { from: ['lab.old', 'raw.other'], how: 'merged' }],
    [{ mergedFrom: ['now', 'old'] }, { from: ['lab.now', 'lab.old'], how: 'merged' }],
  ])('%j', (options, wanted) => {
    expect(hints(manual(options))).toEqual({ 'lab.now': { ...wanted, columns: {} } });
  });

  it('a column says its name before, and its table nothing else', () => {
    const columns = { b: t.integer().nullable().renamedFrom('a').describe('kept'), c: t.text() };
    expect(hints(manual({ columns }))).toEqual({
      'lab.now': { from: ['lab.now'], how: 'same', columns: { b: 'a' } },
    });
  });

  it('two columns change their names with each other', () => {
    const columns = { a: t.integer().renamedFrom('b'), b: t.integer().renamedFrom('a') };
    expect(hints(manual({ columns }))['lab.now']?.columns).toEqual({ a: 'b', b: 'a' });
  });

  it('is no part of the normal form', () => {
    const plain = definitionsOf([manual({ columns: { b: t.integer() } })]);
    const said = definitionsOf([
      manual({ renamedFrom: 'old', columns: { b: t.integer().renamedFrom('a') } }),
    ]);
    if (plain.status === 'refused' || said.status === 'refused') throw new TypeError('refused');
    expect(said.definitions.digest).toBe(plain.definitions.digest);
    expect(said.definitions.set).toEqual(plain.definitions.set);
    expect(plain.definitions.hints).toEqual({});
  });

  it('every tier says it, and makes keep the types of their columns', () => {
    const lab = pipeline('lab');
    const Grade = lab.lookup('grade', {
      key: { grade: t.text().renamedFrom('mark') },
      renamedFrom: 'mark',
      contents: [{ grade: 'a' }],
    });
    lab.imported('read', {
      parents: [Grade],
      movedFrom: 'raw',
      columns: { value: t.integer() },
      reads: { grade: Grade },
      make: ({ grade }) => ({ value: grade.grade.length }),
    });
    lab.computed('result', {
      parents: [Grade],
      splitFrom: 'fat',
      columns: { value: t.integer().renamedFrom('v') },
      reads: { grade: Grade },
      make: ({ grade }) => ({ value: grade.grade.length }),
    });
    lab.computed('wrong', {
      parents: [Grade],
      renamedFrom: 'old',
      columns: { value: t.integer() },
      reads: { grade: Grade },
      // @ts-expect-error -- a column of another type
      make: ({ grade }) => ({ value: grade.grade }),
    });
    expect(hints(lab)).toMatchObject({
      'lab.grade': { from: ['lab.mark'], columns: { grade: 'mark' } },
      'lab.read': { from: ['raw.read'] },
      'lab.result': { from: ['lab.fat'], how: 'split', columns: { value: 'v' } },
    });
  });

  it('parts follow their master, unless they say something else', () => {
    const lab = manual({
      renamedFrom: 'old',
      parts: {
        item: part({ key: { n: t.integer() } }),
        inner: part({ within: 'item', key: { m: t.integer() }, columns: { x: t.text().renamedFrom('y') } }),
        other: part({ key: { n: t.integer() }, renamedFrom: 'old__thing' }),
      },
    });
    expect(hints(lab)).toEqual({
      'lab.now': { from: ['lab.old'], how: 'renamed', columns: {} },
      'lab.now__item': { from: ['lab.old__item'], how: 'renamed', columns: {} },
      'lab.now__inner': { from: ['lab.old__inner'], how: 'renamed', columns: { x: 'y' } },
      'lab.now__other': { from: ['lab.old__thing'], how: 'renamed', columns: {} },
    });
  });
});

describe('what cannot be so', () => {
  it.each([
    ['its own name', { renamedFrom: 'now' }],
    ['its own place', { movedFrom: 'lab' }],
    ['two ways at once', { renamedFrom: 'old', splitFrom: 'old' }],
    ['moved and merged', { movedFrom: 'raw', mergedFrom: ['a', 'b'] }],
    ['split and merged', { splitFrom: 'old', mergedFrom: ['a', 'b'] }],
    ['a whole name beside a schema', { renamedFrom: 'raw.old', movedFrom: 'raw' }],
    ['a name beside a whole name', { renamedFrom: 'old', movedFrom: 'raw.old' }],
    ['an empty name', { renamedFrom: '' }],
    ['a name without its table', { renamedFrom: 'raw.' }],
    ['a name of three', { splitFrom: 'a.b.c' }],
    ['no text', { movedFrom: 7 }],
    ['one table merged', { mergedFrom: ['old'] }],
    ['a table merged twice', { mergedFrom: ['old', 'lab.old'] }],
    ['no list', { mergedFrom: 'old' }],
    ['a column of its own name', { columns: { a: t.text().renamedFrom('a') } }],
    ['two columns from one', { columns: { a: t.text().renamedFrom('x'), b: t.text().renamedFrom('x') } }],
    ['a column that is still there', { columns: { a: t.text().renamedFrom('b'), b: t.text() } }],
    ['an empty column', { columns: { a: t.text().renamedFrom('') } }],
  ])('%s', (_, options) => {
    expect(() => manual(options)).toThrow(expect.objectContaining({ code: 'definition_invalid' }));
  });

  function two(first: Record<string, unknown>, second: Record<string, unknown>): Pipeline {
    const lab = pipeline('lab');
    lab.manual('a', { key, ...first });
    lab.manual('b', { key, ...second });
    return lab;
  }

  it.each([
    ['two renamed from one', { renamedFrom: 'old' }, { renamedFrom: 'old' }],
    ['renamed and split', { renamedFrom: 'old' }, { splitFrom: 'old' }],
    ['merged and renamed', { mergedFrom: ['old', 'other'] }, { renamedFrom: 'other' }],
    ['renamed from one that stays', { renamedFrom: 'b' }, {}],
    ['merged from one that stays', { mergedFrom: ['b', 'old'] }, {}],
  ])('%s', (_, first, second) => {
    expect(definitionsOf([two(first, second)])).toMatchObject({
      status: 'refused',
      findings: [{ code: 'definition_invalid', subject: 'lab.a' }],
    });
  });

  it.each([
    ['two change names', { renamedFrom: 'b' }, { renamedFrom: 'a' }],
    ['split in two', { splitFrom: 'old' }, { splitFrom: 'old' }],
    ['split off one that stays', { splitFrom: 'b' }, {}],
    ['merged into one of them', { mergedFrom: ['a', 'old'] }, {}],
  ])('but %s', (_, first, second) => {
    expect(definitionsOf([two(first, second)])).toMatchObject({ status: 'ok' });
  });
});
