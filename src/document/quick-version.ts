/**
 * The version of a document by one pass over its bytes, without building anything.
 *
 * The pass is a whole check of the grammar (RFC 8259): what it answers for could be parsed, so a document that is current
 * already leaves as the bytes that came in and no value of it is ever made. It answers only for what it is sure of: a
 * version that stands once, at the top, as plain text or a plain whole number, beside names without escapes. For anything
 * else, a fault included, it says nothing, and the parse decides.
 */
const [QUOTE, BACKSLASH, COMMA, COLON, MINUS, PLUS, DOT, ZERO] = [
  0x22, 0x5c, 0x2c, 0x3a, 0x2d, 0x2b, 0x2e, 0x30,
] as const;
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d] as const;
const [SMALL_E, SMALL_F, SMALL_N, SMALL_T, SMALL_U, BIG_E] = [0x65, 0x66, 0x6e, 0x74, 0x75, 0x45] as const;
const ESCAPES = new Set(encoded('"\\/bfnrt'));
const WORDS = new Map(['true', 'false', 'null'].map((word) => [word.charCodeAt(0), encoded(word)]));
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** One array for all passes, which never overlap: each depth is set before it is read. */
let room = new Uint8Array();

/** What the pass says: the token of the version, and whether it is a text. */
export interface QuickVersion {
  readonly text: string;
  readonly isText: boolean;
}

/** The version under a name at the top of a document; undefined where only a parse can tell, or it is another one. */
export function quickVersion(
  bytes: Uint8Array,
  name: Uint8Array,
  depthLimit: number,
  wanted?: string,
): QuickVersion | undefined {
  if (room.length < depthLimit + 2) room = new Uint8Array(depthLimit + 2);
  const isObjectByDepth = room;
  const end = bytes.length;
  let depth = 0;
  let found: QuickVersion | undefined;
  let isHere = false;
  let isAscii = true;
  let at = skipBlanks(bytes, 0);
  if (bytes[at] !== OPEN_OBJECT) return undefined;
  // A value begins at `at`; after it, commas and closing brackets are taken until the next value or the end.
  for (;;) {
    const byte = bytes[at] as number;
    const isTop = isHere;
    isHere = false;
    if (byte === QUOTE) {
      const close = endOfText(bytes, at + 1);
      if (close < 0) return undefined;
      if (isTop) {
        if (found !== undefined || close < at) return undefined;
        const text = plainText(bytes, at + 1, close);
        if (text === undefined || text !== (wanted ?? text)) return undefined;
        found = { text, isText: true };
      }
      if (isAscii && !isAsciiText(bytes, at + 1, close)) isAscii = false;
      at = close + 1;
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (isTop) return undefined;
      depth += 1;
      if (depth > depthLimit) return undefined;
      const isObject = byte === OPEN_OBJECT;
      isObjectByDepth[depth] = isObject ? 1 : 0;
      at = skipBlanks(bytes, at + 1);
      if (bytes[at] === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        depth -= 1;
        at += 1;
      } else {
        if (!isObject) continue;
        const next = valueAfterKey(bytes, at);
        if (next < 0) return undefined;
        if (depth === 1) {
          const key = keyAtTop(bytes, at, name);
          if (key === 'unsure') return undefined;
          isHere = key === 'same';
        }
        if (isAscii && !isAsciiText(bytes, at + 1, next)) isAscii = false;
        at = next;
        continue;
      }
    } else if (byte === MINUS || (byte >= ZERO && byte <= 0x39)) {
      const close = endOfNumber(bytes, at);
      if (close < 0) return undefined;
      if (isTop) {
        const text = found === undefined && close - at < 16 ? plainText(bytes, at, close) : undefined;
        if (text === undefined || text !== (wanted ?? text) || !/^\d+$/u.test(text)) return undefined;
        found = { text, isText: false };
      }
      at = close;
    } else if (byte === SMALL_T || byte === SMALL_F || byte === SMALL_N) {
      const word = WORDS.get(byte);
      if (isTop || word === undefined || !startsWith(bytes, at, word)) return undefined;
      at += word.length;
    } else return undefined;
    for (;;) {
      at = skipBlanks(bytes, at);
      if (depth === 0) {
        if (at !== end || (!isAscii && !isUtf8(bytes))) return undefined;
        return found;
      }
      const sign = bytes[at] as number;
      const isObject = isObjectByDepth[depth] === 1;
      if (sign === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        depth -= 1;
        at += 1;
        continue;
      }
      if (sign !== COMMA) return undefined;
      at = skipBlanks(bytes, at + 1);
      if (isObject) {
        const next = valueAfterKey(bytes, at);
        if (next < 0) return undefined;
        if (depth === 1) {
          const key = keyAtTop(bytes, at, name);
          if (key === 'unsure') return undefined;
          isHere = key === 'same';
        }
        if (isAscii && !isAsciiText(bytes, at + 1, next)) isAscii = false;
        at = next;
      }
      break;
    }
  }
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function skipBlanks(bytes: Uint8Array, start: number): number {
  let at = start;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return at;
  }
  return at;
}

/** The place of the closing quote; negative where there is none, or an escape or a control character is no JSON. */
function endOfText(bytes: Uint8Array, start: number): number {
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) return at;
    if (byte < 0x20) return -1;
    if (byte === BACKSLASH) {
      at += 1;
      const escape = bytes[at] as number;
      if (escape === SMALL_U) {
        for (const stop = at + 4; at < stop;) {
          at += 1;
          if (!isHex(bytes[at] as number)) return -1;
        }
      } else if (!ESCAPES.has(escape)) return -1;
    }
  }
  return -1;
}

function isHex(byte: number): boolean {
  return (byte >= ZERO && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}

/** Where the value of a member begins whose name begins here; negative where that is no member. */
function valueAfterKey(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== QUOTE) return -1;
  const close = endOfText(bytes, start + 1);
  if (close < 0) return -1;
  const colon = skipBlanks(bytes, close + 1);
  return bytes[colon] === COLON ? skipBlanks(bytes, colon + 1) : -1;
}

/** A name with an escape may be any name. */
function keyAtTop(bytes: Uint8Array, start: number, name: Uint8Array): 'same' | 'other' | 'unsure' {
  for (let at = start + 1; bytes[at] !== QUOTE; at += 1) if (bytes[at] === BACKSLASH) return 'unsure';
  return startsWith(bytes, start + 1, name) && bytes[start + 1 + name.length] === QUOTE ? 'same' : 'other';
}

function startsWith(bytes: Uint8Array, start: number, word: Uint8Array): boolean {
  for (let at = 0; at < word.length; at += 1) if (bytes[start + at] !== word[at]) return false;
  return true;
}

function plainText(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = '';
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (byte === BACKSLASH || byte >= 0x80) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

function isAsciiText(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if ((bytes[at] as number) >= 0x80) return false;
  return true;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** The place behind a number; negative where its digits are no JSON. */
function endOfNumber(bytes: Uint8Array, start: number): number {
  let at = bytes[start] === MINUS ? start + 1 : start;
  const whole = at;
  at = skipDigits(bytes, at);
  if (at === whole || (bytes[whole] === ZERO && at > whole + 1)) return -1;
  if (bytes[at] === DOT) {
    const fraction = skipDigits(bytes, at + 1);
    if (fraction === at + 1) return -1;
    at = fraction;
  }
  if (bytes[at] === SMALL_E || bytes[at] === BIG_E) {
    const sign = bytes[at + 1];
    const digits = sign === PLUS || sign === MINUS ? at + 2 : at + 1;
    at = skipDigits(bytes, digits);
    if (at === digits) return -1;
  }
  return at;
}

function skipDigits(bytes: Uint8Array, start: number): number {
  let at = start;
  while ((bytes[at] as number) >= ZERO && (bytes[at] as number) <= 0x39) at += 1;
  return at;
}
