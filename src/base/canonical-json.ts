import canonicalize from 'canonicalize';
import { VarveError } from './error.ts';
import type { Json } from './json.ts';

/**
 * The RFC 8785 text of a JSON value: equal values give equal bytes, so a digest of it names the value.
 *
 * Errors: throws `not_canonical` for what the standard's library would let through or change in silence: lone
 * surrogates, non-finite numbers, integers beyond 2^53-1 (write them as text), undefined members, sparse arrays,
 * and objects that are no plain data (a Date, a Map).
 * Source: RFC 8785; strictness from docs/concepts/evidence.md, "Canonical bytes".
 * Example:
 * ```ts
 * import { canonicalJson } from 'varve/base';
 * console.log(canonicalJson({ b: 1, a: [true, null] })); // {"a":[true,null],"b":1}
 * ```
 */
export function canonicalJson(value: Json): string {
  assertCanonical(value, '');
  const text = (canonicalize as unknown as (input: Json) => string | undefined)(value);
  if (text === undefined) throw refusal('', 'a value without a JSON form');
  return text;
}

function assertCanonical(value: unknown, pointer: string): void {
  switch (typeof value) {
    case 'boolean':
      return;
    case 'string':
      if (!value.isWellFormed()) throw refusal(pointer, 'a lone surrogate');
      return;
    case 'number':
      if (!Number.isFinite(value)) throw refusal(pointer, 'a number that is not finite');
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        throw refusal(pointer, 'an integer beyond 2^53-1');
      }
      return;
    case 'object':
      if (value === null) return;
      if (Array.isArray(value)) return assertItems(value, pointer);
      return assertMembers(value, pointer);
    default:
      throw refusal(pointer, `a value of type ${typeof value}`);
  }
}

function assertItems(items: readonly unknown[], pointer: string): void {
  // `forEach` skips holes, so a sparse array is walked by index.
  for (let index = 0; index < items.length; index += 1) {
    if (!(index in items)) throw refusal(`${pointer}/${index}`, 'a hole in an array');
    assertCanonical(items[index], `${pointer}/${index}`);
  }
}

function assertMembers(value: object, pointer: string): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw refusal(pointer, 'an object that is no plain data');
  }
  for (const [name, member] of Object.entries(value)) {
    const here = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (!name.isWellFormed()) throw refusal(pointer, 'a member name with a lone surrogate');
    assertCanonical(member, here);
  }
}

function refusal(pointer: string, found: string): VarveError {
  return new VarveError('not_canonical', {
    detail: { pointer, found },
    hint: 'Write the value as plain JSON: text for large integers and dates, null for what is absent.',
  });
}
