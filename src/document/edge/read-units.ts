import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { isArrayText, readElements } from './read-elements.ts';
import { isBlank, readLines, type Line } from './read-lines.ts';
import type { Unit } from './unit.ts';

/** Whether the name of a file says that it holds lines. */
function isLines(input: string): boolean {
  return /\.(jsonl|ndjson)(\.gz)?$/u.test(input);
}

/** The documents of a file behind a place: its lines where its name says so, the elements of an array, else itself. */
export async function* readUnits(input: string, mostBytes: number, place = 0): AsyncGenerator<Unit> {
  const state = { isCut: false };
  const chunks = bytesOf(input, place, state);
  if (isLines(input)) {
    for await (const line of readLines(chunks, mostBytes, place)) {
      const isVerbatim = line.bytes !== undefined && isBlank(line.bytes);
      yield { ...line, isVerbatim, isCut: state.isCut && line.lineBreak === '' };
    }
  } else if (await isArrayText(bytesOf(input, 0, { isCut: false }))) {
    yield* readElements(chunks, mostBytes, place);
  } else if (place === 0) yield await wholeFile(chunks, mostBytes);
}

async function wholeFile(chunks: AsyncIterable<Uint8Array>, mostBytes: number): Promise<Line> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length <= mostBytes) parts.push(chunk);
  }
  return { place: 0, bytes: length > mostBytes ? undefined : Buffer.concat(parts), lineBreak: '', length };
}

async function* bytesOf(input: string, place: number, state: { isCut: boolean }): AsyncGenerator<Uint8Array> {
  if (!input.endsWith('.gz')) {
    yield* createReadStream(input, { start: place }) as AsyncIterable<Uint8Array>;
    return;
  }
  const file = createReadStream(input);
  const unzipped = createGunzip();
  file.on('error', (error) => unzipped.destroy(error));
  let at = 0;
  try {
    for await (const chunk of file.pipe(unzipped) as AsyncIterable<Uint8Array>) {
      const skipped = Math.min(Math.max(place - at, 0), chunk.length);
      at += chunk.length;
      if (skipped < chunk.length) yield chunk.subarray(skipped);
    }
  } catch (error) {
    // What was read before the damage is good; the line it ends in is not.
    if (!String((error as NodeJS.ErrnoException).code).startsWith('Z_')) throw error;
    state.isCut = true;
    yield new Uint8Array([0]);
  }
}
