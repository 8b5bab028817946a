import { expect, it } from 'vitest';
import { listJobs, part, pipeline, planDelete, retryJobs, stale, t } from '../../src/pipeline/index.ts';
import { graphOf } from '../../src/pipeline/index.ts';
import { cascade, trace } from '../../src/provenance/index.ts';
import { sql } from '../../src/store/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { countsOf, deploy, type Deployed } from './pipeline-lab.ts';

withStores('scenarios of a pipeline', (given) => {
  it('16. populates a restricted key source, then the rest', async () => {
    const lab = pipeline(uniqueName('s'));
    const A = lab.manual('a', { key: { a: t.integer() } });
    const B = lab.manual('b', { key: { b: t.integer() } });
    const AB = lab.computed('ab', {
      parents: [A, B],
      columns: { sum: t.integer() },
      reads: { left: A, right: B },
      make: ({ left, right }) => ({ sum: left.a + right.b }),
    });
    const world = await deploy(given.store, lab);
    await world.insert(A, [{ a: 1 }, { a: 2 }]);
    await world.insert(B, [{ b: 1 }, { b: 2 }]);
    const first = await world.populate({ where: sql.raw('a = 1'), max: 1 });
    expect(countsOf(first, AB)).toEqual({ computed: 1, failed: 0, remaining: 3, skippedUnchanged: 0 });
    const second = await world.populate();
    expect(countsOf(second, AB)).toEqual({ computed: 3, failed: 0, remaining: 0, skippedUnchanged: 1 });
    expect((await world.rows(AB)).map(({ sum }) => sum)).toEqual([2, 3, 3, 4]);
    expect(await world.wrongOutputs(AB)).toBe(0);
  });

  it('17. each make sees exactly one row of each of two parents', async () => {
    const lab = pipeline(uniqueName('s'));
    const Session = lab.manual('session', { key: { session: t.integer() }, columns: { note: t.text() } });
    const Param = lab.manual('param', { key: { param: t.integer() } });
    const seen: unknown[] = [];
    const Run = lab.computed('run', {
      parents: [Session, Param],
      columns: { label: t.text() },
      reads: { session: Session, param: Param },
      make: ({ session, param }, { key }) => {
        seen.push({ session, param, key });
        return { label: `${session.note}${param.param}` };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Session, [
      { session: 1, note: 'x' },
      { session: 2, note: 'y' },
    ]);
    await world.insert(Param, [{ param: 1 }, { param: 2 }]);
    await world.populate();
    const notes = ['x', 'y'];
    expect(seen).toEqual(
      [1, 2].flatMap((session) =>
        [1, 2].map((param) => ({
          session: { session, note: notes[session - 1] },
          param: { param },
          key: { session, param },
        })),
      ),
    );
    expect(await world.rows(Run)).toHaveLength(4);
  });

  it('18. a failing key leaves no rows and one job, and is not tried again until it is retried', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    let calls = 0;
    let broken = true;
    const Piece = lab.computed('piece', {
      parents: [Source],
      key: { n: t.integer() },
      reads: { source: Source },
      *make({ source }) {
        calls += 1;
        yield { n: 1 };
        yield { n: 2 };
        if (source.id === 2 && broken) throw new Error('no third row');
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1 }, { id: 2 }]);
    const first = await world.populate();
    expect(first).toMatchObject({
      status: 'failed',
      findings: [{ code: 'make_failed', detail: { keys: 1 } }],
    });
    expect(await world.rows(Piece)).toEqual([
      { id: 1, n: 1 },
      { id: 1, n: 2 },
    ]);
    const relation = await world.relation(Piece);
    const [job, ...others] = await listJobs(given.store, [relation]);
    expect(others).toEqual([]);
    expect(job).toMatchObject({
      key: { id: 2 },
      state: 'error',
      code: 'make_failed',
      message: 'no third row',
      attempts: 1,
    });
    expect(job?.stack).toContain('scenario.test.ts');

    calls = 0;
    expect(await world.populate()).toMatchObject({ status: 'done', tables: [{ computed: 0, remaining: 0 }] });
    expect(calls).toBe(0);

    expect(await retryJobs(given.store, { relation, condition: undefined })).toBe(1);
    broken = false;
    expect(countsOf(await world.populate(), Piece)).toMatchObject({ computed: 1, failed: 0 });
    expect(calls).toBe(1);
    expect(await listJobs(given.store, [relation])).toEqual([]);
    expect(await world.wrongOutputs(Piece)).toBe(0);
  });

  it('19. a key whose input changes between read and write is computed again from the new value', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() }, columns: { value: t.integer() } });
    const seen: number[] = [];
    const Twice = lab.computed('twice', {
      parents: [Source],
      columns: { value: t.integer() },
      reads: { source: Source },
      // The make has no handle; the store stands here for whoever else writes meanwhile.
      make: async ({ source }) => {
        seen.push(source.value);
        if (seen.length === 1) {
          await given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set value = 20 where id = 1`);
        }
        return { value: source.value * 2 };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1, value: 10 }]);
    expect(countsOf(await world.populate(), Twice)).toMatchObject({ computed: 1, failed: 0, remaining: 0 });
    expect(seen).toEqual([10, 20]);
    expect(await world.rows(Twice)).toEqual([{ id: 1, value: 40 }]);
    expect(await stale(given.store, world.definitions, world.codeByTable)).toMatchObject({
      tables: [{ stale: [] }],
    });
  });

  it('19. an input that never settles is given up with a job', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() }, columns: { value: t.integer() } });
    const Twice = lab.computed('twice', {
      parents: [Source],
      columns: { value: t.integer() },
      reads: { source: Source },
      make: async ({ source }) => {
        await given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set value = value + 1`);
        return { value: source.value };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1, value: 10 }]);
    expect(await world.populate()).toMatchObject({
      status: 'failed',
      findings: [{ code: 'input_unsettled' }],
    });
    expect(await world.rows(Twice)).toEqual([]);
  });

  it('21. an undeclared read of a makeWith is refused, naming table and remedy', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    lab.manual('secret', { key: { id: t.integer() } });
    const Peek = lab.computed('peek', {
      parents: [Source],
      columns: { n: t.integer() },
      reads: { source: Source },
      makeWith: async (db) => {
        const rows = await (
          db as never as {
            selectFrom: (table: string) => { selectAll: () => { execute: () => Promise<object[]> } };
          }
        )
          .selectFrom(`${lab.schema}.secret`)
          .selectAll()
          .execute();
        return { n: rows.length };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1 }]);
    expect(await world.populate()).toMatchObject({
      status: 'failed',
      findings: [{ code: 'undeclared_read' }],
    });
    const [job] = await listJobs(given.store, [await world.relation(Peek)]);
    expect(job?.message).toContain(`${lab.schema}.secret`);
    expect(await world.rows(Peek)).toEqual([]);
  });

  it('22. an observed undeclared read is let through and recorded with its keys', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Extra = lab.manual('extra', { key: { extra: t.integer() } });
    const Peek = lab.computed('peek', {
      parents: [Source],
      columns: { n: t.integer() },
      reads: { source: Source },
      strict: 'observe',
      makeWith: async (db) => {
        const rows = await (
          db as never as {
            selectFrom: (table: string) => { selectAll: () => { execute: () => Promise<object[]> } };
          }
        )
          .selectFrom(`${lab.schema}.extra`)
          .selectAll()
          .execute();
        return { n: rows.length };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1 }]);
    await world.insert(Extra, [{ extra: 7 }, { extra: 8 }]);
    expect(await world.populate()).toMatchObject({ status: 'done' });
    const reads = await given.store.query(sql`
      select subject, declared, keys, row_count from varve.recorded_read where relation = ${(await world.relation(Peek)).id}`);
    expect(reads).toEqual([
      { subject: `${lab.schema}.extra`, declared: false, keys: [{ extra: 7 }, { extra: 8 }], row_count: 2n },
    ]);
  });

  it('23. a changed value makes stale what read it; an equal result leaves what is below untouched', async () => {
    const { world, Source, Sign, Word } = await chain();
    await world.insert(Source, [
      { id: 1, value: 5, note: 'a' },
      { id: 2, value: -5, note: 'b' },
    ]);
    await world.populate();
    const update = (id: number, value: number) =>
      given.store.execute(
        sql`update ${sql.id(world.schema, 'source')} set value = ${value} where id = ${id}`,
      );

    await given.store.execute(sql`update ${sql.id(world.schema, 'source')} set note = 'c'`);
    expect(await world.staleKeys()).toEqual([[], []]);

    await update(1, 6);
    const found = await stale(given.store, world.definitions, world.codeByTable);
    expect(found).toEqual({
      status: 'ok',
      tables: [
        {
          table: Sign.spec.name,
          stale: [
            {
              key: { id: 1 },
              reasons: [{ kind: 'inputs', reads: [{ read: 'source', table: Source.spec.name }] }],
            },
          ],
          below: [{ table: Word.spec.name, rows: 1 }],
          upstream: [],
        },
        { table: Word.spec.name, stale: [], below: [], upstream: [{ table: Sign.spec.name, rows: 1 }] },
      ],
    });
    world.calls.length = 0;
    const second = await world.populate();
    expect(world.calls).toEqual(['sign 1']);
    expect(countsOf(second, Sign)).toEqual({ computed: 1, failed: 0, remaining: 0, skippedUnchanged: 1 });
    expect(countsOf(second, Word)).toEqual({ computed: 0, failed: 0, remaining: 0, skippedUnchanged: 2 });

    await update(2, 1);
    world.calls.length = 0;
    await world.populate();
    expect(world.calls).toEqual(['sign 2', 'word 2']);
    expect(await world.rows(Word)).toEqual([
      { id: 1, word: 'plus' },
      { id: 2, word: 'plus' },
    ]);
    expect(await world.wrongOutputs(Sign)).toBe(0);
    expect(await world.wrongOutputs(Word)).toBe(0);
  });

  async function chain() {
    const lab = pipeline(uniqueName('s'));
    const calls: string[] = [];
    const Source = lab.manual('source', {
      key: { id: t.integer() },
      columns: { value: t.integer(), note: t.text() },
    });
    const Sign = lab.computed('sign', {
      parents: [Source],
      columns: { sign: t.integer() },
      reads: { source: Source.columns('value') },
      make: ({ source }, { key }) => {
        calls.push(`sign ${key.id}`);
        return { sign: Math.sign(source.value) };
      },
    });
    const Word = lab.computed('word', {
      parents: [Sign],
      columns: { word: t.text() },
      reads: { sign: Sign },
      make: ({ sign }) => {
        calls.push(`word ${sign.id}`);
        return { word: sign.sign > 0 ? 'plus' : 'minus' };
      },
    });
    const deployed: Deployed = await deploy(given.store, lab);
    const staleKeys = async () => {
      const found = await stale(given.store, deployed.definitions, deployed.codeByTable);
      return found.status === 'ok' ? found.tables.map((table) => table.stale.map(({ key }) => key)) : found;
    };
    return { world: { ...deployed, schema: lab.schema, calls, staleKeys }, Source, Sign, Word };
  }

  it('25. a generator gives five part rows; one row of another key fails its key and leaves no rows', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Frame = lab.computed('frame', {
      parents: [Source],
      columns: { count: t.integer() },
      parts: { pixel: part({ key: { n: t.integer() }, columns: { hue: t.double() } }) },
      reads: { source: Source },
      *make({ source }) {
        yield { count: 5 };
        for (let n = 1; n <= 5; n += 1) {
          // The compiler refuses a part row of another key, so the slip is smuggled past it.
          const slip: object = source.id === 2 && n === 3 ? { id: 9 } : {};
          yield { parts: { pixel: [{ ...slip, n, hue: n / 10 }] } };
        }
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1 }, { id: 2 }]);
    expect(await world.populate()).toMatchObject({
      status: 'failed',
      findings: [{ code: 'make_returned_another_key' }],
    });
    expect(await world.rows(Frame)).toEqual([{ id: 1, count: 5 }]);
    expect(await world.rows(Frame.parts.pixel)).toEqual(
      [1, 2, 3, 4, 5].map((n) => ({ id: 1, n, hue: n / 10 })),
    );
    expect(await world.wrongOutputs(Frame)).toBe(0);
  });

  it('26. equal names of unrelated tables are never one attribute', async () => {
    const lab = pipeline(uniqueName('s'));
    const Person = lab.manual('person', { key: { name: t.text() } });
    const City = lab.manual('city', { key: { name: t.text() } });
    expect(() =>
      lab.computed('trip', { parents: [Person, City], reads: { person: Person }, make: () => ({}) }),
    ).toThrowError(expect.objectContaining({ code: 'definition_invalid' }));
    const Trip = lab.computed('trip', {
      parents: [Person, City.as({ name: 'city' })],
      columns: { text: t.text() },
      reads: { person: Person, city: City },
      make: ({ person, city }) => ({ text: `${person.name} in ${city.name}` }),
    });
    const world = await deploy(given.store, lab);
    await world.insert(Person, [{ name: 'Ada' }, { name: 'Paris' }]);
    await world.insert(City, [{ name: 'Paris' }]);
    await world.populate();
    expect((await world.rows(Trip)).map(({ text }) => text)).toEqual(['Ada in Paris', 'Paris in Paris']);
  });

  it('1. a trace from a child of definitions reaches its parent', async () => {
    const lab = pipeline(uniqueName('s'));
    const Parent = lab.manual('parent', { key: { p: t.integer() }, columns: { name: t.text() } });
    const Child = lab.manual('child', { parents: [Parent], key: { c: t.integer() } });
    const world = await deploy(given.store, lab);
    await world.insert(Parent, [
      { p: 1, name: 'a' },
      { p: 2, name: 'b' },
    ]);
    await world.insert(Child, [
      { p: 1, c: 10 },
      { p: 1, c: 11 },
      { p: 2, c: 20 },
    ]);
    const graph = graphOf(world.definitions);
    const walked = await trace(given.store, graph, { table: Child.spec.name, where: 'p = 1 and c = 10' });
    expect(rowsOf(walked, lab.schema)).toEqual({ parent: 1, child: 1 });
    const below = await cascade(given.store, graph, { table: Parent.spec.name, where: 'p = 1' });
    expect(rowsOf(below, lab.schema)).toEqual({ parent: 1, child: 2 });
  });

  it('5. a diamond of definitions converges', async () => {
    const lab = pipeline(uniqueName('s'));
    const Root = lab.manual('root', { key: { root: t.integer() } });
    const Left = lab.manual('left', { parents: [Root], key: { l: t.integer() } });
    const Right = lab.manual('right', { parents: [Root.as({ root: 'root2' })], key: { r: t.integer() } });
    const Leaf = lab.manual('leaf', { parents: [Left, Right], key: { x: t.integer() } });
    const world = await deploy(given.store, lab);
    await world.insert(Root, [{ root: 1 }, { root: 2 }, { root: 3 }]);
    await world.insert(Left, [{ root: 1, l: 10 }]);
    await world.insert(Right, [{ root2: 2, r: 20 }]);
    await world.insert(Leaf, [{ root: 1, l: 10, root2: 2, r: 20, x: 100 }]);
    const walked = await trace(given.store, graphOf(world.definitions), {
      table: Leaf.spec.name,
      where: 'x = 100',
    });
    expect(rowsOf(walked, lab.schema)).toEqual({ root: 2, left: 1, right: 1, leaf: 1 });
  });

  it('8. a trace through a merge table descends into its part on request', async () => {
    const lab = pipeline(uniqueName('s'));
    const Parent = lab.manual('parent', { key: { p: t.integer() } });
    const Master = lab.manual('master', {
      key: { m: t.integer() },
      parts: { p: part({ parents: [Parent] }) },
    });
    const Child = lab.manual('child', { parents: [Master], key: { c: t.integer() } });
    const world = await deploy(given.store, lab);
    await world.insert(Parent, [{ p: 5 }]);
    await world.insert(Master, [{ m: 10 }]);
    await world.insert(Master.parts.p, [{ m: 10, p: 5 }]);
    await world.insert(Child, [{ m: 10, c: 1000 }]);
    const graph = graphOf(world.definitions);
    expect(rowsOf(await trace(given.store, graph, { table: Child.spec.name }), lab.schema)).toEqual({
      master: 1,
      child: 1,
    });
    const through = await trace(given.store, graph, { table: Child.spec.name }, { throughParts: true });
    expect(rowsOf(through, lab.schema)).toEqual({ parent: 1, master: 1, child: 1, master__p: 1 });
  });

  it('14. a part of a part goes alone, with its master, or not at all', async () => {
    const lab = pipeline(uniqueName('s'));
    const M = lab.manual('m', {
      key: { m: t.integer() },
      parts: { pa: part({ key: { a: t.integer() } }), pb: part({ within: 'pa', key: { b: t.integer() } }) },
    });
    const world = await deploy(given.store, lab);
    await world.insert(M, [{ m: 1 }, { m: 2 }]);
    await world.insert(M.parts.pa, [
      { m: 1, a: 10 },
      { m: 1, a: 11 },
      { m: 2, a: 20 },
    ]);
    await world.insert(M.parts.pb, [
      { m: 1, a: 10, b: 100 },
      { m: 1, a: 10, b: 101 },
      { m: 1, a: 11, b: 110 },
      { m: 2, a: 20, b: 200 },
    ]);
    const where = 'm = 1 and a = 10 and b = 100';
    const plan = (parts: 'enforce' | 'ignore' | 'cascade') =>
      planDelete(given.store, world.definitions, M.parts.pb.spec.name, where, { parts });
    expect(await plan('enforce')).toMatchObject({
      status: 'refused',
      findings: [{ code: 'part_without_master' }],
    });
    expect(rowsOf(await plan('ignore'), lab.schema)).toEqual({ m__pb: 1 });
    expect(rowsOf(await plan('cascade'), lab.schema)).toEqual({ m: 1, m__pa: 2, m__pb: 3 });
    const walked = await cascade(
      given.store,
      graphOf(world.definitions),
      { table: M.parts.pb.spec.name, where },
      { parts: 'cascade' },
    );
    expect(rowsOf(walked, lab.schema)).toEqual({ m: 1, m__pa: 2, m__pb: 3 });
  });
});

/** Rows by table without its schema, those with none left out. */
function rowsOf(
  walked: {
    readonly status: string;
    readonly tables?: readonly { readonly table: string; readonly rows: number }[];
  },
  schema: string,
): Readonly<Record<string, number>> {
  expect(walked.status).toBe('ok');
  return Object.fromEntries(
    (walked.tables ?? [])
      .filter(({ rows }) => rows > 0)
      .map(({ table, rows }) => [table.slice(schema.length + 1), rows]),
  );
}
