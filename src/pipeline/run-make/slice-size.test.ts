import { describe, expect, it } from 'vitest';
import { SliceSize } from './slice-size.ts';

describe('the size of a slice', () => {
  it('begins with one key and grows to what takes a twentieth of a second', () => {
    const size = new SliceSize();
    const sizes = [];
    for (let round = 0; round < 6; round += 1) {
      const keys = size.next(1_000_000, 2);
      sizes.push(keys);
      size.took(keys, keys * 0.1);
    }
    expect(sizes).toEqual([1, 8, 64, 500, 500, 500]);
  });

  it('stays one key where a key takes long', () => {
    const size = new SliceSize();
    size.took(1, 3000);
    expect(size.next(100, 4)).toBe(1);
  });

  it('leaves no slot without work towards the end, and does not divide what is little anyway', () => {
    const slow = new SliceSize();
    slow.took(25, 50);
    expect(slow.next(40, 4)).toBe(5);
    const fast = new SliceSize();
    fast.took(2000, 2);
    expect(fast.next(40, 4)).toBe(40);
  });

  it('never holds more than 2000 keys, and less after a host ended', () => {
    const size = new SliceSize();
    size.took(2000, 1);
    expect(size.next(1_000_000, 1)).toBe(2000);
    size.shrink();
    expect(size.next(1_000_000, 1)).toBe(1000);
  });
});
