import { sql as ksql } from 'kysely';
import { definitionsOf, pipeline, t, type Definitions, type Pipeline } from '../../src/pipeline/index.ts';

/** The first version: `r` reads `side` without declaring it. */
export function versionOne(schema: string): Pipeline {
  const lab = pipeline(schema);
  const source = lab.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  lab.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
  const result = lab.computed('r', {
    parents: [source],
    columns: { value: t.integer() },
    strict: 'observe',
    reads: { s: source },
    makeWith: async (db) => {
      const { v } = await db.selectFrom('s').select('v').executeTakeFirstOrThrow();
      const latest = await ksql<{ off: number }>`
        select "off" from ${ksql.id(schema, 'side')} order by side desc limit 1`.execute(db);
      return { value: v + (latest.rows[0]?.off ?? 0) };
    },
  });
  lab.computed('double', {
    parents: [result],
    columns: { twice: t.integer() },
    reads: { r: result },
    make: ({ r }) => ({ twice: r.value * 2 }),
  });
  return lab;
}

/** The second version: it declares what it reads. */
export function versionTwo(schema: string, change = 0): Pipeline {
  const lab = pipeline(schema);
  const source = lab.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  const side = lab.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
  const result = lab.computed('r', {
    parents: [source],
    references: { side },
    columns: { value: t.integer() },
    reads: { s: source, sides: side.all() },
    make: ({ s, sides }) => {
      const latest = sides.reduce((best, each) => (each.side > best.side ? each : best));
      return { side: latest.side, value: s.v + latest.off + change };
    },
  });
  lab.computed('double', {
    parents: [result],
    columns: { twice: t.integer() },
    reads: { r: result },
    make: ({ r }) => ({ twice: r.value * 2 }),
  });
  return lab;
}

/** The definitions of a pipeline that is known to stand. */
export function definitionsFrom(given: Pipeline): Definitions {
  const result = definitionsOf([given]);
  if (result.status === 'refused') throw new TypeError(JSON.stringify(result.findings));
  return result.definitions;
}
