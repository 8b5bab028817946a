import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandomBytes } from '../../src/base/index.ts';
import {
  pipelineKind,
  planEvolution,
  verifyFull,
  type Attribution,
  type EvolutionPlan,
  type EvolutionWorld,
  type VerifyResult,
} from '../../src/evolution/index.ts';
import {
  applyMigration,
  recoverRuns,
  rollbackMigration,
  type RecoverOutcome,
  type RunnerOptions,
  type RunOutcome,
} from '../../src/migration/index.ts';
import {
  populate,
  stale,
  type CodeIdentity,
  type Definitions,
  type Pipeline,
  type PopulateResult,
  type StaleResult,
} from '../../src/pipeline/index.ts';
import { compileSql, sql, type Row, type Store } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { definitionsFrom, versionOne } from './side-pipeline.ts';

/** A project's database and bundles as a person works with them: edit, plan, apply, populate. */
export interface Lab extends AsyncDisposable {
  readonly store: Store;
  readonly root: string;
  /** Options as the command line would build them for these definitions. */
  readonly options: (given: Pipeline) => RunnerOptions;
  readonly plan: (given: Pipeline, attribute?: Attribution) => Promise<EvolutionPlan>;
  /** Plans, and throws where that is refused; the id of the bundle. */
  readonly planned: (given: Pipeline, attribute?: Attribution) => Promise<string>;
  readonly apply: (given: Pipeline, id: string, some?: Partial<RunnerOptions>) => Promise<RunOutcome>;
  readonly rollback: (given: Pipeline, id: string, some?: Partial<RunnerOptions>) => Promise<RunOutcome>;
  readonly recover: (given: Pipeline) => Promise<RecoverOutcome>;
  /** Plans and applies, and throws where either does not succeed; the id of the bundle. */
  readonly deploy: (given: Pipeline, attribute?: Attribution) => Promise<string>;
  readonly populate: (given: Pipeline, tables?: readonly string[]) => Promise<PopulateResult>;
  readonly stale: (given: Pipeline) => Promise<StaleResult>;
  readonly verify: (given: Pipeline) => Promise<VerifyResult>;
  readonly rows: (text: string) => Promise<readonly Row[]>;
}

/** Opens a project on an empty database: whatever an earlier test deployed there is forgotten. */
export async function openLab(store: Store): Promise<Lab> {
  await forget(store);
  const folder = await mkdtemp(join(tmpdir(), 'varve-evolution-'));
  return labIn(store, join(folder, 'migrations'), () => rm(folder, { recursive: true, force: true }));
}

/** The same over a folder that is there, such as one that another process left. */
export function labIn(
  store: Store,
  root: string,
  dispose: () => Promise<void> = () => Promise.resolve(),
): Lab {
  const optionsOf = (given: Pipeline): RunnerOptions =>
    runnerOptions(store, root, worldOf(definitionsFrom(given)));
  const plan: Lab['plan'] = (given, attribute = {}) =>
    planEvolution(optionsOf(given), worldOf(definitionsFrom(given)), attribute);
  const planned: Lab['planned'] = async (given, attribute) => {
    const made = await plan(given, attribute);
    if (made.status !== 'planned' || made.outcome.status !== 'planned') throw new Error(JSON.stringify(made));
    return made.migrationId;
  };
  const apply: Lab['apply'] = (given, id, some = {}) => applyMigration({ ...optionsOf(given), ...some }, id);
  return {
    store,
    root,
    options: optionsOf,
    plan,
    planned,
    apply,
    rollback: (given, id, some = {}) => rollbackMigration({ ...optionsOf(given), ...some }, id),
    recover: (given) => recoverRuns(optionsOf(given)),
    deploy: async (given, attribute) => {
      const id = await planned(given, attribute);
      const outcome = await apply(given, id);
      if (outcome.status !== 'applied') throw new Error(JSON.stringify(outcome));
      return id;
    },
    populate: (given, tables) => {
      const world = worldOf(definitionsFrom(given));
      return populate(store, { ...world, ...(tables === undefined ? {} : { tables }) });
    },
    stale: (given) => {
      const { definitions, codeByTable } = worldOf(definitionsFrom(given));
      return stale(store, definitions, codeByTable);
    },
    verify: (given) => verifyFull(store, worldOf(definitionsFrom(given)), {}),
    rows: (text) => store.query(sql.raw(text)),
    [Symbol.asyncDispose]: dispose,
  };
}

/** Scenario 1's beginning: S={1:10,2:20}, Side={1:7}, computed by makes that do not declare Side; the run's name. */
export async function sideLab(lab: Lab): Promise<string> {
  const one = versionOne('lab');
  await lab.deploy(one);
  await lab.store.script('insert into lab.s values (1, 10), (2, 20); insert into lab.side values (1, 7)');
  const populated = await lab.populate(one);
  if (populated.status !== 'done') throw new Error(JSON.stringify(populated));
  return populated.run;
}

/** What an evolution knows beside the database. The code of a make is its text here: these makes reach nothing else. */
export function worldOf(definitions: Definitions): EvolutionWorld {
  const codeByTable = new Map<string, CodeIdentity>();
  for (const [name, { definition }] of definitions.tableByName) {
    const { make, makeWith, query } = definition;
    const source = query === undefined ? (make ?? makeWith)?.toString() : compileSql(query).text;
    if (source === undefined) continue;
    const digest = `sha256:${createHash('sha256').update(source).digest('hex')}` as const;
    codeByTable.set(name, { digest, basis: 'text', packages: {}, source });
  }
  return {
    definitions,
    codeByTable,
    projectFolder: process.cwd(),
    environment: {
      actor: 'user:test',
      host: 'test-host',
      processId: process.pid,
      gitCommit: null,
      lockDigest: null,
      clock: systemClock,
      randomBytes: systemRandomBytes,
    },
  };
}

/** Runner options for one world. */
export function runnerOptions(store: Store, root: string, world: EvolutionWorld): RunnerOptions {
  return {
    store,
    kinds: [pipelineKind(() => Promise.resolve(world))],
    root,
    environment: 'dev',
    actor: { principal: 'user:test', role: 'runner' },
    host: 'test-host',
    processId: process.pid,
    gitCommit: null,
    paramsDigest: null,
    clock: systemClock,
    randomBytes: systemRandomBytes,
  };
}

/** What a catalog held when it was made: its objects, and the tables that were empty. */
interface FreshCatalog {
  readonly objects: string;
  readonly empty: readonly string[];
}

const FRESH = new WeakMap<Store, FreshCatalog>();

/** Takes away everything that is not the server's own. A catalog that is as it was made is emptied, which is cheaper. */
async function forget(store: Store): Promise<void> {
  const fresh = FRESH.get(store);
  const isKept = fresh !== undefined && (await catalogObjects(store)) === fresh.objects;
  const schemas = await store.query<{ name: string }>(sql`
    select nspname as name from pg_namespace
    where nspname !~ '^pg_' and nspname not in ('information_schema', 'public') and (nspname <> 'varve' or not ${isKept})`);
  for (const { name } of schemas) await store.execute(sql`drop schema ${sql.id(name)} cascade`);
  if (isKept) return emptyTables(store, fresh.empty);
  await installCatalog(store, { files: await readCatalogFiles() });
  const empty: string[] = [];
  for (const table of await catalogTables(store)) {
    const [row] = await store.query(sql`select from ${sql.id('varve', table)} limit 1`);
    if (row === undefined) empty.push(table);
  }
  FRESH.set(store, { objects: await catalogObjects(store), empty });
}

async function catalogTables(store: Store): Promise<readonly string[]> {
  const rows = await store.query<{ name: string }>(sql`
    select relname::text as name from pg_class
    where relnamespace = 'varve'::regnamespace and relkind in ('r', 'p') and not relispartition order by 1`);
  return rows.map(({ name }) => name);
}

/** Names what stands in the catalog's schema; another text says that a test made or dropped something there. */
async function catalogObjects(store: Store): Promise<string> {
  const [row] = await store.query<{ objects: string | null }>(sql`
    select string_agg(object, ',' order by object) as objects from (
      select c.oid::text as object from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'varve'
      union all
      select p.oid::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'varve') o`);
  return row?.objects ?? '';
}

/** All at once, since foreign keys lie between them; only those that have pages. The ledger's trigger would refuse it. */
async function emptyTables(store: Store, names: readonly string[]): Promise<void> {
  const rows = await store.query<{ name: string }>(sql`
    select relname::text as name from pg_class where relnamespace = 'varve'::regnamespace and relname = any(${names}::text[])
      and pg_relation_size(oid) > 0`);
  if (rows.length === 0) return;
  const tables = sql.join(rows.map(({ name }) => sql.id('varve', name)));
  await store.transaction({}, async (transaction) => {
    await transaction.execute(sql`alter table varve.ledger disable trigger ledger_only_grows`);
    await transaction.execute(sql`truncate ${tables} restart identity cascade`);
    await transaction.execute(sql`alter table varve.ledger enable always trigger ledger_only_grows`);
  });
}
