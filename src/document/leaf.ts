import type { Json } from '../base/index.ts';
import { escapeSegment, type Pointer } from './pointer.ts';
import { isArray, isObject, rawText } from './value.ts';

/** A value without parts, and where it stands. */
export interface Leaf {
  readonly pointer: Pointer;
  readonly value: Json;
}

/** All values without parts; an empty object or array is one of them. */
export function leavesOf(value: Json): readonly Leaf[] {
  return [...leavesAt(value, '')];
}

function* leavesAt(value: Json, pointer: Pointer): Generator<Leaf> {
  const entries = isArray(value)
    ? value.map((item, at) => [String(at), item] as const)
    : isObject(value)
      ? Object.entries(value)
      : [];
  if (entries.length === 0) yield { pointer, value };
  for (const [name, member] of entries) yield* leavesAt(member, `${pointer}/${escapeSegment(name)}`);
}

/** The places whose value stands less often in what was found than it did; every value is counted once (D9). */
export function missingLeaves(leaves: readonly Leaf[], found: readonly Json[]): readonly Pointer[] {
  const counts = new Map<string, number>();
  for (const { value } of found.flatMap(leavesOf)) {
    const key = textOf(value);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return leaves
    .filter(({ value }) => {
      const key = textOf(value);
      const left = counts.get(key) ?? 0;
      counts.set(key, left - 1);
      return left <= 0;
    })
    .map(({ pointer }) => pointer);
}

function textOf(value: Json): string {
  return rawText(value) ?? JSON.stringify(value);
}
