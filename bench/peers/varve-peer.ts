/**
 * varve's side of `npm run bench -- peers`: does what it is told on stdin and answers on stdout, a JSON value a line.
 *
 * | it is told                                             | it answers                              |
 * | ------------------------------------------------------ | --------------------------------------- |
 * | `{"do": "declare"}`                                    | `{}`: tables and catalog are there      |
 * | `{"do": "populate", "way": "reading"}`                 | `{"ms": ..., "computed": ...}`          |
 * | `{"do": "cascade", "chain": "plain", "where": "..."}`  | `{"ms": ..., "tables": ..., "rows": ...}` |
 *
 * The address of the database is in the environment variable VARVE_BENCH_URL.
 */
import { createInterface } from 'node:readline';
import { systemClock, systemRandomBytes, VarveError, type JsonObject } from '../../src/base/index.ts';
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
  type PopulateOptions,
} from '../../src/pipeline/index.ts';
import { cascade, catalogGraph } from '../../src/provenance/index.ts';
import type { Store } from '../../src/store/index.ts';
import { installCatalog, postgresStore, readCatalogFiles } from '../../src/store/postgres/index.ts';

const SCHEMA = 'peer_varve';

/** What stands beside the table's name for each way to populate. */
const WAYS: Readonly<
  Record<string, { readonly table: string; readonly options?: Partial<PopulateOptions> }>
> = {
  constant: { table: 'constant', options: { isShared: false } },
  reading: { table: 'reading', options: { isShared: false } },
  handle: { table: 'handle', options: { isShared: false } },
  jobs: { table: 'reading', options: { isShared: true } },
};

// What stands for the code is of no account here.
const CODE: CodeIdentity = { digest: `sha256:${'0'.repeat(64)}`, basis: 'text', packages: {}, source: '' };

await main();

async function main(): Promise<void> {
  await using store = await postgresStore({ url: process.env['VARVE_BENCH_URL'] ?? '' });
  const definitions = define();
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await perform(store, definitions, JSON.parse(line) as Readonly<Record<string, string>>);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

async function perform(
  store: Store,
  definitions: Definitions,
  task: Readonly<Record<string, string>>,
): Promise<JsonObject> {
  switch (task['do']) {
    case 'declare':
      await declare(store, definitions);
      return {};
    case 'populate':
      return populateOne(store, definitions, task['way'] ?? '');
    case 'cascade':
      return walk(store, task['chain'] ?? '', task['where'] ?? '');
    default:
      throw failed('No such task.');
  }
}

/** One entered table, and a computed table for each way to write a make. */
function define(): Definitions {
  const lab: Pipeline = pipeline(SCHEMA);
  const Source = lab.manual('source', { key: { id: t.integer() }, columns: { value: t.integer() } });
  const columns = { value: t.integer() };
  lab.computed('constant', { parents: [Source], columns, reads: {}, make: () => ({ value: 1 }) });
  lab.computed('reading', {
    parents: [Source],
    columns,
    reads: { source: Source },
    make: ({ source }) => ({ value: source.value + 1 }),
  });
  lab.computed('handle', {
    parents: [Source],
    columns,
    reads: { source: Source },
    makeWith: async (db) => {
      const { value } = await db.selectFrom('source').select('value').executeTakeFirstOrThrow();
      return { value: value + 1 };
    },
  });
  const collected = definitionsOf([lab]);
  if (collected.status === 'refused') throw failed(JSON.stringify(collected.findings));
  return collected.definitions;
}

async function declare(store: Store, definitions: Definitions): Promise<void> {
  await installCatalog(store, { files: await readCatalogFiles() });
  await store.transaction({}, async (transaction) => {
    const relations = await loadRelations(transaction);
    const world = { set: definitions.set, relations, run: 'varve://run/bench' };
    await createTables(transaction, definitions.set.tables, world);
    await recordDeployment(transaction, definitions.set, definitions.digest, 'varve://run/bench');
  });
}

async function populateOne(store: Store, definitions: Definitions, name: string): Promise<JsonObject> {
  const way = WAYS[name];
  if (way === undefined) throw failed('No such way to populate.');
  const table = `${SCHEMA}.${way.table}`;
  const startedMs = performance.now();
  const result = await populate(store, {
    definitions,
    environment: {
      actor: 'bench',
      host: 'here',
      processId: process.pid,
      gitCommit: null,
      lockDigest: null,
      clock: systemClock,
      randomBytes: systemRandomBytes,
    },
    projectFolder: import.meta.dirname,
    codeByTable: new Map([[table, CODE]]),
    tables: [table],
    ...way.options,
  });
  const ms = performance.now() - startedMs;
  if (result.status !== 'done') throw failed(JSON.stringify(result));
  return { ms, computed: result.tables[0]?.computed ?? 0 };
}

/** The graph is read from the catalog within the time, since the other side reads it at each walk too. */
async function walk(store: Store, chain: string, where: string): Promise<JsonObject> {
  const startedMs = performance.now();
  const graph = await catalogGraph(store);
  const outcome = await cascade(store, graph, { table: `peer_chain_${chain}.link00`, where });
  const ms = performance.now() - startedMs;
  if (outcome.status !== 'ok') throw failed(JSON.stringify(outcome.findings));
  return {
    ms,
    tables: outcome.tables.length,
    rows: outcome.tables.reduce((sum, { rows }) => sum + rows, 0),
  };
}

function failed(hint: string): VarveError {
  return new VarveError('internal', { hint });
}
