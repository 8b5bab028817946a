import { describe, expect, expectTypeOf, it } from 'vitest';
import { insertRows, part, pipeline, t } from '../../src/pipeline/index.ts';
import type { Store } from '../../src/store/index.ts';

// What the compiler holds: nothing here opens a database.
const lab = pipeline('types');
const Mouse = lab.manual('mouse', {
  key: { mouse: t.bigint() },
  columns: { weight: t.double(), note: t.text().nullable() },
});
const Policy = lab.manual('policy', { key: { policy: t.integer() }, columns: { bound: t.double() } });

describe('types of definitions', () => {
  it('a make knows its key and its reads', () => {
    lab.computed('known', {
      parents: [Mouse.as({ mouse: 'subject' })],
      columns: { heavy: t.boolean() },
      reads: { mouse: Mouse.columns('weight').matching({ mouse: 'subject' }), policies: Policy.all() },
      make: ({ mouse, policies }, { key, signal, now }) => {
        expectTypeOf(key).toEqualTypeOf<{ readonly subject: bigint }>();
        expectTypeOf(mouse).toEqualTypeOf<readonly { readonly weight: number }[]>();
        expectTypeOf(policies[0]).toEqualTypeOf<
          { readonly policy: number; readonly bound: number } | undefined
        >();
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
        expectTypeOf(now).toEqualTypeOf<string>();
        return { heavy: true };
      },
    });
  });

  it('a make returns its columns, all of them and no others of another type', () => {
    const base = {
      parents: [Mouse],
      columns: { heavy: t.boolean(), why: t.text().nullable() },
      reads: { mouse: Mouse },
    } as const;
    lab.computed('right', { ...base, make: ({ mouse }) => ({ heavy: mouse.weight > 1 }) });
    // @ts-expect-error -- a column of another type
    lab.computed('wrong_type', { ...base, make: () => ({ heavy: 'yes' }) });
    // @ts-expect-error -- a column that must have a value is missing
    lab.computed('missing', { ...base, make: () => ({ why: 'x' }) });
    // @ts-expect-error -- a read has no such column
    lab.computed('no_column', { ...base, make: ({ mouse }) => ({ heavy: mouse.height > 1 }) });
    // @ts-expect-error -- no such read
    lab.computed('no_read', { ...base, make: ({ moose }) => ({ heavy: moose === 1 }) });
  });

  it('a makeWith sees the columns of its declared reads', () => {
    lab.computed('with', {
      parents: [Mouse],
      columns: { n: t.integer() },
      reads: { mouse: Mouse, policies: Policy.all() },
      makeWith: async (db) => {
        const rows = await db.selectFrom('policies').select(['policy', 'bound']).execute();
        expectTypeOf(rows).toEqualTypeOf<{ policy: number; bound: number }[]>();
        // @ts-expect-error -- no declared read of this name
        db.selectFrom('secret');
        return { n: rows.length };
      },
    });
  });

  it('parts are returned under their names, without the key of the master', () => {
    const Frame = lab.computed('frame', {
      parents: [Mouse],
      reads: { mouse: Mouse },
      parts: { pixel: part({ key: { n: t.integer() }, columns: { hue: t.double() } }) },
      make: () => ({ parts: { pixel: [{ n: 1, hue: 0.5 }] } }),
    });
    expectTypeOf(Frame.parts.pixel.keyType).toEqualTypeOf<
      { readonly mouse: bigint; readonly n: number } | undefined
    >();
    lab.computed('frame_wrong', {
      parents: [Mouse],
      reads: { mouse: Mouse },
      parts: { pixel: part({ key: { n: t.integer() }, columns: { hue: t.double() } }) },
      // @ts-expect-error -- a part row without one of its columns
      make: () => ({ parts: { pixel: [{ n: 1 }] } }),
    });
  });

  it('a part of a part has the key of both, and its make names the enclosing row', () => {
    const parts = {
      unit: part({ key: { unit: t.integer() } }),
      spike: part({ within: 'unit', key: { sample: t.bigint() }, columns: { depth: t.double() } }),
      block: part({ within: 'spike', key: { block: t.text() } }),
    };
    const base = { parents: [Mouse], reads: { mouse: Mouse }, parts } as const;
    const Sorted = lab.computed('sorted', {
      ...base,
      make: () => ({ parts: { unit: [{ unit: 1 }], spike: [{ unit: 1, sample: 5n, depth: 2 }] } }),
    });
    expectTypeOf(Sorted.parts.spike.keyType).toEqualTypeOf<
      { readonly mouse: bigint; readonly unit: number; readonly sample: bigint } | undefined
    >();
    expectTypeOf(Sorted.parts.block.keyType).toEqualTypeOf<
      | { readonly mouse: bigint; readonly unit: number; readonly sample: bigint; readonly block: string }
      | undefined
    >();
    // @ts-expect-error -- a spike without its unit
    lab.computed('sorted_wrong', { ...base, make: () => ({ parts: { spike: [{ sample: 5n, depth: 2 }] } }) });
  });

  it('what a foreign key shares with the key of the make is not returned', () => {
    const Litter = lab.manual('litter', { parents: [Mouse], key: { litter: t.integer() } });
    const base = {
      parents: [Litter],
      reads: { litter: Litter },
      references: { before: Litter.as({ litter: 'before' }).optional() },
      parts: { twin: part({ parents: [Litter.as({ litter: 'twin' })] }) },
    } as const;
    const Grown = lab.computed('grown', {
      ...base,
      make: () => ({ before: null, parts: { twin: [{ twin: 2 }] } }),
    });
    expectTypeOf(Grown.readType).toEqualTypeOf<
      { readonly mouse: bigint; readonly litter: number; readonly before: number | null } | undefined
    >();
    expectTypeOf(Grown.parts.twin.keyType).toEqualTypeOf<
      { readonly mouse: bigint; readonly litter: number; readonly twin: number } | undefined
    >();
    expect(Grown.spec.primaryKey).toEqual(['mouse', 'litter']);
    expect(Grown.spec.foreignKeys[1]).toMatchObject({
      columns: { mouse: 'mouse', before: 'litter' },
      kind: 'secondary',
      optional: true,
    });
    expect(Grown.spec.columns).toMatchObject([
      { name: 'mouse', nullable: false },
      { name: 'litter', nullable: false },
      { name: 'before', nullable: true },
    ]);
    // A column of the same name that means something else is still a mistake.
    const Stranger = lab.manual('stranger', { key: { litter: t.integer() } });
    expect(() => lab.manual('mixed', { parents: [Litter], references: { stranger: Stranger } })).toThrow(
      expect.objectContaining({ code: 'definition_invalid' }),
    );
    // @ts-expect-error -- the twin's own column is missing
    lab.computed('grown_wrong', { ...base, make: () => ({ parts: { twin: [{}] } }) });
  });

  it('a filled reference is not returned, one that is not filled is', () => {
    const Owned = lab.manual('owned', { key: { id: t.integer() }, columns: { rule: t.integer() } });
    lab.computed('filled', {
      parents: [Owned],
      references: { policy: Policy.from({ policy: Owned.column('rule') }) },
      columns: { ok: t.boolean() },
      reads: { owned: Owned },
      make: () => ({ ok: true }),
    });
    lab.computed('unfilled', {
      parents: [Owned],
      references: { policy: Policy },
      columns: { ok: t.boolean() },
      reads: { policies: Policy.all() },
      make: ({ policies }) => ({ ok: true, policy: policies[0]?.policy ?? 0 }),
    });
    lab.computed('unfilled_missing', {
      parents: [Owned],
      references: { policy: Policy },
      columns: { ok: t.boolean() },
      reads: { policies: Policy.all() },
      // @ts-expect-error -- the columns of the reference are missing
      make: () => ({ ok: true }),
    });
  });

  it('rows that are inserted are typed by their table', () => {
    const options = { source: 'x', actor: 'y' };
    const right = (store: Store) => insertRows(store, Mouse, [{ mouse: 1n, weight: 2 }], options);
    // @ts-expect-error -- a number for a bigint
    const wrongKey = (store: Store) => insertRows(store, Mouse, [{ mouse: 1, weight: 2 }], options);
    // @ts-expect-error -- a column that must have a value is missing
    const missing = (store: Store) => insertRows(store, Mouse, [{ mouse: 1n }], options);
    expectTypeOf(right).toEqualTypeOf(wrongKey);
    expectTypeOf(right).toEqualTypeOf(missing);
  });
});
