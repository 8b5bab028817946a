/** What an evolution would do, there and back: counted in one snapshot, and only looked at. */
import type { Finding, JsonObject } from '../base/index.ts';
import type { TableCounts } from '../evidence/index.ts';
import { measuresOfCounts, type Enforcement, type KindPlan, type PlanContext } from '../migration/index.ts';
import { deployedSet, loadRelations, type DefinitionSet } from '../pipeline/index.ts';
import type { Queryable, Transaction } from '../store/index.ts';
import { costOf, type Cost } from './cost.ts';
import { objectsOf, operationsIn, type Documents, type ForwardDocument } from './documents.ts';
import { deployedMoved, movedFindings } from './moved.ts';
import type { EvolutionWorld, OperationPlan, PlanScope } from './operation/operation.ts';
import { verbsOf } from './operation/verbs.ts';
import { planRebuilds } from './rebuild/plan.ts';
import { checkRules, evaluatingRules } from './rule/check-rules.ts';
import { choicesOf } from './rule/choices.ts';
import { isUntouched, seenNow, type Seen } from './untouched.ts';

/** What every run of this kind is held by. */
export const ENFORCEMENT: Enforcement = {
  level: 'observed',
  layers: ['provenance_rows', 'row_digests'],
  role: 'none',
};

/** The plan forward. */
export async function planForward(
  { forward, naming, sets, decisions }: Documents,
  {
    transaction,
    world,
    counted,
    held,
  }: {
    readonly transaction: Transaction;
    readonly world: EvolutionWorld;
    readonly counted: Counted | undefined;
    readonly held: PlanContext['planned'];
  },
): Promise<KindPlan> {
  const deployed = await deployedSet(transaction);
  const moved = movedFindings({ forward, naming, sets, decisions }, { deployed, world });
  // With another set deployed the operations mean nothing, so they are not asked.
  if (moved.length > 0) return planned(forward, [], moved);
  const operations = operationsIn(forward);
  const given = {
    ...sets,
    naming,
    operations,
    attribution: forward.attribute,
    decisions,
    codeByTable: world.codeByTable,
  };
  const outcome = counted ?? (await planOperations(transaction, given, held));
  if ('findings' in outcome) return planned(forward, [], outcome.findings);
  const plan = planned(forward, outcome.plans, []);
  const { reasons, cost, seen, ambiguousKeys } = outcome;
  return { ...plan, shown: { ...plan.shown, reasons, cost, seen }, ambiguousKeys };
}

/** What the operations would do, counted in one snapshot. */
export interface Counted {
  readonly plans: readonly OperationPlan[];
  readonly reasons: readonly JsonObject[];
  readonly cost: Cost | null;
  readonly seen: Seen;
  readonly ambiguousKeys: Readonly<Record<string, readonly JsonObject[]>>;
}

/**
 * What each operation would do, the rebuilds together; or why the rules of the bundle cannot be used. Where nothing was
 * written since the plan that is held to, its counts hold.
 */
export async function planOperations(
  transaction: Transaction,
  given: Omit<PlanScope, 'transaction' | 'relations' | 'planned'>,
  held?: PlanContext['planned'],
): Promise<Counted | { readonly findings: readonly Finding[] }> {
  const relations = await loadRelations(transaction);
  const bare: PlanScope = { ...given, transaction, relations, planned: new Map() };
  const unusable = await checkRules(transaction, bare);
  if (unusable.length > 0) return { findings: unusable };
  const seen = await seenNow(bare);
  const counted = held !== undefined && (await holds(bare, held)) ? held.tables : undefined;
  const rebuilds = await evaluatingRules(transaction, bare, () => planRebuilds(bare, counted));
  if ('findings' in rebuilds) return rebuilds;
  const plans: OperationPlan[] = [];
  for (const operation of given.operations) {
    plans.push(await verbsOf(operation).plan(operation, { ...bare, planned: rebuilds.value }));
  }
  const reasons = [...rebuilds.value].flatMap(([table, each]) =>
    each.reasons.map((reason) => ({ table, ...reason })),
  );
  const ambiguousKeys = Object.fromEntries(
    [...rebuilds.value].map(([table, each]) => [table, each.ambiguousKeys]),
  );
  return { plans, reasons, cost: await costOf(bare, rebuilds.value), seen, ambiguousKeys };
}

/** Whether what a plan counted is what would be counted now; ambiguous rows are named again. */
async function holds(
  scope: PlanScope,
  { tables, shown }: NonNullable<PlanContext['planned']>,
): Promise<boolean> {
  const { seen } = shown;
  if (typeof seen !== 'object' || seen === null || Array.isArray(seen)) return false;
  return tables.every(({ ambiguous }) => ambiguous === 0) && isUntouched(scope, seen as JsonObject);
}

function planned(
  forward: ForwardDocument,
  plans: readonly OperationPlan[],
  findings: readonly Finding[],
): KindPlan {
  const tables = oneEach(plans.flatMap((plan) => plan.tables));
  const objects = objectsOf(forward);
  return {
    bound: {
      from: forward.from,
      to: forward.to,
      operations: forward.operations,
      code: forward.code,
      states: plans.map(({ bound }) => bound),
    },
    tables,
    objects,
    enforcement: ENFORCEMENT,
    measures: measuresOfCounts(tables, objects),
    shown: { operations: wordsOf(forward, plans), questions: questionsOf(forward, plans) },
    rollbackClass: 'lossless',
    findings: [...findings, ...plans.flatMap((plan) => plan.findings)],
  };
}

/** The operations in words, with what makes them needed where that is counted. */
function wordsOf(forward: ForwardDocument, plans: readonly OperationPlan[]): readonly string[] {
  return operationsIn(forward).flatMap((operation, index) => {
    const reads = plans[index]?.reads;
    const words = verbsOf(operation).describe(operation).split('\n');
    if (typeof reads !== 'number') return words;
    const told = `   (read ${reads.toLocaleString('en')} times without being declared)`;
    return words.map((line) => (/^(declare|widen) /u.test(line) ? `${line}${told}` : line));
  });
}

/** What the plan cannot answer itself. */
function questionsOf(forward: ForwardDocument, plans: readonly OperationPlan[]): readonly string[] {
  const { tables } = forward.set as unknown as DefinitionSet;
  const rebuilds = operationsIn(forward).filter((operation) => operation.kind === 'rebuild');
  const ambiguous = plans
    .flatMap((plan) => plan.tables)
    .filter((counted) => counted.ambiguous > 0)
    .map(({ table, ambiguous: rows }) => {
      const spec = tables.find(({ name }) => name === table);
      const rebuild = rebuilds.find((operation) => operation.table === table);
      const which = rows === 1 ? '1 row' : `${rows.toLocaleString('en')} rows`;
      return `${which} of ${table} cannot be attributed by what is recorded: say which rule holds: ${choicesOf(table, spec, rebuild)}`;
    });
  return [...ambiguous, ...plans.flatMap(({ questions = [] }) => questions)];
}

/** One line a table: two operations of one table tell of the same rows, and the first one tells more. */
export function oneEach(tables: readonly TableCounts[]): readonly TableCounts[] {
  const first = new Map<string, TableCounts>();
  for (const each of tables) if (!first.has(each.table)) first.set(each.table, each);
  return [...first.values()].toSorted((left, right) => (left.table < right.table ? -1 : 1));
}

/** The plan back. */
export async function planBack(forward: ForwardDocument, transaction: Queryable): Promise<KindPlan> {
  const deployed = await deployedSet(transaction);
  const relations = await loadRelations(transaction);
  const findings = deployedMoved(forward.to, deployed?.digest);
  if (findings.length > 0) return planned(forward, [], findings);
  const operations = operationsIn(forward);
  const tables: TableCounts[] = [];
  for (const operation of operations) {
    tables.push(...(await verbsOf(operation).planBack(operation, { transaction, relations, operations })));
  }
  const counted = oneEach(tables);
  const plan = planned(forward, [], findings);
  return { ...plan, tables: counted, measures: measuresOfCounts(counted, plan.objects) };
}
