/**
 * What the deciding transaction touched, before its commit: constraints immediate, rows (L5), invariants, which write
 * nothing, and the settings; from here on nothing of the script runs. Then locks and file nodes (L6), catalog rows (L7), the
 * state before and after (L8), and the guards, which are taken away (M81).
 */
import { refusal, type Finding } from '../../../base/index.ts';
import type { Check, TableCounts } from '../../../evidence/index.ts';
import { isStoreError, sql, type Transaction } from '../../../store/index.ts';
import { isTransient, isUnreachable } from '../../failure.ts';
import type { KindPlan, Observation, RunContext } from '../../kind.ts';
import { readAccess, reducedPolicies } from './access.ts';
import { attemptOf, keepRelations, statementsOf } from './attempt.ts';
import { captureFindings, disarmCapture, needsCapture, takeCaptureBack } from './capture.ts';
import { actAsOwnerAgain, confinementIn } from './confine.ts';
import { enforcementOf } from './enforcement.ts';
import { guardFindings, removeGuards } from './guard.ts';
import { checkInvariants } from './invariant.ts';
import { objectScopeFindings } from './object-scope.ts';
import { largeFindings } from './large.ts';
import { besideEffects, type BoundPhase } from './nontransactional.ts';
import { checkNewWrites } from './new-writes.ts';
import { countTables, versionFindings } from './own-versions.ts';
import { assertOwnPlans } from './own-plans.ts';
import { pinFindings, pinOwnNames } from './pins.ts';
import { rollbackClassOf } from './rollback-class.ts';
import { readScripts } from './script.ts';
import { isProtected } from './protected.ts';
import { checkRequired } from './required.ts';
import { readEffect } from './effect.ts';

/** Observes a try of the deciding transaction, and takes its guards away. */
export async function observe(context: RunContext, transaction: Transaction): Promise<Observation> {
  const attempt = attemptOf(transaction);
  const { scope, invariants = [] } = context.bundle.declaration;
  const violated = await settleConstraints(transaction);
  if (violated.length > 0) return nothingSeen(context, violated);
  await assertOwnPlans(transaction, 'deferred constraints');
  await attempt.counter.read(transaction);
  // A query may call what the script made, so it is asked while the session may no more than the script might.
  const invariant = await checkInvariants(transaction, invariants);
  await assertOwnPlans(transaction, 'invariants');
  const moved = await pinFindings(transaction, attempt.pins);
  await pinOwnNames(transaction);
  const confinement = confinementIn(context.bound);
  if (confinement !== undefined) await actAsOwnerAgain(context.store, transaction);
  const effect = await readEffect(transaction, attempt, scope);
  keepRelations(transaction, effect.relations);
  const unseen =
    attempt.tableRows === undefined
      ? []
      : versionFindings({
          before: attempt.tableRows,
          after: await countTables(transaction, effect.relations),
          counts: effect.counts,
          relations: effect.relations,
          rebuilt: effect.rebuilt,
        });
  const held = [...moved, ...(await guardFindings(transaction, attempt.guards))];
  const reduced = await reducedPolicies(transaction, attempt.access, await readAccess(transaction));
  const untaken = await captureFindings(transaction, attempt.capture, {
    counts: effect.counts,
    rebuilt: effect.rebuilt,
    rowsBefore: attempt.rowsBefore,
  });
  await removeGuards(transaction, attempt.guards);
  await disarmCapture(transaction);
  if (confinement !== undefined && needsCapture(context.direction, await statementsOf(context)))
    await takeCaptureBack(transaction, confinement.lends);
  const written =
    attempt.since === undefined
      ? { newWrites: [], findings: [] }
      : await checkNewWrites(transaction, attempt.since, {
          rollbackClass: await classOf(context.bundle),
          relations: effect.relations,
        });
  const beside = besideEffects(context.bound['phases'] as readonly BoundPhase[]);
  const objects = [...new Set([...effect.tables.map(({ name }) => name), ...beside.tables])].toSorted();
  const required = await checkRequired(transaction, context.settings, {
    tables: objects,
    direction: context.direction,
  });
  const protectedNames = effect.tables.filter(({ name }) => isProtected(attempt.protection, name));
  const enforcement = enforcementOf(attempt.guards, {
    confinement,
    isWitnessed: context.bound['witnessed'] === true,
  });
  return {
    tables: effect.tables.flatMap(({ name, rows }) => (rows > 0 ? [countsOf(name, rows)] : [])),
    objects,
    partOf: effect.partOf,
    counted: effect.counted,
    witnesses: enforcement.layers,
    enforcement,
    measures: {
      ...effect.measures,
      max_table_count_touched: { value: objects.length, isUpperBound: false },
      max_index_count_delta: {
        value: (effect.measures['max_index_count_delta']?.value ?? 0) + beside.indexCount,
        isUpperBound: false,
      },
    },
    touched: effect.touched,
    newWrites: written.newWrites,
    checks: [
      { name: 'settings_and_guards', status: held.length === 0 ? 'pass' : 'fail' },
      { name: 'values_captured', status: untaken.length === 0 ? 'pass' : 'fail' },
      ...(attempt.tableRows === undefined ? [] : [checkOf('row_versions', unseen)]),
      ...invariant.checks,
      ...required.checks,
    ],
    findings: [
      ...protectedNames.map(({ name }) => protectedFinding(name)),
      ...objectScopeFindings(scope, [
        ...effect.objects,
        ...beside.types.map(({ schema, name }) => ({ kind: 'type', schema, name })),
      ]),
      ...effect.findings,
      ...reduced,
      ...largeFindings(context.settings, effect.tables, [
        ...effect.built,
        ...beside.built.map((table) => ({ table, rows: attempt.rowsBefore.get(table) ?? 0 })),
      ]),
      ...noticeFindings(context.bundle.id, attempt.notices),
      ...unseen,
      ...untaken,
      ...written.findings,
      ...invariant.findings,
      ...required.findings,
      ...held,
    ],
  };
}

/** The class that was planned and signed: it follows from the scripts. */
async function classOf(bundle: RunContext['bundle']): Promise<KindPlan['rollbackClass']> {
  const { forward, rollback } = await readScripts(bundle);
  const statementsOf = (phases: typeof forward): (typeof forward)[number]['statements'] =>
    phases.flatMap(({ statements }) => statements);
  return rollbackClassOf(statementsOf(forward), statementsOf(rollback));
}

/** Deferred constraints and triggers run now, while their effects can still be seen. */
async function settleConstraints(transaction: Transaction): Promise<readonly Finding[]> {
  try {
    await transaction.execute(sql`set constraints all immediate`);
    return [];
  } catch (error) {
    if (!isStoreError(error) || isTransient(error) || isUnreachable(error)) throw error;
    const { sqlstate, schema, table, constraint } = error.fields;
    const names = Object.entries({ schema, table, constraint }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    return [
      refusal('statement_failed', 'deferred constraints', {
        detail: { sqlstate, ...Object.fromEntries(names) },
        hint: 'What the script left does not satisfy a deferred constraint or trigger. Nothing was changed.',
      }),
    ];
  }
}

/** Of a transaction that is lost already nothing more can be asked. */
function nothingSeen(context: RunContext, findings: readonly Finding[]): Observation {
  return {
    tables: [],
    objects: [],
    witnesses: [],
    enforcement: { level: 'checked', layers: ['L0', 'L1'], role: 'none' },
    measures: Object.fromEntries(
      Object.keys(context.bundle.declaration.limits).map((name) => [name, { value: 0, isUpperBound: true }]),
    ),
    touched: [],
    newWrites: [],
    checks: [],
    findings,
  };
}

/** Their texts quote values, so that only their number is told (M126). */
function noticeFindings(subject: string, count: number): readonly Finding[] {
  if (count === 0) return [];
  const hint = 'Run the script on a copy by hand to read them.';
  return [{ code: 'notices_counted', severity: 'info', subject, detail: { count }, hint }];
}

function checkOf(name: string, findings: readonly Finding[]): Check {
  return { name, status: findings.length === 0 ? 'pass' : 'fail' };
}

function protectedFinding(name: string): Finding {
  return refusal('protected_domain_changed', name, {
    detail: {},
    hint: 'Leave this table alone; what is protected is touched only with an approval that names it.',
  });
}

function countsOf(table: string, rows: number): TableCounts {
  return { table, keep: 0, rekey: 0, backfill: rows, recompute: 0, retire: 0, ambiguous: 0, carried: 0 };
}
