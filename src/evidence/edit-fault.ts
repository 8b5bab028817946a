/**
 * Whether authored files may be others than those that ran (M6, M51).
 *
 * Nothing merged is edited, and nothing that was ever in force. Before that a bundle is its author's: where each of its runs was in
 * dev, failed before its commit and was undone, no database holds anything of it, and its receipts keep the files that ran in the evidence store.
 *
 * | reason | the files stay as they ran, for |
 * |---|---|
 * | `committed` | a run was committed, wherever it was, also where it was taken back since |
 * | `run_open` | a run is not closed, so that something of it may stand |
 * | `not_undone` | a run has no receipt that says `rolled_back` or `failed_before_commit` |
 * | `environment` | a run was outside of dev |
 * | `merged`, `merge_unknown` | the bundle was merged, or nobody here can tell |
 * | `approved` | somebody signed other files than there are now |
 *
 * The first that holds is told. It is asked before a run, of database and files, and offline, of the files alone.
 */
import type { Json } from '../base/index.ts';
import type { ChainLine } from './chain.ts';
import { isDigest, sha256, type Digest } from './digest.ts';
import { fromBase64 } from './dsse.ts';
import type { Outcome } from './receipt.ts';
import { isEnvelope } from './statement.ts';
import { parseObject, type MergeState } from './verify/file.ts';

/** Why authored files may not be others than those that ran. */
export type EditFault =
  'committed' | 'run_open' | 'not_undone' | 'environment' | 'merged' | 'merge_unknown' | 'approved';

/** What to do about it. */
export const EDIT_HINTS: Readonly<Record<EditFault, string>> = {
  committed: 'Take the authored files back as they ran; write a correction as a new bundle.',
  run_open:
    'Take the authored files back as they were when the run began, and run `varve recover`. They can be edited once it is undone.',
  not_undone:
    'Look at the receipt: that run is not proved to be undone. Take the authored files back as they ran; write a correction as a new bundle.',
  environment:
    'Take the authored files back as they ran: only a bundle that ran nowhere but in dev is edited. Write a correction as a new bundle.',
  merged: 'Take the authored files back as they were merged; write a correction as a new bundle.',
  merge_unknown:
    'Make it known whether this bundle was merged: bring git and the main branch here, such as with `git fetch origin main`, and a registry that can be read.',
  approved:
    'Take the authored files back as they were signed. Or take the signatures back, which means removing them from approvals/, and have it signed as it is now.',
};

/** How a run of a bundle ended. */
export interface EarlierRun {
  readonly runId: string;
  readonly environment: string;
  readonly end: Outcome | 'open';
}

/** A step of a bundle's history in the registry. */
export interface HistoryStep {
  readonly status: string;
  readonly bundle_digest: string;
}

/** What is known of an edited bundle. */
export interface EditedBundle {
  /** Of its files as they are now. */
  readonly digest: Digest;
  /** All runs of it, with whatever files. */
  readonly runs: readonly EarlierRun[];
  /** Of its entry in the registry; undefined where the registry cannot be read. */
  readonly steps: readonly HistoryStep[] | undefined;
  readonly merge: MergeState;
  /** The bundle digests that the approvals beside it bind; undefined for one that cannot be read. */
  readonly approved: readonly (string | undefined)[];
}

/** Why the files of a bundle may not be others than those that ran; undefined where they may. */
export function editFault({ digest, runs, steps, merge, approved }: EditedBundle): EditFault | undefined {
  const ends = new Set(runs.map(({ end }) => end));
  const claims = new Set(steps?.map(({ status }) => status));
  const signed = steps?.filter(({ status }) => status === 'approved').map((step) => step.bundle_digest) ?? [];
  if (ends.has('committed') || IN_FORCE.some((status) => claims.has(status))) return 'committed';
  if (ends.has('open')) return 'run_open';
  if (ends.has('indeterminate')) return 'not_undone';
  if (runs.some(({ environment }) => environment !== 'dev')) return 'environment';
  if (merge === 'merged' || claims.has('merged')) return 'merged';
  if (merge === 'unknown' || steps === undefined) return 'merge_unknown';
  return [...approved, ...signed].some((each) => each !== digest) ? 'approved' : undefined;
}

/** What the registry says of a bundle only once it was in force somewhere. */
const IN_FORCE = ['executed_dev', 'executed_stage', 'executed_prod', 'rolled_back', 'superseded'];

/** The runs of a bundle that ledger files tell of; `read` gives content of the evidence store. */
export async function earlierRuns(
  lines: readonly ChainLine[],
  migrationId: string,
  read: (digest: Digest) => Promise<Uint8Array | undefined>,
): Promise<readonly EarlierRun[]> {
  const own = lines.filter((line) => line['migration_id'] === migrationId);
  const runs = Map.groupBy(own, (line) => textOf(line['run_id']));
  return Promise.all(
    [...runs].map(async ([runId, entries]): Promise<EarlierRun> => {
      const closed = entries.find((line) => line['phase'] === 'closed');
      const isCommitted = entries.some((line) => line['phase'] === 'committed');
      const end = closed === undefined ? 'open' : await outcomeOf(closed['receipt_digest'], read);
      const environment = textOf(entries[0]?.['environment']);
      return { runId, environment, end: isCommitted ? 'committed' : end };
    }),
  );
}

/** Whatever does not say that the run was undone does not count as it. */
async function outcomeOf(
  digest: Json | undefined,
  read: (digest: Digest) => Promise<Uint8Array | undefined>,
): Promise<Outcome> {
  const bytes = isDigest(digest) ? await read(digest) : undefined;
  const receipt = bytes === undefined || sha256(bytes) !== digest ? undefined : parseObject(bytes);
  const outcome = receipt?.['outcome'];
  return outcome === 'rolled_back' || outcome === 'failed_before_commit' || outcome === 'committed'
    ? outcome
    : 'indeterminate';
}

/** The bundle digest that an approval binds, whoever signed it; undefined where it cannot be read. */
export function approvedDigest(bytes: Uint8Array): string | undefined {
  const envelope = parseObject(bytes);
  if (envelope === undefined || !isEnvelope(envelope)) return undefined;
  const payload = fromBase64(textOf(envelope.payload));
  const digest = payload === undefined ? undefined : parseObject(payload)?.['bundle_digest'];
  return typeof digest === 'string' ? digest : undefined;
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
