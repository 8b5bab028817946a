/**
 * Signed envelopes, DSSE v1: what is signed is the type and the bytes together, so that a signature over one kind of
 * document never passes for one over another.
 *
 * ```text
 * envelope  { "payloadType": TYPE, "payload": BASE64(body), "signatures": [{ "keyid": KEY, "sig": BASE64(signature) }] }
 * signed    "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body        lengths in bytes, as ASCII decimals
 * ```
 *
 * A signature is checked before the body is parsed. The body is canonical JSON (RFC 8785). Signing and checking are
 * handed in: this code runs where there is no crypto of its own.
 */
import type { Json, JsonObject } from '../base/index.ts';
import { canonicalBytes, sha256, type Digest } from './digest.ts';

/** An envelope as it stands in a file. */
export interface Envelope extends JsonObject {
  readonly payloadType: string;
  /** Base64 of the body's bytes. */
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: Digest; readonly sig: string }[];
}

/** What signs. */
export interface Signer {
  /** SHA-256 of the public key in SPKI form. */
  readonly keyId: Digest;
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
}

/** Whether a signature is that of this public key (SPKI bytes) over the message. */
export type CheckSignature = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
) => Promise<boolean>;

/** A body whose signature was checked, with the key that signed it; or why there is none. */
export type OpenedEnvelope =
  | { readonly status: 'ok'; readonly body: JsonObject; readonly keyId: Digest }
  | { readonly status: 'refused'; readonly reason: EnvelopeFault };

/** What is wrong with an envelope. */
export type EnvelopeFault =
  'not_an_envelope' | 'payload_type' | 'key_unknown' | 'signature' | 'body_not_canonical';

/** Puts a body into a signed envelope. */
export async function sealEnvelope(payloadType: string, body: JsonObject, signer: Signer): Promise<Envelope> {
  const bytes = canonicalBytes(body);
  const signature = await signer.sign(preAuthentication(payloadType, bytes));
  return {
    payloadType,
    payload: toBase64(bytes),
    signatures: [{ keyid: signer.keyId, sig: toBase64(signature) }],
  };
}

/**
 * Takes the body out of an envelope of this type that one of these keys signed.
 *
 * `publicKeyById` holds SPKI bytes by key id; an id that does not belong to its key is no key.
 */
export async function openEnvelope(
  value: Json,
  payloadType: string,
  given: { readonly publicKeyById: ReadonlyMap<Digest, Uint8Array>; readonly check: CheckSignature },
): Promise<OpenedEnvelope> {
  const envelope = readEnvelope(value);
  if (envelope === undefined) return refused('not_an_envelope');
  if (envelope.payloadType !== payloadType) return refused('payload_type');
  let known = false;
  for (const { keyid, signature } of envelope.signatures) {
    const publicKey = given.publicKeyById.get(keyid);
    if (publicKey === undefined || keyIdOf(publicKey) !== keyid) continue;
    known = true;
    const message = preAuthentication(payloadType, envelope.body);
    if (!(await given.check(publicKey, message, signature))) continue;
    const body = parseBody(envelope.body);
    return body === undefined ? refused('body_not_canonical') : { status: 'ok', body, keyId: keyid };
  }
  return refused(known ? 'signature' : 'key_unknown');
}

/** The id of a public key: SHA-256 of its SPKI bytes (M117). */
export function keyIdOf(publicKey: Uint8Array): Digest {
  return sha256(publicKey);
}

/** Base64 of bytes, with padding. */
export function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCodePoint(byte)).join(''));
}

/** The bytes of a base64 text; undefined where it is none. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u.test(text)) return undefined;
  return Uint8Array.from(atob(text), (character) => character.codePointAt(0) ?? 0);
}

interface ReadEnvelope {
  readonly payloadType: string;
  readonly body: Uint8Array;
  readonly signatures: readonly { readonly keyid: Digest; readonly signature: Uint8Array }[];
}

function readEnvelope(value: Json): ReadEnvelope | undefined {
  if (!isObject(value)) return undefined;
  const { payloadType, payload, signatures } = value;
  if (typeof payloadType !== 'string' || typeof payload !== 'string') return undefined;
  const body = fromBase64(payload);
  if (body === undefined || !Array.isArray(signatures) || signatures.length === 0) return undefined;
  const read = (signatures as readonly Json[]).flatMap((each) => {
    if (!isObject(each)) return [];
    const { keyid, sig } = each;
    const signature = typeof sig === 'string' ? fromBase64(sig) : undefined;
    return typeof keyid === 'string' && signature !== undefined ? [{ keyid, signature }] : [];
  });
  return read.length === signatures.length ? { payloadType, body, signatures: read } : undefined;
}

function preAuthentication(payloadType: string, body: Uint8Array): Uint8Array {
  const type = new TextEncoder().encode(payloadType);
  const head = new TextEncoder().encode(
    `DSSEv1 ${type.length.toString()} ${payloadType} ${body.length.toString()} `,
  );
  const message = new Uint8Array(head.length + body.length);
  message.set(head);
  message.set(body, head.length);
  return message;
}

/** Undefined where the bytes are not the canonical ones of an object: two readers could see two documents. */
function parseBody(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
    ) as Json;
    return isObject(value) && sha256(canonicalBytes(value)) === sha256(bytes) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refused(reason: EnvelopeFault): OpenedEnvelope {
  return { status: 'refused', reason };
}
