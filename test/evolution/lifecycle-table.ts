import { expect, it } from 'vitest';
import type { Attribution } from '../../src/evolution/index.ts';
import type { Pipeline } from '../../src/pipeline/index.ts';
import type { Row } from '../../src/store/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openLab, type Lab } from './lab.ts';
import { liveState, SETTLED, settledState } from './state.ts';

/** One row of an operation's lifecycle table. */
export interface LifecycleCase {
  readonly name: string;
  readonly given: {
    readonly from: Pipeline;
    readonly to: Pipeline;
    /** SQL that brings rows before `from` is populated. */
    readonly rows: string;
    /** SQL that changes them after. */
    readonly later?: string;
    readonly attribute?: Attribution;
  };
  /** The table, in key order, that is looked at after each step. */
  readonly look: string;
  readonly afterApply?: readonly Row[];
  /** Undefined: there is no such table. */
  readonly afterRollback?: readonly Row[];
  readonly afterSecondApply?: readonly Row[];
  /** What else stands after each apply, by the query that shows it. */
  readonly also?: Readonly<Record<string, readonly Row[]>>;
  /** By table, what the plan says becomes of its rows; classes with no row may be left out, tables as well. */
  readonly wantCounts?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The words of the plan for each operation, spaces between columns made one. */
  readonly wantWords?: readonly string[];
  /** Codes that apply is refused with, after which everything is as it was. */
  readonly wantApplyFindings?: readonly string[];
  /** Codes that the plan is refused with, in order; then nothing else happens. */
  readonly wantFindings?: readonly string[];
}

/** Runs the cases on the embedded store and on PostgreSQL: plan, apply, roll back, apply again. */
export function lifecycleTable(operation: string, cases: readonly LifecycleCase[]): void {
  const suite = (given: StoreUnderTest): void => {
    it.each(cases)('$name', async (one) => {
      await using lab = await openLab(given.store);
      await runCase(lab, one);
    });
  };
  withEmbedded(`the life of ${operation}`, suite);
  withPostgres(`the life of ${operation}`, 18, suite);
}

async function runCase(lab: Lab, one: LifecycleCase): Promise<void> {
  const { from, to, rows, later, attribute = {} } = one.given;
  await lab.deploy(from);
  await lab.store.script(rows);
  expect(await lab.populate(from)).toMatchObject({ status: 'done' });
  if (later !== undefined) await lab.store.script(later);
  const before = await liveState(lab.store);
  const plan = await lab.plan(to, attribute);
  expect(findingsOf(plan)).toEqual(one.wantFindings ?? []);
  expect(await liveState(lab.store)).toEqual(before);
  if (one.wantFindings !== undefined || plan.status !== 'planned') return;
  const id = plan.migrationId;
  if (one.wantWords !== undefined) {
    expect(plan.operations.map((words) => words.replaceAll(/ +/gu, ' '))).toEqual(one.wantWords);
  }
  if (one.wantCounts !== undefined) expect(countsOf(plan, one.wantCounts)).toEqual(one.wantCounts);
  if (one.wantApplyFindings !== undefined) return refusedApply(lab, one, id);
  await applies(lab, to, id);
  expect(await look(lab, one.look)).toEqual(one.afterApply);
  await lookAlso(lab, one);
  const after = await liveState(lab.store);
  const back = await lab.rollback(to, id);
  expect(back, JSON.stringify(back)).toMatchObject({ status: 'applied', direction: 'rollback' });
  expect(await look(lab, one.look)).toEqual(one.afterRollback);
  expect(await liveState(lab.store)).toEqual(before);
  await applies(lab, to, id);
  expect(await look(lab, one.look)).toEqual(one.afterSecondApply);
  await lookAlso(lab, one);
  expect(await liveState(lab.store)).toEqual(after);
  expect(await settledState(lab.options(to))).toEqual(SETTLED);
}

async function applies(lab: Lab, to: Pipeline, id: string): Promise<void> {
  const outcome = await lab.apply(to, id);
  expect(outcome, JSON.stringify('findings' in outcome ? outcome.findings : [])).toMatchObject({
    status: 'applied',
    already: false,
  });
}

async function refusedApply(lab: Lab, one: LifecycleCase, id: string): Promise<void> {
  const before = await liveState(lab.store);
  const outcome = await lab.apply(one.given.to, id);
  expect(outcome.status).not.toBe('applied');
  expect(outcome.findings.map(({ code }) => code)).toEqual(one.wantApplyFindings);
  expect(await liveState(lab.store)).toEqual(before);
  expect(await settledState(lab.options(one.given.to))).toEqual(SETTLED);
}

async function lookAlso(lab: Lab, { also = {} }: LifecycleCase): Promise<void> {
  for (const [query, rows] of Object.entries(also)) expect(await lab.rows(query), query).toEqual(rows);
}

/** The classes of the tables that are asked about, those with rows. */
function countsOf(
  plan: Awaited<ReturnType<Lab['plan']>>,
  wanted: NonNullable<LifecycleCase['wantCounts']>,
): object {
  if (plan.status !== 'planned' || plan.outcome.status !== 'planned') return {};
  const { tables } = plan.outcome.plan.bound;
  return Object.fromEntries(
    tables
      .filter(({ table }) => wanted[table] !== undefined)
      .map(({ table, ...classes }) => [
        table,
        Object.fromEntries(Object.entries(classes).filter(([, rows]) => rows !== 0)),
      ]),
  );
}

function findingsOf(plan: Awaited<ReturnType<Lab['plan']>>): readonly string[] {
  if (plan.status === 'nothing') return ['nothing'];
  const findings = plan.status === 'refused' ? plan.findings : plan.outcome.findings;
  return findings.map(({ code }) => code);
}

async function look(lab: Lab, table: string): Promise<readonly Row[] | undefined> {
  const [there] = await lab.rows(`select to_regclass('${table}') is not null as there`);
  return there?.['there'] === true ? lab.rows(`select * from ${table} order by 1`) : undefined;
}
