import { expect, it } from 'vitest';
import { pipeline, t, why, type Pipeline } from '../../src/pipeline/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openLab } from './lab.ts';
import { liveState, SETTLED, settledState } from './state.ts';
import { bare, lab as pipelineOf } from './tables.ts';

/** How often a make of the thin tables was called. */
let calls = 0;

function fat(): Pipeline {
  return bare((given) => {
    const file = given.manual('file', { key: { file: t.integer() }, columns: { n: t.integer() } });
    given.computed('ingest', {
      parents: [file],
      columns: { rows: t.integer(), mean: t.double(), thumbnail: t.text() },
      reads: { file },
      make: ({ file: { n } }) => ({ rows: n, mean: n / 2, thumbnail: 'x'.repeat(n) }),
    });
  });
}

function thin(extra = ''): Pipeline {
  return bare((given) => {
    const file = given.manual('file', { key: { file: t.integer() }, columns: { n: t.integer() } });
    const thinned = { splitFrom: 'ingest', parents: [file], reads: { file } } as const;
    given.computed('content', {
      ...thinned,
      columns: { rows: t.integer() },
      make: (inputs) => {
        calls += 1;
        return { rows: inputs.file.n };
      },
    });
    given.computed('stats', {
      ...thinned,
      columns: { mean: t.double() },
      make: (inputs) => {
        calls += 1;
        return { mean: inputs.file.n / 2 };
      },
    });
    given.computed('preview', {
      ...thinned,
      columns: { thumbnail: t.text() },
      make: (inputs) => {
        calls += 1;
        return { thumbnail: 'x'.repeat(inputs.file.n) + extra };
      },
    });
  });
}

/** A table and five below it, in one schema or another. */
function chain(schema: 'lab' | 'hut'): Pipeline {
  const given = pipeline(schema);
  const moved = schema === 'hut' ? { movedFrom: 'lab' } : {};
  const s = given.manual('s', { key: { s: t.integer() }, columns: { x: t.integer() }, ...moved });
  let above: unknown = s;
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    above = given.computed(name, {
      parents: [above as typeof s],
      columns: { x: t.integer() },
      reads: { above: above as typeof s },
      make: (inputs) => {
        calls += 1;
        return { x: inputs.above.x + 1 };
      },
      ...moved,
    });
  }
  return given;
}

function apart(): Pipeline {
  return pipelineOf((given, s) => {
    given.manual('a', { parents: [s], columns: { x: t.integer() } });
    given.manual('b', { parents: [s], columns: { y: t.integer() } });
  });
}

function together(): Pipeline {
  return pipelineOf((given, s) => {
    given.manual('m', {
      mergedFrom: ['a', 'b'],
      parents: [s],
      columns: { x: t.integer(), y: t.integer() },
    });
  });
}

function written(): Pipeline {
  return pipelineOf((given, s) => {
    given.manual('m', { parents: [s], columns: { w: t.integer() } });
  });
}

function made(): Pipeline {
  return pipelineOf((given, s) => {
    given.computed('m', {
      parents: [s],
      columns: { w: t.integer() },
      reads: { s },
      make: (inputs) => ({ w: inputs.s.v * 2 }),
    });
  });
}

const HUNDRED = 'insert into lab.s select i, i from generate_series(1, 100) i;';

function suite(given: StoreUnderTest): void {
  it('scenario 5: a fat make is split, its values are carried, and the new makes give them again on a sample', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(fat());
    await lab.store.script('insert into lab.file select i, i from generate_series(1, 150) i');
    await lab.populate(fat());
    calls = 0;
    const id = await lab.planned(thin());
    expect(await lab.apply(thin(), id)).toMatchObject({
      status: 'applied',
      tables: [
        { table: 'lab.content', keep: 150, recompute: 0 },
        { table: 'lab.preview', keep: 150, recompute: 0 },
        { table: 'lab.stats', keep: 150, recompute: 0 },
      ],
    });
    // The sample of each of the three, in a copy, and nothing else.
    expect(calls).toBe(300);
    expect(
      await lab.rows(
        'select rows, mean, thumbnail from lab.content join lab.stats using (file) join lab.preview using (file) where file = 3',
      ),
    ).toEqual([{ rows: 3, mean: 1.5, thumbnail: 'xxx' }]);
    expect(await lab.populate(thin())).toMatchObject({ status: 'done' });
    expect(calls).toBe(300);
    expect(await lab.verify(thin())).toMatchObject({ status: 'equal' });
    expect(await settledState(lab.options(thin()))).toEqual(SETTLED);
  });

  it('scenario 5: a new make that gives other values is found out on the sample', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(fat());
    await lab.store.script('insert into lab.file values (1, 1), (2, 2)');
    await lab.populate(fat());
    const before = await liveState(lab.store);
    const id = await lab.planned(thin('!'));
    expect(await lab.apply(thin('!'), id)).toMatchObject({
      status: 'rolled_back',
      findings: [{ code: 'make_changed', subject: 'lab.preview' }],
    });
    expect(await liveState(lab.store)).toEqual(before);
  });

  it('scenario 6: tables that move to another schema are kept without a make, and why answers across the move', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(chain('lab'));
    await lab.store.script('insert into lab.s values (1, 10), (2, 20)');
    await lab.populate(chain('lab'));
    const before = await why(lab.store, 'lab.e', { s: 1 });
    calls = 0;
    const id = await lab.planned(chain('hut'));
    expect(await lab.apply(chain('hut'), id)).toMatchObject({
      status: 'applied',
      tables: ['s', 'a', 'b', 'c', 'd', 'e']
        .toSorted()
        .map((name): unknown => expect.objectContaining({ table: `hut.${name}`, keep: 2, recompute: 0 })),
    });
    expect(calls).toBe(0);
    expect(await lab.rows('select * from hut.e order by s')).toEqual([
      { s: 1, x: 15 },
      { s: 2, x: 25 },
    ]);
    const after = await why(lab.store, 'hut.e', { s: 1 });
    expect(before).toMatchObject({ status: 'ok', origin: { computation: { origin: 'computed' } } });
    if (before.status !== 'ok' || after.status !== 'ok') throw new Error('no answer');
    expect(after.origin.computation?.run).toEqual(before.origin.computation?.run);
    expect(await lab.populate(chain('hut'))).toMatchObject({ status: 'done' });
    expect(calls).toBe(0);
    expect(await lab.verify(chain('hut'))).toMatchObject({ status: 'equal' });
  });

  it('scenario 8: of 100 rows that are merged 3 lack their partner: 97 are joined, 3 are asked about', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(apart());
    await lab.store.script(`${HUNDRED}
      insert into lab.a select i, i from generate_series(1, 100) i;
      insert into lab.b select i, -i from generate_series(1, 100) i where i not in (5, 50, 95)`);
    const plan = await lab.plan(together());
    expect(plan).toMatchObject({
      outcome: {
        findings: [{ code: 'rows_ambiguous', subject: 'lab.m', detail: { rows: 3 } }],
        plan: {
          bound: { tables: [{ table: 'lab.m', keep: 97, ambiguous: 3 }] },
          shown: { reasons: [{ table: 'lab.m', class: 'ambiguous', why: 'no partner: lab.b', rows: 3 }] },
        },
      },
    });
    const before = await liveState(lab.store);
    const id = plan.status === 'planned' ? plan.migrationId : '';
    expect(await lab.apply(together(), id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'rows_ambiguous' }],
    });
    expect(await liveState(lab.store)).toEqual(before);
    await lab.deploy(together(), { 'lab.m': 'retire' });
    expect(await lab.rows('select count(*)::int as rows, bool_and(x = -y) as joined from lab.m')).toEqual([
      { rows: 97, joined: true },
    ]);
  });

  it('scenario 9: of 100 rows that a make computes now 2 differ: both digests are told, and a rule is asked for', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(written());
    await lab.store.script(`${HUNDRED}
      insert into lab.m select i, 2 * i + (i in (7, 70))::int from generate_series(1, 100) i`);
    const before = await liveState(lab.store);
    const id = await lab.planned(made());
    const outcome = await lab.apply(made(), id);
    const digest = expect.stringMatching(/^sha256:[0-9a-f]{64}$/u);
    expect(outcome).toMatchObject({
      status: 'rolled_back',
      findings: [
        {
          code: 'rows_differ',
          subject: 'lab.m',
          detail: {
            rows: 2,
            first: [
              { was: digest, now: digest },
              { was: digest, now: digest },
            ],
          },
        },
      ],
    });
    expect(await liveState(lab.store)).toEqual(before);
    await lab.deploy(made(), { 'lab.m': 'recompute' });
    expect(await lab.rows('select w from lab.m where s in (7, 70) order by s')).toEqual([
      { w: 14 },
      { w: 140 },
    ]);
    expect(await lab.verify(made())).toMatchObject({ status: 'equal' });
    expect(await settledState(lab.options(made()))).toEqual(SETTLED);
  });
}

withEmbedded('tables that split, move, merge and change who fills them', suite);
withPostgres('tables that split, move, merge and change who fills them', 18, suite);
