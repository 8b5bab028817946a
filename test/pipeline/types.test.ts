import { describe, expect, expectTypeOf, it } from 'vitest';
import { insertRows, part, pipeline, t } from '../../src/pipeline/index.ts';
import { sql, type Store } from '../../src/store/index.ts';

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

  it('each form of a make returns the same rows', () => {
    const base = {
      parents: [Mouse],
      columns: { heavy: t.boolean(), why: t.text().nullable() },
      reads: { mouse: Mouse },
    } as const;
    lab.computed('asynchronous', { ...base, make: async ({ mouse }) => ({ heavy: mouse.weight > 1 }) });
    // @ts-expect-error -- a promise of a column of another type
    lab.computed('asynchronous_wrong', { ...base, make: async () => ({ heavy: 1 }) });
    lab.computed('generator', {
      ...base,
      *make({ mouse }) {
        yield { heavy: mouse.weight > 1 };
      },
    });
    lab.computed('generator_wrong', {
      ...base,
      // @ts-expect-error -- a piece without a column that must have a value
      *make() {
        yield { why: 'x' };
      },
    });
    lab.computed('asynchronous_generator', {
      ...base,
      async *make({ mouse }) {
        yield { heavy: mouse.weight > 1, why: null };
      },
    });
    lab.computed('query', { ...base, query: sql`select mouse, true as heavy, null as why from mouse` });
    // @ts-expect-error -- a query is no plain text
    expect(() => lab.computed('query_text', { ...base, query: 'select 1' })).toThrow('definition');
    // @ts-expect-error -- null where there must be a value
    lab.computed('null', { ...base, make: () => ({ heavy: null }) });
    // @ts-expect-error -- a key of another type
    lab.computed('key_type', { ...base, make: () => ({ mouse: 'one', heavy: true }) });
    // @ts-expect-error -- a makeWith that returns a column of another type
    lab.computed('with_wrong', { ...base, makeWith: async () => ({ heavy: 'yes' }) });
  });

  it('each form of a read has its type', () => {
    const Session = lab.computed('session', {
      parents: [Mouse],
      key: { session: t.integer() },
      columns: { rig: t.text() },
      references: { policy: Policy.optional(), former: Policy.as({ policy: 'former' }).optional() },
      reads: { mouse: Mouse },
      parts: {
        probe: part({ key: { probe: t.integer() }, columns: { depth: t.double() } }),
        unit: part({ within: 'probe', key: { unit: t.integer() }, columns: { rate: t.double() } }),
      },
      make: () => ({ session: 1, rig: 'a', policy: null, former: null }),
    });
    const chosenPolicy = Policy.optional()
      .as({ policy: 'chosen' })
      .from({ policy: Session.column('policy') });
    lab.computed('reading', {
      parents: [Session],
      columns: { n: t.integer() },
      references: {
        chosen: chosenPolicy,
        other: Policy.as({ policy: 'other' }).from({ policy: Session.column('session') }),
      },
      reads: {
        session: Session,
        rigs: Session.columns('rig').all(),
        probes: Session.parts.probe.matching({ session: 'session' }),
        units: Session.parts.unit.columns('rate').matching({ session: 'session' }),
        chosen: chosenPolicy,
        others: Policy.matching({ policy: Session.column('session') }),
      },
      make: ({ session, rigs, probes, units, chosen, others }) => {
        expectTypeOf(session.policy).toEqualTypeOf<number | null>();
        expectTypeOf(session.former).toEqualTypeOf<number | null>();
        expectTypeOf(rigs).toEqualTypeOf<readonly { readonly rig: string }[]>();
        expectTypeOf(probes[0]?.depth).toEqualTypeOf<number | undefined>();
        expectTypeOf(units).toEqualTypeOf<readonly { readonly rate: number }[]>();
        expectTypeOf(chosen).toEqualTypeOf<{ readonly policy: number; readonly bound: number } | null>();
        expectTypeOf(others[0]?.bound).toEqualTypeOf<number | undefined>();
        // @ts-expect-error -- an optional reference may lead nowhere
        const bound = chosen.bound;
        return { n: bound };
      },
    });
    expectTypeOf(Session.parts.unit.keyType).toEqualTypeOf<
      | {
          readonly mouse: bigint;
          readonly session: number;
          readonly probe: number;
          readonly unit: number;
        }
      | undefined
    >();
    // @ts-expect-error -- no such column to read
    expect(() => Session.columns('rigg')).toThrow('definition');
    // @ts-expect-error -- no such column to match
    expect(() => Session.matching({ sesion: 'session' })).toThrow('definition');
    // @ts-expect-error -- no such column to take
    expect(() => Session.column('rigg')).toThrow('definition');
    // @ts-expect-error -- no such part
    expect(Session.parts.prob).toBeUndefined();
    // @ts-expect-error -- a foreign key filled from a column of another type
    Policy.from({ policy: Session.column('rig') });
    // @ts-expect-error -- a foreign key filled under a name that it does not have
    Policy.from({ polcy: Session.column('policy') });
  });

  it('tables of another pipeline are read like their own', () => {
    const other = pipeline('types_other');
    other.computed('across', {
      parents: [Mouse],
      columns: { n: t.double() },
      reads: { mouse: Mouse, policies: Policy.columns('bound').all() },
      make: ({ mouse, policies }) => {
        expectTypeOf(mouse.mouse).toEqualTypeOf<bigint>();
        expectTypeOf(policies).toEqualTypeOf<readonly { readonly bound: number }[]>();
        return { n: mouse.weight };
      },
    });
  });

  it('what derives, and what is unique, names columns', () => {
    const base = {
      parents: [Mouse],
      columns: { heavy: t.boolean() },
      reads: { mouse: Mouse, policies: Policy.all() },
      make: () => ({ heavy: true }),
    } as const;
    lab.computed('derives', { ...base, derives: { heavy: ['mouse.weight', 'policies.bound'] } });
    // @ts-expect-error -- no such column of the result
    lab.computed('derives_column', { ...base, derives: { hevy: ['mouse.weight'] } });
    // @ts-expect-error -- no such column of the read
    lab.computed('derives_source', { ...base, derives: { heavy: ['mouse.wieght'] } });
    // @ts-expect-error -- no such read
    lab.computed('derives_read', { ...base, derives: { heavy: ['moose.weight'] } });
    lab.computed('uniques', { ...base, uniques: [['mouse', 'heavy']] });
    // @ts-expect-error -- no such column
    expect(() => lab.computed('uniques_column', { ...base, uniques: [['hevy']] })).toThrow('no such column');
  });

  it('columns have the types of their values', () => {
    const Typed = lab.manual('typed', {
      key: { id: t.uuid() },
      columns: {
        amount: t.numeric(10, 2),
        grade: t.enum('a', 'b'),
        tags: t.array(t.text()),
        shape: t.custom<{ readonly x: number }>('geometry(Point,4326)'),
        extra: t.json<{ readonly n: number }>().nullable(),
        at: t.timestamptz(),
        blob: t.bytea(),
      },
    });
    expectTypeOf(Typed.readType).toEqualTypeOf<
      | {
          readonly id: string;
          readonly amount: string;
          readonly grade: 'a' | 'b';
          readonly tags: readonly string[];
          readonly shape: { readonly x: number };
          readonly extra: { readonly n: number } | null;
          readonly at: string;
          readonly blob: Uint8Array;
        }
      | undefined
    >();
    lab.lookup('grades', { key: { grade: t.enum('a', 'b') }, contents: [{ grade: 'a' }, { grade: 'b' }] });
    const outside = () =>
      // @ts-expect-error -- no member of the enum
      lab.lookup('grades_wrong', { key: { grade: t.enum('a') }, contents: [{ grade: 'c' }] });
    const short = () =>
      lab.lookup('short', {
        key: { a: t.text() },
        columns: { n: t.integer().nullable(), m: t.text() },
        // @ts-expect-error -- a row of a lookup without one of its columns
        contents: [{ a: 'x' }],
      });
    expect(short).toThrow('short contents[0].m');
    expectTypeOf(outside).toBeFunction();
  });
});
