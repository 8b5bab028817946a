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
  type ApprovedException,
  type Digest,
  type Grant,
  type KeyRegister,
  type WantedApproval,
} from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import { hasCode } from './durable.ts';
import { checkSignature } from './ed25519.ts';
import type { RunnerOptions } from './environment.ts';
import { readIfThere, storeEvidences } from './evidence-store.ts';
import { readKeyRegister } from './key-register.ts';
import type { Refused } from './refused.ts';
import { parseStrictJson } from './strict-json.ts';

/** An approval that counts. */
export interface ValidApproval {
  /** Of its envelope. */
  readonly digest: Digest;
  readonly principal: string;
  readonly grants: readonly Grant[];
  readonly exceptions: readonly ApprovedException[];
  readonly issuedAtMs: number;
  /** Of the envelope. */
  readonly bytes: Uint8Array;
}

/** Which approvals lie there, and whose keys they may be signed with. */
export type ApprovalReading =
  | {
      readonly status: 'ok';
      readonly approvals: readonly ValidApproval[];
      /** One for each that is there and does not count. */
      readonly findings: readonly Finding[];
    }
  | Refused;

/** The approvals that count, by the digests of their envelopes; or why there are not enough. */
export type ApprovalCheck =
  | {
      readonly status: 'approved';
      readonly digests: readonly Digest[];
      readonly principals: readonly string[];
    }
  | Refused;

/**
 * Reads the approvals of this bundle and plan; writes nothing.
 *
 * Errors: refuses with `key_invalid`; `approval_invalid` is told of each one that is there and does not count.
 */
export async function readApprovals(
  options: Pick<RunnerOptions, 'root' | 'environment' | 'clock'>,
  bundle: Bundle,
  about: Pick<WantedApproval, 'planDigest' | 'grant'>,
): Promise<ApprovalReading> {
  const reading = await readKeyRegister(options.root);
  if (reading.status === 'refused') return reading;
  const { register } = reading;
  const wanted = wantedFor(options, bundle, about);
  const findings: Finding[] = [];
  const approvals: ValidApproval[] = [];
  for (const path of await approvalNames(bundle)) {
    const read = await readApproval(join(bundle.folder, path), register, wanted);
    if (read.status === 'other') continue;
    if (read.status === 'invalid') {
      findings.push(invalidApproval(path, read.reasons));
      continue;
    }
    const { principal, grants, exceptions, issued_at: issuedAt } = read.approval;
    approvals.push({
      digest: sha256(read.bytes),
      principal,
      grants,
      exceptions,
      issuedAtMs: Date.parse(issuedAt),
      bytes: read.bytes,
    });
  }
  return { status: 'ok', approvals, findings };
}

/**
 * Looks for approvals of this bundle and plan. One is enough; outside of dev it must be another principal's than the
 * runner's (M53).
 *
 * Errors: refuses with `approval_missing`, with `approval_invalid` beside it for each one that is there and does not count,
 * and with `key_invalid`.
 */
export async function findApprovals(
  options: RunnerOptions,
  bundle: Bundle,
  about: Pick<WantedApproval, 'planDigest' | 'grant'>,
): Promise<ApprovalCheck> {
  const reading = await readApprovals(options, bundle, about);
  if (reading.status === 'refused') return reading;
  const { approvals, findings } = reading;
  const isOwn = ({ principal }: ValidApproval): boolean => principal === options.actor.principal;
  const isEnough = approvals.some((each) => options.environment === 'dev' || !isOwn(each));
  if (!isEnough) {
    const wanted = wantedFor(options, bundle, about);
    return { status: 'refused', findings: [missing(options, wanted, approvals.length > 0), ...findings] };
  }
  await storeApprovals(options.root, approvals);
  return {
    status: 'approved',
    digests: approvals.map(({ digest }) => digest).toSorted(),
    principals: [...new Set(approvals.map(({ principal }) => principal))].toSorted(),
  };
}

/** Puts approvals into the evidence store, so that a receipt can name them. */
export async function storeApprovals(root: string, approvals: readonly ValidApproval[]): Promise<void> {
  await storeEvidences(
    root,
    approvals.map(({ bytes }) => bytes),
  );
}

function wantedFor(
  options: Pick<RunnerOptions, 'environment' | 'clock'>,
  bundle: Bundle,
  about: Pick<WantedApproval, 'planDigest' | 'grant'>,
): WantedApproval {
  return {
    ...about,
    migrationId: bundle.id,
    bundleDigest: bundle.digest,
    environment: options.environment,
    nowMs: options.clock.nowMs(),
  };
}

/** The approvals that lie beside a bundle, by their paths in it. */
export async function approvalNames(bundle: Bundle): Promise<readonly string[]> {
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
  | { readonly status: 'valid'; readonly approval: Approval; readonly bytes: Uint8Array }
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
  // Each environment has approvals of its own beside those of others.
  if (reasons.includes('grant') || reasons.includes('environment')) return { status: 'other' };
  return reasons.length > 0 ? { status: 'invalid', reasons } : { status: 'valid', approval, bytes };
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
