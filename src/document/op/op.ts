/**
 * The language of declarative steps: an op is data, has an inverse, a loss class and a schema transform.
 *
 * | op | forward | inverse | loss class |
 * |---|---|---|---|
 * | add | puts a value where none is | takes it away; an edited one is residue | generates |
 * | remove | takes the value away, as residue | brings it back | residue |
 * | introduce | nothing: from here on the field may be there | takes the value away, as residue | residue |
 * | constant | puts a fixed value in its place | brings the old one back | residue |
 * | rename, move | same value, other place | the reverse | lossless |
 * | copy | a second place | takes it away if still equal | residue |
 * | nest | members go into an object | they come out again | lossless |
 * | hoist | members come out of an object | they go in again | lossless |
 * | wrap | the value becomes an array of one | the first of it, its tail as residue | lossless |
 * | head | an array becomes its first, its tail as residue | an array of one, with the tail | residue |
 * | inside | ops on an object | ops reversed | worst of its ops |
 * | map | ops on each element | ops reversed | worst of its ops |
 * | mapValues | ops on each member | ops reversed | worst of its ops |
 * | tree | ops on a value and on all of its kind below it, the lowest first | ops reversed, the topmost first | worst of its ops |
 * | convert | by table, scale, case, epoch to time | inverted | lossless if one-to-one, else residue |
 * | split | a text to several, at a separator | put together again | residue |
 * | combine | several texts to one | taken apart again | residue |
 * | coerce | a scalar of another type | of the old type again | residue |
 * | when | ops for documents that meet a test | by test, else residue | worst of its ops |
 *
 * An absent value stays absent: only `add` and `constant` make one. An op that would write into an object that is not
 * there refuses; put an `add` of the object before it.
 */
import type { Json } from '../../base/index.ts';
import type { Pointer } from '../pointer.ts';

/** What becomes of a value where one is to be put: the document is refused, it stays, or it leaves as residue. */
export type OnExisting = 'refuse' | 'keep' | 'replace';

/** A scalar type that `coerce` knows. */
export type ScalarType = 'string' | 'number' | 'integer' | 'boolean';

/** How `convert` turns one value into another. */
export type Conversion =
  | { readonly table: readonly (readonly [Json, Json])[] }
  | { readonly scale: number }
  | { readonly case: 'lower' | 'upper' }
  /** A number of milliseconds or seconds since 1970 to ISO 8601 text in UTC. */
  | { readonly epoch: 'ms' | 's' };

/** A question about the values of a document. */
export type Test =
  | { readonly at: Pointer; readonly exists: boolean }
  | { readonly at: Pointer; readonly equals: Json }
  | { readonly at: Pointer; readonly type: JsonType };

/** The type of a value as JSON Schema calls it; a whole number is a `number` here too. */
export type JsonType = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object';

/** Where a value holds others of its kind: the one that stands there, or each item or member of it. */
export type Branch = {
  readonly at: Pointer;
  readonly each?: 'item' | 'member';
};

/** One op. Made by the functions of `op`. */
export type Op =
  | {
      readonly kind: 'add';
      readonly at: Pointer;
      readonly value: Json;
      readonly onExisting?: OnExisting;
      /** Why the value is a guess: it is then told in the provenance of each document. */
      readonly assumed?: string;
    }
  | { readonly kind: 'remove' | 'introduce'; readonly at: Pointer }
  | { readonly kind: 'constant'; readonly at: Pointer; readonly value: Json }
  | {
      readonly kind: 'rename';
      readonly at: Pointer;
      readonly name: string;
      readonly onExisting?: OnExisting;
    }
  | {
      readonly kind: 'move' | 'copy';
      readonly from: Pointer;
      readonly to: Pointer;
      readonly onExisting?: OnExisting;
    }
  | { readonly kind: 'nest'; readonly names: readonly string[]; readonly under: string }
  | { readonly kind: 'hoist'; readonly at: Pointer; readonly names: readonly string[] }
  | { readonly kind: 'wrap' | 'head'; readonly at: Pointer }
  | { readonly kind: 'inside' | 'map' | 'mapValues'; readonly at: Pointer; readonly ops: readonly Op[] }
  | {
      readonly kind: 'tree';
      readonly at: Pointer;
      readonly branches: readonly Branch[];
      readonly ops: readonly Op[];
    }
  | { readonly kind: 'convert'; readonly at: Pointer; readonly by: Conversion }
  | {
      readonly kind: 'split';
      readonly at: Pointer;
      readonly into: readonly Pointer[];
      readonly separator: string;
    }
  | {
      readonly kind: 'combine';
      readonly from: readonly Pointer[];
      readonly into: Pointer;
      readonly separator: string;
    }
  | { readonly kind: 'coerce'; readonly at: Pointer; readonly to: ScalarType; readonly from: ScalarType }
  | {
      readonly kind: 'when';
      readonly test: Test;
      readonly ops: readonly Op[];
      readonly otherwise: readonly Op[];
    };

interface Placing {
  readonly onExisting?: OnExisting;
}

/**
 * The ops of declarative steps.
 *
 * Example:
 * ```ts
 * import { op, step } from 'varve/document';
 * step('1.0.0', '1.1.0', [op.rename('/title', 'name'), op.remove('/draft')]);
 * ```
 */
export const op = {
  add: (at: Pointer, value: Json, options: Placing & { readonly assumed?: string } = {}): Op => ({
    kind: 'add',
    at,
    value,
    ...options,
  }),
  remove: (at: Pointer): Op => ({ kind: 'remove', at }),
  /** A field that older documents have no place for. */
  introduce: (at: Pointer): Op => ({ kind: 'introduce', at }),
  constant: (at: Pointer, value: Json): Op => ({ kind: 'constant', at, value }),
  rename: (at: Pointer, name: string, options: Placing = {}): Op => ({
    kind: 'rename',
    at,
    name,
    ...options,
  }),
  move: (from: Pointer, to: Pointer, options: Placing = {}): Op => ({ kind: 'move', from, to, ...options }),
  copy: (from: Pointer, to: Pointer, options: Placing = {}): Op => ({ kind: 'copy', from, to, ...options }),
  nest: (names: readonly string[], under: string): Op => ({ kind: 'nest', names, under }),
  hoist: (at: Pointer, names: readonly string[]): Op => ({ kind: 'hoist', at, names }),
  wrap: (at: Pointer): Op => ({ kind: 'wrap', at }),
  head: (at: Pointer): Op => ({ kind: 'head', at }),
  inside: (at: Pointer, ops: readonly Op[]): Op => ({ kind: 'inside', at, ops }),
  map: (at: Pointer, ops: readonly Op[]): Op => ({ kind: 'map', at, ops }),
  mapValues: (at: Pointer, ops: readonly Op[]): Op => ({ kind: 'mapValues', at, ops }),
  /** For values that hold others of their kind, such as the parts of a part. */
  tree: (at: Pointer, branches: readonly Branch[], ops: readonly Op[]): Op => ({
    kind: 'tree',
    at,
    branches,
    ops,
  }),
  convert: (at: Pointer, by: Conversion): Op => ({ kind: 'convert', at, by }),
  split: (at: Pointer, into: readonly Pointer[], separator: string): Op => ({
    kind: 'split',
    at,
    into,
    separator,
  }),
  combine: (from: readonly Pointer[], into: Pointer, separator: string): Op => ({
    kind: 'combine',
    from,
    into,
    separator,
  }),
  coerce: (at: Pointer, to: ScalarType, from: ScalarType): Op => ({ kind: 'coerce', at, to, from }),
  when: (test: Test, ops: readonly Op[], otherwise: readonly Op[] = []): Op => ({
    kind: 'when',
    test,
    ops,
    otherwise,
  }),
} as const;
