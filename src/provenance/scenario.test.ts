import { expect, it } from 'vitest';
import { withStores } from '../../test/harness/index.ts';
import { cascade } from './cascade.ts';
import { catalogGraph } from './catalog-graph.ts';
import type { TableGraph } from './graph.ts';
import { restrict } from './restrict.ts';
import type { WalkOutcome } from './row-set.ts';
import { trace } from './trace.ts';
import type { Store } from '../store/index.ts';

/** Tables in plain SQL, a walk, and what it finds: `table rows` in order, or the code of the refusal and its subject. */
interface Scenario {
  readonly given: string;
  readonly walk: (store: Store, graph: TableGraph, schema: string) => Promise<WalkOutcome>;
  readonly want: string;
}

const FAMILY = `
  create table parent (p int primary key, name text);
  create table child (p int references parent, c int, primary key (p, c));
  insert into parent values (1, 'a'), (2, 'b'); insert into child values (1, 10), (1, 11), (2, 20)`;
const HOMONYM = `
  create table p (pid int primary key, day int); create table c (pid int primary key references p, day int);
  insert into p values (1, 100), (2, 200); insert into c values (1, 100), (2, 100)`;
const GRID = `
  create table a (a int primary key); create table b (b int primary key);
  create table ab (a int references a, b int references b, primary key (a, b));
  insert into a values (1), (2); insert into b values (1), (2);
  insert into ab values (1, 1), (1, 2), (2, 1), (2, 2)`;
const MERGE = `
  create table parent (parent int primary key); create table master (master int primary key);
  create table master__p (master int references master, parent int references parent, primary key (master, parent));
  create table child (master int references master, c int, primary key (master, c));
  insert into parent values (5); insert into master values (10); insert into master__p values (10, 5);
  insert into child values (10, 1000)`;
const PARTS = `
  create table m (m int primary key); create table m__pa (m int references m, a int, primary key (m, a));
  create table m__pb (m int, a int, b int, primary key (m, a, b), foreign key (m, a) references m__pa);
  insert into m values (1), (2); insert into m__pa values (1, 10), (1, 11), (2, 20);
  insert into m__pb values (1, 10, 100), (1, 10, 101), (1, 11, 110), (2, 20, 200)`;
const EXTERNAL = `
  create table ext (ext int primary key); create table m (m int primary key);
  create table m__p (m int references m, ext int references ext, primary key (m, ext));
  insert into ext values (1); insert into m values (1); insert into m__p values (1, 1)`;
const PB = { table: 'm__pb', where: 'm = 1 and a = 10 and b = 100' };

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  '1 trace to the parent of one child': {
    given: FAMILY,
    walk: (store, graph, s) => trace(store, graph, { table: `${s}.child`, where: 'p = 1 and c = 10' }),
    want: 'parent 1, child 1',
  },
  '2 trace over two levels': {
    given: `create table g (g int primary key); create table p (g int references g, p int, primary key (g, p));
      create table c (g int, p int, c int, primary key (g, p, c), foreign key (g, p) references p);
      insert into g values (1), (2); insert into p values (1, 10), (1, 11), (2, 20);
      insert into c values (1, 10, 100), (1, 11, 110), (2, 20, 200)`,
    walk: (store, graph, s) => trace(store, graph, { table: `${s}.c`, where: 'g = 1' }),
    want: 'g 1, p 2, c 2',
  },
  '3 trace by a renamed key': {
    given: `create table animal (animal int primary key); create table obs (o int primary key, subject int references animal);
      insert into animal values (1), (2); insert into obs values (10, 1), (11, 1), (20, 2)`,
    walk: (store, graph, s) => trace(store, graph, { table: `${s}.obs`, where: 'o = 10' }),
    want: 'animal 1, obs 1',
  },
  '4 trace by two foreign keys to one parent': {
    given: `create table source (source int primary key);
      create table down (d int primary key, source int references source, cmp int references source);
      insert into source values (1), (2), (3); insert into down values (100, 1, 2), (101, 3, 3)`,
    walk: (store, graph, s) => trace(store, graph, { table: `${s}.down`, where: 'd = 100' }),
    want: 'source 2, down 1',
  },
  '5 trace up a diamond': {
    given: `create table root (root int primary key);
      create table lft (root int references root, l int, primary key (root, l));
      create table rgt (root2 int references root, r int, primary key (root2, r));
      create table leaf (root int, l int, root2 int, r int, x int, primary key (root, l, root2, r, x),
        foreign key (root, l) references lft, foreign key (root2, r) references rgt);
      insert into root values (1), (2), (3); insert into lft values (1, 10); insert into rgt values (2, 20);
      insert into leaf values (1, 10, 2, 20, 100)`,
    walk: (store, graph, s) => trace(store, graph, { table: `${s}.leaf`, where: 'x = 100' }),
    want: 'root 2, lft 1, rgt 1, leaf 1',
  },
  '6a a trace for a table that is no ancestor': {
    given: `${FAMILY}; create table lone (l int primary key)`,
    walk: (store, graph, s) => trace(store, graph, { table: `${s}.child` }, { only: [`${s}.lone`] }),
    want: 'refused unrelated_table lone',
  },
  '6b a lone table': {
    given: 'create table lone (l int primary key); insert into lone values (1)',
    walk: (store, graph, s) => trace(store, graph, { table: `${s}.lone` }),
    want: 'lone 1',
  },
  '8a trace to a master alone': {
    given: MERGE,
    walk: (store, graph, s) => trace(store, graph, { table: `${s}.child` }),
    want: 'master 1, child 1',
  },
  '8b trace through a part to its other parents': {
    given: MERGE,
    walk: (store, graph, s) => trace(store, graph, { table: `${s}.child` }, { throughParts: true }),
    want: 'master 1, child 1, parent 1, master__p 1',
  },
  '9 cascade': {
    given: `create table p (p int primary key); create table c (p int references p, c int, primary key (p, c));
      insert into p values (1), (2); insert into c values (1, 1), (1, 2), (2, 1)`,
    walk: (store, graph, s) => cascade(store, graph, { table: `${s}.p`, where: 'p = 1' }),
    want: 'p 1, c 2',
  },
  '10 cascade to all six': {
    given: `create table g (g int primary key); create table p (g int references g, p int primary key);
      create table c (p int references p, c int primary key);
      insert into g values (1); insert into p values (1, 1), (1, 2); insert into c values (1, 1), (1, 2), (2, 3)`,
    walk: (store, graph, s) => cascade(store, graph, { table: `${s}.g` }),
    want: 'g 1, p 2, c 3',
  },
  '11 a homonym is no edge': {
    given: HOMONYM,
    walk: (store, graph, s) => cascade(store, graph, { table: `${s}.p`, where: 'day = 100' }),
    want: 'p 1, c 1',
  },
  '12 a nullable foreign key': {
    given: `create table n (n int primary key); create table k (k int primary key, n int references n);
      insert into n values (1); insert into k values (1, 1), (2, null)`,
    walk: (store, graph, s) => cascade(store, graph, { table: `${s}.n` }),
    want: 'n 1, k 1',
  },
  '13a restrictions are AND': {
    given: GRID,
    walk: (store, graph, s) =>
      restrict(graph, { table: `${s}.a`, where: 'a = 1' })
        .restrict({ table: `${s}.b`, where: 'b = 2' })
        .count(store),
    want: 'a 1, b 1, ab 1',
  },
  '13b cascades are OR': {
    given: GRID,
    walk: (store, graph, s) =>
      cascade(store, graph, [
        { table: `${s}.a`, where: 'a = 1' },
        { table: `${s}.b`, where: 'b = 2' },
      ]),
    want: 'a 1, b 1, ab 3',
  },
  '14a parts cascade to masters and siblings': {
    given: PARTS,
    walk: (store, graph, s) => cascade(store, graph, { ...PB, table: `${s}.m__pb` }, { parts: 'cascade' }),
    want: 'm 1, m__pa 2, m__pb 3',
  },
  '14b parts are enforced': {
    given: PARTS,
    walk: (store, graph, s) => cascade(store, graph, { ...PB, table: `${s}.m__pb` }),
    want: 'refused part_without_master m__pb',
  },
  '14c parts are ignored': {
    given: PARTS,
    walk: (store, graph, s) => cascade(store, graph, { ...PB, table: `${s}.m__pb` }, { parts: 'ignore' }),
    want: 'm__pb 1',
  },
  '15 a part that would lose its master': {
    given: EXTERNAL,
    walk: (store, graph, s) => cascade(store, graph, { table: `${s}.ext` }),
    want: 'refused part_without_master m__p',
  },
};

withStores('scenarios of trace and cascade', (given) => {
  it.each(Object.entries(SCENARIOS))('%s', async (_, scenario) => {
    const schema = await given.freshSchema();
    await given.store.script(`set search_path = "${schema}"; ${scenario.given}; reset search_path`);
    const before = await contents(given.store, schema);
    const outcome = await scenario.walk(given.store, await catalogGraph(given.store), schema);
    expect(describeOutcome(outcome, schema)).toBe(scenario.want);
    expect(await contents(given.store, schema)).toBe(before);
  });

  it('7 finds an ancestor in another schema', async () => {
    const [above, below] = [await given.freshSchema(), await given.freshSchema()];
    await given.store
      .script(`create table "${above}".p (p int primary key); insert into "${above}".p values (1), (2);
      create table "${below}".c (c int primary key, p int references "${above}".p); insert into "${below}".c values (1, 2)`);
    const outcome = await trace(given.store, await catalogGraph(given.store), { table: `${below}.c` });
    expect(outcome).toMatchObject({
      status: 'ok',
      tables: [{ table: `${above}.p`, rows: 1 }, { table: `${below}.c` }],
    });
  });

  it('names table, keys and count of parts that would lose their master', async () => {
    const schema = await given.freshSchema();
    await given.store.script(`set search_path = "${schema}"; ${PARTS}; reset search_path`);
    const graph = await catalogGraph(given.store);
    expect(await cascade(given.store, graph, { table: `${schema}.m__pa`, where: 'a < 20' })).toEqual({
      status: 'refused',
      findings: [
        {
          code: 'part_without_master',
          severity: 'error',
          subject: `${schema}.m__pa`,
          detail: {
            master: `${schema}.m`,
            rows: 2,
            keys: [
              { m: 1, a: 10 },
              { m: 1, a: 11 },
            ],
          },
          hint: `Start from ${schema}.m, or take masters and siblings along with --parts cascade.`,
        },
      ],
    });
  });

  it('says by which edges a table was reached', async () => {
    const schema = await given.freshSchema();
    const { given: tables = '' } = SCENARIOS['4 trace by two foreign keys to one parent'] ?? {};
    await given.store.script(`set search_path = "${schema}"; ${tables}; reset search_path`);
    const graph = await catalogGraph(given.store);
    const via = async (where: string): Promise<readonly string[]> => {
      const outcome = await cascade(given.store, graph, { table: `${schema}.source`, where });
      return outcome.status === 'ok' ? (outcome.tables[1]?.via ?? []).map(({ edge }) => edge) : [];
    };
    expect(await via('source = 1')).toEqual(['down_source_fkey']);
    expect(await via('source = 2')).toEqual(['down_cmp_fkey']);
    expect(await via('source = 3')).toEqual(['down_cmp_fkey', 'down_source_fkey']);
  });
});

function describeOutcome(outcome: WalkOutcome, schema: string): string {
  const bare = (table: string): string => table.replace(`${schema}.`, '');
  if (outcome.status === 'ok')
    return outcome.tables.map(({ table, rows }) => `${bare(table)} ${rows}`).join(', ');
  return outcome.findings.map(({ code, subject }) => `refused ${code} ${bare(subject)}`).join(', ');
}

async function contents(store: Store, schema: string): Promise<string> {
  const { sql } = await import('../store/index.ts');
  const rows = await store.query(
    sql`select schema_to_xml(${schema}::name, false, true, '')::text as all_rows`,
  );
  return JSON.stringify(rows);
}
