import { expect, it } from 'vitest';
import { approvedDigest, editFault, type EarlierRun, type EditFault } from './edit-fault.ts';
import { canonicalBytes, sha256 } from './digest.ts';

const NOW = sha256(new Uint8Array([1]));
const THEN = sha256(new Uint8Array([2]));
const UNDONE: EarlierRun = { runId: 'varve://run/1', environment: 'dev', end: 'rolled_back' };

function faultOf(about: Partial<Parameters<typeof editFault>[0]>): EditFault | undefined {
  return editFault({ digest: NOW, runs: [UNDONE], steps: [], merge: 'not_merged', approved: [], ...about });
}

it.each<[string, EditFault | undefined, Partial<Parameters<typeof editFault>[0]>]>([
  ['runs that were undone', undefined, { runs: [UNDONE, { ...UNDONE, end: 'failed_before_commit' }] }],
  ['a draft in the registry', undefined, { steps: [{ status: 'draft', bundle_digest: THEN }] }],
  ['signatures over the files as they are', undefined, { approved: [NOW] }],
  ['a run that was committed', 'committed', { runs: [{ ...UNDONE, end: 'committed' }, UNDONE] }],
  ['a run that is not closed', 'run_open', { runs: [UNDONE, { ...UNDONE, end: 'open' }] }],
  ['a run of which nobody knows', 'not_undone', { runs: [{ ...UNDONE, end: 'indeterminate' }] }],
  ['a run in stage', 'environment', { runs: [UNDONE, { ...UNDONE, environment: 'stage' }] }],
  ['the main branch', 'merged', { merge: 'merged' }],
  ['a frozen entry', 'merged', { steps: [{ status: 'merged', bundle_digest: THEN }] }],
  [
    'an entry that says it ran elsewhere',
    'committed',
    { steps: [{ status: 'executed_stage', bundle_digest: THEN }] },
  ],
  ['version control that cannot be read', 'merge_unknown', { merge: 'unknown' }],
  ['a registry that cannot be read', 'merge_unknown', { steps: undefined }],
  ['a signature over other files', 'approved', { approved: [NOW, THEN] }],
  ['a signature that cannot be read', 'approved', { approved: [undefined] }],
  [
    'an approval that is entered for other files',
    'approved',
    { steps: [{ status: 'approved', bundle_digest: THEN }] },
  ],
])('M6 M51 by %s, an edit is held to be %s', (_name, fault, about) => {
  expect(faultOf(about)).toBe(fault);
});

it('reads of an approval which files it is about, and nothing of what is none', () => {
  const payload = Buffer.from(canonicalBytes({ bundle_digest: THEN })).toString('base64');
  const envelope = { payload, payloadType: 'x', signatures: [] };
  expect(approvedDigest(canonicalBytes(envelope))).toBe(THEN);
  expect(approvedDigest(canonicalBytes({ ...envelope, payload: '!' }))).toBeUndefined();
  expect(approvedDigest(canonicalBytes({ bundle_digest: THEN }))).toBeUndefined();
  expect(approvedDigest(new Uint8Array())).toBeUndefined();
});
