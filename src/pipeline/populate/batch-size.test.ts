import { describe, expect, it } from 'vitest';
import { HELD_BYTES, nextBatchSize, roughBytes } from './batch-size.ts';

const bounds = { least: 1, most: 2000 };

describe('the size of the next batch', () => {
  it.each([
    ['grows by four at most while keys are cheap', 64, { keys: 64, elapsedMs: 2, bytes: 1000 }, 256],
    ['stops at the most', 1900, { keys: 1900, elapsedMs: 30, bytes: 1000 }, 2000],
    ['fills about a second', 64, { keys: 64, elapsedMs: 640, bytes: 1000 }, 100],
    ['shrinks to one key that takes minutes', 64, { keys: 64, elapsedMs: 64 * 60_000, bytes: 1000 }, 1],
    ['holds few large ones', 64, { keys: 64, elapsedMs: 10, bytes: HELD_BYTES * 16 }, 4],
    ['never falls to nothing', 1, { keys: 1, elapsedMs: 10, bytes: HELD_BYTES * 100 }, 1],
    ['learns nothing from no keys', 77, { keys: 0, elapsedMs: 10, bytes: 0 }, 77],
  ])('%s', (_, size, cost, wanted) => {
    expect(nextBatchSize(size, cost, bounds)).toBe(wanted);
  });

  it('leaves no slot of a runner empty, however long a key takes', () => {
    const cost = { keys: 8, elapsedMs: 600_000, bytes: 10 };
    expect(nextBatchSize(8, cost, { least: 4, most: 2000 })).toBe(4);
  });
});

describe('about how many bytes a value takes', () => {
  it('counts long values, and a sample of long lists', () => {
    expect(roughBytes('x'.repeat(1000))).toBe(1000);
    expect(roughBytes(new Uint8Array(5000))).toBe(5000);
    const rows = Array.from({ length: 10_000 }, () => ({ text: 'x'.repeat(100) }));
    expect(roughBytes(rows)).toBeGreaterThan(1_000_000);
    expect(roughBytes(rows)).toBeLessThan(1_500_000);
    expect(roughBytes([1, null, undefined, true, 7n])).toBeLessThan(100);
  });
});
