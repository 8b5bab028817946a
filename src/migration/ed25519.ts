/** Ed25519 by the platform's crypto: keys as PEM files, signatures, and their check. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { refusal, type Finding } from '../base/index.ts';
import { keyIdOf, type CheckSignature, type Signer } from '../evidence/index.ts';

/** A pair of keys: the private one as PKCS #8 PEM, the public one in SPKI form. */
export interface KeyPair {
  readonly privatePem: string;
  readonly publicKey: Uint8Array;
}

/** Makes a new pair. */
export function createKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: spkiOf(publicKey),
  };
}

/** What signs with the private key in a PEM file. Errors: refuses with `key_invalid`. */
export async function readSigner(path: string): Promise<Signer | Finding> {
  const key = await readKey(path, createPrivateKey);
  return 'code' in key ? key : signerOf(key);
}

/**
 * What signs with the private key that a variable of the environment refers to: the path of a PEM file, or the PEM itself, as
 * machines for continuous integration hand it over. `name` stands in findings for it.
 *
 * Errors: refuses with `key_invalid`.
 */
export async function readSignerReference(name: string, value: string): Promise<Signer | Finding> {
  if (!value.includes('-----BEGIN')) return readSigner(value);
  const key = parseKey(name, value, createPrivateKey);
  return 'code' in key ? key : signerOf(key);
}

function signerOf(key: KeyObject): Signer {
  const publicKey = spkiOf(createPublicKey(key));
  return {
    keyId: keyIdOf(publicKey),
    sign: (message) => Promise.resolve(new Uint8Array(sign(null, message, key))),
  };
}

/** The public key in a PEM file, that of a private one included, in SPKI form. Errors: refuses with `key_invalid`. */
export async function readPublicKey(path: string): Promise<Uint8Array | Finding> {
  const key = await readKey(path, createPublicKey);
  return 'code' in key ? key : spkiOf(key);
}

/** Checks a signature; a key that is none of Ed25519 signs nothing. */
export const checkSignature: CheckSignature = (publicKey, message, signature) => {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
    return Promise.resolve(key.asymmetricKeyType === 'ed25519' && verify(null, message, key, signature));
  } catch {
    return Promise.resolve(false);
  }
};

async function readKey(path: string, parse: (pem: string) => KeyObject): Promise<KeyObject | Finding> {
  let pem: string;
  try {
    pem = await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return invalidKey(path, reason, 'Name the PEM file of your key.');
  }
  return parseKey(path, pem, parse);
}

function parseKey(path: string, pem: string, parse: (pem: string) => KeyObject): KeyObject | Finding {
  try {
    const key = parse(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
    return invalidKey(path, `a key of ${key.asymmetricKeyType ?? 'another kind'}`, MAKE_ONE);
  } catch {
    // What the platform says of a key it cannot read may quote it.
    return invalidKey(path, 'no PEM of a key without passphrase', MAKE_ONE);
  }
}

const MAKE_ONE = 'Use an Ed25519 key in PEM: `varve keys add PRINCIPAL --new FILE` makes one.';

function invalidKey(path: string, reason: string, hint: string): Finding {
  return refusal('key_invalid', path, { detail: { reason }, hint });
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: 'spki', format: 'der' }));
}
