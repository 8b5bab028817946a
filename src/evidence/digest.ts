import { sha256 as sha256Bytes } from '@noble/hashes/sha2.js';
import { canonicalJson, hex, type Json } from '../base/index.ts';

/** A digest as text: `sha256:` and 64 lower-case hex digits (M114). */
export type Digest = string;

/** Whether a value is a digest as varve writes it. */
export function isDigest(value: unknown): value is Digest {
  return typeof value === 'string' && /^sha256:[0-9a-f]{64}$/u.test(value);
}

/** SHA-256 of raw bytes, or of the UTF-8 bytes of a text. No newline is converted. */
export function sha256(content: Uint8Array | string): Digest {
  return `sha256:${hex(sha256Bytes(typeof content === 'string' ? utf8(content) : content))}`;
}

/** SHA-256 of the canonical bytes of a JSON value: equal values, equal digests. */
export function digestOf(value: Json): Digest {
  return sha256(canonicalBytes(value));
}

/** The bytes that an artifact of this value has on disk: RFC 8785, without a newline at the end. */
export function canonicalBytes(value: Json): Uint8Array {
  return utf8(canonicalJson(value));
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
