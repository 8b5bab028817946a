import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { isArrayText, readElements } from './read-elements.ts';
import { isBlank, readLines, type Line } from './read-lines.ts';
import type { Unit } from './unit.ts';

const CHUNK_BYTES = 256 * 1024;
/** A piece of packed bytes may become a thousand times as many. */
const PACKED_BYTES = 16 * 1024;

/** Whether the name of a file says that it holds lines. */
export function isLines(input: string): boolean {
  return /\.(jsonl|ndjson)(\.gz)?$/u.test(input);
}

/** The documents of a file behind a place: its lines where its name says so, the elements of an array, else itself. */
export async function* readUnits(input: string, mostBytes: number, place = 0): AsyncGenerator<Unit> {
  const state = { isCut: false };
  const chunks = fileBytes(input, place, state);
  if (isLines(input)) {
    for await (const line of readLines(chunks, mostBytes, place)) {
      const isVerbatim = line.bytes !== undefined && isBlank(line.bytes);
      yield { ...line, isVerbatim, isCut: state.isCut && line.lineBreak === '' };
    }
  } else if (await isArrayText(fileBytes(input, 0, { isCut: false }))) {
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

/** The bytes of a file behind a place, unpacked; a broken compression ends in one that no JSON has. */
export async function* fileBytes(
  input: string,
  place: number,
  state: { isCut: boolean },
  chunkBytes: number = CHUNK_BYTES,
): AsyncGenerator<Uint8Array> {
  if (!input.endsWith('.gz')) {
    yield* createReadStream(input, { start: place, highWaterMark: chunkBytes }) as AsyncIterable<Uint8Array>;
    return;
  }
  let at = 0;
  try {
    for await (const chunk of unpacked(input)) {
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

/**
 * The unpacked bytes, a piece of the input after the other. A stream that breaks drops what it has not handed on yet, so
 * that one cut file would give now more, now less; here all of a piece is taken before the next one goes in.
 */
async function* unpacked(input: string): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  const parts: Uint8Array[] = [];
  let broken: Error | undefined;
  gunzip.on('data', (part: Uint8Array) => parts.push(part));
  gunzip.on('error', (error) => (broken ??= error));
  const closed = new Promise<void>((resolve) => gunzip.once('close', resolve));
  const taken = (): readonly Uint8Array[] => parts.splice(0);
  for await (const chunk of createReadStream(input, {
    highWaterMark: PACKED_BYTES,
  }) as AsyncIterable<Uint8Array>) {
    await Promise.race([new Promise<void>((resolve) => gunzip.write(chunk, () => resolve())), closed]);
    yield* taken();
    if (broken !== undefined) break;
  }
  if (broken === undefined) {
    gunzip.end();
    await closed;
    yield* taken();
  }
  if (broken !== undefined) throw broken;
}
