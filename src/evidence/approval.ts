/**
 * Approvals: what somebody allows, signed (M116, M117).
 *
 * An approval is a DSSE envelope over an `approval.v1`. It binds one bundle, one plan and one environment, so that one
 * changed byte, another plan or another database voids it; it names what it grants and until when. Whose key signed says
 * who approved: the register of keys ties a key to a principal, a role, environments and a time.
 */
import { refusal, type Finding, type JsonObject } from '../base/index.ts';
import type { Digest } from './digest.ts';
import { fromBase64 } from './dsse.ts';

/** The type of an approval's envelope. */
export const APPROVAL_TYPE = 'application/vnd.varve.approval.v1+json';

/**
 * What an approval can allow: a run in one of three directions, and beside `apply` that there is no way back from it
 * (M47).
 */
export type Grant = 'apply' | 'rollback' | 'retire' | 'irreversible';

/** A finding that is allowed none the less (M26, M58). */
export interface ApprovedException extends JsonObject {
  readonly code: string;
  /** Of the finding; of a limit its name. */
  readonly subject: string;
  /** Up to how many; null where the finding counts nothing. */
  readonly ceiling: number | null;
}

/** What was signed. */
export interface Approval extends JsonObject {
  readonly approval_version: 'v1';
  readonly migration_id: string;
  readonly bundle_digest: Digest;
  /** Of the plan of what is granted: it holds the exact counts. */
  readonly plan_digest: Digest;
  readonly environment: string;
  readonly principal: string;
  readonly grants: readonly Grant[];
  readonly exceptions: readonly ApprovedException[];
  readonly issued_at: string;
  readonly expires_at: string;
}

/** `registry/keys.v1.json`: who may sign what, where, and when. */
export interface KeyRegister extends JsonObject {
  readonly keys_version: 'v1';
  readonly keys: readonly RegisteredKey[];
}

/** One public key. */
export interface RegisteredKey extends JsonObject {
  readonly key_id: Digest;
  readonly principal: string;
  readonly role: 'approver' | 'runner';
  readonly environments: readonly string[];
  /** Base64 of the SPKI form. */
  readonly public_key: string;
  readonly valid_from: string;
  /** Null: until it is taken out. */
  readonly valid_until: string | null;
}

/** What an approval has to be of. */
export interface WantedApproval {
  readonly migrationId: string;
  readonly bundleDigest: Digest;
  readonly planDigest: Digest;
  readonly environment: string;
  readonly grant: Grant;
  readonly nowMs: number;
}

/** The register in a text; one without keys where it is none. Whether its ids are those of its keys is seen where one is used. */
export function parseRegisterText(text: string): KeyRegister {
  try {
    const value = JSON.parse(text) as KeyRegister;
    return Array.isArray(value.keys) ? value : { keys_version: 'v1', keys: [] };
  } catch {
    return { keys_version: 'v1', keys: [] };
  }
}

/** The public keys of a register by id, as `openEnvelope` takes them. */
export function publicKeys(register: KeyRegister): ReadonlyMap<Digest, Uint8Array> {
  const keys = new Map<Digest, Uint8Array>();
  for (const { key_id: id, public_key: text } of register.keys) {
    const bytes = fromBase64(text);
    if (bytes !== undefined) keys.set(id, bytes);
  }
  return keys;
}

/** Why an approval does not allow what is wanted; none when it does. `key` is the registered key that signed it. */
export function approvalFaults(
  approval: Approval,
  key: RegisteredKey,
  wanted: WantedApproval,
): readonly string[] {
  const issuedMs = Date.parse(approval.issued_at);
  const checks: Readonly<Record<string, boolean>> = {
    migration: approval.migration_id === wanted.migrationId,
    grant: approval.grants.includes(wanted.grant),
    environment: approval.environment === wanted.environment,
    bundle_changed: approval.bundle_digest === wanted.bundleDigest,
    plan_changed: approval.plan_digest === wanted.planDigest,
    // A key of another person signs for nobody else.
    principal: approval.principal === key.principal,
    role: key.role === 'approver',
    key_environment: key.environments.includes(wanted.environment),
    key_validity: isKeyValid(key, issuedMs),
    issued_later: issuedMs <= wanted.nowMs + CLOCK_SKEW_MS,
    expired: Date.parse(approval.expires_at) > wanted.nowMs,
  };
  return Object.entries(checks).flatMap(([name, holds]) => (holds ? [] : [name]));
}

/** Clocks of two machines differ; by more than this an approval from the future is refused. */
const CLOCK_SKEW_MS = 5 * 60 * 1000;

/** Whether a key was valid at an instant: judged at signing time, so that a key that ran out later voids nothing (M117). */
export function isKeyValid({ valid_from: from, valid_until: until }: RegisteredKey, atMs: number): boolean {
  return Date.parse(from) <= atMs && (until === null || atMs < Date.parse(until));
}

/** The finding for an approval that is there and does not count. */
export function invalidApproval(path: string, reasons: readonly string[]): Finding {
  return refusal('approval_invalid', path, {
    detail: { reasons },
    hint: 'Have it approved anew with `varve approve`: an approval counts for one bundle, plan and environment, and for a time.',
  });
}
