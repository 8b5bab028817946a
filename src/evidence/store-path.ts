import type { Digest } from './digest.ts';

/** Where the evidence store keeps the content of a digest, relative to `migrations/`. */
export function storePath(digest: Digest): string {
  const hexDigits = digest.slice('sha256:'.length);
  return `evidence/store/sha256/${hexDigits.slice(0, 2)}/${hexDigits}`;
}

/** The path of something in the evidence store; its second group is the hexadecimal digest. */
export const STORE_PATH: RegExp = /^evidence\/store\/sha256\/([0-9a-f]{2})\/([0-9a-f]{64})$/u;
