/**
 * The key that signs what a runner leaves behind: receipts and the heads of ledgers. It comes by reference, and the register
 * of keys says that it is one of a runner, in this environment, now (M117).
 */
import { refusal, type Finding } from '../base/index.ts';
import { fromBase64, isKeyValid, type Signer } from '../evidence/index.ts';
import { checkSignature } from './ed25519.ts';
import type { RunnerOptions } from './environment.ts';
import { KEY_REGISTER, readKeyRegister } from './key-register.ts';
import type { EnvironmentName } from './settings.ts';

/** Whether runs in this environment have to be signed. */
export function demandsSignature(environment: EnvironmentName): boolean {
  return environment !== 'dev';
}

/** Why no run may begin with the key that there is, or without one. */
export async function signerFindings(options: RunnerOptions): Promise<readonly Finding[]> {
  const { signer, environment, clock } = options;
  if (signer === undefined) return demandsSignature(environment) ? [missing(environment)] : [];
  const reading = await readKeyRegister(options.root);
  if (reading.status === 'refused') return reading.findings;
  const key = reading.register.keys.find(({ key_id: id }) => id === signer.keyId);
  if (key === undefined) return [wrong(signer, environment, 'unknown')];
  if (key.role !== 'runner') return [wrong(signer, environment, `of the role ${key.role}`)];
  if (!key.environments.includes(environment)) return [wrong(signer, environment, `not for ${environment}`)];
  if (!isKeyValid(key, clock.nowMs())) return [wrong(signer, environment, 'not valid now')];
  const publicKey = fromBase64(key.public_key) ?? new Uint8Array();
  return (await signsWell(signer, publicKey))
    ? []
    : [wrong(signer, environment, 'not the one that is registered')];
}

/** A trial: that a key signs is seen before anything runs, not when the receipt is due. */
async function signsWell(signer: Signer, publicKey: Uint8Array): Promise<boolean> {
  const message = new TextEncoder().encode('varve: trial signature of a runner key');
  return checkSignature(publicKey, message, await signer.sign(message));
}

function missing(environment: EnvironmentName): Finding {
  return refusal('signer_missing', environment, {
    hint: `Set VARVE_RUNNER_KEY to the PEM file of a runner key; \`varve keys add svc:runner --role runner --in ${environment} --new FILE\` makes and registers one.`,
  });
}

function wrong({ keyId }: Signer, environment: EnvironmentName, reason: string): Finding {
  return refusal('key_invalid', environment, {
    detail: { reason, key: keyId },
    hint: `Sign with a key that ${KEY_REGISTER} names with the role runner; \`varve keys add --role runner\` registers one.`,
  });
}
