import { refusal, type Finding } from '../base/index.ts';
import type { LimitVerdict, TableCounts } from '../evidence/index.ts';
import type { KindPlan } from './kind.ts';
import type { Scope } from './declaration.ts';

/** The classes of rows that a plan counts exactly. */
export const ROW_CLASSES = ['keep', 'rekey', 'backfill', 'recompute', 'retire', 'ambiguous'] as const;

/** The declared limits of a kind with what was observed; an absent limit is 0 (M22). */
export function judgeLimits(
  names: readonly string[],
  limits: Readonly<Record<string, number>>,
  observed: { readonly tables: readonly TableCounts[]; readonly objects: readonly string[] },
): readonly LimitVerdict[] {
  return names.map((limit) => {
    const declared = limits[limit] ?? 0;
    const value = measure(limit, observed);
    return { limit, declared, observed: value, status: value <= declared ? 'pass' : 'fail' };
  });
}

/** What exceeds its limit. */
export function limitFindings(subject: string, verdicts: readonly LimitVerdict[]): readonly Finding[] {
  return verdicts
    .filter(({ status }) => status === 'fail')
    .map(({ limit, declared, observed }) =>
      refusal('limit_exceeded', subject, {
        detail: { limit, declared, observed },
        hint: `Write limits.${limit}: ${observed} into a new declaration if that is what you mean to change.`,
      }),
    );
}

/** The limits that a declaration may not have, because its kind does not know them (M9). */
export function unknownLimits(
  names: readonly string[],
  limits: Readonly<Record<string, number>>,
): readonly Finding[] {
  return Object.keys(limits)
    .filter((limit) => !names.includes(limit))
    .map((limit) =>
      refusal('declaration_invalid', 'migration.yml', {
        detail: { reason: 'unknown_limit', limit },
        hint: `Use the limits of this kind: ${names.join(', ')}.`,
      }),
    );
}

/**
 * The touched tables that are out of scope. In scope is a table whose schema is allowed and that is itself allowed,
 * unless a forbidden list names it; an unqualified name means every allowed schema where it allows, and every schema
 * where it forbids (M15, M16). Nothing allows schema `varve` (M21).
 */
export function scopeFindings(scope: Scope, objects: readonly string[]): readonly Finding[] {
  return objects
    .filter((object) => !isInScope(scope, object))
    .map((object) =>
      refusal('scope_violation', object, {
        hint: 'Declare this table under scope in a new bundle, or leave it alone.',
      }),
    );
}

/** Tables in which a run touched other rows than its plan says. Rows that others wrote meanwhile are counted apart. */
export function countFindings(
  planned: readonly TableCounts[],
  observed: readonly TableCounts[],
): readonly Finding[] {
  const plannedByTable = new Map(planned.map((counts) => [counts.table, counts]));
  const observedByTable = new Map(observed.map((counts) => [counts.table, counts]));
  const tables = [...new Set([...plannedByTable.keys(), ...observedByTable.keys()])].sort();
  return tables.flatMap((table) => {
    const differing = ROW_CLASSES.flatMap((name) => {
      const expected = plannedByTable.get(table)?.[name] ?? 0;
      const found = observedByTable.get(table)?.[name] ?? 0;
      return expected === found ? [] : [{ class: name, planned: expected, observed: found }];
    });
    if (differing.length === 0) return [];
    const hint = 'Run `varve plan` again and apply that; nothing was changed.';
    return [refusal('counts_differ', table, { detail: { classes: differing }, hint })];
  });
}

/** Touched tables that the plan does not name. */
export function unplannedFindings(
  planned: readonly string[],
  observed: readonly string[],
): readonly Finding[] {
  return observed
    .filter((object) => !planned.includes(object))
    .map((object) =>
      refusal('counts_differ', object, {
        detail: { reason: 'not_planned' },
        hint: 'Run `varve plan` again and apply that.',
      }),
    );
}

/** Ambiguous rows block apply, whatever the limits say. */
export function ambiguityFindings(
  tables: readonly TableCounts[],
  keys: KindPlan['ambiguousKeys'] = {},
): readonly Finding[] {
  return tables
    .filter(({ ambiguous }) => ambiguous > 0)
    .map(({ table, ambiguous }) =>
      refusal('rows_ambiguous', table, {
        detail: { rows: ambiguous, ...(keys[table] === undefined ? {} : { keys: keys[table] }) },
        hint: 'Say what becomes of these rows: an attribution rule, or let them be computed again.',
      }),
    );
}

function measure(
  limit: string,
  { tables, objects }: { readonly tables: readonly TableCounts[]; readonly objects: readonly string[] },
): number {
  if (limit === 'max_table_count_touched') return objects.length;
  const rowClass = ROW_CLASSES.find((name) => limit === `max_row_${name}`);
  // What nobody measures exceeds every limit: unknown means affected.
  if (rowClass === undefined) return Number.MAX_SAFE_INTEGER;
  return tables.reduce((sum, counts) => sum + counts[rowClass], 0);
}

function isInScope(scope: Scope, object: string): boolean {
  const dot = object.indexOf('.');
  const [schema, table] = [object.slice(0, dot), object.slice(dot + 1)];
  const names = (list: readonly string[]): boolean => list.includes(object) || list.includes(table);
  if (dot < 0 || schema === 'varve') return false;
  if (scope.forbidden_schemas.includes(schema) || names(scope.forbidden_tables)) return false;
  return scope.allowed_schemas.includes(schema) && names(scope.allowed_tables);
}
