import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { takePages, type End } from './open-pages.ts';

const turns = fc.array(fc.constantFrom<End>('front', 'back'), { maxLength: 40 });
const sizes = { total: fc.nat({ max: 50 }), step: fc.integer({ min: 1, max: 12 }) };

describe('pages taken from both ends', () => {
  it('are all taken once, whoever comes when', () => {
    fc.assert(
      fc.property(turns, sizes.total, sizes.step, (order, total, step) => {
        const open = { from: 0, to: total, total, step };
        const taken: number[] = [];
        for (const end of [...order, ...Array<End>(total).fill('front')]) {
          const pages = takePages(open, end);
          for (let page = pages?.fromPage ?? 0; page < (pages?.toPage ?? 0); page += 1) taken.push(page);
        }
        expect(taken.toSorted((left, right) => left - right)).toEqual([...Array(total).keys()]);
        expect(takePages(open, 'back')).toBeUndefined();
      }),
    );
  });

  it('are told by the last that each end has written: the rest is what lies between', () => {
    fc.assert(
      fc.property(turns, sizes.total, sizes.step, (order, total, step) => {
        const open = { from: 0, to: total, total, step };
        const marks = { front: 0, back: total };
        for (const end of order) {
          const pages = takePages(open, end);
          if (pages !== undefined) marks[end] = end === 'front' ? pages.toPage : pages.fromPage;
        }
        expect(marks).toEqual({ front: open.from, back: open.to });
      }),
    );
  });
});
