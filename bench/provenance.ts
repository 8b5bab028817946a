/**
 * Trace and cascade: absolute times on a chain, and ratios to reading each table's key once, on the same store in the
 * same run. Tables are made in the database itself, with `generate_series`.
 */
import { cascade, catalogGraph, trace, type TableGraph, type WalkOutcome } from '../src/provenance/index.ts';
import { sql, type Store } from '../src/store/index.ts';

/** One figure against its target; `met` where the value is at most the target. */
export interface BenchResult {
  readonly name: string;
  readonly value: number;
  readonly unit: 'ms' | 'ratio';
  readonly target: number;
  readonly met: boolean;
}

/** What a benchmark runs on. */
export interface BenchContext {
  readonly store: Store;
  /** Rows of each table of the diamonds. Default 100,000: 31 tables hold about 3 million. */
  readonly diamondRows?: number;
  /** Each figure is the median of so many runs, after one that is thrown away. Default 5. */
  readonly runs?: number;
}

const SCHEMAS = ['bench_chain', 'bench_diamond_10', 'bench_diamond_20'] as const;

/** Measures the targets of trace and cascade; what it made is dropped again. */
export async function bench({
  store,
  diamondRows = 100_000,
  runs = 5,
}: BenchContext): Promise<BenchResult[]> {
  try {
    await makeChain(store, 21, 1_000);
    await makeDiamonds(store, 'bench_diamond_10', 10, diamondRows);
    await makeDiamonds(store, 'bench_diamond_20', 20, diamondRows);
    await store.script('analyze');
    return await measureAll(store, await catalogGraph(store), diamondRows, runs);
  } finally {
    for (const schema of SCHEMAS) await store.script(`drop schema if exists ${schema} cascade`);
  }
}

async function measureAll(
  store: Store,
  graph: TableGraph,
  diamondRows: number,
  runs: number,
): Promise<BenchResult[]> {
  const median = (work: () => Promise<unknown>): Promise<number> => medianMs(work, runs);
  const half = `id <= ${diamondRows / 2}`;
  const chainDown = await median(() => done(cascade(store, graph, { table: 'bench_chain.t0' })));
  const chainUp = await median(() => done(trace(store, graph, { table: 'bench_chain.t20' })));
  const readKeys = await median(() => readEachKey(store, graph, 'bench_diamond_10.'));
  const ten = await median(() => done(cascade(store, graph, { table: 'bench_diamond_10.r0', where: half })));
  const twenty = await median(() =>
    done(cascade(store, graph, { table: 'bench_diamond_20.r0', where: half })),
  );
  const one = await median(() =>
    done(cascade(store, graph, { table: 'bench_diamond_10.r0', where: 'id = 7' })),
  );
  return [
    atMost('cascade, 21 tables in a chain, with counts', chainDown, 'ms', 15),
    atMost('trace, 21 tables in a chain, with counts', chainUp, 'ms', 15),
    atMost('10 diamonds, half affected, against reading each key once', ten / readKeys, 'ratio', 5),
    atMost('20 diamonds against 10', twenty / ten, 'ratio', 2.2),
    atMost('10 diamonds, one start row', one, 'ms', 30),
  ];
}

function atMost(name: string, value: number, unit: BenchResult['unit'], target: number): BenchResult {
  return { name, value: Math.round(value * 100) / 100, unit, target, met: value <= target };
}

async function done(walk: Promise<WalkOutcome>): Promise<void> {
  const outcome = await walk;
  if (outcome.status !== 'ok') throw new TypeError(JSON.stringify(outcome.findings));
}

async function medianMs(work: () => Promise<unknown>, runs: number): Promise<number> {
  await work();
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const startedMs = performance.now();
    await work();
    times.push(performance.now() - startedMs);
  }
  return times.toSorted((left, right) => left - right)[Math.floor(runs / 2)] ?? Number.NaN;
}

async function readEachKey(store: Store, graph: TableGraph, prefix: string): Promise<void> {
  for (const { table, schema, name } of graph.tables.values()) {
    if (table.startsWith(prefix)) await store.query(sql`select count(id) from ${sql.id(schema, name)}`);
  }
}

async function makeChain(store: Store, tables: number, rows: number): Promise<void> {
  await store.script('create schema bench_chain');
  for (let at = 0; at < tables; at += 1) {
    await makeTable(store, 'bench_chain', `t${at}`, at === 0 ? {} : { p: `t${at - 1}` }, rows);
  }
}

async function makeDiamonds(store: Store, schema: string, diamonds: number, rows: number): Promise<void> {
  await store.script(`create schema ${schema}`);
  await makeTable(store, schema, 'r0', {}, rows);
  for (let at = 1; at <= diamonds; at += 1) {
    await makeTable(store, schema, `a${at}`, { p: `r${at - 1}` }, rows);
    await makeTable(store, schema, `b${at}`, { p: `r${at - 1}` }, rows);
    await makeTable(store, schema, `r${at}`, { a: `a${at}`, b: `b${at}` }, rows);
  }
}

async function makeTable(
  store: Store,
  schema: string,
  name: string,
  parents: Readonly<Record<string, string>>,
  rows: number,
): Promise<void> {
  const columns = Object.keys(parents);
  const table = `${schema}.${name}`;
  await store.script(
    [
      `create table ${table} (${['id int', ...columns.map((column) => `${column} int not null`)].join(', ')})`,
      `insert into ${table} select ${['g', ...columns.map(() => 'g')].join(', ')} from generate_series(1, ${rows}) g`,
      `alter table ${table} add primary key (id)`,
      ...columns.map((column) => `create index on ${table} (${column})`),
      ...columns.map(
        (column) =>
          `alter table ${table} add foreign key (${column}) references ${schema}.${parents[column] ?? ''}`,
      ),
    ].join(';\n'),
  );
}
