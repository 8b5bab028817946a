import { setTimeout as sleep } from 'node:timers/promises';
import { refusal, type Finding } from '../base/index.ts';
import {
  diffBaselines,
  isDigest,
  proveEqual,
  type Baseline,
  type Check,
  type EqualityProof,
} from '../evidence/index.ts';
import { sql, type Transaction } from '../store/index.ts';
import { decidedBody, NOTHING_WITNESSED, productBytes, type Ending } from './evidence-body.ts';
import { readEvidence, storeEvidences } from './evidence-store.ts';
import type { Beginning } from './execute.ts';
import { checksBefore } from './judge-run.ts';
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
 * Takes back what the steps beside left, in one transaction that also proves the baseline and takes the ledger row (M112); what
 * would hold rows for long comes before it.
 * A run that was never baselined ran nothing: there is only the row. Repeating is harmless.
 */
export async function undoRun(run: Run, failure: Failure): Promise<void> {
  const { options } = run;
  const { store, clock, lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
  const endsAtMs = clock.monotonicMs() + UNDO_DEADLINE_MS;
  await releaseRoom(options.root, run.subject.runId);
  await run.intents.announce('undoing');
  await hit(run, 'F22_undo_announced');
  if ((await readBody(store, run.subject.runId, 'baselined')) !== undefined)
    await run.kind.undoBeside?.(contextOf(run));
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
  const before = await keptBaseline(run, transaction);
  const ending = before === undefined ? neverRan(failure) : await takeBack(run, transaction, before, failure);
  const body = await withoutDirty(decidedBody(run, ending));
  await storeEvidences(options.root, Object.values(body.products).map(productBytes));
  await appendLedger(transaction, { subject, phase: 'undone', body }, options.clock);
  await hit(run, 'F23_undo_row');
}

function neverRan(failure: Failure): Ending {
  return { ...failure, outcome: 'failed_before_commit', pre: undefined, post: undefined, proof: undefined };
}

/** What a run is taken back to, and the deciding transaction that was aborted where that is all it ran. */
interface Before {
  readonly pre: Baseline;
  readonly aborted: Beginning | undefined;
}

/** The baseline of a run that came so far as to run something: in the ledger, or in this machine's files. */
async function keptBaseline(run: Run, transaction: Transaction): Promise<Before | undefined> {
  const kept = await readBody(transaction, run.subject.runId, 'baselined');
  if (kept !== undefined) return { pre: kept['baseline'] as unknown as Baseline, aborted: undefined };
  const line = run.intents.lines().findLast(({ state }) => state === 'executing');
  const digest = line?.['pre'];
  const bytes = isDigest(digest) ? await readEvidence(run.options.root, digest) : undefined;
  if (line === undefined || bytes === undefined) return undefined;
  const pre = JSON.parse(new TextDecoder().decode(bytes)) as Baseline;
  return { pre, aborted: line as unknown as Beginning };
}

/**
 * What the server says became of the deciding transaction. Committed without its ledger row would mean that a script had
 * ended it, so that only an abort, or a baseline that is equal, proves that nothing is left.
 */
async function isAborted(transaction: Transaction, { transaction: id }: Beginning): Promise<boolean> {
  const [row] = await transaction.query<{ readonly status: string | null }>(
    sql`select pg_xact_status(${id}::xid8) as status`,
  );
  return row?.status === 'aborted';
}

async function takeBack(
  run: Run,
  transaction: Transaction,
  { pre, aborted }: Before,
  failure: Failure,
): Promise<Ending> {
  const newWrites = await run.kind.undo(contextOf(run), transaction);
  const post = await run.kind.baseline(baselineContextOf(run, pre), transaction);
  const proof = proveEqual(pre, post, newWrites);
  const isEqual = proof.status !== 'not_equal';
  // Where others write meanwhile, the server's word for the abort is the proof, and their writes are told apart.
  const isLeft =
    !isEqual && aborted !== undefined && isShared(run) && (await isAborted(transaction, aborted));
  const isProved = isEqual || isLeft;
  const proofs: readonly Check[] = [
    ...(isLeft ? [{ name: 'transaction_aborted', status: 'pass' } as const] : []),
    { name: 'baseline_equality', status: isEqual ? 'pass' : 'fail' },
  ];
  const differing = isEqual ? [] : [isLeft ? othersWrote(run, pre, post) : differs(run, pre, post, proof)];
  return {
    outcome: isProved ? 'rolled_back' : 'indeterminate',
    checks: [...(failure.checks.length > 0 ? failure.checks : checksBefore(run)), ...proofs],
    findings: [...failure.findings, ...differing],
    pre,
    post,
    // What the aborted transaction had touched is no longer there; the verdicts say why it was aborted.
    witnessed: { ...NOTHING_WITNESSED, enforcement: failure.witnessed.enforcement },
    verdicts: failure.verdicts,
    proof,
  };
}

function isShared({ options }: Run): boolean {
  return options.store.capabilities.concurrentSessions;
}

function othersWrote(run: Run, pre: Baseline, post: Baseline): Finding {
  return {
    code: 'concurrent_change',
    severity: 'info',
    subject: run.subject.migrationId,
    detail: { tables: differingTables(pre, post) },
    hint: 'The transaction was aborted as a whole; others changed these tables meanwhile.',
  };
}

function differingTables(pre: Baseline, post: Baseline): readonly string[] {
  return diffBaselines(pre, post)
    .tables.filter(({ change }) => change !== 'same')
    .map(({ table }) => table);
}

function differs(run: Run, pre: Baseline, post: Baseline, proof: EqualityProof): Finding {
  const tables = differingTables(pre, post);
  return refusal('baseline_differs', run.subject.migrationId, {
    detail: { tables, expected: proof.expected, found: proof.found },
    hint: 'The work was taken back, but these tables are not as before it: others wrote to them, or look for why.',
  });
}
