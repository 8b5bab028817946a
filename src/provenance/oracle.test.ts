import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../../test/harness/index.ts';
import { cascade } from './cascade.ts';
import { catalogGraph } from './catalog-graph.ts';
import { trace } from './trace.ts';

/** A table of the random graph: rows have an id, a pair key, and a value per edge that is a row of the parent or null. */
interface Edge {
  readonly from: number;
  readonly to: number;
  readonly isComposite: boolean;
  readonly isIndexed: boolean;
}

interface World {
  readonly tables: number;
  readonly rows: number;
  readonly edges: readonly Edge[];
  /** The parent's row by edge and child row; -1 is null. */
  readonly links: readonly (readonly number[])[];
  readonly start: number;
  readonly startRows: number;
}

const worlds: fc.Arbitrary<World> = fc
  .record({ tables: fc.integer({ min: 1, max: 6 }), rows: fc.integer({ min: 0, max: 6 }) })
  .chain(({ tables, rows }) => {
    const table = fc.nat({ max: tables - 1 });
    const edge = fc.record({ from: table, to: table, isComposite: fc.boolean(), isIndexed: fc.boolean() });
    return fc
      .record({ edges: fc.array(edge, { maxLength: 9 }), start: table, startRows: fc.nat({ max: 6 }) })
      .chain((given) =>
        fc.record({
          tables: fc.constant(tables),
          rows: fc.constant(rows),
          edges: fc.constant(given.edges),
          start: fc.constant(given.start),
          startRows: fc.constant(given.startRows),
          links: fc.array(
            fc.array(fc.integer({ min: -1, max: rows - 1 }), { minLength: rows, maxLength: rows }),
            {
              minLength: given.edges.length,
              maxLength: given.edges.length,
            },
          ),
        }),
      );
  });

function schemaOf({ tables, rows, edges, links }: World): string {
  const create = Array.from({ length: tables }, (_, table) => {
    const own = edges.flatMap((edge, at) => (edge.from === table ? [{ ...edge, at }] : []));
    const columns = own.flatMap(({ at, isComposite }) =>
      isComposite ? [`e${at}a int`, `e${at}b text`] : [`e${at}a int`],
    );
    const values = Array.from({ length: rows }, (_row, row) => {
      const refs = own.flatMap(({ at, isComposite }) => {
        const to = links[at]?.[row] ?? -1;
        if (to < 0) return isComposite ? ['null', 'null'] : ['null'];
        return isComposite ? [`${to * 10}`, `'k${to}'`] : [`${to}`];
      });
      return `(${[row, row * 10, `'k${row}'`, ...refs].join(', ')})`;
    });
    const insert = values.length === 0 ? '' : `insert into t${table} values ${values.join(', ')};`;
    return `create table t${table} (${['id int primary key', 'x int', 'y text', ...columns, 'unique (x, y)'].join(', ')}); ${insert}`;
  });
  const keys = edges.map(({ from, to, isComposite, isIndexed }, at) => {
    const [child, parent] = isComposite ? [`e${at}a, e${at}b`, 'x, y'] : [`e${at}a`, 'id'];
    const index = isIndexed ? `create index on t${from} (${child});` : '';
    return `alter table t${from} add constraint edge${at} foreign key (${child}) references t${to} (${parent}); ${index}`;
  });
  return [...create, ...keys].join('\n');
}

function analyze(schema: string, { tables }: World): string {
  return Array.from({ length: tables }, (_, table) => `analyze "${schema}".t${table}`).join('; ');
}

/** Slow and obvious: goes through all links until nothing new is reached. */
function oracle(
  { edges, links, rows, start, startRows }: World,
  toParents: boolean,
): ReadonlyMap<number, number> {
  const reachedTables = new Set([start]);
  const reached = new Set(Array.from({ length: Math.min(rows, startRows) }, (_, row) => `${start}:${row}`));
  for (let before = -1; before !== reached.size + reachedTables.size;) {
    before = reached.size + reachedTables.size;
    edges.forEach(({ from, to }, at) => {
      if (reachedTables.has(toParents ? from : to)) reachedTables.add(toParents ? to : from);
      links[at]?.forEach((parent, child) => {
        if (parent < 0) return;
        const [source, target] = toParents
          ? [`${from}:${child}`, `${to}:${parent}`]
          : [`${to}:${parent}`, `${from}:${child}`];
        if (reached.has(source)) reached.add(target);
      });
    });
  }
  return new Map(
    [...reachedTables].map((table) => [
      table,
      [...reached].filter((row) => row.startsWith(`${table}:`)).length,
    ]),
  );
}

function suite(given: StoreUnderTest): void {
  it('finds the rows that a slow search finds, on random graphs with circles, diamonds and parallel edges', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, fc.boolean(), fc.boolean(), async (world, toParents, isAnalyzed) => {
        const schema = await given.freshSchema();
        await given.store.script(`set search_path = "${schema}"; ${schemaOf(world)}; reset search_path`);
        // Sizes that the planner knows open the arm of many rows, unknown ones that of few.
        if (isAnalyzed) await given.store.script(analyze(schema, world));
        const graph = await catalogGraph(given.store);
        const walk = toParents ? trace : cascade;
        const start = { table: `${schema}.t${world.start}`, where: `id < ${world.startRows}` };
        const outcome = await walk(given.store, graph, start);
        await given.store.script(`drop schema "${schema}" cascade`);
        if (outcome.status !== 'ok') throw new Error(JSON.stringify(outcome));
        const got = outcome.tables.map(({ table, rows }) => [Number(table.split('.t')[1]), rows] as const);
        expect(new Map(got)).toEqual(new Map(oracle(world, toParents)));
        for (const [table] of got) {
          const place = got.findIndex(([other]) => other === table);
          const line = outcome.tables[place];
          expect((line?.via.length ?? 0) > 0 || table === world.start || line?.rows === 0).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  }, 120_000);
}

withEmbedded('walks against an oracle', suite);
withPostgres('walks against an oracle', 15, suite);
withPostgres('walks against an oracle', 18, suite);
