/**
 * Blocks of whole lines, which end where a run on one thread writes: behind the first line that ends at the wanted size
 * or later. A line that is longer than allowed and does not end in sight comes by itself, without bytes.
 */
import type { Unit } from './unit.ts';

const LF = 0x0a;

/** Some lines of a file, or one that is too long. */
export interface Block {
  readonly place: number;
  /** Lines; undefined where `unit` stands for them. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
  readonly unit: Unit | undefined;
  readonly length: number;
  /** Whether what is written at once ends here. */
  readonly isEnd: boolean;
}

/** The blocks of a stream of lines; `from` is the place of its first byte. */
export async function* readBlocks(
  chunks: AsyncIterable<Uint8Array>,
  blockBytes: number,
  mostBytes: number,
  from: number,
): AsyncGenerator<Block> {
  // What was read and is in no block yet: its pieces, their size, and where the line begins that has not ended.
  let held: Uint8Array[] = [];
  let [size, lineStart] = [0, 0];
  let [place, since, skipped] = [from, 0, 0];
  const block = (bytes: Block['bytes'], unit: Unit | undefined, length: number): Block => {
    const made = { place, bytes, unit, length, isEnd: since + length >= blockBytes };
    place += length;
    since = made.isEnd ? 0 : since + length;
    [held, size, lineStart] = [[], 0, 0];
    return made;
  };
  const lines = (length: number): Block => block(firstOf(held, length), undefined, length);
  const tooLong = (length: number, lineBreak: string): Block =>
    block(undefined, { place, bytes: undefined, lineBreak, length }, length);
  for await (const chunk of chunks) {
    let rest = chunk;
    if (skipped > 0) {
      const end = rest.indexOf(LF);
      skipped += end < 0 ? rest.length : end + 1;
      if (end < 0) continue;
      yield tooLong(skipped, '\n');
      [rest, skipped] = [rest.subarray(end + 1), 0];
    }
    for (;;) {
      const end = rest.indexOf(LF, Math.max(0, blockBytes - since - 1 - size));
      if (end < 0) break;
      held.push(rest);
      yield lines(size + end + 1);
      rest = rest.subarray(end + 1);
    }
    const last = rest.lastIndexOf(LF);
    if (last >= 0) lineStart = size + last + 1;
    held.push(rest);
    size += rest.length;
    if (size - lineStart <= mostBytes + 1) continue;
    skipped = size - lineStart;
    if (lineStart > 0) yield lines(lineStart);
    [held, size, lineStart] = [[], 0, 0];
  }
  if (skipped > 0) yield tooLong(skipped, '');
  else if (size > 0) yield lines(size);
}

/** The first bytes of pieces, in a buffer of their own, which can be handed over. */
function firstOf(pieces: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece.length > length - at ? piece.subarray(0, length - at) : piece, at);
    at += piece.length;
    if (at >= length) break;
  }
  return whole;
}
