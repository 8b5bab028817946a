/**
 * One pass over the bytes of a JSON text before anything is built from it.
 *
 * It counts what a parse would hide: members (of equal names the last one wins), number tokens that a double would not
 * give back as they are written, and names that JavaScript puts in front of others because they look like an index. It
 * ends at the limit of depth, so that neither a parse nor a write can overflow the stack.
 *
 * It takes the text for well-formed: whether it is, the parse says.
 */
import { isPlainToken } from './number.ts';

/** What the bytes of a text hold. */
export interface Scan {
  readonly members: number;
  /** Number tokens that have to be kept by their text. */
  readonly exactNumbers: number;
  /** Whether names would change their order. */
  readonly isReordered: boolean;
  readonly isTooDeep: boolean;
  /** Where each object and array within the outermost one begins and ends, in their order, two numbers each. */
  readonly containers: readonly number[];
  /** Whether JavaScript would write these values as they stand here: no blanks, no other spelling of an escape. */
  readonly isAsWritten: boolean;
}

const [QUOTE, BACKSLASH, COMMA, COLON, MINUS, DOT, ZERO] = [
  0x22, 0x5c, 0x2c, 0x3a, 0x2d, 0x2e, 0x30,
] as const;
const [SPACE, SLASH, SMALL_U] = [0x20, 0x2f, 0x75] as const;
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d] as const;
/** Fifteen digits always come back from a double. */
const SAFE_LENGTH = 15;
const NO_KEY = -1;

/** Scans the bytes of one JSON text. */
export function scanJson(bytes: Uint8Array, depthLimit: number): Scan {
  const lastKeyByDepth = scratch(depthLimit + 2);
  const end = bytes.length;
  const containers: number[] = [];
  let [members, exactNumbers, depth, isReordered, isAsWritten] = [0, 0, 0, false, true];
  let [stringStart, stringEnd] = [0, 0];
  for (let at = 0; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) {
      stringStart = at + 1;
      for (at = stringStart; at < end; at += 1) {
        const sign = bytes[at] as number;
        if (sign === QUOTE) break;
        if (sign !== BACKSLASH) continue;
        at += 1;
        if (bytes[at] === SLASH || bytes[at] === SMALL_U) isAsWritten = false;
      }
      stringEnd = at;
    } else if (byte === COLON) {
      members += 1;
      const first = bytes[stringStart] as number;
      const key = isDigit(first) ? indexOf(bytes, stringStart, stringEnd) : Infinity;
      if (key < (lastKeyByDepth[depth] as number)) isReordered = true;
      else lastKeyByDepth[depth] = key;
    } else if (byte === COMMA) {
      continue;
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth += 1;
      if (depth > depthLimit)
        return { members, exactNumbers, isReordered, isTooDeep: true, containers, isAsWritten };
      if (depth === 2) containers.push(at);
      lastKeyByDepth[depth] = NO_KEY;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      if (depth === 2) containers.push(at + 1);
      if (depth > 0) depth -= 1;
    } else if (isDigit(byte) || byte === MINUS) {
      const close = endOfNumber(bytes, at);
      if (isSuspicious(bytes, at, close) && !isPlainToken(ascii(bytes, at, close))) exactNumbers += 1;
      at = close - 1;
    } else if (byte <= SPACE && depth > 0) isAsWritten = false;
  }
  return { members, exactNumbers, isReordered, isTooDeep: false, containers, isAsWritten };
}

let room = new Float64Array();

/** One array for all scans, which never overlap: each depth is set before it is read. */
function scratch(size: number): Float64Array {
  if (room.length < size) room = new Float64Array(size);
  room[0] = NO_KEY;
  return room;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function endOfNumber(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && isNumberByte(bytes[at] as number)) at += 1;
  return at;
}

/** Digits, `.`, `+`, `-`, `e`, `E`. */
function isNumberByte(byte: number): boolean {
  return isDigit(byte) || byte === DOT || byte === 0x65 || byte === 0x45 || byte === 0x2b || byte === MINUS;
}

/**
 * Whether the token is more than a number of a few digits. A fraction is harmless where it ends in no zero and the number
 * is not so small that it would be written with an exponent.
 */
function isSuspicious(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > SAFE_LENGTH) return true;
  const first = bytes[start] === MINUS ? start + 1 : start;
  let dot = 0;
  for (let at = first; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (isDigit(byte)) continue;
    if (byte !== DOT || dot > 0) return true;
    dot = at;
  }
  if (dot === 0) return first > start && bytes[first] === ZERO;
  const isSmall = bytes[first] === ZERO && (bytes[dot + 1] === ZERO || dot + 1 === end);
  return isSmall || bytes[end - 1] === ZERO || dot + 1 === end;
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 1) text += String.fromCharCode(bytes[at] as number);
  return text;
}

/** The number of a name that JavaScript takes for an index; infinite for any other name. */
function indexOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > 10 || (bytes[start] === 0x30 && end - start > 1)) return Infinity;
  let index = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (!isDigit(byte)) return Infinity;
    index = index * 10 + (byte - 0x30);
  }
  return index <= 2 ** 32 - 2 ? index : Infinity;
}
