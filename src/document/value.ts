/**
 * JSON values as steps see them: read-only, changed by making new ones that share what did not change.
 *
 * A number that no double can hold, such as `2^53 + 1`, stands as a raw number (`JSON.rawJSON`): an opaque value that is
 * moved and compared by its text and never computed with. No member name, `__proto__` included, reaches a prototype.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { hex, type Json, type JsonObject } from '../base/index.ts';
import type { Digest } from '../evidence/index.ts';

/** The parts of the platform's `JSON` that TypeScript's library does not name yet. */
interface RawJson {
  readonly rawJSON?: (text: string) => object;
  readonly isRawJSON?: (value: unknown) => boolean;
}

const platform: RawJson = JSON as RawJson;

/** Whether this platform can hold numbers by their text. */
export function hasRawNumbers(): boolean {
  return platform.rawJSON !== undefined;
}

/** A number by its text. Only where `hasRawNumbers`. */
export function rawNumber(text: string): Json {
  return platform.rawJSON?.(text) as Json;
}

/** The text of a raw number, or undefined for any other value. */
export function rawText(value: unknown): string | undefined {
  return platform.isRawJSON?.(value) === true ? (value as { readonly rawJSON: string }).rawJSON : undefined;
}

/** Whether a value is a JSON object: no array, no raw number, no instance of a class. */
export function isObject(value: unknown): value is JsonObject {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype) return true;
  return prototype === null && platform.isRawJSON?.(value) !== true;
}

/** Whether a value is a JSON array. */
export function isArray(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

/** A member of its own, or undefined. */
export function memberOf(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** The object with this member; in its old place when it was there, else at the end. */
export function withMember(object: JsonObject, name: string, value: Json): JsonObject {
  const changed = { ...object };
  defineMember(changed, name, value);
  return changed;
}

/** The object without this member. */
export function withoutMember(object: JsonObject, name: string): JsonObject {
  if (!Object.hasOwn(object, name)) return object;
  const { [name]: _dropped, ...rest } = object;
  return rest;
}

/** The object with a member under another name, in the same place. */
export function renamedMember(object: JsonObject, from: string, to: string): JsonObject {
  const renamed: Record<string, Json> = {};
  for (const name of Object.keys(object))
    defineMember(renamed, name === from ? to : name, object[name] as Json);
  return renamed;
}

/** Whether a raw number stands anywhere in a value. */
export function holdsRawNumber(value: Json): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (isArray(value)) return value.some(holdsRawNumber);
  if (rawText(value) !== undefined) return true;
  for (const name of Object.keys(value)) {
    if (holdsRawNumber(value[name] as Json)) return true;
  }
  return false;
}

/** Assignment that cannot reach a prototype. */
export function defineMember(object: Record<string, Json>, name: string, value: Json): void {
  if (name === '__proto__') {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[name] = value;
  }
}

/** Whether two values are equal as JSON; the order of members does not matter, `-0` is not `0`. */
export function equalJson(left: Json | undefined, right: Json | undefined): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (isArray(left)) {
    return (
      isArray(right) && left.length === right.length && left.every((item, at) => equalJson(item, right[at]))
    );
  }
  if (isArray(right)) return false;
  if (!isObject(left) || !isObject(right)) {
    return rawText(left) !== undefined && rawText(left) === rawText(right);
  }
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every((name) => Object.hasOwn(right, name) && equalJson(left[name], right[name]))
  );
}

/** Why a value cannot be taken as a document. */
export type CopyFault = { readonly pointer: string; readonly found: string };

/**
 * A deep copy of what is plain JSON; a fault for anything else, or for more levels than allowed.
 *
 * Invariant: nothing in the copy is shared with the value. Recursion ends at `depth`, so the stack cannot overflow.
 */
export function copyJson(
  value: unknown,
  depth: number,
): { readonly value: Json } | { readonly fault: CopyFault } {
  const fault: { found?: CopyFault } = {};
  const copied = copyAt(value, depth, '', fault);
  return fault.found === undefined ? { value: copied } : { fault: fault.found };
}

function copyAt(value: unknown, depth: number, pointer: string, fault: { found?: CopyFault }): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value)) return value;
      break;
    case 'object':
      if (value === null) return value;
      if (depth <= 0) {
        fault.found ??= { pointer, found: 'too many levels' };
        return null;
      }
      if (isArray(value)) return copyItems(value, depth, pointer, fault);
      if (isObject(value)) return copyMembers(value, depth, pointer, fault);
      if (rawText(value) !== undefined) return value as Json;
      break;
    default:
  }
  fault.found ??= { pointer, found: typeof value === 'object' ? 'no plain object' : typeof value };
  return null;
}

function copyItems(
  items: readonly Json[],
  depth: number,
  pointer: string,
  fault: { found?: CopyFault },
): Json {
  const copy: Json[] = [];
  for (let at = 0; at < items.length; at += 1)
    copy.push(copyAt(items[at], depth - 1, `${pointer}/${at}`, fault));
  return copy;
}

function copyMembers(object: JsonObject, depth: number, pointer: string, fault: { found?: CopyFault }): Json {
  const copy: Record<string, Json> = {};
  for (const name of Object.keys(object)) {
    const member = object[name];
    // An absent member and one that is undefined are the same to JSON.
    if (member !== undefined)
      defineMember(copy, name, copyAt(member, depth - 1, `${pointer}/${name}`, fault));
  }
  return copy;
}

/**
 * A digest of a value that takes raw numbers and lone surrogates too; equal values, equal digests.
 *
 * Not evidence's: canonical JSON refuses these values, and its area brings what no page should have to load.
 */
export function valueDigest(value: Json | undefined): Digest {
  const text = value === undefined ? '' : sortedText(value);
  return `sha256:${hex(sha256(new TextEncoder().encode(text)))}`;
}

/** A value as text, its members in order: equal values, equal texts. */
export function sortedText(value: Json): string {
  if (isArray(value)) return `[${value.map(sortedText).join(',')}]`;
  if (isObject(value)) {
    const members = Object.keys(value)
      .toSorted()
      .map((name) => `${JSON.stringify(name)}:${sortedText(value[name] as Json)}`);
    return `{${members.join(',')}}`;
  }
  return Object.is(value, -0) ? '-0' : JSON.stringify(value);
}
