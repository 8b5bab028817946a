import { refusal, type Finding } from '../base/index.ts';
import type { LimitVerdict, TableCounts } from '../evidence/index.ts';
import type { Enforcement, KindPlan, Measure } from './kind.ts';
import type { Scope } from './declaration.ts';
import { reachesLevel, type EnforcementLevel } from './settings.ts';

/** The classes of rows that a plan counts exactly. */
export const ROW_CLASSES = ['keep', 'rekey', 'backfill', 'recompute', 'retire', 'ambiguous'] as const;

/**
 * The declared limits of a kind with what was observed; an absent limit is 0 (M22), an upper bound counts as the number
 * (M23), and what nobody measured exceeds every limit.
 */
export function judgeLimits(
  names: readonly string[],
  limits: Readonly<Record<string, number>>,
  measures: Readonly<Record<string, Measure>>,
): readonly LimitVerdict[] {
  return names.map((limit) => {
    const declared = limits[limit] ?? 0;
    const { value, isUpperBound } = measures[limit] ?? UNKNOWN;
    return {
      limit,
      declared,
      observed: value,
      status: value <= declared ? 'pass' : 'fail',
      ...(isUpperBound ? { upper_bound: true } : {}),
    };
  });
}

const UNKNOWN: Measure = { value: Number.MAX_SAFE_INTEGER, isUpperBound: true };

/** What a plan can tell of its limits already; what only the run can is not judged yet. */
export function plannedVerdicts(
  names: readonly string[],
  limits: Readonly<Record<string, number>>,
  measures: KindPlan['measures'],
): readonly LimitVerdict[] {
  const known = names.filter((name) => measures[name] !== null);
  const values = Object.entries(measures).flatMap(([name, value]): [string, Measure][] =>
    value === null ? [] : [[name, { value, isUpperBound: false }]],
  );
  return judgeLimits(known, limits, Object.fromEntries(values));
}

/** The limits of rows and tables from exact counts: `max_row_<class>` and `max_table_count_touched`. */
export function measuresOfCounts(
  tables: readonly TableCounts[],
  objects: readonly string[],
): Readonly<Record<string, number>> {
  const sums = ROW_CLASSES.map((name): [string, number] => [
    `max_row_${name}`,
    tables.reduce((sum, counts) => sum + counts[name], 0),
  ]);
  return { max_table_count_touched: objects.length, ...Object.fromEntries(sums) };
}

/** As measures of a run. */
export function exactMeasures(values: Readonly<Record<string, number>>): Readonly<Record<string, Measure>> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { value, isUpperBound: false }]),
  );
}

/** A run that would be, or was, held less firmly than its environment demands: its limits could not be held (M12, M74). */
export function levelFindings(
  subject: string,
  enforcement: Enforcement,
  least: EnforcementLevel,
): readonly Finding[] {
  if (reachesLevel(enforcement.level, least)) return [];
  return [
    refusal('level_too_low', subject, {
      detail: { level: enforcement.level, least, layers: enforcement.layers },
      hint: `Run it where effects are held at level ${least}, or lower migrations.minimumLevel of this environment.`,
    }),
  ];
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

/** The lists of scope that a kind demands and a declaration lacks (M14). */
export function missingScope(keys: readonly string[], scope: Scope): readonly Finding[] {
  return keys
    .filter((key) => scope[key] === undefined)
    .map((key) =>
      refusal('declaration_invalid', 'migration.yml', {
        detail: { reason: 'scope_incomplete', key },
        hint: `Write scope.${key}, even when it is empty.`,
      }),
    );
}

/**
 * The touched tables that are out of scope. In scope is a table whose schema is allowed and that is itself allowed,
 * unless a forbidden list names it; an unqualified name means every allowed schema where it allows, and every schema
 * where it forbids (M15, M16). Nothing allows schema `varve` (M21). A partition that is not named is in scope through its
 * table, unless its own schema is not allowed or it is forbidden (M20).
 */
export function scopeFindings(
  scope: Scope,
  objects: readonly string[],
  partOf: KindPlan['partOf'] = {},
): readonly Finding[] {
  return objects
    .filter((object) => !isInScope(scope, object) && !isPartInScope(scope, object, partOf[object]))
    .map((object) =>
      refusal('scope_violation', object, {
        hint: 'Declare it under scope in a new bundle, or leave it alone.',
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

function isInScope(scope: Scope, object: string): boolean {
  // Documents are named by the column or file that they are in, and judged as they are read; of a column its table is touched.
  const documents = scope['allowed_documents'];
  if (documents !== undefined)
    return documents.some((name) => name === object || name.startsWith(`${object}.`));
  const named = nameIn(object);
  return isSchemaInScope(scope, object) && scope.allowed_tables.some((name) => named.includes(name));
}

function isPartInScope(scope: Scope, part: string, table: string | undefined): boolean {
  return table !== undefined && isInScope(scope, table) && isSchemaInScope(scope, part);
}

/** Its schema is allowed, and nothing forbids it. */
function isSchemaInScope(scope: Scope, object: string): boolean {
  const dot = object.indexOf('.');
  const schema = object.slice(0, dot);
  if (dot < 0 || schema === 'varve' || scope.forbidden_schemas.includes(schema)) return false;
  const named = nameIn(object);
  return (
    scope.allowed_schemas.includes(schema) && !scope.forbidden_tables.some((name) => named.includes(name))
  );
}

/** The ways in which a list may name a table. */
function nameIn(object: string): readonly string[] {
  return [object, object.slice(object.indexOf('.') + 1)];
}
