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

/** Takes away everything that is not the server's own, and makes varve's catalog anew. */
async function forget(store: Store): Promise<void> {
  const schemas = await store.query<{ name: string }>(sql`
    select nspname as name from pg_namespace
    where nspname !~ '^pg_' and nspname not in ('information_schema', 'public')`);
  for (const { name } of schemas) await store.execute(sql`drop schema ${sql.id(name)} cascade`);
  await installCatalog(store, { files: await readCatalogFiles() });
}
