/** From a version to its plan, and to a run of it: with the one rule that a program can give, to compute anew. */
import type { Finding } from '../../../src/base/index.ts';
import type { TableCounts } from '../../../src/evidence/index.ts';
import type { Attribution, EvolutionPlan } from '../../../src/evolution/index.ts';
import type { FaultHook } from '../../../src/migration/index.ts';
import { assertCounts, namesOf } from './compare.ts';
import type { Content, Version } from './database.ts';
import type { Calls } from './expect.ts';
import { nameOf, type Model, type Table } from './model.ts';

/** What came of planning and applying. */
export interface Done {
  /** Undefined where another make gives other values, which no rule may overlook. */
  readonly id: string | undefined;
  /** What stood against it until a rule was given. */
  readonly codes: readonly string[];
}

/**
 * Plans and applies. Where it is not known what becomes of rows, and where a make gives other values than before, the rule
 * is to compute them; nothing else may stand against it.
 */
export async function planAndApply(version: Version, before: Model, known: Known): Promise<Done | undefined> {
  const { model } = version;
  const ruled = new Set(known.expected.asked);
  // Of people's tables that are merged, rows without a partner go; somebody may write one until the last moment.
  const merged = model.tables.filter(({ tier, mergedFrom }) => tier === 'manual' && mergedFrom !== undefined);
  const retired = merged.map((table) => [nameOf(model, table), 'retire'] as const);
  const codes: string[] = [];
  const values = new Map<string, string>();
  let isCounted = false;
  for (;;) {
    const rules: Attribution = Object.fromEntries([
      ...retired,
      ...values,
      ...namesOf(model, ruled).map((name) => [name, 'recompute'] as const),
    ]);
    const made = await version.plan(rules);
    if (made.status === 'nothing') return undefined;
    const renames = namedOtherwise(model, made, [...ruled, ...values.keys()]);
    if (renames.length > 0) {
      for (const { subject, table, value } of renames) {
        if (value === undefined) ruled.add(table.id);
        else values.set(subject, value);
      }
      continue;
    }
    const { id, tables, findings } = planned(made);
    if (!isCounted) assertCounts(tables, { before, model, ...known });
    isCounted = true;
    const outcome = findings.length === 0 ? await version.apply(id, known.fault) : undefined;
    if (outcome?.status === 'applied') return { id, codes };
    const against = outcome === undefined ? findings : 'findings' in outcome ? outcome.findings : [];
    const open =
      outcome === undefined ? unclearTables(model, tables) : changedMakes(model, against, known.expected);
    if (open.length > 0 && outcome !== undefined && open.every((each) => ruled.has(each))) {
      return { id: undefined, codes: [...codes, ...against.map(({ code }) => code)] };
    }
    if (open.every((each) => ruled.has(each))) {
      throw new Error(
        `${outcome?.status ?? 'planned'} with ${JSON.stringify(rules)}: ${JSON.stringify(against)}`,
      );
    }
    for (const each of open) ruled.add(each);
    codes.push(...against.map(({ code }) => code));
  }
}

/** A column that looks like one that went, and is none. */
interface Named {
  readonly subject: string;
  readonly table: Table;
  /** What it holds; undefined where a make says that. */
  readonly value: string | undefined;
}

/** The columns that it is asked of whether they are others renamed, unless that was answered. */
function namedOtherwise(model: Model, made: EvolutionPlan, answered: readonly string[]): readonly Named[] {
  const findings = 'findings' in made ? made.findings : [];
  if (made.status !== 'refused' || findings.some(({ code }) => code !== 'rename_unclear')) return [];
  return findings.flatMap(({ subject }): readonly Named[] => {
    const place = subject.lastIndexOf('.');
    const table = model.tables.find((each) => nameOf(model, each) === subject.slice(0, place));
    const column = table?.columns.find(({ name }) => name === subject.slice(place + 1));
    if (table === undefined || column === undefined) return [];
    if (answered.includes(table.id) || answered.includes(subject)) return [];
    const value = table.make === undefined ? String(column.default ?? 'null') : undefined;
    return [{ subject, table, value }];
  });
}

/** The tables whose make is said to give other values, where it is another make. */
function changedMakes(model: Model, findings: readonly Finding[], { may, must }: Calls): readonly string[] {
  return findings.flatMap(({ code, subject }) => {
    const table = model.tables.find((each) => nameOf(model, each) === subject);
    const isOther = table !== undefined && (may.has(table.id) || must.has(table.id));
    return code === 'make_changed' && isOther ? [table.id] : [];
  });
}

/** What is known before, and what happens meanwhile. */
export interface Known {
  readonly expected: Calls;
  readonly content: Content;
  readonly fault: FaultHook;
}

/** The tables that have rows of which the plan does not know what becomes of them; those with a make. */
function unclearTables(model: Model, tables: readonly TableCounts[]): readonly string[] {
  return model.tables
    .filter((table) => tables.some((each) => each.table === nameOf(model, table) && each.ambiguous > 0))
    .map(({ id }) => id);
}

function planned(made: EvolutionPlan) {
  if (made.status !== 'planned' || made.outcome.status !== 'planned') {
    throw new Error(`the plan is refused: ${JSON.stringify(made)}`);
  }
  const { plan, findings } = made.outcome;
  const refusing = findings.filter(({ severity }) => severity === 'error');
  return { id: made.migrationId, tables: plan.bound.tables, findings: refusing };
}
