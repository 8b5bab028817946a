import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import path from 'node:path';
import { sha256Text } from './sha256-text.ts';

/** One digest of every file of code or text below a folder; installed packages and hidden folders are left out. */
export function folderDigest(folder: string): `sha256:${string}` {
  const lines = filesBelow(folder).map(
    ({ file, digest }) => `${path.relative(folder, file).split(path.sep).join('/')} ${digest}`,
  );
  return sha256Text(lines.toSorted().join('\n'));
}

const COUNTED =
  /\.(?:[cm]?[jt]sx?|json[5cl]?|ndjson|sql|txt|[ct]sv|ya?ml|toml|xml|html|proto|graphql|py|sh|wasm|node)$/;

interface Counted {
  readonly file: string;
  readonly digest: string;
}

function filesBelow(folder: string): readonly Counted[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') return [];
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(file);
    // Where a link leads counts, not what is there: links may form a circle.
    if (entry.isSymbolicLink()) return [{ file, digest: readlinkSync(file) }];
    return entry.isFile() && COUNTED.test(entry.name) ? [{ file, digest: fileDigest(file) }] : [];
  });
}

/** In pieces, since a project folder may hold data larger than memory. */
function fileDigest(file: string): string {
  const hash = createHash('sha256');
  const piece = Buffer.alloc(1 << 16);
  const handle = openSync(file, 'r');
  try {
    for (let size = readSync(handle, piece); size > 0; size = readSync(handle, piece)) {
      hash.update(piece.subarray(0, size));
    }
  } finally {
    closeSync(handle);
  }
  return hash.digest('hex');
}
