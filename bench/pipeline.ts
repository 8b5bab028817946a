/**
 * Populate of a trivial pure make (one integer in, one out), provenance on, one process, beside what bounds it:
 *
 * | beside | why |
 * |---|---|
 * | a bare `INSERT ... SELECT` of the same rows into a table with the same primary and foreign key | the raw limit |
 * | the same populate with the part of the statement taken out that writes provenance | what provenance costs |
 * | one transaction a key: select, insert, commit | what one would write without varve |
 */
import { systemClock, systemRandomBytes, VarveError } from '../src/base/index.ts';
import {
  createTables,
  definitionsOf,
  loadRelations,
  pipeline,
  populate,
  recordDeployment,
  t,
  type CodeIdentity,
  type Definitions,
  type Pipeline,
} from '../src/pipeline/index.ts';
import type { RunEnvironment } from '../src/run/index.ts';
import { sql, type Sql, type Store } from '../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../src/store/postgres/index.ts';
import { alternate, atMost, figure, timedMs, type Figure } from './figure.ts';
import type { BenchStores } from './stores.ts';

const KEYS = Number(process.env['VARVE_BENCH_KEYS'] ?? 100_000);
const NAIVE_KEYS = Math.min(2_000, KEYS);
const ROUNDS = 3;

/** Measures populate on both stores. */
export async function benchPipeline({ server, embedded, progress }: BenchStores): Promise<readonly Figure[]> {
  return [
    ...(await measure(server, 'server', 40, progress)),
    ...(await measure(embedded, 'embedded', 150, progress)),
  ];
}

async function measure(
  store: Store,
  where: string,
  targetUs: number,
  progress: BenchStores['progress'],
): Promise<readonly Figure[]> {
  progress(`${where}: ${KEYS} keys`);
  const definitions = await deploy(store, definePipeline());
  await makeBare(store);
  await populateAll(store, definitions);
  const [own = NaN, unrecorded = NaN, bare = NaN] = await alternate(ROUNDS, [
    () => timedOn(store, () => populateAll(store, definitions)),
    () => timedOn(store, () => populateAll(withoutProvenance(store), definitions)),
    () => timedOn(store, () => insertBare(store)),
  ]);
  progress(`${where}: one transaction a key, ${NAIVE_KEYS} keys`);
  const naive = await timedOn(store, () => insertEach(store));
  await clear(store);
  await populateAll(store, definitions);
  const bytes = await provenanceBytes(store);
  const usOf = (ms: number, keys = KEYS): number => (ms * 1000) / keys;
  return [
    atMost(`populate, ${where}`, usOf(own), 'us/key', targetUs),
    figure(`bare INSERT ... SELECT, ${where}`, usOf(bare), 'us/key'),
    where === 'server'
      ? atMost(`populate / bare INSERT ... SELECT, ${where}`, own / bare, 'ratio', 4)
      : figure(`populate / bare INSERT ... SELECT, ${where}`, own / bare, 'ratio'),
    figure(`one transaction a key, ${where}`, usOf(naive, NAIVE_KEYS), 'us/key'),
    figure(
      `populate against one transaction a key, ${where}`,
      usOf(naive, NAIVE_KEYS) / usOf(own),
      'times faster',
    ),
    atMost(`provenance of populate's time, ${where}`, (100 * (own - unrecorded)) / own, '%', 20),
    atMost(`provenance, ${where}`, bytes / KEYS, 'bytes/key', 200),
  ];
}

/** From empty tables, with what was written before on disk, so that no work pays for another. */
async function timedOn(store: Store, work: () => Promise<unknown>): Promise<number> {
  await clear(store);
  return timedMs(work);
}

async function clear(store: Store): Promise<void> {
  await store.script('truncate bench.made, bench_bare, varve.computation');
  await store.script('checkpoint');
}

function definePipeline(): Pipeline {
  const bench = pipeline('bench');
  const Source = bench.manual('source', { key: { id: t.integer() }, columns: { value: t.integer() } });
  bench.computed('made', {
    parents: [Source],
    columns: { value: t.integer() },
    reads: { source: Source },
    make: ({ source }) => ({ value: source.value + 1 }),
  });
  return bench;
}

async function deploy(store: Store, bench: Pipeline): Promise<Definitions> {
  await installCatalog(store, { files: await readCatalogFiles() });
  const collected = definitionsOf([bench]);
  if (collected.status === 'refused') throw failed('The definitions of the benchmark are refused.');
  const { definitions } = collected;
  await store.transaction({}, async (transaction) => {
    const world = {
      set: definitions.set,
      relations: await loadRelations(transaction),
      run: 'varve://run/bench',
    };
    await createTables(transaction, definitions.set.tables, world);
    await recordDeployment(transaction, definitions.set, definitions.digest, 'varve://run/bench');
  });
  await store.execute(sql`insert into bench.source select g, g from generate_series(1, ${KEYS}::int) g`);
  return definitions;
}

async function makeBare(store: Store): Promise<void> {
  await store.script(`
    create table bench_bare (id integer primary key references bench.source, value integer not null);
    analyze`);
}

const ENVIRONMENT: RunEnvironment = {
  actor: 'bench',
  host: 'here',
  processId: process.pid,
  gitCommit: null,
  lockDigest: null,
  clock: systemClock,
  randomBytes: systemRandomBytes,
};

// What stands for the code is of no account here.
const CODE: CodeIdentity = { digest: `sha256:${'0'.repeat(64)}`, basis: 'text', packages: {}, source: '' };

async function populateAll(store: Store, definitions: Definitions): Promise<void> {
  const result = await populate(store, {
    definitions,
    environment: ENVIRONMENT,
    projectFolder: import.meta.dirname,
    codeByTable: new Map([['bench.made', CODE]]),
  });
  if (result.status !== 'done' || result.tables[0]?.computed !== KEYS) throw failed(JSON.stringify(result));
}

async function insertBare(store: Store): Promise<void> {
  await store.execute(sql`insert into bench_bare select id, value + 1 from bench.source`);
}

async function insertEach(store: Store): Promise<void> {
  for (let id = 1; id <= NAIVE_KEYS; id += 1) {
    await store.transaction({}, async (transaction) => {
      const [row] = await transaction.query<{ value: number }>(
        sql`select value from bench.source where id = ${id}`,
      );
      await transaction.execute(sql`insert into bench_bare values (${id}, ${(row?.value ?? 0) + 1})`);
    });
  }
}

/**
 * The store with the part of the writing statement taken out that records computations, and with it the digest of each
 * row, which nothing else asks for. What is left still compares inputs by digest.
 */
function withoutProvenance(store: Store): Store {
  return { ...store, query: (statement) => store.query(cutProvenance(statement)) };
}

const PROVENANCE =
  /,\s*prov as \(insert into varve\.computation[\s\S]*\)(?=\s*select "#ordinal" as ordinal from fresh\s*$)/u;

function cutProvenance(statement: Sql): Sql {
  const text = statement.parts.map((part, at) => (part.kind === 'text' ? part.text : `\0${at}\0`)).join('');
  if (!text.includes('varve.computation (')) return statement;
  const cut = text.replace(PROVENANCE, '').replace('fresh as materialized', 'fresh as not materialized');
  if (cut.includes('varve.computation ('))
    throw failed('The writing statement is not the one that was known.');
  const parts = cut
    .split('\0')
    .flatMap((piece, at) =>
      at % 2 === 0 ? [{ kind: 'text' as const, text: piece }] : (statement.parts[Number(piece)] ?? []),
    );
  return { ...statement, parts };
}

async function provenanceBytes(store: Store): Promise<number> {
  const [row] = await store.query<{ bytes: bigint }>(
    sql`select pg_total_relation_size('varve.computation') as bytes`,
  );
  return Number(row?.bytes ?? 0n);
}

function failed(hint: string): VarveError {
  return new VarveError('internal', { hint });
}
