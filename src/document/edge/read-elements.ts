/**
 * The elements of a JSON array in a stream of bytes, found by depth and quotes alone, in bounded memory.
 *
 * ```text
 * [\n  {"a":1},\n  {"b":2}\n]\n      head `[\n  `, element, lead `,\n  `, element, foot `\n]\n`
 * ```
 *
 * What stands between elements belongs to the next one: it is written only where another stands before it, so the rest is
 * an array whichever elements are taken out. Whether an element is JSON, its own parse says; one that is longer than
 * allowed is counted and given without its bytes. The foot comes with the last element, so that no place lies between.
 */
import type { Unit } from './unit.ts';

const [OPEN, CLOSE, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d] as const;
const [COMMA, QUOTE, BACKSLASH] = [0x2c, 0x22, 0x5c] as const;
const NOTHING = new Uint8Array();

type Phase = 'head' | 'between' | 'element' | 'foot';

/** The elements of an array; `from` is the place of the first byte, which is 0 or behind an element. */
export async function* readElements(
  chunks: AsyncIterable<Uint8Array>,
  mostBytes: number,
  from = 0,
): AsyncGenerator<Unit> {
  const between = collector(mostBytes);
  const body = collector(mostBytes);
  let phase: Phase = from === 0 ? 'head' : 'between';
  let [place, depth, isText, isEscaped, hasComma, isFoul] = [from, 0, false, false, false, false];
  let isFirst = from === 0;
  let head: Uint8Array = NOTHING;
  let last: Unit | undefined;
  const element = (isCut: boolean): Unit => {
    const whole = body.take();
    const bytes = whole.bytes === undefined ? undefined : trimmed(whole.bytes);
    const lead = between.take();
    const size = bytes?.length ?? whole.size;
    const unit: Unit = {
      place: place + head.length + lead.size,
      head,
      lead: lead.bytes ?? NOTHING,
      bytes,
      lineBreak: '',
      length: head.length + lead.size + size,
      ...(isCut ? { isCut } : {}),
    };
    // Blanks behind an element stand before whatever comes next.
    if (whole.bytes !== undefined) between.add(whole.bytes.subarray(size));
    place += unit.length;
    [head, isFirst, hasComma, phase] = [NOTHING, false, false, 'between'];
    return unit;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] as number;
      if (phase === 'element') {
        if (isText) {
          if (isEscaped) isEscaped = false;
          else if (byte === BACKSLASH) isEscaped = true;
          else if (byte === QUOTE) isText = false;
        } else if (byte === QUOTE) isText = true;
        else if (byte === OPEN || byte === OPEN_OBJECT) depth += 1;
        else if (depth === 0 && (byte === COMMA || byte === CLOSE)) {
          body.add(chunk.subarray(start, at));
          start = at;
          if (last !== undefined) yield last;
          last = element(false);
          at -= 1;
        } else if (byte === CLOSE || byte === CLOSE_OBJECT) depth = Math.max(0, depth - 1);
      } else if (phase === 'between') {
        if (isBlankByte(byte)) continue;
        if (byte === COMMA && !hasComma && !isFirst) {
          hasComma = true;
          continue;
        }
        between.add(chunk.subarray(start, at));
        start = at;
        if (byte === CLOSE && !hasComma) phase = 'foot';
        else {
          phase = 'element';
          at -= 1;
        }
        if (isFirst && phase === 'element') head = joined(head, between.take().bytes ?? NOTHING);
      } else if (phase === 'head') {
        if (byte !== OPEN) continue;
        head = joined(between.take().bytes ?? NOTHING, chunk.subarray(start, at + 1));
        start = at + 1;
        phase = 'between';
      } else if (!isBlankByte(byte)) isFoul = true;
    }
    (phase === 'element' ? body : between).add(chunk.subarray(start));
  }
  if (phase === 'element' || hasComma) {
    if (last !== undefined) yield last;
    last = element(true);
  }
  const rest = between.take();
  const whole = phase === 'foot' ? (rest.bytes ?? NOTHING) : Uint8Array.of(CLOSE);
  const foot = isFoul ? whole.subarray(0, whole.indexOf(CLOSE) + 1) : whole;
  // What follows the end of the array is no part of it.
  if (isFoul) yield { place, bytes: whole.subarray(foot.length), lineBreak: '', length: 0, isCut: true };
  if (last !== undefined) yield { ...last, foot, length: last.length + rest.size };
  else if (from === 0) {
    const bytes = joined(head, foot);
    yield { place, bytes, lineBreak: '', length: head.length + rest.size, isVerbatim: true };
  }
}

interface Collector {
  readonly add: (bytes: Uint8Array) => void;
  /** What was added, or undefined where it is too much; empty after that. */
  readonly take: () => { readonly bytes: Uint8Array | undefined; readonly size: number };
}

function collector(mostBytes: number): Collector {
  let parts: Uint8Array[] = [];
  let size = 0;
  return {
    add: (bytes) => {
      size += bytes.length;
      if (size > mostBytes) parts = [];
      else if (bytes.length > 0) parts.push(bytes.slice());
    },
    take: () => {
      const taken = { bytes: size > mostBytes ? undefined : joined(...parts), size };
      [parts, size] = [[], 0];
      return taken;
    },
  };
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] ?? NOTHING) : Buffer.concat(parts);
}

function trimmed(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && isBlankByte(bytes[end - 1] as number)) end -= 1;
  return bytes.subarray(0, end);
}

function isBlankByte(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Whether a stream begins with an array; a byte order mark and blanks may stand before it. */
export async function isArrayText(chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
  for await (const chunk of chunks) {
    const first = chunk.find((byte) => !isBlankByte(byte) && byte !== 0xef && byte !== 0xbb && byte !== 0xbf);
    if (first !== undefined) return first === OPEN;
  }
  return false;
}
