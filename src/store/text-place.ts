/** A place in a text, for people: both count from 1, columns in UTF-16 code units as editors and SARIF count them. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/** Where the bytes of a text lie in it. */
export interface TextIndex {
  /** The UTF-16 offset of an offset into the text's UTF-8 bytes; cost does not depend on the length of the text. */
  readonly offsetOfByte: (byteOffset: number) => number;
  /** The UTF-16 offset of an offset that counts characters. */
  readonly offsetOfCharacter: (characterOffset: number) => number;
  readonly placeOf: (offset: number) => TextPlace;
}

/** Between two marks a byte is looked for by walking. */
const MARK_EVERY = 256;

/** Reads a text once, so that places in it are found quickly. Lines end with a line feed; a carriage return before it belongs to the line. */
export function indexText(text: string): TextIndex {
  const lineStarts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  const isAscii = /^[\0-\x7f]*$/.test(text);
  const marks = isAscii ? [] : byteMarks(text);
  return {
    offsetOfByte: (byteOffset) => (isAscii ? byteOffset : offsetOfByte(text, marks, byteOffset)),
    offsetOfCharacter: (characterOffset) =>
      isAscii ? characterOffset : offsetOfCharacter(text, characterOffset),
    placeOf: (offset) => {
      const line = lastAtMost(lineStarts.length, (index) => lineStarts[index] ?? 0, offset);
      return { line: line + 1, column: offset - (lineStarts[line] ?? 0) + 1 };
    },
  };
}

interface Mark {
  readonly offset: number;
  readonly byteOffset: number;
}

/** A mark each 256 code units, at the beginning of a character. */
function byteMarks(text: string): readonly Mark[] {
  const marks: Mark[] = [{ offset: 0, byteOffset: 0 }];
  let byteOffset = 0;
  let next = MARK_EVERY;
  for (let offset = 0; offset < text.length; offset += unitsAt(text, offset)) {
    if (offset >= next) {
      marks.push({ offset, byteOffset });
      next = offset + MARK_EVERY;
    }
    byteOffset += bytesAt(text, offset);
  }
  return marks;
}

function offsetOfByte(text: string, marks: readonly Mark[], byteOffset: number): number {
  const mark = marks[lastAtMost(marks.length, (index) => marks[index]?.byteOffset ?? 0, byteOffset)];
  let { offset, byteOffset: reached } = mark ?? { offset: 0, byteOffset: 0 };
  while (reached < byteOffset && offset < text.length) {
    reached += bytesAt(text, offset);
    offset += unitsAt(text, offset);
  }
  return offset;
}

function offsetOfCharacter(text: string, characterOffset: number): number {
  let offset = 0;
  for (let count = 0; count < characterOffset && offset < text.length; count += 1)
    offset += unitsAt(text, offset);
  return offset;
}

function unitsAt(text: string, offset: number): number {
  return (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
}

/** A lone surrogate is sent as the replacement character, which has three bytes too. */
function bytesAt(text: string, offset: number): number {
  const code = text.codePointAt(offset) ?? 0;
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/** The last index whose value is at most this; the values rise. */
function lastAtMost(length: number, valueAt: (index: number) => number, wanted: number): number {
  let low = 0;
  let high = length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (valueAt(middle) <= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}
