import { describe, expect, it } from 'vitest';
import { keepPages, type BuiltPage } from './keep-pages.ts';

const page = (place: string): BuiltPage => ({
  documents: [
    {
      key: place,
      was: '',
      status: 'current',
      text: null,
      from: null,
      path: null,
      isLossy: false,
      assumed: 0,
      beside: null,
      findings: null,
    },
  ],
  place,
  isBuilt: false,
});

/** A keeper whose pages are kept when the test says so, or not. */
function given() {
  const kept: string[] = [];
  const open = new Map<string, PromiseWithResolvers<void>>();
  const vouched: string[] = [];
  const keeper = keepPages(
    {
      keep: async (_run, [first], state) => {
        if (first !== undefined) {
          const gate = Promise.withResolvers<void>();
          open.set(first.key, gate);
          await gate.promise;
          kept.push(first.key);
        }
        if (state?.place !== undefined) vouched.push(state.place);
      },
    },
    'run',
    () => undefined,
  );
  return { keeper, kept, vouched, open };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('pages on several connections', () => {
  it('are vouched for in their order, whichever is kept first', async () => {
    const { keeper, kept, vouched, open } = given();
    for (const place of ['a', 'b', 'c']) keeper.keep(page(place));
    open.get('c')?.resolve();
    open.get('b')?.resolve();
    await settled();
    expect([kept, vouched]).toEqual([['c', 'b'], []]);
    open.get('a')?.resolve();
    await keeper.wait(0);
    expect(vouched).toEqual(['a', 'b', 'c']);
  });

  it('are not vouched for behind one that failed, and none is left on its way', async () => {
    const { keeper, kept, vouched, open } = given();
    for (const place of ['a', 'b', 'c']) keeper.keep(page(place));
    open.get('a')?.resolve();
    open.get('b')?.reject(new Error('the disk is full'));
    const closed = (async () => {
      await using _keeper = keeper;
      await keeper.wait(0);
    })();
    await settled();
    expect(kept).toEqual(['a']);
    open.get('c')?.resolve();
    await expect(closed).rejects.toThrow('the disk is full');
    expect([kept, vouched]).toEqual([['a', 'c'], ['a']]);
  });

  it('are waited for one by one', async () => {
    const { keeper, open, vouched } = given();
    for (const place of ['a', 'b']) keeper.keep(page(place));
    open.get('a')?.resolve();
    await keeper.wait(1);
    expect(vouched).toEqual(['a']);
    open.get('b')?.resolve();
    await keeper.wait(0);
  });
});
