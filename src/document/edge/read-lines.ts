/**
 * Lines of a stream of bytes, with their place and their line break, in bounded memory.
 *
 * A line that is longer than allowed is skipped to its end and given without its bytes; it stands where it stood, in the
 * input, which nobody touches.
 */

/** One line. */
export interface Line {
  /** Bytes before it. */
  readonly place: number;
  /** Its bytes without the line break; undefined where they are too many. */
  readonly bytes: Uint8Array | undefined;
  /** `\n`, `\r\n`, or nothing at the end of the file. */
  readonly lineBreak: string;
  /** Bytes from its start to the start of the next. */
  readonly length: number;
}

const [LF, CR] = [0x0a, 0x0d] as const;

/** The lines of a stream; `from` is the place of its first byte. */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  mostBytes: number,
  from = 0,
): AsyncGenerator<Line> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let place = from;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      const line = lineOf([...parts, chunk.subarray(start, end)], held + end - start, place, mostBytes, true);
      yield line;
      place += line.length;
      [parts, held, start] = [[], 0, end + 1];
    }
    held += chunk.length - start;
    // What is too long is counted and not kept.
    if (held <= mostBytes + 1) parts.push(chunk.slice(start));
    else parts = [];
  }
  if (held > 0) yield lineOf(parts, held, place, mostBytes, false);
}

/** The lines of whole bytes; the last may have no line break. */
export function* linesOf(bytes: Uint8Array, mostBytes: number, from: number): Generator<Line> {
  let start = 0;
  for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
    yield lineOf([bytes.subarray(start, end)], end - start, from + start, mostBytes, true);
    start = end + 1;
  }
  const size = bytes.length - start;
  if (size > 0) yield lineOf([bytes.subarray(start)], size, from + start, mostBytes, false);
}

function lineOf(
  parts: readonly Uint8Array[],
  size: number,
  place: number,
  mostBytes: number,
  hasBreak: boolean,
): Line {
  const whole = size > mostBytes + 1 ? undefined : joined(parts, size);
  const isCrLf = hasBreak && whole?.at(-1) === CR;
  const bytes = isCrLf ? whole?.subarray(0, -1) : whole;
  return {
    place,
    bytes: bytes !== undefined && bytes.length <= mostBytes ? bytes : undefined,
    lineBreak: isCrLf ? '\r\n' : hasBreak ? '\n' : '',
    length: size + (hasBreak ? 1 : 0),
  };
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether a line holds nothing but blanks: it is no document, and stays. */
export function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
