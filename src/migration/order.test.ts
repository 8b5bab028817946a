import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareMigrationIds } from './migration-id.ts';
import { orderBundles, orderFindings } from './order.ts';

const id = (number: number, prefix = 'PG'): string =>
  `${prefix}-MIG-2026-03-01-${String(number).padStart(2, '0')}`;

describe('the order of bundles', () => {
  it('M8 is by date, then number, then prefix', () => {
    const ids = [id(2), id(1, 'PIPE'), id(1), 'PIPE-MIG-2026-02-28-09'];
    const order = orderBundles(ids.map((each) => ({ id: each, after: [] })));
    expect(order).toEqual({ status: 'ok', ids: ['PIPE-MIG-2026-02-28-09', id(1), id(1, 'PIPE'), id(2)] });
  });

  it('M8 is refined by what a bundle comes after', () => {
    const order = orderBundles([
      { id: id(1), after: [id(3)] },
      { id: id(2), after: [] },
      { id: id(3), after: ['PG-MIG-2020-01-01-01'] },
    ]);
    expect(order).toEqual({ status: 'ok', ids: [id(2), id(3), id(1)] });
  });

  it('M8 refuses a circle, and names those on it alone', () => {
    const order = orderBundles([
      { id: id(1), after: [id(2)] },
      { id: id(2), after: [id(3)] },
      { id: id(3), after: [id(2)] },
      { id: id(4), after: [] },
    ]);
    expect(order).toMatchObject({
      status: 'refused',
      findings: [{ code: 'bundle_cycle', detail: { migrations: [id(2), id(3)] } }],
    });
  });

  it('M8 every bundle comes behind what it comes after, whatever they name', () => {
    const links = fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 })), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(links, (pairs) => {
        const bundles = Array.from({ length: 12 }, (_, at) => ({
          id: id(at + 1),
          // Only lower numbers, so that there is no circle; ids are dealt out so that numbers say nothing.
          after: pairs.filter(([to, from]) => to === at + 1 && from < to).map(([, from]) => id(from)),
        })).map((each) => ({ ...each, id: mirrored(each.id), after: each.after.map(mirrored) }));
        const order = orderBundles(bundles);
        if (order.status === 'refused') throw new Error('a circle');
        for (const { id: own, after } of bundles) {
          for (const other of after) expect(order.ids.indexOf(other)).toBeLessThan(order.ids.indexOf(own));
        }
        expect(order.ids.toSorted(compareMigrationIds)).toEqual(
          bundles.map((each) => each.id).toSorted(compareMigrationIds),
        );
      }),
    );
  });

  it('M8 an older one behind an applied newer one wants a review, and one that comes after another waits for it', () => {
    expect(orderFindings({ id: id(1), after: [] }, [id(2)])).toMatchObject([
      { code: 'out_of_order', severity: 'review', detail: { applied: [id(2)] } },
    ]);
    expect(orderFindings({ id: id(1), after: [id(2)] }, [id(2)])).toEqual([]);
    expect(orderFindings({ id: id(3), after: [id(2)] }, [id(1)])).toMatchObject([
      { code: 'out_of_order', severity: 'error', detail: { other: id(2) } },
    ]);
    expect(orderFindings({ id: id(2), after: [] }, [id(1)])).toEqual([]);
  });
});

function mirrored(name: string): string {
  return id(13 - Number(name.slice(-2)));
}
