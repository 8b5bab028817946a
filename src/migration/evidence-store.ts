import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { VarveError } from '../base/index.ts';
import { sha256, storePath, type Digest } from '../evidence/index.ts';
import { allDone } from './all-done.ts';
import { createDurable, hasCode, syncFolder } from './durable.ts';

/**
 * Keeps content under its digest: created exclusively, fsynced, read-only, hashed again on every read (M122).
 * Storing the same content twice is one file, so whatever is killed in between can be done again.
 *
 * Errors: throws `evidence_changed` when the address holds other content.
 */
export async function storeEvidence(root: string, bytes: Uint8Array): Promise<Digest> {
  const digest = sha256(bytes);
  const path = join(root, storePath(digest));
  if ((await readEvidence(root, digest)) !== undefined) {
    // Its content was on disk before it had its name; the name may not be, where who gave it was killed.
    await syncFolder(dirname(path));
    return digest;
  }
  const created = await createDurable(path, bytes);
  if (!created) await readEvidence(root, digest);
  return digest;
}

/** Keeps several side by side: a disk takes no longer for some of them than for one. */
export function storeEvidences(root: string, contents: readonly Uint8Array[]): Promise<readonly Digest[]> {
  return allDone(contents.map((bytes) => storeEvidence(root, bytes)));
}

/** The content of a digest; undefined when the store does not have it. Errors: `evidence_changed`. */
export async function readEvidence(root: string, digest: Digest): Promise<Uint8Array | undefined> {
  const path = storePath(digest);
  const bytes = await readIfThere(join(root, path));
  if (bytes === undefined || sha256(bytes) === digest) return bytes;
  throw new VarveError('evidence_changed', {
    detail: { path, expected: digest, found: sha256(bytes) },
    hint: 'Take this file back from version control or a backup; its name is the digest of its content.',
  });
}

/** The bytes of a file, undefined when there is none. */
export async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
