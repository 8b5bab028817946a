import { setTimeout as sleep } from 'node:timers/promises';
import { refusal, type Finding } from '../base/index.ts';
import {
  diffBaselines,
  proveEqual,
  type Baseline,
  type Check,
  type EqualityProof,
} from '../evidence/index.ts';
import type { Transaction } from '../store/index.ts';
import { decidedBody, NOTHING_WITNESSED, productBytes, type Ending } from './evidence-body.ts';
import { storeEvidence } from './evidence-store.ts';
import { checksBefore } from './execute.ts';
import { backoffMs, isTransient, LOCK_TIMEOUT_MS, type Failure } from './failure.ts';
import { appendLedger, readBody } from './ledger.ts';
import { baselineContextOf, contextOf, fenceAlone, hit, releaseRoom, type Run } from './run.ts';
import { withoutDirty } from './scan-files.ts';

/** What a run that is only being cleared up has to say. */
export const NO_FAILURE: Failure = {
  findings: [],
  checks: [],
  witnessed: NOTHING_WITNESSED,
  verdicts: [],
  cause: undefined,
};

/** Milliseconds over all tries. */
const UNDO_DEADLINE_MS = 60_000;

/**
 * Takes back what the steps beside left, in one transaction that also proves the baseline and takes the ledger row.
 * A run that was never baselined ran nothing: there is only the row. Repeating is harmless.
 */
export async function undoRun(run: Run, failure: Failure): Promise<void> {
  const { options } = run;
  const { store, clock, lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
  const endsAtMs = clock.monotonicMs() + UNDO_DEADLINE_MS;
  await releaseRoom(options.root, run.subject.runId);
  await run.intents.announce('undoing');
  await hit(run, 'F22_undo_announced');
  for (let attempt = 1; ; attempt += 1) {
    try {
      await store.transaction({ lockTimeoutMs }, (transaction) => undoInside(run, transaction, failure));
      break;
    } catch (error) {
      if (!isTransient(error) || clock.monotonicMs() >= endsAtMs) throw error;
      await sleep(backoffMs(attempt, options.randomBytes));
    }
  }
  await hit(run, 'F24_undone');
  await run.intents.announce('undone');
}

async function undoInside(run: Run, transaction: Transaction, failure: Failure): Promise<void> {
  const { options, subject } = run;
  await fenceAlone(transaction, subject.runId);
  for (const phase of ['committed', 'undone'] as const) {
    if ((await readBody(transaction, subject.runId, phase)) !== undefined) return;
  }
  const kept = await readBody(transaction, subject.runId, 'baselined');
  const ending =
    kept === undefined
      ? neverRan(failure)
      : await takeBack(run, transaction, kept['baseline'] as unknown as Baseline, failure);
  const body = await withoutDirty(decidedBody(run, ending));
  for (const product of Object.values(body.products))
    await storeEvidence(options.root, productBytes(product));
  await appendLedger(transaction, { subject, phase: 'undone', body }, options.clock);
  await hit(run, 'F23_undo_row');
}

function neverRan(failure: Failure): Ending {
  return { ...failure, outcome: 'failed_before_commit', pre: undefined, post: undefined, proof: undefined };
}

async function takeBack(
  run: Run,
  transaction: Transaction,
  pre: Baseline,
  failure: Failure,
): Promise<Ending> {
  const newWrites = await run.kind.undo(contextOf(run), transaction);
  const post = await run.kind.baseline(baselineContextOf(run, pre), transaction);
  const proof = proveEqual(pre, post, newWrites);
  const isProved = proof.status !== 'not_equal';
  const equality: Check = { name: 'baseline_equality', status: isProved ? 'pass' : 'fail' };
  return {
    outcome: isProved ? 'rolled_back' : 'indeterminate',
    checks: [...(failure.checks.length > 0 ? failure.checks : checksBefore(run)), equality],
    findings: [...failure.findings, ...(isProved ? [] : [differs(run, pre, post, proof)])],
    pre,
    post,
    // What the aborted transaction had touched is no longer there; the verdicts say why it was aborted.
    witnessed: NOTHING_WITNESSED,
    verdicts: failure.verdicts,
    proof,
  };
}

function differs(run: Run, pre: Baseline, post: Baseline, proof: EqualityProof): Finding {
  const tables = diffBaselines(pre, post)
    .tables.filter(({ change }) => change !== 'same')
    .map(({ table }) => table);
  return refusal('baseline_differs', run.subject.migrationId, {
    detail: { tables, expected: proof.expected, found: proof.found },
    hint: 'The work was taken back, but these tables are not as before it: others wrote to them, or look for why.',
  });
}
