/**
 * The probe of a way back's class (M108, rung R4): on the copy, after the second way forward, rows are written as others may write
 * them, and the way back is taken once more.
 *
 * | class | has to come of it |
 * |---|---|
 * | `lossless` | it is taken, and every written row is there with every value |
 * | `lossy_on_new_writes` | it is taken, and the written rows are counted exactly; values that the old shape cannot hold are in history |
 * | `restore_from_capture` | either of these, or it is refused with the list of rows |
 */
import { refusal, type Finding, type JsonObject } from '../base/index.ts';
import type { Check } from '../evidence/index.ts';
import type { RunnerOptions } from './environment.ts';
import type { ProbedTable } from './kind.ts';
import { readBody } from './ledger.ts';
import { rollbackMigration, type RunOutcome } from './lifecycle.ts';
import type { DecidedBody } from './run.ts';
import type { Runnable } from './session.ts';

/** What a rehearsal's receipt says of its probe. */
export interface Probe extends JsonObject {
  readonly tables: readonly ProbedTable[];
  readonly way_back: 'applied' | 'refused' | 'not_run';
}

/** What the probe showed. */
export interface Probed {
  readonly check: Check;
  readonly findings: readonly Finding[];
  readonly probe?: Probe;
}

const NOT_PROBED: Probed = {
  check: { name: 'new_writes', status: 'not_run', required: false },
  findings: [],
};

/** Writes rows after the run of this id, and takes it back. */
export async function probeWayBack(
  on: RunnerOptions,
  { bundle, kind }: Runnable,
  about: { readonly forwardRun: string; readonly rollbackClass: string },
): Promise<Probed> {
  const { probe } = kind;
  if (probe === undefined) return NOT_PROBED;
  const { objects } = (await readBody(on.store, about.forwardRun, 'committed')) as DecidedBody;
  const tables = await on.store.transaction({}, (transaction) => probe(transaction, objects));
  const written = tables.filter(({ rows }) => rows > 0);
  const untried = objects.filter((name) => !written.some(({ table }) => table === name)).map(notProbed);
  if (written.length === 0 && objects.length > 0)
    return { ...NOT_PROBED, findings: untried, probe: { tables, way_back: 'not_run' } };
  // Limits were held to before; rows that the probe wrote are not the bundle's, and its class alone is asked for.
  const beyond = kind.limits.map((limit) => ({
    code: 'limit_exceeded',
    subject: limit,
    ceiling: Number.MAX_SAFE_INTEGER,
    principal: on.actor.principal,
  }));
  const rehearsedExceptions = [...(on.rehearsedExceptions ?? []), ...beyond];
  const outcome = await rollbackMigration({ ...on, rehearsedExceptions }, bundle.id);
  const fault = faultOf(outcome, written, about.rollbackClass);
  const way_back = outcome.status === 'applied' ? 'applied' : 'refused';
  return {
    check: { name: 'new_writes', status: fault === undefined ? 'pass' : 'fail' },
    findings: [
      ...(fault === undefined
        ? []
        : [probeFailed(bundle.id, fault, about.rollbackClass), ...outcome.findings]),
      ...untried,
    ],
    probe: { tables, way_back },
  };
}

/** Why the way back is not what its class promises; undefined where it is. */
function faultOf(
  outcome: RunOutcome,
  written: readonly ProbedTable[],
  rollbackClass: string,
): string | undefined {
  if (outcome.status !== 'applied') {
    const isListed = outcome.findings.some(({ code }) => code === 'rows_unrepresentable');
    return isListed && rollbackClass === 'restore_from_capture' ? undefined : 'way_back_refused';
  }
  const { proof } = outcome.receipt.receipt;
  const counted = new Map(proof?.new_writes.map(({ table, rows }) => [table, rows]));
  const isCounted = written.every(({ table, rows }) => counted.get(table) === rows);
  return isCounted && proof?.status !== 'not_equal' ? undefined : 'rows_miscounted';
}

function probeFailed(id: string, reason: string, rollbackClass: string): Finding {
  return refusal('rehearsal_failed', id, {
    detail: { check: 'new_writes', reason, class: rollbackClass },
    hint: 'With rows that were written after the way forward, the way back does not keep what its class promises: see what follows.',
  });
}

/** Such as a view, a table without a primary key, or one of which no value that was tried is allowed. */
function notProbed(table: string): Finding {
  return {
    code: 'new_writes_unknown',
    severity: 'info',
    subject: table,
    detail: { reason: 'not_probed' },
    hint: 'The rehearsal could write no row here, so that what the way back makes of new rows is not shown.',
  };
}
