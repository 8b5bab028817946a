/**
 * Blocks of whole lines, which end where a run on one thread writes its checkpoints: behind the first line that ends at
 * the wanted size or later. A line that is longer than allowed and does not end in sight comes by itself, without bytes.
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
  /** Whether a batch ends here. */
  readonly isEnd: boolean;
}

/** The blocks of a stream of lines; `from` is the place of its first byte. */
export async function* readBlocks(
  chunks: AsyncIterable<Uint8Array>,
  batchBytes: number,
  mostBytes: number,
  from: number,
): AsyncGenerator<Block> {
  let held: Uint8Array = new Uint8Array();
  let [place, since, skipped] = [from, 0, 0];
  const block = (bytes: Uint8Array | undefined, unit: Unit | undefined, length: number): Block => {
    const made = {
      place,
      // A copy of its own, which can be handed over.
      bytes: bytes === undefined ? undefined : new Uint8Array(bytes),
      unit,
      length,
      isEnd: since + length >= batchBytes,
    };
    place += length;
    since = made.isEnd ? 0 : since + length;
    return made;
  };
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
    held = held.length === 0 ? rest.slice() : Buffer.concat([held, rest]);
    for (;;) {
      const end = held.indexOf(LF, Math.max(0, batchBytes - since - 1));
      if (end < 0) break;
      yield block(held.subarray(0, end + 1), undefined, end + 1);
      held = held.subarray(end + 1);
    }
    const start = held.lastIndexOf(LF) + 1;
    if (held.length - start <= mostBytes + 1) continue;
    if (start > 0) yield block(held.subarray(0, start), undefined, start);
    skipped = held.length - start;
    held = new Uint8Array();
  }
  if (skipped > 0) yield tooLong(skipped, '');
  else if (held.length > 0) yield block(held, undefined, held.length);
}
