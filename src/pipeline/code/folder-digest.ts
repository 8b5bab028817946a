import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { sha256Text } from './sha256-text.ts';

/** One digest of every file of code or data below a folder; installed packages and hidden folders are left out. */
export function folderDigest(folder: string): `sha256:${string}` {
  const lines = filesBelow(folder)
    .map(
      (file) => `${path.relative(folder, file).split(path.sep).join('/')} ${sha256Text(readFileSync(file))}`,
    )
    .toSorted();
  return sha256Text(lines.join('\n'));
}

const COUNTED = /\.(?:[cm]?[jt]sx?|json|sql|txt|csv|wasm|node)$/;

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') return [];
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(file);
    return entry.isFile() && COUNTED.test(entry.name) ? [file] : [];
  });
}
