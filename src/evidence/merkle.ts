/**
 * A Merkle tree over a list that only grows, and the proofs that come with it.
 *
 * ```text
 * leaf(d)     SHA-256(0x00 d)
 * node(l, r)  SHA-256(0x01 l r)
 * root of n   of one leaf: it; else the node over the first k and the rest, k the largest power of two below n
 * ```
 *
 * An inclusion proof shows in about log2(n) digests that an entry is in the tree of a root; a consistency proof that an
 * earlier root is of a beginning of it, so that nothing was changed or lost in between. Neither needs the list.
 * Source: RFC 6962, section 2.1; the checks as in RFC 9162, sections 2.1.3.2 and 2.1.4.2.
 */
import { sha256 as sha256Bytes } from '@noble/hashes/sha2.js';
import { hex } from '../base/index.ts';
import type { Digest } from './digest.ts';

/** The root of a list of entries. */
export function merkleRoot(entries: readonly Uint8Array[]): Digest {
  return digestText(rootOf(entries.map(leaf)));
}

/** The digests that lead from the entry at `index` to the root. */
export function inclusionProof(entries: readonly Uint8Array[], index: number): readonly Digest[] {
  return pathOf(entries.map(leaf), index).map(digestText);
}

/** Whether an entry is the one at `index` in the tree of this size and root. */
export function isIncluded(
  entry: Uint8Array,
  about: {
    readonly index: number;
    readonly size: number;
    readonly root: Digest;
    readonly proof: readonly Digest[];
  },
): boolean {
  const { index, size, root, proof } = about;
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  let [at, last, hash] = [index, size - 1, leaf(entry)];
  for (const sibling of proof.map(digestBytes)) {
    if (sibling === undefined || last === 0) return false;
    if (at % 2 === 1 || at === last) {
      hash = node(sibling, hash);
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
    } else hash = node(hash, sibling);
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && digestText(hash) === root;
}

/** The digests that show that the tree of the first `size` entries is the beginning of the tree of all. */
export function consistencyProof(entries: readonly Uint8Array[], size: number): readonly Digest[] {
  if (size <= 0 || size >= entries.length) return [];
  return growthOf(entries.map(leaf), size, true).map(digestText);
}

/** Whether the tree of one size and root is the beginning of the tree of another. */
export function isConsistent(
  first: { readonly size: number; readonly root: Digest },
  second: { readonly size: number; readonly root: Digest },
  proof: readonly Digest[],
): boolean {
  if (first.size < 0 || first.size > second.size) return false;
  if (first.size === second.size) return first.root === second.root && proof.length === 0;
  if (first.size === 0) return proof.length === 0;
  const steps = proof.map(digestBytes);
  if (isPowerOfTwo(first.size)) steps.unshift(digestBytes(first.root));
  let [at, last] = [first.size - 1, second.size - 1];
  while (at % 2 === 1) [at, last] = [half(at), half(last)];
  const start = steps.shift();
  if (start === undefined) return false;
  let [before, after] = [start, start];
  for (const sibling of steps) {
    if (sibling === undefined || last === 0) return false;
    if (at % 2 === 1 || at === last) {
      [before, after] = [node(sibling, before), node(sibling, after)];
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
    } else after = node(after, sibling);
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && digestText(before) === first.root && digestText(after) === second.root;
}

function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  const [only] = hashes;
  if (only === undefined) return sha256Bytes(new Uint8Array());
  if (hashes.length === 1) return only;
  const split = splitOf(hashes.length);
  return node(rootOf(hashes.slice(0, split)), rootOf(hashes.slice(split)));
}

function pathOf(hashes: readonly Uint8Array[], index: number): readonly Uint8Array[] {
  if (hashes.length <= 1) return [];
  const split = splitOf(hashes.length);
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)];
  return index < split
    ? [...pathOf(left, index), rootOf(right)]
    : [...pathOf(right, index - split), rootOf(left)];
}

/** `isWhole`: the old tree is a whole subtree so far, whose root is known to who asks. */
function growthOf(hashes: readonly Uint8Array[], size: number, isWhole: boolean): readonly Uint8Array[] {
  if (size === hashes.length) return isWhole ? [] : [rootOf(hashes)];
  const split = splitOf(hashes.length);
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)];
  return size <= split
    ? [...growthOf(left, size, isWhole), rootOf(right)]
    : [...growthOf(right, size - split, false), rootOf(left)];
}

/** The largest power of two below a number above 1. */
function splitOf(count: number): number {
  return 2 ** Math.floor(Math.log2(count - 1));
}

function isPowerOfTwo(count: number): boolean {
  return Number.isInteger(Math.log2(count));
}

function half(count: number): number {
  return Math.floor(count / 2);
}

function leaf(entry: Uint8Array): Uint8Array {
  return sha256Bytes(Uint8Array.of(0, ...entry));
}

function node(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256Bytes(Uint8Array.of(1, ...left, ...right));
}

function digestText(hash: Uint8Array): Digest {
  return `sha256:${hex(hash)}`;
}

function digestBytes(digest: Digest): Uint8Array | undefined {
  if (!/^sha256:[0-9a-f]{64}$/u.test(digest)) return undefined;
  return Uint8Array.from({ length: 32 }, (_, index) =>
    Number.parseInt(digest.slice(7 + index * 2, 9 + index * 2), 16),
  );
}
