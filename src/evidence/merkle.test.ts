import { sha256 as sha256Bytes } from '@noble/hashes/sha2.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hex } from '../base/index.ts';
import { consistencyProof, inclusionProof, isConsistent, isIncluded, merkleRoot } from './merkle.ts';

/** The definition, word for word, and as slow as it reads. */
function slowRoot(entries: readonly Uint8Array[]): string {
  const hash = (bytes: readonly number[]): readonly number[] => [...sha256Bytes(Uint8Array.from(bytes))];
  const root = (list: readonly Uint8Array[]): readonly number[] => {
    if (list.length === 0) return hash([]);
    if (list.length === 1) return hash([0, ...(list[0] ?? [])]);
    let split = 1;
    while (split * 2 < list.length) split *= 2;
    return hash([1, ...root(list.slice(0, split)), ...root(list.slice(split))]);
  };
  return `sha256:${hex(Uint8Array.from(root(entries)))}`;
}

const bytes = (digits: string): Uint8Array =>
  Uint8Array.from(digits.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16));
const list = fc.array(fc.uint8Array({ maxLength: 12 }), { minLength: 1, maxLength: 40 });
const other = `sha256:${'ab'.repeat(32)}`;

describe('M120 the Merkle tree', () => {
  it('has the roots of the published test vectors', () => {
    const leaves = [
      '',
      '00',
      '10',
      '2021',
      '3031',
      '40414243',
      '5051525354555657',
      '606162636465666768696a6b6c6d6e6f',
    ].map(bytes);
    expect(merkleRoot([])).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(merkleRoot(leaves.slice(0, 1))).toBe(
      'sha256:6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    );
    expect(merkleRoot(leaves)).toBe(
      'sha256:5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    );
  });

  it('has the root that its definition gives', () => {
    fc.assert(
      fc.property(list, (entries) => {
        expect(merkleRoot(entries)).toBe(slowRoot(entries));
      }),
    );
  });

  it('proves that each entry is in it, and no other at its place', () => {
    fc.assert(
      fc.property(list, fc.nat(), fc.uint8Array({ maxLength: 12 }), (entries, seed, strange) => {
        const [index, size] = [seed % entries.length, entries.length];
        const entry = entries[index] ?? new Uint8Array();
        const about = { index, size, root: slowRoot(entries), proof: inclusionProof(entries, index) };
        expect(about.proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)));
        expect(isIncluded(entry, about)).toBe(true);
        expect(isIncluded(strange, about)).toBe(hex(strange) === hex(entry));
        expect(isIncluded(entry, { ...about, root: other })).toBe(false);
        expect(isIncluded(entry, { ...about, proof: [...about.proof, other] })).toBe(false);
        for (let at = 0; at < about.proof.length; at += 1)
          expect(isIncluded(entry, { ...about, proof: about.proof.with(at, other) })).toBe(false);
        expect(isIncluded(entry, { ...about, proof: about.proof.slice(1) })).toBe(size === 1);
        expect(isIncluded(entry, { ...about, index: size })).toBe(false);
      }),
    );
  });

  it('proves that it grew from an earlier one, and from no other', () => {
    fc.assert(
      fc.property(list, fc.nat(), (entries, seed) => {
        const size = (seed % entries.length) + 1;
        const first = { size, root: slowRoot(entries.slice(0, size)) };
        const second = { size: entries.length, root: slowRoot(entries) };
        const proof = consistencyProof(entries, size);
        expect(isConsistent(first, second, proof)).toBe(true);
        expect(isConsistent({ ...first, root: other }, second, proof)).toBe(false);
        expect(isConsistent(first, { ...second, root: other }, proof)).toBe(false);
        expect(isConsistent(first, second, [...proof, other])).toBe(false);
        expect(isConsistent({ ...first, size: second.size + 1 }, second, proof)).toBe(false);
        for (let at = 0; at < proof.length; at += 1)
          expect(isConsistent(first, second, proof.with(at, other))).toBe(false);
        expect(isConsistent({ size: 0, root: merkleRoot([]) }, second, [])).toBe(true);
      }),
    );
  });

  it('tells a changed, lost or swapped entry by its root', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 8 }), {
          minLength: 2,
          maxLength: 20,
          selector: hex,
        }),
        fc.nat(),
        (entries, seed) => {
          const at = seed % entries.length;
          const entry = entries[at] ?? new Uint8Array();
          const root = merkleRoot(entries);
          expect(merkleRoot(entries.with(at, Uint8Array.of(...entry, 0)))).not.toBe(root);
          expect(merkleRoot(entries.toSpliced(at, 1))).not.toBe(root);
          expect(merkleRoot(entries.toReversed())).not.toBe(root);
        },
      ),
    );
  });
});
