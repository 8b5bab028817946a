/** Random scripts there and their inverses, on real stores: what comes back is what was, and each limit is exact. */
import * as fc from 'fast-check';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { applyMigration, rollbackMigration } from '../../src/migration/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { planSql } from './sql-bundle.ts';
import { sqlScene } from './sql-scene.ts';

/** A step with its inverse. `n` is its place in the script, so that no two steps meet by name. */
interface Step {
  readonly forward: string;
  readonly back: string;
}

const STEPS: Readonly<Record<string, (n: number) => Step>> = {
  column: (n) => ({
    forward: `alter table plot add column c${n} text default 'x'`,
    back: `alter table plot drop column c${n}`,
  }),
  volatile: (n) => ({
    forward: `alter table plot add column v${n} float8 default random()`,
    back: `alter table plot drop column v${n}`,
  }),
  index: (n) => ({ forward: `create index i${n} on plot (area, name)`, back: `drop index i${n}` }),
  passing: (n) => ({
    forward: `create index p${n} on plot (name); drop index p${n}`,
    back: `create index p${n} on plot (name); drop index p${n}`,
  }),
  check: (n) => ({
    forward: `alter table plot add constraint k${n} check (area > -1000)`,
    back: `alter table plot drop constraint k${n}`,
  }),
  unique: (n) => ({
    forward: `alter table plot add constraint u${n} unique (name, id)`,
    back: `alter table plot drop constraint u${n}`,
  }),
  table: (n) => ({
    forward: `create table t${n} (id int primary key references plot, note text); insert into t${n} select id from plot where id < 3`,
    back: `drop table t${n}`,
  }),
  view: (n) => ({ forward: `create view w${n} as select id, area from plot`, back: `drop view w${n}` }),
  update: (n) => ({
    forward: `update plot set area = area + ${n} where id <= 4`,
    back: `update plot set area = area - ${n} where id <= 4`,
  }),
  insert: (n) => ({
    forward: `insert into plot values (${100 + n}, ${n}, 'new')`,
    back: `delete from plot where id = ${100 + n}`,
  }),
  rename: (n) => ({
    forward: `alter table plot rename column tag to tag${n}`,
    back: `alter table plot rename column tag${n} to tag`,
  }),
  need: () => ({
    forward: 'alter table plot alter column name set not null',
    back: 'alter table plot alter column name drop not null',
  }),
  comment: (n) => ({
    forward: `comment on column plot.area is 'hectares ${n}'`,
    back: 'comment on column plot.area is null',
  }),
};

/** Steps that can stand only once in a script, for the second would meet the first. */
const ONCE = new Set(['rename', 'need']);
const script = fc
  .array(fc.constantFrom(...Object.keys(STEPS)), { minLength: 1, maxLength: 6 })
  .map((names) => names.filter((name, at) => !ONCE.has(name) || names.indexOf(name) === at))
  .map((names) => names.map((name, at) => (STEPS[name] as (n: number) => Step)(at + 1)));

const LIMITS = ['max_row_backfill', 'max_index_count_delta', 'max_table_count_touched'] as const;
const CASES = Number(process.env['VARVE_TEST_INVERSES'] ?? 3);

function suite(given: StoreUnderTest): void {
  const scene = sqlScene(given);
  let count = 0;

  async function plots(): Promise<string> {
    const schema = await given.freshSchema();
    await given.store.script(`
      create table ${schema}.plot (id int primary key, area float8 not null, name text, tag text);
      insert into ${schema}.plot select i, i, 'n' || i from generate_series(1, 5) i;`);
    return schema;
  }

  async function planned(
    schema: string,
    steps: readonly Step[],
    limits: Readonly<Record<string, number>>,
  ): Promise<string> {
    count += 1;
    const day = 10 + Math.floor(count / 90);
    const id = `PG-MIG-2026-07-${day}-${String((count % 90) + 1).padStart(2, '0')}`;
    const outcome = await planSql(scene.options, {
      id,
      schema,
      tables: ['plot', ...steps.flatMap((_step, at) => [`t${at + 1}`, `w${at + 1}`])].filter(
        (name) => name === 'plot' || steps.some(({ forward }) => forward.includes(` ${name} `)),
      ),
      forward: steps.map(({ forward }) => forward).join(';\n'),
      rollback: steps
        .toReversed()
        .map(({ back }) => back)
        .join(';\n'),
      limits,
    });
    expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'planned' });
    return id;
  }

  async function observedBy(id: string): Promise<Readonly<Record<string, number>>> {
    const path = join(scene.options.root, 'postgis', id, 'diffs/summary.json');
    const summary: { readonly verdicts: readonly { readonly limit: string; readonly observed: number }[] } =
      JSON.parse(await readFile(path, 'utf8'));
    return Object.fromEntries(summary.verdicts.map(({ limit, observed }) => [limit, observed]));
  }

  it('M106 a random script and its inverse end where they began, and the script goes again', async () => {
    const property = fc.asyncProperty(script, async (steps) => {
      const id = await planned(await plots(), steps, {});
      const back = { status: 'applied', receipt: { receipt: { proof: { status: 'equal' } } } };
      for (const round of [1, 2]) {
        const forward = await applyMigration(scene.options, id);
        expect(forward, `${round} ${JSON.stringify(forward)}`).toMatchObject({ status: 'applied' });
        const ended = await rollbackMigration(scene.options, id);
        expect(ended, `${round} ${JSON.stringify(ended)}`).toMatchObject(back);
      }
    });
    await fc.assert(property, { numRuns: CASES, endOnFailure: true });
  }, 600_000);

  it('M22 M23 a random script is admitted at what it does, and refused at one less', async () => {
    const property = fc.asyncProperty(script, async (steps) => {
      const first = await planned(await plots(), steps, {});
      expect(await applyMigration(scene.options, first)).toMatchObject({ status: 'applied' });
      const exact = await observedBy(first);
      const second = await planned(await plots(), steps, exact);
      expect(await applyMigration(scene.options, second), JSON.stringify(exact)).toMatchObject({
        status: 'applied',
      });
      for (const limit of LIMITS) {
        const most = exact[limit] ?? 0;
        if (most === 0) continue;
        const less = await planned(await plots(), steps, { ...exact, [limit]: most - 1 });
        expect(await applyMigration(scene.options, less), `${limit} ${most}`).toMatchObject({
          status: expect.stringMatching(/^(?:refused|rolled_back)$/u) as unknown,
          findings: expect.arrayContaining([expect.objectContaining({ code: 'limit_exceeded' })]) as unknown,
        });
      }
    });
    await fc.assert(property, { numRuns: CASES, endOnFailure: true });
  }, 600_000);
}

withEmbedded('random scripts', suite);
withPostgres('random scripts', 18, suite);
