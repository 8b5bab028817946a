import { TextDecoder } from 'node:util';
import { refusal, type Finding } from '../../base/index.ts';

/** A line of a text with its number, or why it is none. */
export type NumberedLine =
  { readonly number: number; readonly text: string } | { readonly number: number; readonly fault: Finding };

/** More characters are no line: a file without line feeds would else be held whole. */
const MOST_CHARACTERS = 64 * 1024 * 1024;

/**
 * The lines of UTF-8 bytes, from 1, without their line feed; a byte order mark is left out. Memory holds one line.
 *
 * Errors: yields a fault, and ends, at bytes that are no UTF-8 and at a line of more than 64 Mi characters.
 */
export async function* splitLines(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<NumberedLine, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let number = 0;
  // Pieces, since a string that grows by each chunk of a long line would be copied again and again.
  let pieces: string[] = [];
  let characters = 0;
  for await (const text of decoded(input, decoder)) {
    if (text === undefined) return yield { number: number + 1, fault: inputFault('not UTF-8', number + 1) };
    const lines = text.split('\n');
    for (const [at, piece] of lines.entries()) {
      pieces.push(piece);
      characters += piece.length;
      if (characters > MOST_CHARACTERS) {
        return yield {
          number: number + 1,
          fault: inputFault('a line of more than 64 Mi characters', number + 1),
        };
      }
      if (at === lines.length - 1) break;
      yield { number: ++number, text: withoutReturn(pieces.join('')) };
      pieces = [];
      characters = 0;
    }
  }
  if (characters > 0) yield { number: number + 1, text: withoutReturn(pieces.join('')) };
}

/** The text of each chunk; undefined where bytes are no text. */
async function* decoded(
  input: AsyncIterable<Uint8Array>,
  decoder: TextDecoder,
): AsyncGenerator<string | undefined, void, undefined> {
  const decode = (bytes?: Uint8Array): string | undefined => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch {
      return undefined;
    }
  };
  for await (const bytes of input) yield decode(bytes);
  yield decode();
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

/** The finding of an input that cannot be read there; the text itself is left out, for it holds values. */
export function inputFault(reason: string, line: number | undefined, subject = 'input'): Finding {
  return refusal('input_invalid', subject, {
    detail: line === undefined ? { reason } : { line, reason },
    hint: 'Correct the input; no row was inserted.',
  });
}
