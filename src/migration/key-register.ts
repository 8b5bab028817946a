/** `registry/keys.v1.json`: the public keys of those who approve, read with every approval and kept in version control. */
import { join } from 'node:path';
import { isoTime, refusal, type Clock } from '../base/index.ts';
import {
  fromBase64,
  keyIdOf,
  toBase64,
  validateSchema,
  type KeyRegister,
  type RegisteredKey,
} from '../evidence/index.ts';
import { writeDurable } from './durable.ts';
import { readIfThere } from './evidence-store.ts';
import type { Refused } from './refused.ts';
import { parseStrictJson } from './strict-json.ts';

/** Where it lies under the folder `migrations`. */
export const KEY_REGISTER = 'registry/keys.v1.json';

/** A register, or why it cannot be used. */
export type KeyRegisterReading = { readonly status: 'ok'; readonly register: KeyRegister } | Refused;

/** The register of a project; empty where there is none. Errors: refuses with `key_invalid`. */
export async function readKeyRegister(root: string): Promise<KeyRegisterReading> {
  const bytes = await readIfThere(join(root, KEY_REGISTER));
  if (bytes === undefined) return { status: 'ok', register: { keys_version: 'v1', keys: [] } };
  const parsed = parseStrictJson(new TextDecoder().decode(bytes));
  if ('reason' in parsed) return invalid({ reason: parsed.reason });
  const [fault] = await validateSchema('keys.v1', parsed.value);
  if (fault !== undefined) return invalid({ reason: 'schema', pointer: fault.pointer, rule: fault.rule });
  const register = parsed.value as unknown as KeyRegister;
  const forged = register.keys.find(({ key_id: id, public_key: text }) => {
    const publicKey = fromBase64(text);
    return publicKey === undefined || keyIdOf(publicKey) !== id;
  });
  if (forged !== undefined) return invalid({ reason: 'key_id', key: forged.key_id });
  // One key is one principal in one role: who runs never approves with the same key (M117).
  const ids = register.keys.map(({ key_id: id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  return twice === undefined
    ? { status: 'ok', register }
    : invalid({ reason: 'registered twice', key: twice });
}

/** A key to be registered. */
export interface NewKey {
  readonly principal: string;
  readonly publicKey: Uint8Array;
  readonly role: RegisteredKey['role'];
  readonly environments: readonly string[];
}

/**
 * Adds a public key to the register.
 *
 * Errors: refuses with `key_invalid` where the register cannot be read, or has this key already.
 */
export async function registerKey(
  root: string,
  clock: Clock,
  added: NewKey,
): Promise<{ readonly status: 'ok'; readonly key: RegisteredKey } | Refused> {
  const reading = await readKeyRegister(root);
  if (reading.status === 'refused') return reading;
  const { register } = reading;
  const key: RegisteredKey = {
    key_id: keyIdOf(added.publicKey),
    principal: added.principal,
    role: added.role,
    environments: [...added.environments],
    public_key: toBase64(added.publicKey),
    valid_from: isoTime(clock.nowMs()),
    valid_until: null,
  };
  const known = register.keys.find(({ key_id: id }) => id === key.key_id);
  if (known !== undefined) {
    const hint = 'One key is one principal: register another key, or edit the register.';
    const detail = { reason: 'registered already', principal: known.principal };
    return { status: 'refused', findings: [refusal('key_invalid', added.principal, { detail, hint })] };
  }
  const next: KeyRegister = { ...register, keys: [...register.keys, key] };
  await writeDurable(
    join(root, KEY_REGISTER),
    new TextEncoder().encode(`${JSON.stringify(next, null, 2)}\n`),
  );
  return { status: 'ok', key };
}

function invalid(detail: Readonly<Record<string, string>>): Refused {
  const hint = 'Take this file back from version control, or write each key as `varve keys add` does.';
  return { status: 'refused', findings: [refusal('key_invalid', KEY_REGISTER, { detail, hint })] };
}
