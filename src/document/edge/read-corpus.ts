import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CorpusDocument } from '../coverage.ts';
import { documentPaths } from './document-paths.ts';
import { readUnits } from './read-units.ts';

/**
 * The documents of a file or folder, for a report: named by their path, or by the byte that they begin at.
 *
 * One that is larger than allowed comes without its bytes, so it counts as no JSON.
 */
export async function* readCorpus(input: string, mostBytes: number): AsyncGenerator<CorpusDocument> {
  if ((await stat(input)).isDirectory()) {
    for (const path of await documentPaths(input))
      yield { id: path, bytes: await readFile(join(input, path)) };
    return;
  }
  for await (const { place, bytes, isVerbatim } of readUnits(input, mostBytes)) {
    if (isVerbatim !== true) yield { id: String(place), bytes: bytes ?? new Uint8Array() };
  }
}
