import type { Json } from '../../base/index.ts';
import type { Digest } from '../digest.ts';
import {
  approvedDigest,
  earlierRuns,
  editFault,
  type EditFault,
  type EditedBundle,
  type HistoryStep,
} from '../edit-fault.ts';
import { validateSchema } from '../validate.ts';
import { readStored, readText, type Evidence } from './file.ts';
import type { Ledgers } from './ledger.ts';

/** Why the files in a bundle's folder may not be others than those that its latest receipt names (M6, M51). */
export async function folderEditFault(
  evidence: Evidence,
  bundle: { readonly folder: string; readonly present: readonly string[]; readonly digest: Digest },
  { lines }: Ledgers,
): Promise<EditFault | undefined> {
  const id = bundle.folder.split('/')[1] ?? '';
  return editFault({
    digest: bundle.digest,
    runs: await earlierRuns(lines, id, (digest) => readStored(evidence, digest)),
    steps: await registrySteps(evidence, id),
    merge: await evidence.mergeOf(id),
    approved: await approvedDigests(evidence, bundle),
  });
}

/** What the registry says of a bundle: nothing where there is none, undefined where it is no registry. */
async function registrySteps({ reader }: Evidence, id: string): Promise<EditedBundle['steps']> {
  const text = await readText(reader, 'registry/migrations.v1.json');
  if (text === '') return [];
  const value = parse(text);
  if (value === undefined || (await validateSchema('registry.v1', value)).length > 0) return undefined;
  const { migrations } = value as unknown as {
    readonly migrations: readonly { readonly id: string; readonly history: readonly HistoryStep[] }[];
  };
  return migrations.filter((entry) => entry.id === id).flatMap(({ history }) => history);
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

async function approvedDigests(
  { reader }: Evidence,
  { folder, present }: { readonly folder: string; readonly present: readonly string[] },
): Promise<EditedBundle['approved']> {
  const paths = present.filter((path) => path.startsWith('approvals/'));
  return Promise.all(
    paths.map(async (path) => approvedDigest((await reader.read(`${folder}/${path}`)) ?? new Uint8Array())),
  );
}
