/**
 * A bundle whose authored files are not those that ran last (M6, M51): whether it may be run as it is now, by the database's
 * ledger, the ledger files of every environment, the registry, version control, and the approvals beside it.
 */
import { join } from 'node:path';
import { refusal, type Finding } from '../base/index.ts';
import {
  approvedDigest,
  earlierRuns,
  EDIT_HINTS,
  editFault,
  type EarlierRun,
  type EditFault,
} from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import { readClosing } from './closing.ts';
import type { RunnerOptions } from './environment.ts';
import { readEvidence, readIfThere } from './evidence-store.ts';
import { folderReader } from './file-reader.ts';
import { approvalNames } from './find-approvals.ts';
import { readLedgerFile } from './ledger-file.ts';
import type { LedgerRun } from './ledger.ts';
import { mergeStateOf } from './merged.ts';
import { readRegistry } from './registry.ts';

/** The refusal of a bundle that was edited since it ran and may not be; none where it was not, or may be. Errors: throws `ledger_broken`. */
export async function editFindings(
  options: RunnerOptions,
  bundle: Bundle,
  runs: readonly LedgerRun[],
): Promise<readonly Finding[]> {
  const own = runs.filter(({ subject }) => subject.migrationId === bundle.id);
  const ran = own.findLast(({ subject }) => subject.direction === 'forward');
  if (ran === undefined || ran.subject.bundleDigest === bundle.digest) return [];
  if (options.environment !== 'dev') return [bundleChanged(bundle, ran, 'environment')];
  const here = await runsHere(options, own);
  const registry = await readRegistry(options.root);
  const entry =
    registry.status === 'ok' ? registry.registry.migrations.find(({ id }) => id === bundle.id) : undefined;
  const fault = editFault({
    digest: bundle.digest,
    runs: [...here, ...(await runsElsewhere(options.root, bundle.id, here))],
    steps: registry.status === 'ok' ? (entry?.history ?? []) : undefined,
    merge: await mergeStateOf(options.root, bundle.id),
    approved: await approvedDigests(bundle),
  });
  return fault === undefined ? [] : [bundleChanged(bundle, ran, fault)];
}

/** The refusal of a bundle whose authored files are not those that ran. */
export function bundleChanged(bundle: Bundle, ran: LedgerRun, reason: EditFault): Finding {
  return refusal('bundle_changed', bundle.id, {
    detail: { ran: ran.subject.bundleDigest, found: bundle.digest, run: ran.subject.runId, reason },
    hint: EDIT_HINTS[reason],
  });
}

/** What the database says of the runs that it knows. */
async function runsHere(
  { store, environment }: RunnerOptions,
  runs: readonly LedgerRun[],
): Promise<readonly EarlierRun[]> {
  const ends: EarlierRun[] = [];
  for (const { subject, entries } of runs) {
    const { runId } = subject;
    const closing = entries.committed === undefined ? await readClosing(store, runId) : undefined;
    const end = entries.committed === undefined ? (closing?.receipt.outcome ?? 'open') : 'committed';
    ends.push({ runId, environment, end });
  }
  return ends;
}

/** What ledger files say of runs that this database does not know. */
async function runsElsewhere(
  root: string,
  id: string,
  here: readonly EarlierRun[],
): Promise<readonly EarlierRun[]> {
  const paths = await folderReader(root).list('evidence/ledger');
  const files = paths.filter((path) => path.endsWith('.jsonl'));
  const lines = (await Promise.all(files.map((path) => readLedgerFile(root, path)))).flat();
  const known = new Set(here.map(({ runId }) => runId));
  const runs = await earlierRuns(lines, id, (digest) => readEvidence(root, digest));
  return runs.filter(({ runId }) => !known.has(runId));
}

async function approvedDigests(bundle: Bundle): Promise<readonly (string | undefined)[]> {
  const names = await approvalNames(bundle);
  return Promise.all(
    names.map(async (name) =>
      approvedDigest((await readIfThere(join(bundle.folder, name))) ?? new Uint8Array()),
    ),
  );
}
