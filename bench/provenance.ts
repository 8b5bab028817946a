/**
 * Trace and cascade: absolute times on a chain, and ratios to reading each table's key once, on the same store in the
 * same run. Tables are made in the database itself, with `generate_series`.
 */
import { cascade, catalogGraph, trace, type TableGraph, type WalkOutcome } from '../src/provenance/index.ts';
import { sql, type Store } from '../src/store/index.ts';
import { alternate, atMost, figure, timedMs, type Figure } from './figure.ts';
import type { BenchStores } from './stores.ts';

/** Rows of each table of the diamonds: 31 tables hold about 3 million on the server and 1 million embedded. */
const SERVER_ROWS = Number(process.env['VARVE_BENCH_DIAMOND_ROWS'] ?? 100_000);
const EMBEDDED_ROWS = Math.ceil(SERVER_ROWS / 3);

const ROUNDS = 5;

const SCHEMAS = ['bench_chain', 'bench_diamond_10', 'bench_diamond_20'] as const;

/** Measures trace and cascade on both stores, against the targets on the server; what it made is dropped again. */
export async function benchProvenance(stores: BenchStores): Promise<readonly Figure[]> {
  const { server, embedded, progress } = stores;
  return [
    ...(await measureStore({ store: server, name: 'server', diamondRows: SERVER_ROWS, progress })),
    ...(await measureStore({ store: embedded, name: 'embedded', diamondRows: EMBEDDED_ROWS, progress })),
  ];
}

interface Place {
  readonly store: Store;
  readonly name: 'server' | 'embedded';
  readonly diamondRows: number;
  readonly progress: BenchStores['progress'];
}

async function measureStore(place: Place): Promise<readonly Figure[]> {
  const { store, name, diamondRows, progress } = place;
  try {
    progress(`${name}: making a chain and diamonds`);
    await makeChain(store, 21, 1_000);
    await makeDiamonds(store, 'bench_diamond_10', 10, diamondRows);
    await makeDiamonds(store, 'bench_diamond_20', 20, diamondRows);
    await store.script('vacuum analyze');
    const graph = await catalogGraph(store);
    return [...(await measureChain(place, graph)), ...(await measureDiamonds(place, graph))];
  } finally {
    for (const schema of SCHEMAS) await store.script(`drop schema if exists ${schema} cascade`);
  }
}

/** The targets are the server's; what the embedded store needs stands for itself. */
function measured(place: Place, name: string, value: number, target: { unit: string; most: number }): Figure {
  const full = `${name}, ${place.name}`;
  return place.name === 'server'
    ? atMost(full, value, target.unit, target.most)
    : figure(full, value, target.unit);
}

async function measureChain(place: Place, graph: TableGraph): Promise<readonly Figure[]> {
  const { store, name, progress } = place;
  progress(`${name}: chain`);
  const [down, up] = await inTurn(20, [
    () => done(cascade(store, graph, { table: 'bench_chain.t0' })),
    () => done(trace(store, graph, { table: 'bench_chain.t20' })),
  ]);
  const target = { unit: 'ms', most: 15 };
  return [
    measured(place, 'cascade, 21 tables in a chain, with counts', down, target),
    measured(place, 'trace, 21 tables in a chain, with counts', up, target),
  ];
}

async function measureDiamonds(place: Place, graph: TableGraph): Promise<readonly Figure[]> {
  const { store, name, diamondRows, progress } = place;
  progress(`${name}: diamonds`);
  const half = `id <= ${diamondRows / 2}`;
  const walk = (diamonds: number, where: string) => () =>
    done(cascade(store, graph, { table: `bench_diamond_${diamonds}.r0`, where }));
  const [read, ten, twenty, one] = await inTurn(ROUNDS, [
    () => readEachKey(store, graph, 'bench_diamond_10.'),
    walk(10, half),
    walk(20, half),
    walk(10, 'id = 7'),
  ]);
  return [
    figure(`reading the key of each of 31 tables once, ${name}`, read, 'ms'),
    figure(`10 diamonds, half affected, ${name}`, ten, 'ms'),
    measured(place, '10 diamonds, half affected / reading each key once', ten / read, {
      unit: 'ratio',
      most: 5,
    }),
    measured(place, '20 diamonds / 10', twenty / ten, { unit: 'ratio', most: 2.2 }),
    measured(place, '10 diamonds, one start row', one, { unit: 'ms', most: 30 }),
  ];
}

/** Medians of works in turn, after a round that is thrown away. */
async function inTurn(
  rounds: number,
  works: readonly (() => Promise<void>)[],
): Promise<readonly [number, number, number, number]> {
  for (const work of works) await work();
  const [a = NaN, b = NaN, c = NaN, d = NaN] = await alternate(
    rounds,
    works.map((work) => () => timedMs(work)),
  );
  return [a, b, c, d];
}

async function done(walk: Promise<WalkOutcome>): Promise<void> {
  const outcome = await walk;
  if (outcome.status !== 'ok') throw new TypeError(JSON.stringify(outcome.findings));
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
