import { sql as raw } from 'kysely';
import { expect, it } from 'vitest';
import { part, pipeline, t, type Pipeline } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab } from './lab.ts';

type Shape = 'fat' | 'split' | 'wide';

/** A fat table with parts within parts; below it a verdict that reads one parameter, first without saying so. */
function version(shape: Shape): Pipeline {
  const lab = pipeline('lab');
  const Source = lab.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  const Limit = lab.manual('bound', { key: { b: t.text() }, columns: { bound: t.integer() } });
  const make = { parents: [Source], reads: { source: Source.columns('v') } } as const;
  const parts = (prefix?: string) => ({
    b: part({
      ...(prefix === undefined ? {} : { renamedFrom: `${prefix}__b` }),
      key: { b: t.integer() },
    }),
    a: part({
      ...(prefix === undefined ? {} : { renamedFrom: `${prefix}__a` }),
      within: 'b',
      key: { a: t.integer() },
      columns: { v: t.integer() },
    }),
  });
  const rows = (v: number) => ({ b: [{ b: 1 }], a: [{ b: 1, a: 1, v }] });
  // Of either table the same columns are read.
  const weighed =
    shape === 'fat'
      ? (lab.computed('fat', {
          ...make,
          columns: { doubled: t.integer(), drawing: t.text() },
          parts: parts(),
          make: ({ source: { v } }) => ({ doubled: 2 * v, drawing: '#'.repeat(v), parts: rows(v) }),
        }) as unknown as ReturnType<typeof splitOff>)
      : splitOff();
  function splitOff() {
    const List = lab.computed('list', {
      ...make,
      splitFrom: 'fat',
      columns: { drawing: t.text() },
      parts: parts('fat'),
      make: ({ source: { v } }) => ({ drawing: '#'.repeat(v), parts: rows(v) }),
    });
    return lab.computed('sum', {
      splitFrom: 'fat',
      parents: [List],
      columns: { doubled: t.integer() },
      reads: { parts: List.parts.a.columns('v').matching({ s: 's' }) },
      make: ({ parts: own }) => ({ doubled: 2 * own.reduce((sum, { v }) => sum + v, 0) }),
    });
  }
  if (shape === 'wide') {
    lab.computed('verdict', {
      parents: [weighed, Limit],
      columns: { fits: t.boolean() },
      reads: { weighed: weighed.columns('doubled'), bound: Limit },
      make: (inputs) => ({ fits: inputs.weighed.doubled <= inputs.bound.bound }),
    });
    return lab;
  }
  lab.computed('verdict', {
    parents: [weighed],
    columns: { fits: t.boolean() },
    reads: { weighed: weighed.columns('doubled') },
    strict: 'observe',
    makeWith: async (db) => {
      const { doubled } = await db.selectFrom('weighed').select('doubled').executeTakeFirstOrThrow();
      const { rows: found } = await raw<{ bound: number }>`select bound from lab.bound where b = 'x'`.execute(
        db,
      );
      return { fits: doubled <= (found[0]?.bound ?? 0) };
    },
  });
  return lab;
}

withStores('a fat make that is split, and what reads a parameter below it', (given) => {
  it('keeps every row with its parts, then gives each the key that it read before the split', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(version('fat'));
    await given.store.script(
      `insert into lab.s values (1, 3), (2, 5); insert into lab.bound values ('x', 8)`,
    );
    await lab.populate(version('fat'));
    const id = await lab.deploy(version('split'));
    expect(await lab.rows('select s, b, a, v from lab.list__a order by s')).toEqual([
      { s: 1, b: 1, a: 1, v: 3 },
      { s: 2, b: 1, a: 1, v: 5 },
    ]);
    expect(await lab.populate(version('split'))).toMatchObject({
      tables: expect.arrayContaining([expect.objectContaining({ table: 'lab.sum', computed: 0 })]) as object,
    });
    const wide = await lab.deploy(version('wide'));
    expect(await lab.rows('select s, b, fits from lab.verdict order by s')).toEqual([
      { s: 1, b: 'x', fits: true },
      { s: 2, b: 'x', fits: false },
    ]);
    expect(await lab.verify(version('wide'))).toMatchObject({ status: 'equal' });
    expect(await lab.rollback(version('wide'), wide)).toMatchObject({ status: 'applied' });
    expect(await lab.rollback(version('split'), id)).toMatchObject({ status: 'applied' });
    expect(await lab.rows('select s, doubled, drawing from lab.fat order by s')).toEqual([
      { s: 1, doubled: 6, drawing: '###' },
      { s: 2, doubled: 10, drawing: '#####' },
    ]);
  });
});
