import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { main, type MainParts } from '../../src/cli/main.ts';
import {
  createTables,
  definitionsOf,
  loadRelations,
  recordDeployment,
  type Definitions,
  type Pipeline,
} from '../../src/pipeline/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { capturedIo } from './captured-io.ts';

/** What one call of the command line did. */
export interface CliRun {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The object of `--json`. */
  readonly json: () => Readonly<Record<string, unknown>>;
}

/** A project folder whose commands a test runs, in this process. */
export interface CliProject extends AsyncDisposable {
  readonly dir: string;
  readonly run: (argv: readonly string[], given?: Parameters<typeof capturedIo>[0]) => Promise<CliRun>;
}

/**
 * Writes a project. Its folder lies inside this package and has no `package.json` of its own, so that `varve/...` in it
 * is this checkout, class for class.
 */
export async function createCliProject(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
  parts: MainParts = {},
): Promise<CliProject> {
  await mkdir('.cache', { recursive: true });
  const dir = await mkdtemp(path.resolve('.cache', 'cli-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  }
  return {
    dir,
    run: async (argv, given = {}) => {
      const captured = capturedIo({
        workingDir: dir,
        ...given,
        env: { VARVE_ACTOR: 'ada', ...env, ...given.env },
      });
      const exit = await main(argv, captured.io, parts);
      const stdout = captured.stdout();
      return {
        exit,
        stdout,
        stderr: captured.stderr(),
        json: () => JSON.parse(stdout) as Record<string, unknown>,
      };
    },
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

/** The text with whatever differs from run to run replaced: run ids, times, digests, folders, addresses. */
export function normalised(text: string, dir = '/no/such/folder'): string {
  return text
    .replaceAll(dir, '<project>')
    .replaceAll(
      /varve:\/\/run\/[0-9TZ:-]+\.(?<rest>[^"\s]+?)\.[0-9a-f]{8}/gu,
      'varve://run/<time>.$<rest>.<id>',
    )
    .replaceAll(` on ${hostname()}`, ' on <host>')
    .replaceAll(/\b[0-9a-f]{40}\b/gu, '<commit>')
    .replaceAll(/(PIPE-MIG)-\d{4}-\d\d-\d\d(?=-\d\d)/gu, (id) =>
      id.endsWith('2026-03-01') || id.endsWith('2026-03-02') ? id : 'PIPE-MIG-<day>',
    )
    .replaceAll(/"stack": "(?:[^"\\]|\\.)*"/gu, '"stack": "<stack>"')
    .replaceAll(/sha256:[0-9a-f]{64}/gu, 'sha256:<digest>')
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00(?::00)?)/gu, '<time>')
    .replaceAll(/postgres(?:ql)?:\/\/[^\s",]+/gu, '<address>');
}

/** The definitions that a project's configuration has. */
export async function definitionsIn(project: CliProject): Promise<Definitions> {
  const url = pathToFileURL(path.join(project.dir, 'varve.config.ts')).href;
  const module = (await import(/* @vite-ignore */ url)) as {
    readonly default: { readonly pipelines: readonly Pipeline[] };
  };
  const defined = definitionsOf(module.default.pipelines);
  if (defined.status === 'refused') throw new Error(JSON.stringify(defined.findings));
  return defined.definitions;
}

/** Creates every table of the definitions, as a first deployment does. */
export async function deploy(store: Store, { set, digest }: Definitions): Promise<void> {
  await installCatalog(store, { files: await readCatalogFiles() });
  const run = 'varve://run/2026-01-01T00:00:00Z.test.deploy.00000000';
  for (const schema of new Set(set.tables.map(({ name }) => name.slice(0, name.indexOf('.'))))) {
    await store.execute(sql`create schema if not exists ${sql.id(schema)}`);
  }
  await store.transaction({}, async (transaction) => {
    await createTables(transaction, set.tables, { set, relations: await loadRelations(transaction), run });
    await recordDeployment(transaction, set, digest, run);
  });
}
