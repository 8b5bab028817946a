import { sql as ksql } from 'kysely';
import { pipeline, t, type Pipeline } from '../../src/pipeline/index.ts';

/** The pieces in which declared references differ. */
export interface ReferenceCase {
  /** The type of the referenced key's second column; its values are compared as text here. */
  readonly key?: ReturnType<typeof t.text>;
  readonly unique?: boolean;
  /** Further columns of the table. */
  readonly wide?: number;
}

const PLAIN = { key: t.text(), unique: false, wide: 0 };

/** A table that reads one row of `side`, whose key has two columns, without declaring it. */
export function undeclared(some: ReferenceCase = {}): Pipeline {
  const { key, wide } = { ...PLAIN, ...some };
  const lab = pipeline('lab');
  const source = lab.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  lab.manual('side', { key: { kind: t.integer(), name: key }, columns: { off: t.integer() } });
  lab.computed('r', {
    parents: [source],
    columns: { value: t.integer(), ...extra(wide) },
    strict: 'observe',
    reads: { s: source },
    makeWith: async (db) => {
      const { s, v } = await db.selectFrom('s').selectAll().executeTakeFirstOrThrow();
      const found = await ksql<{ off: number }>`select "off" from lab.side where kind = ${s}`.execute(db);
      return { value: v + (found.rows[0]?.off ?? 0) };
    },
  });
  return lab;
}

/** The same, declared under other names. */
export function declared(some: ReferenceCase = {}): Pipeline {
  const { key, unique, wide } = { ...PLAIN, ...some };
  const lab = pipeline('lab');
  const source = lab.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  const side = lab.manual('side', { key: { kind: t.integer(), name: key }, columns: { off: t.integer() } });
  const renamed = side.as({ kind: 'side kind', name: 'side "name"' });
  lab.computed('r', {
    parents: [source],
    references: { side: unique ? renamed.unique() : renamed },
    columns: { value: t.integer(), ...extra(wide) },
    reads: { s: source, sides: side.matching({ kind: 's' }) },
    make: ({ s, sides }) => {
      const [one] = sides;
      if (one === undefined) throw new Error('no side');
      return { 'side kind': one.kind, 'side "name"': one.name, value: s.v + one.off };
    },
  });
  return lab;
}

function extra(count: number): Record<string, ReturnType<typeof t.integer>> {
  const column = t.integer().nullable() as unknown as ReturnType<typeof t.integer>;
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${String(index)}`, column]));
}

/** A source that says which side it belongs to; the make follows it without declaring. */
export function undeclaredFrom(): Pipeline {
  const lab = pipeline('lab');
  const source = lab.manual('s', {
    key: { s: t.integer() },
    columns: { v: t.integer(), wanted: t.integer().nullable() },
  });
  lab.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
  lab.computed('r', {
    parents: [source],
    columns: { value: t.integer() },
    strict: 'observe',
    reads: { s: source },
    makeWith: async (db) => {
      const { v, wanted } = await db.selectFrom('s').selectAll().executeTakeFirstOrThrow();
      const found = await ksql<{ off: number }>`select "off" from lab.side where side = ${wanted}`.execute(
        db,
      );
      return { value: v + (found.rows[0]?.off ?? 0) };
    },
  });
  return lab;
}

/** The same with the reference filled from the source, required or optional. */
export function declaredFrom(optional: boolean): Pipeline {
  const lab = pipeline('lab');
  const source = lab.manual('s', {
    key: { s: t.integer() },
    columns: { v: t.integer(), wanted: t.integer().nullable() },
  });
  const side = lab.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
  const filled = side.from({ side: source.column('wanted') });
  const reference = (optional ? filled.optional() : filled) as typeof filled;
  lab.computed('r', {
    parents: [source],
    references: { side: reference },
    columns: { value: t.integer() },
    reads: { s: source, side: reference },
    make: ({ s, side: found }) => ({ value: s.v + ((found as { off: number } | null)?.off ?? 0) }),
  });
  return lab;
}
