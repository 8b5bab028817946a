/**
 * Text that looks drawn at random: long, of upper and lower case letters and digits, and changing between these classes as
 * often as chance would have it. A random base-62 text changes class at 62 of 100 places; a name in camel case, a path
 * or an id of ours at less than 30. Hexadecimal text is left out: digests and commits are everywhere, and a key in
 * hexadecimal form is found by the name that it is assigned to.
 */
import { fromBase64 } from '../dsse.ts';
import type { Spot } from './spot.ts';

const LEAST_LENGTH = 24;
const LEAST_CHANGES = 0.35;
/** Bits per character; 24 random characters of 64 have 4.2 on the average. */
const LEAST_ENTROPY = 3.7;
/** Base64 of the SPKI form of an Ed25519 key begins so: public keys are there to be shown. */
const PUBLIC_KEY = /^MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=$/u;

/** The random looking texts, but for those in `known`. */
export function randomSpots(text: string, known: ReadonlySet<string>): readonly Spot[] {
  const spots: Spot[] = [];
  for (const match of text.matchAll(/[A-Za-z0-9+/_=-]{24,}/gu)) {
    const [token] = match;
    // sha512-... of a package lock is a digest too.
    if (known.has(token) || PUBLIC_KEY.test(token) || /^sha(?:256|384|512)-/u.test(token)) continue;
    if (looksRandom(token) && !isReadable(token)) spots.push({ rule: 'high_entropy', at: match.index });
  }
  return spots;
}

function looksRandom(token: string): boolean {
  if (token.length < LEAST_LENGTH || /^[0-9a-f]+$/iu.test(token)) return false;
  if (!/[a-z]/u.test(token) || !/[A-Z]/u.test(token) || !/\d/u.test(token)) return false;
  return classChanges(token) >= LEAST_CHANGES && entropy(token) >= LEAST_ENTROPY;
}

/** What part of the places between two letters or digits lies between two of different class. */
function classChanges(token: string): number {
  let changes = 0;
  for (let index = 1; index < token.length; index += 1) {
    const [before, after] = [classOf(token.charCodeAt(index - 1)), classOf(token.charCodeAt(index))];
    if (before !== after && before !== 0 && after !== 0) changes += 1;
  }
  return changes / (token.length - 1);
}

function classOf(code: number): 0 | 1 | 2 | 3 {
  if (code >= 48 && code <= 57) return 1;
  if (code >= 65 && code <= 90) return 2;
  return code >= 97 && code <= 122 ? 3 : 0;
}

function entropy(token: string): number {
  const counts = new Map<string, number>();
  for (const character of token) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / token.length) * Math.log2(count / token.length);
  return bits;
}

/** Base64 of readable text hides nothing: what it says is scanned itself. */
function isReadable(token: string): boolean {
  const decoded = decodeText(token);
  return decoded !== undefined;
}

/** The readable text that a base64 text stands for, either alphabet; undefined where it is none. */
export function decodeText(token: string): string | undefined {
  const bytes = decodeBytes(token);
  if (bytes === undefined) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // eslint-disable-next-line no-control-regex
    return /^[\t\n\r\x20-\x7e\u00a0-\u{10ffff}]*$/u.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

/** The bytes of a base64 text of either alphabet, padded or not. */
export function decodeBytes(token: string): Uint8Array | undefined {
  const bare = token.replaceAll(/\s/gu, '').replace(/=+$/u, '').replaceAll('-', '+').replaceAll('_', '/');
  return fromBase64(bare.padEnd(Math.ceil(bare.length / 4) * 4, '='));
}
