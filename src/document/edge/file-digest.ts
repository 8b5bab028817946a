import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '../../evidence/index.ts';
import { documentPaths } from './document-paths.ts';

/** What a file or folder holds. */
export interface ContentDigest {
  /** Files that were read. */
  readonly files: number;
  readonly digest: Digest;
}

/** SHA-256 of a file's bytes; of a folder, of the paths of its documents with theirs. Undefined where nothing is there. */
export async function contentDigest(path: string): Promise<ContentDigest | undefined> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if (!found.isDirectory()) return { files: 1, digest: `sha256:${await fileDigest(path)}` };
  const paths = await documentPaths(path);
  const whole = createHash('sha256');
  for (const each of paths) whole.update(`${JSON.stringify(each)} ${await fileDigest(join(path, each))}\n`);
  return { files: paths.length, digest: `sha256:${whole.digest('hex')}` };
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
