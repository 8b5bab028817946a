import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import type { Finding, JsonObject } from '../../src/base/index.ts';
import {
  planEvolution,
  type AmbiguousRow,
  type Attribution,
  type EvolutionPlan,
  type FunctionRule,
  type RowRule,
} from '../../src/evolution/index.ts';
import { planMigration } from '../../src/migration/index.ts';
import { t, type Pipeline } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, sideLab, worldOf, type Lab } from './lab.ts';
import { definitionsFrom, versionTwo } from './side-pipeline.ts';
import { liveState } from './state.ts';
import { lab } from './tables.ts';

const TWO = versionTwo('lab');

/** Scenario 2: of rows 3 and 4 nothing is recorded, and Side has two rows to choose from. */
async function ambiguousLab(lab: Lab): Promise<void> {
  await sideLab(lab);
  await lab.store.script(`
    insert into lab.side values (2, 9);
    insert into lab.s values (3, 30), (4, 40);
    insert into lab.r values (3, 37), (4, 49);`);
}

function findingsOf(plan: EvolutionPlan): readonly Finding[] {
  if (plan.status === 'nothing') return [];
  return plan.status === 'refused' ? plan.findings : plan.outcome.findings;
}

/** Rows that people wrote, of which nothing is recorded, under keys that a number of JSON does not hold. */
function written(isDeclared: boolean): Pipeline {
  return lab((made, s) => {
    const key = { w: t.bigint(), n: t.numeric() };
    made.manual('w', isDeclared ? { key, references: { of: s } } : { key });
  });
}

let count = 0;

function planBy(lab: Lab, call: RowRule): Promise<EvolutionPlan> {
  const world = worldOf(definitionsFrom(TWO));
  const rule: FunctionRule = { path: 'rules/attribute.ts', source: 'export const text = 1;', call };
  const attribution = { 'lab.r': 'rules/attribute.ts#rule' };
  return planEvolution(lab.options(TWO), world, attribution, { functions: new Map([['lab.r', rule]]) });
}

async function plannedBy(
  lab: Lab,
  call: RowRule,
): Promise<{ readonly id: string; readonly findings: readonly Finding[] }> {
  const plan = await planBy(lab, call);
  if (plan.status !== 'planned') throw new Error(JSON.stringify(plan));
  return { id: plan.migrationId, findings: plan.outcome.findings };
}

withStores('rules for ambiguous rows', (given) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab(given.store);
    await ambiguousLab(lab);
  });

  it.each<[string, Attribution, JsonObject]>([
    ['a subquery', { 'lab.r.side': '(select max(side) from lab.side)' }, { reason: 'a subquery' }],
    ['a second statement', { 'lab.r.side': '1; drop table lab.s' }, { reason: 'more than one expression' }],
    ['what leaves its parentheses', { 'lab.r.side': '1) from lab.s --' }, { position: 2 }],
    ['a second value', { 'lab.r.side': '1, 2' }, { reason: 'more than one expression' }],
    ['a FROM', { 'lab.r.side': '1 from lab.s' }, { reason: 'more than one expression' }],
    ['nothing', { 'lab.r.side': ' ' }, { reason: 'no expression' }],
    ['only a comment', { 'lab.r.side': '-- 1' }, { reason: 'more than one expression' }],
    ['an aggregate', { 'lab.r.side': 'max(value)' }, { reason: 'a function that does more than compute' }],
    ['a count of rows', { 'lab.r.side': 'count(*)' }, { reason: 'an aggregate or a window' }],
    [
      'a window',
      { 'lab.r.side': 'row_number() over ()' },
      { reason: 'an aggregate or a window', position: 1 },
    ],
    ['chance', { 'lab.r.side': '1 + random()' }, { name: 'random' }],
    ['a set', { 'lab.r.side': 'generate_series(1, 2)' }, { name: 'generate_series' }],
    ['what reads files', { 'lab.r.side': "length(pg_read_file('/etc/passwd'))" }, { name: 'pg_read_file' }],
    [
      'what runs queries',
      { 'lab.r.side': "length(table_to_xml('lab.s', true, false, '')::text)" },
      { name: 'table_to_xml' },
    ],
    [
      'what sets the session',
      { 'lab.r.side': "length(set_config('a.b', 'c', false))" },
      { name: 'set_config' },
    ],
    ['the time', { 'lab.r.side': 'extract(epoch from current_timestamp)::integer' }, { position: 20 }],
    ['a parameter', { 'lab.r.side': '$1' }, { position: 1 }],
    ['what stands beside the old row', { 'lab.r.side': 'c.spec' }, { reason: 'more than the old row' }],
    [
      'a whole row',
      { 'lab.r.side': 'length(t::text)' },
      { reason: 'no such column in the old row', position: 8 },
    ],
    ['another column', { 'lab.r.side': "'é' || valu" }, { position: 8 }],
    [
      'a function as a member',
      { 'lab.r.side': '(value).pg_sleep' },
      { reason: 'a form that a rule may not have' },
    ],
    ['a name of the catalog', { 'lab.r.side': "'lab.s'::regclass::integer" }, { name: 'regclass' }],
    ['another type', { 'lab.r.side': 'array[1]' }, { sqlstate: '42846', type: 'integer' }],
    ['a constant of another type', { 'lab.r.side': "'one'" }, { sqlstate: '22P02' }],
    ['an unknown function', { 'lab.r.side': 'pg_catalog.nothing(1)' }, { name: 'pg_catalog.nothing' }],
    [
      'division by zero in a row',
      { 'lab.r.side': '1 / (value - 37)' },
      { reason: 'division by zero', sqlstate: '22012' },
    ],
    ['an unknown word', { 'lab.r': 'forget' }, { reason: 'no such rule' }],
    ['an unknown table', { 'lab.q': 'recompute' }, { reason: 'nothing that this plan changes' }],
    ['a table that stays', { 'lab.side': 'recompute' }, { reason: 'nothing that this plan changes' }],
  ])('refuses %s', async (_, attribute, detail) => {
    const before = await liveState(lab.store);
    const plan = await lab.plan(TWO, attribute);
    expect(findingsOf(plan)).toMatchObject([{ code: 'attribute_invalid', detail }]);
    expect(plan.status).toBe('refused');
    expect(await liveState(lab.store)).toEqual(before);
  });

  it('refuses a function of a user that does more than compute, whatever it is called', async () => {
    await lab.store.script(`
      create function public.pick(v integer) returns integer language sql volatile as 'select v';
      create function public.tell(v integer) returns integer language sql immutable as 'select 1';`);
    try {
      const [refused] = findingsOf(await lab.plan(TWO, { 'lab.r.side': 'public.pick(value)' }));
      expect(refused).toMatchObject({ code: 'attribute_invalid', detail: { name: 'public.pick' } });
      expect((await lab.plan(TWO, { 'lab.r.side': 'public.tell(value)' })).status).toBe('planned');
    } finally {
      await lab.store.script('drop function public.pick; drop function public.tell');
    }
  });

  it('rows that a rule gives a key without a row stay ambiguous', async () => {
    const plan = await lab.plan(TWO, { 'lab.r.side': 'case when value = 37 then 1 else 99 end' });
    if (plan.status !== 'planned' || plan.outcome.status !== 'planned') throw new Error(JSON.stringify(plan));
    const { findings, plan: file } = plan.outcome;
    expect(findings).toMatchObject([{ code: 'rows_ambiguous', subject: 'lab.r', detail: { rows: 1 } }]);
    expect(file.shown['reasons']).toContainEqual({
      table: 'lab.r',
      class: 'ambiguous',
      why: 'no such row: lab.side',
      rows: 1,
    });
  });

  it('refuses a bundle whose rules or operations were altered', async () => {
    const id = await lab.planned(TWO, { 'lab.r.side': '2' });
    const options = lab.options(TWO);
    const file = join(options.root, 'pipeline', id, 'forward.json');
    const text = await readFile(file, 'utf8');
    const replanned = async (altered: string): Promise<readonly Finding[]> => {
      expect(altered).not.toBe(text);
      await writeFile(file, altered);
      const outcome = await planMigration(options, id);
      return outcome.findings;
    };
    expect(
      await replanned(text.replace('"lab.r.side":"2"', '"lab.r.side":"2) from pg_sleep(1"')),
    ).toMatchObject([{ code: 'attribute_invalid' }]);
    expect(await replanned(text.replace('"lab.r.side":"2"', '"lab.r.side":{"a":1}'))).toMatchObject([
      { code: 'attribute_invalid' },
    ]);
    expect(await replanned(text.replace('"from":"recorded"', '"from":"default"'))).toMatchObject([
      { code: 'bundle_invalid' },
    ]);
    await writeFile(file, text);
    expect((await planMigration(options, id)).findings).toEqual([]);
  });

  it('asks a function about ambiguous rows and keeps its answers with the bundle', async () => {
    const asked: AmbiguousRow[] = [];
    const { id, findings } = await plannedBy(lab, (row) => {
      asked.push(row);
      return { side: row.row['s'] === 3 ? 1 : 99 };
    });
    expect(findings).toMatchObject([{ code: 'rows_ambiguous', detail: { rows: 1, keys: [{ s: 4 }] } }]);
    expect(asked[0]).toEqual({ row: { s: 3, value: 37 }, reads: [] });
    expect(asked).toHaveLength(4);
    const options = lab.options(TWO);
    const folder = join(options.root, 'pipeline', id);
    expect(await readFile(join(folder, 'rules/attribute.ts'), 'utf8')).toBe('export const text = 1;');
    expect(JSON.parse(await readFile(join(folder, 'decisions.json'), 'utf8'))).toMatchObject({
      tables: {
        'lab.r': [
          { key: { s: 3 }, is: { side: 1 } },
          { key: { s: 4 }, is: { side: 99 } },
        ],
      },
    });
    // The answer was for the row as it was.
    await lab.store.script('update lab.r set value = 38 where s = 3');
    expect((await planMigration(options, id)).findings).toMatchObject([
      { code: 'rows_ambiguous', detail: { rows: 2 } },
    ]);
    await lab.store.script('update lab.r set value = 37 where s = 3');
    expect((await planMigration(options, id)).findings).toMatchObject([{ detail: { rows: 1 } }]);
    await writeFile(join(folder, 'decisions.json'), '{"tables":{"lab.r":[{"key":1}]}}');
    expect((await planMigration(options, id)).findings).toMatchObject([{ code: 'bundle_invalid' }]);
    await writeFile(
      join(folder, 'decisions.json'),
      '{"tables":{"lab.r":[{"is":{"side":"x"},"key":{"s":3},"row":""}]}}',
    );
    expect((await planMigration(options, id)).findings).toMatchObject([{ code: 'attribute_invalid' }]);
  });

  it.each<[string, RowRule, string]>([
    [
      'throws',
      () => {
        throw new RangeError('37');
      },
      'it threw RangeError',
    ],
    ['answers otherwise each time', () => ({ side: (count += 1) }), 'it answers otherwise when asked again'],
    ['names another column', () => ({ value: 1 }), 'a value for value, which is not asked for'],
    ['gives no plain value', () => ({ side: { a: 1 } }), 'no plain value for side'],
    ['gives no answer', () => 'forget' as 'retire', 'no answer'],
  ])('refuses a function that %s', async (_, call, reason) => {
    const plan = await planBy(lab, call);
    expect(findingsOf(plan)).toMatchObject([
      { code: 'attribute_invalid', subject: 'lab.r', detail: { reason, key: { s: 3 } } },
    ]);
    expect(JSON.stringify(plan)).not.toContain('37');
  });

  it('applies what a function said, and goes back', async () => {
    const before = await liveState(lab.store);
    const { id, findings } = await plannedBy(lab, ({ row }) => (row['s'] === 3 ? { side: 2 } : 'recompute'));
    expect(findings).toEqual([]);
    expect(await lab.apply(TWO, id)).toMatchObject({
      status: 'applied',
      tables: [
        { table: 'lab.double', keep: 2 },
        { table: 'lab.r', backfill: 3, recompute: 1, ambiguous: 0 },
      ],
    });
    expect(await lab.rows('select * from lab.r where s > 2 order by s')).toEqual([
      { s: 3, side: 2, value: 37 },
      { s: 4, side: 2, value: 49 },
    ]);
    expect(await lab.rollback(TWO, id)).toMatchObject({ status: 'applied' });
    expect(await liveState(lab.store)).toEqual(before);
  });

  it('lets rows go that a function says are to be retired, and what hangs on them', async () => {
    await lab.store.script('insert into lab.double values (4, 98)');
    const before = await liveState(lab.store);
    const { id } = await plannedBy(lab, ({ row }) => (row['s'] === 3 ? { side: 2 } : 'retire'));
    expect(await lab.apply(TWO, id)).toMatchObject({
      status: 'applied',
      tables: [
        { table: 'lab.double', keep: 2, retire: 1 },
        { table: 'lab.r', backfill: 3, retire: 1, ambiguous: 0 },
      ],
    });
    expect(await lab.rollback(TWO, id)).toMatchObject({ status: 'applied' });
    expect(await liveState(lab.store)).toEqual(before);
    await lab.store.script('delete from lab.double where s = 4');
  });

  it('gives rows of which nothing is recorded what an expression over the old row says', async () => {
    const rule = 'case when value - s * 10 = 7 then 1 else old.side_of end';
    const [refused] = findingsOf(await lab.plan(TWO, { 'lab.r.side': rule }));
    expect(refused).toMatchObject({ detail: { reason: 'no such column in the old row' } });
    const id = await lab.planned(TWO, {
      'lab.r.side': 'case when value - old.s * 10 = 7 then 1 else 2 end -- so',
    });
    const outcome = await lab.apply(TWO, id);
    expect(outcome).toMatchObject({
      status: 'applied',
      tables: [
        { table: 'lab.double', keep: 2 },
        { table: 'lab.r', backfill: 4, ambiguous: 0 },
      ],
    });
    expect(await lab.rows('select * from lab.r order by s')).toEqual([
      { s: 1, side: 1, value: 17 },
      { s: 2, side: 1, value: 27 },
      { s: 3, side: 1, value: 37 },
      { s: 4, side: 2, value: 49 },
    ]);
  });

  it('keeps every digit of a key, in what it names and in what a function is asked and says', async () => {
    await using wide = await openLab(given.store);
    await wide.deploy(written(false));
    await wide.store.script(`insert into lab.s values (1, 10), (2, 20);
      insert into lab.w values (9007199254740992, 0.10), (9007199254740993, 12345678901234567.25)`);
    const { subject, detail } = findingsOf(await wide.plan(written(true)))[0] as Finding;
    expect({ subject, keys: detail?.['keys'] }).toEqual({
      subject: 'lab.w',
      keys: [
        { w: '9007199254740992', n: '0.10' },
        { w: '9007199254740993', n: '12345678901234567.25' },
      ],
    });
    const asked: JsonObject[] = [];
    const call: RowRule = ({ row }) => {
      asked.push(row);
      return { s: row['w'] === '9007199254740992' ? 1 : 2 };
    };
    const rule: FunctionRule = { path: 'rules/wide.ts', source: '', call };
    const plan = await planEvolution(
      wide.options(written(true)),
      worldOf(definitionsFrom(written(true))),
      { 'lab.w': 'rules/wide.ts#rule' },
      { functions: new Map([['lab.w', rule]]) },
    );
    expect(findingsOf(plan)).toEqual([]);
    expect(asked[0]).toEqual({ w: '9007199254740992', n: '0.10' });
    if (plan.status !== 'planned') throw new Error(JSON.stringify(plan));
    expect(await wide.apply(written(true), plan.migrationId)).toMatchObject({ status: 'applied' });
    expect(await wide.rows('select w::text, s from lab.w order by w')).toEqual([
      { w: '9007199254740992', s: 1 },
      { w: '9007199254740993', s: 2 },
    ]);
  });
});
