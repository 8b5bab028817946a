// Where two documents differ: the outermost places, each with what stands there on either side.
import type { Json } from 'varve/base';

/** A place where two documents differ. */
export interface Difference {
  /** Names and numbers on the way, from the top. */
  readonly at: readonly string[];
  /** Undefined where there is nothing. */
  readonly ours: Json | undefined;
  readonly theirs: Json | undefined;
}

/** All differences of two documents; the order of members does not matter. */
export function* differences(
  ours: Json | undefined,
  theirs: Json | undefined,
  at: readonly string[] = [],
): Generator<Difference> {
  if (ours === theirs) return;
  if (isList(ours) && isList(theirs) && ours.length === theirs.length) {
    for (const [index, item] of ours.entries())
      yield* differences(item, theirs[index], [...at, String(index)]);
    return;
  }
  if (isRecord(ours) && isRecord(theirs)) {
    for (const name of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
      yield* differences(memberOf(ours, name), memberOf(theirs, name), [...at, name]);
    }
    return;
  }
  if (ours === undefined || theirs === undefined || JSON.stringify(ours) !== JSON.stringify(theirs))
    yield { at, ours, theirs };
}

/** Whether a value is a JSON object. */
export function isRecord(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** A member of its own, or undefined. */
export function memberOf(object: { readonly [name: string]: Json }, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
