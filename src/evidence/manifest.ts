import type { JsonObject } from '../base/index.ts';
import { digestOf, sha256, type Digest } from './digest.ts';

/** One file of a manifest: its path inside the bundle with `/`, its size in bytes and its digest. */
export interface ManifestEntry {
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
}

/** The manifest entry of a file's content. */
export function manifestEntry(path: string, bytes: Uint8Array): ManifestEntry {
  return { path, size: bytes.byteLength, digest: sha256(bytes) };
}

/**
 * The one digest of a set of files: that of the canonical list of `{ path, size, digest }`, sorted by path in code
 * unit order, so that any changed, added, removed or renamed file changes it (M115).
 */
export function manifestDigest(entries: readonly ManifestEntry[]): Digest {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1));
  return digestOf(sorted.map(({ path, size, digest }): JsonObject => ({ path, size, digest })));
}
