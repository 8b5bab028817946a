/** The approvals that lie beside a bundle: which of them count. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { refusal, type Finding } from '../base/index.ts';
import {
  APPROVAL_TYPE,
  approvalFaults,
  invalidApproval,
  openEnvelope,
  publicKeys,
  sha256,
  validateSchema,
  type Approval,
  type Digest,
  type KeyRegister,
  type WantedApproval,
} from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import { hasCode } from './durable.ts';
import { checkSignature } from './ed25519.ts';
import type { RunnerOptions } from './environment.ts';
import { readIfThere, storeEvidence } from './evidence-store.ts';
import { readKeyRegister } from './key-register.ts';
import type { Refused } from './refused.ts';
import { parseStrictJson } from './strict-json.ts';

/** The approvals that count, by the digests of their envelopes; or why there are not enough. */
export type ApprovalCheck =
  | {
      readonly status: 'approved';
      readonly digests: readonly Digest[];
      readonly principals: readonly string[];
    }
  | Refused;

/**
 * Looks for approvals of this bundle and plan. One is enough; outside of dev it must be another principal's than the
 * runner's.
 *
 * Errors: refuses with `approval_missing`, with `approval_invalid` beside it for each one that is there and does not count,
 * and with `key_invalid`.
 */
export async function findApprovals(
  options: RunnerOptions,
  bundle: Bundle,
  about: Pick<WantedApproval, 'planDigest' | 'grant'>,
): Promise<ApprovalCheck> {
  const reading = await readKeyRegister(options.root);
  if (reading.status === 'refused') return reading;
  const { register } = reading;
  const wanted: WantedApproval = {
    ...about,
    migrationId: bundle.id,
    bundleDigest: bundle.digest,
    environment: options.environment,
    nowMs: options.clock.nowMs(),
  };
  const findings: Finding[] = [];
  const valid: { readonly digest: Digest; readonly principal: string }[] = [];
  for (const path of await approvalPaths(bundle)) {
    const read = await readApproval(join(bundle.folder, path), register, wanted);
    if (read.status === 'other') continue;
    if (read.status === 'invalid') {
      findings.push(invalidApproval(path, read.reasons));
      continue;
    }
    await storeEvidence(options.root, read.bytes);
    valid.push({ digest: sha256(read.bytes), principal: read.principal });
  }
  const isOwn = ({ principal }: { readonly principal: string }): boolean =>
    principal === options.actor.principal;
  const isEnough = valid.some((each) => options.environment === 'dev' || !isOwn(each));
  if (!isEnough)
    return { status: 'refused', findings: [missing(options, wanted, valid.length > 0), ...findings] };
  return {
    status: 'approved',
    digests: valid.map(({ digest }) => digest).toSorted(),
    principals: [...new Set(valid.map(({ principal }) => principal))].toSorted(),
  };
}

async function approvalPaths(bundle: Bundle): Promise<readonly string[]> {
  try {
    const names = await readdir(join(bundle.folder, 'approvals'));
    return names
      .filter((name) => name.endsWith('.dsse.json'))
      .toSorted()
      .map((name) => `approvals/${name}`);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

type ReadApproval =
  | { readonly status: 'valid'; readonly principal: string; readonly bytes: Uint8Array }
  /** Of something else, such as an earlier plan to apply; nothing is wrong with it. */
  | { readonly status: 'other' }
  | { readonly status: 'invalid'; readonly reasons: readonly string[] };

async function readApproval(
  path: string,
  register: KeyRegister,
  wanted: WantedApproval,
): Promise<ReadApproval> {
  const bytes = (await readIfThere(path)) ?? new Uint8Array();
  const parsed = parseStrictJson(new TextDecoder().decode(bytes));
  if ('reason' in parsed) return { status: 'invalid', reasons: [parsed.reason] };
  const opened = await openEnvelope(parsed.value, APPROVAL_TYPE, {
    publicKeyById: publicKeys(register),
    check: checkSignature,
  });
  if (opened.status === 'refused') return { status: 'invalid', reasons: [opened.reason] };
  const key = register.keys.find(({ key_id: id }) => id === opened.keyId);
  const faults = await validateSchema('approval.v1', opened.body);
  if (key === undefined || faults.length > 0) return { status: 'invalid', reasons: ['schema'] };
  const approval = opened.body as unknown as Approval;
  const reasons = approvalFaults(approval, key, wanted);
  if (reasons.includes('grant')) return { status: 'other' };
  return reasons.length > 0
    ? { status: 'invalid', reasons }
    : { status: 'valid', principal: approval.principal, bytes };
}

function missing(
  { environment, actor }: RunnerOptions,
  { migrationId, grant, planDigest }: WantedApproval,
  isOnlyOwn: boolean,
): Finding {
  const detail = { grant, environment, plan: planDigest };
  const approve = `varve approve ${migrationId} --for ${grant} --env ${environment}`;
  return refusal('approval_missing', migrationId, {
    detail: isOnlyOwn
      ? { ...detail, reason: 'approved by nobody but the runner', runner: actor.principal }
      : detail,
    hint: isOnlyOwn
      ? `Have somebody else look at what goes and sign it: ${approve} --as PRINCIPAL --key FILE.`
      : `Look at what goes with --dry-run, then sign it: ${approve} --as PRINCIPAL --key FILE.`,
  });
}
