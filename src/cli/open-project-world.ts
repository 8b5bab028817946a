import { hostname, userInfo } from 'node:os';
import { dirname } from 'node:path';
import { systemClock, systemRandomBytes, VarveError, type Finding } from '../base/index.ts';
import type { CodeIdentity, Definitions } from '../pipeline/index.ts';
import type { RunEnvironment } from '../run/index.ts';
import type { Store } from '../store/index.ts';
import type { Context } from './context.ts';
import { projectObjects } from './open-objects.ts';
import type { Project } from './config.ts';
import type { ProjectWorld } from './project-world.ts';

/** A world, or why there is none to work in. */
export type WorldResult =
  | { readonly status: 'ok'; readonly world: ProjectWorld }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** What a command is going to do with the database: one that writes brings varve's own catalog up to this release. */
export type WorldAccess = 'read' | 'write';

/**
 * Opens the project of a context: configuration, definitions, store, varve's own catalog, environment.
 *
 * Errors: refuses with the findings of `definitionsOf`; throws `config_missing`, `config_invalid`, what opening a store
 * throws, and for access `read` what `assertCatalog` throws.
 */
export async function openProjectWorld(
  context: Context,
  access: WorldAccess,
  opened?: Project,
): Promise<WorldResult> {
  const project = opened ?? (await context.project());
  // What a definition is made of costs more to load than a refusal of the configuration.
  const { definitionsOf } = await import('../pipeline/index.ts');
  const defined = definitionsOf(project.config.pipelines ?? []);
  if (defined.status === 'refused') return defined;
  const { definitions } = defined;
  const store = await (access === 'write' ? storeToWrite(context) : storeToRead(context));
  const environment = await readEnvironment(context, project.dir);
  let code: Promise<ReadonlyMap<string, CodeIdentity>> | undefined;
  const codeByTable = (): Promise<ReadonlyMap<string, CodeIdentity>> =>
    (code ??= digestPresentCode(definitions, project.dir));
  const objects = await projectObjects(project, store);
  return { status: 'ok', world: { project, definitions, store, environment, objects, codeByTable } };
}

/** The store with varve's own catalog installed or brought up to this release. */
export async function storeToWrite(context: Context): Promise<Store> {
  const store = await context.store();
  const { installCatalog, readCatalogFiles } = await import('../store/postgres/index.ts');
  await installCatalog(store, { files: await readCatalogFiles() });
  return store;
}

/**
 * The store as it is, for a command that changes nothing.
 *
 * Errors: throws `catalog_missing` where nothing of varve is in it, or there is no such database yet; `catalog_mismatch`
 * where its catalog is that of another release.
 */
export async function storeToRead(context: Context): Promise<Store> {
  if (!(await context.isStoreThere())) throw catalogMissing(context.options.db ?? 'the embedded store');
  const store = await context.store();
  const { pendingCatalogFiles, readCatalogFiles } = await import('../store/postgres/index.ts');
  const files = await readCatalogFiles();
  const pending = await pendingCatalogFiles(store, { files });
  if (pending.length === files.length) throw catalogMissing(store.location);
  if (pending[0] !== undefined) {
    throw new VarveError('catalog_mismatch', {
      detail: { subject: store.location, file: pending[0], problem: 'older' },
      hint: 'Run a command that writes, such as varve populate: it brings the catalog up to this release.',
    });
  }
  return store;
}

function catalogMissing(location: string): VarveError {
  return new VarveError('catalog_missing', {
    detail: { subject: location },
    hint: 'Run `varve plan`, then `varve apply`: nothing was deployed to this database yet.',
  });
}

/** Who runs, where, and on which commit and packages. */
export async function readEnvironment(context: Context, projectDir: string): Promise<RunEnvironment> {
  const { readParamsDigest } = await import('../migration/index.ts');
  return {
    actor: actorName(context),
    host: hostname(),
    processId: process.pid,
    gitCommit: await nearestCommit(projectDir),
    lockDigest: await readParamsDigest(projectDir),
    clock: systemClock,
    randomBytes: systemRandomBytes,
  };
}

/** `VARVE_ACTOR`, or the login name. */
export function actorName({ io }: Context): string {
  return io.env['VARVE_ACTOR'] || io.env['USER'] || io.env['USERNAME'] || loginName();
}

function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    // A process may run under a number that no account has, as containers do.
    return 'unknown';
  }
}

/** The commit of the nearest folder upward that is under version control: a project may be a part of a repository. */
async function nearestCommit(startDir: string): Promise<string | null> {
  const { readGitCommit } = await import('../migration/index.ts');
  for (let dir = startDir; ; dir = dirname(dir)) {
    const commit = await readGitCommit(dir);
    if (commit !== null || dirname(dir) === dir) return commit;
  }
}

async function digestPresentCode(
  definitions: Definitions,
  projectFolder: string,
): Promise<ReadonlyMap<string, CodeIdentity>> {
  const { digestCode } = await import('../pipeline/index.ts');
  return digestCode([...definitions.tableByName.values()], { projectFolder });
}
