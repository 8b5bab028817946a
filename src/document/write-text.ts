/**
 * Writes a document as the text it was read from was written: byte order mark, indentation and last line break.
 *
 * Most of a document is touched by no step. An object or array at its top that is the very value that was parsed is copied
 * as bytes, where a write would give these bytes: no blanks, no escape that could be spelled another way, names in order.
 * The rest is written, so the result is that of a write of the whole, and costs what was changed.
 */
import type { Json, JsonObject } from '../base/index.ts';
import type { Scan } from './scan.ts';
import { defineMember, isArray, isObject } from './value.ts';

/** A document as it was read. */
export interface Source {
  readonly bytes: Uint8Array;
  /** The text of the bytes, without a byte order mark. */
  readonly text: string;
  readonly document: Json;
  readonly scan: Scan;
}

const BYTE_ORDER_MARK = 0xef;
const LINE_BREAK = 0x0a;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The bytes of a document in the layout of the one it was made from. */
export function writeLike(source: Source, document: Json): Uint8Array {
  const { bytes } = source;
  const text = copied(source, document) ?? writtenWhole(bytes, document);
  const mark = bytes[0] === BYTE_ORDER_MARK ? '\ufeff' : '';
  return encoded(mark + text + (bytes.at(-1) === LINE_BREAK ? '\n' : ''));
}

/** Most texts are ASCII, whose size is known beforehand. */
function encoded(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  return encoder.encodeInto(text, bytes).read === text.length ? bytes : encoder.encode(text);
}

function writtenWhole(bytes: Uint8Array, document: Json): string {
  const { indent, margin } = layoutOf(bytes);
  const written = JSON.stringify(document, undefined, indent);
  // Texts in JSON hold no line breaks of their own.
  return margin === '' ? written : written.replaceAll('\n', `\n${margin}`);
}

/** Bytes below which a copy costs more than it saves. */
const LEAST_BYTES = 128;

/** Undefined where nothing can be copied. */
function copied(source: Source, document: Json): string | undefined {
  const { scan, document: read } = source;
  if (!scan.isAsWritten || scan.isReordered || !isObject(read) || !isObject(document)) return undefined;
  const placeByValue = copyable(read, scan.containers);
  if (placeByValue === undefined) return undefined;
  let text = '';
  let between: Record<string, Json> = {};
  for (const name of Object.keys(document)) {
    const value = document[name] as Json;
    const place = typeof value === 'object' ? placeByValue.get(value) : undefined;
    defineMember(between, name, place === undefined ? value : 0);
    if (place === undefined) continue;
    text += opened(between, text === '').slice(0, -'0}'.length) + textFrom(source, place);
    between = {};
  }
  return text + opened(between, text === '');
}

/** The text of a container. In a text of ASCII, which holds a character for each byte, it need not be decoded again. */
function textFrom({ bytes, text, scan: { containers } }: Source, place: number): string {
  const [start, end] = [containers[place] as number, containers[place + 1] as number];
  return text.length === bytes.length ? text.slice(start, end) : decoder.decode(bytes.subarray(start, end));
}

/** The members of an object, as the first of one that goes on or as its next. */
function opened(members: JsonObject, isFirst: boolean): string {
  const text = JSON.stringify(members);
  if (isFirst) return text;
  return text === '{}' ? '}' : `,${text.slice(1)}`;
}

/** Where in the list of containers each large one begins; undefined where there is none. */
function copyable(read: JsonObject, containers: readonly number[]): ReadonlyMap<Json, number> | undefined {
  let places: Map<Json, number> | undefined;
  let place = 0;
  for (const name of Object.keys(read)) {
    const value = read[name] as Json;
    if (typeof value !== 'object' || !(isArray(value) || isObject(value))) continue;
    const size = (containers[place + 1] as number) - (containers[place] as number);
    if (size >= LEAST_BYTES) (places ??= new Map<Json, number>()).set(value, place);
    place += 2;
  }
  return places;
}

interface Layout {
  readonly indent: string | undefined;
  /** Blanks before every line but the first, where a document stands within another text. */
  readonly margin: string;
}

/** What the lines of a document are indented by, when its first member stands on a line of its own. */
function layoutOf(bytes: Uint8Array): Layout {
  const open = bytes.indexOf(0x7b);
  let at = open + 1;
  if (bytes[at] === 0x0d) at += 1;
  const first = open >= 0 && bytes[at] === 0x0a ? blanksFrom(bytes, at + 1) : '';
  if (first === '') return { indent: undefined, margin: '' };
  const close = bytes.lastIndexOf(0x7d);
  const margin = blanksFrom(bytes, bytes.lastIndexOf(0x0a, close) + 1, close);
  return first.startsWith(margin) && first !== margin
    ? { indent: first.slice(margin.length), margin }
    : { indent: first, margin: '' };
}

function blanksFrom(bytes: Uint8Array, start: number, end: number = bytes.length): string {
  let blanks = '';
  for (let at = start; at < end && (bytes[at] === 0x20 || bytes[at] === 0x09); at += 1)
    blanks += bytes[at] === 0x20 ? ' ' : '\t';
  return blanks;
}
