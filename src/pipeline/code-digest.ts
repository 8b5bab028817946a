/**
 * What the code of a table is: everything that its make can reach, and nothing else.
 *
 * | basis | when | digest of |
 * |---|---|---|
 * | `bundle` | the definition stands in its file as `lab.computed('name', { make })` | what the make reaches, in units (see `code/code-module.ts`), and package versions |
 * | `module` | the name is computed, the definition stands in a function, or code is loaded by a computed name | the whole module and what it reaches, and the function's own text; every file of the project where even that is not known to be enough |
 * | `text` | the engine does not tell the file, or it cannot be read | the function's text |
 * | `sql` | a `query` | the statement |
 * | `command` | an outside command | its arguments, and the files of the project that they or `files` name |
 *
 * Files are put into a normal form by esbuild first, so comments, types and formatting do not count. Names are followed
 * as the language scopes them rather than by bundling: a bundler renames on collision and orders by import, so that an
 * edit elsewhere would show. Unknown means affected: whatever cannot be followed widens what is digested.
 */
import path from 'node:path';
import { canonicalJson } from '../base/index.ts';
import type { CodeModule } from './code/code-module.ts';
import { openDigestCache, type CachedIdentity, type DigestCache } from './code/digest-cache.ts';
import { findMake } from './code/find-definition.ts';
import { folderDigest } from './code/folder-digest.ts';
import { loadModules, normalForm, projectPath, type ModuleGraph } from './code/module-graph.ts';
import { createPackageVersions, type PackageVersions } from './code/package-version.ts';
import { createReach } from './code/reach.ts';
import { filePathOf, realPath } from './code/resolve-module.ts';
import { sha256Text } from './code/sha256-text.ts';
import { loadTypeScript } from './code/typescript.ts';
import { commandFolder, commandOf } from './command/command.ts';
import { commandSource } from './command/command-source.ts';
import type { AnyTable } from './table.ts';

/** What stands for the code of one table. */
export interface CodeIdentity {
  readonly digest: `sha256:${string}`;
  /** How sure it is; see the head of this file. */
  readonly basis: 'bundle' | 'module' | 'text' | 'sql' | 'command';
  /** The packages that the code uses and all that they depend on, by name; `none` for parts of Node. */
  readonly packages: Readonly<Record<string, string>>;
  /** The code reached, in normal form, file by file. */
  readonly source: string;
}

/** Where the code stands. */
export interface CodeDigestOptions {
  /** The folder that paths are relative to, and in or above which `package-lock.json` stands. */
  readonly projectFolder: string;
  /** Where digests of unchanged files are kept. Default `.varve/cache` in the project folder; null: nowhere. */
  readonly cacheFolder?: string | null;
}

/**
 * The identity of the code of every table that has a make or a query, by table name; a part has its master's.
 *
 * Shape: `Map { 'audit.license_verdict' => { digest: 'sha256:...', basis: 'bundle', packages: { 'node:path': 'none', semver: '7.7.1' }, source: '...' } }`
 * Invariant: equal digests in two checkouts of the same code, wherever they lie; an edit of comments, formatting, types,
 * another definition or unreached code changes no digest with basis `bundle`.
 */
export async function digestCode(
  tables: readonly AnyTable[],
  options: CodeDigestOptions,
): Promise<ReadonlyMap<string, CodeIdentity>> {
  const projectFolder = realPath(options.projectFolder);
  const cacheFolder =
    options.cacheFolder === undefined ? path.join(projectFolder, '.varve', 'cache') : options.cacheFolder;
  const cache = openDigestCache(cacheFolder, projectFolder);
  const identityByTable = new Map<string, CodeIdentity>();
  const open: Question[] = [];
  for (const table of tables) {
    const own = sqlIdentity(table) ?? commandIdentity(table);
    const known = own ?? cache.get(table.spec.name, cacheKey(table, projectFolder));
    if (known !== undefined) identityByTable.set(table.spec.name, known);
    else if (functionOf(table) !== undefined) open.push(question(table));
  }
  if (open.length > 0) await digestOpen(open, projectFolder, cache, identityByTable);
  return withParts(tables, identityByTable);
}

/** A table whose code is to be read. */
interface Question {
  readonly table: AnyTable;
  readonly file: string | undefined;
  readonly ownText: string;
}

function question(table: AnyTable): Question {
  const { file } = table.definition;
  return {
    table,
    file: file === undefined ? undefined : filePathOf(file),
    ownText: functionOf(table)?.toString() ?? '',
  };
}

function functionOf(table: AnyTable): AnyTable['definition']['make'] {
  return table.definition.make ?? table.definition.makeWith;
}

function sqlIdentity(table: AnyTable): CodeIdentity | undefined {
  const { query } = table.spec;
  if (query === undefined) return undefined;
  return identity('sql', { source: query, packages: {} });
}

function commandIdentity({ definition }: AnyTable): CodeIdentity | undefined {
  const settings = commandOf(definition.make);
  if (settings === undefined) return undefined;
  return identity('command', { source: commandSource(settings, commandFolder(definition)), packages: {} });
}

/** What beside files decides an identity. */
function cacheKey(table: AnyTable, projectFolder: string): string {
  const { table: defined, file, ownText } = question(table);
  const where = file === undefined ? '' : projectPath(projectFolder, file);
  return sha256Text([where, defined.spec.form ?? '', ownText].join('\0'));
}

async function digestOpen(
  questions: readonly Question[],
  projectFolder: string,
  cache: DigestCache,
  identityByTable: Map<string, CodeIdentity>,
): Promise<void> {
  // esbuild is a process of its own, which starts while the compiler is loaded.
  const started = normalForm('', '.js');
  const ts = await loadTypeScript();
  await started;
  const files = [...new Set(questions.flatMap(({ file }) => (file === undefined ? [] : [file])))];
  const graph = await loadModules(ts, files, projectFolder);
  const reader: Reader = {
    graph,
    reach: createReach(graph),
    versions: createPackageVersions(projectFolder),
    projectDigest: lazily(() => folderDigest(projectFolder)),
  };
  for (const item of questions) {
    const cached = await digestOne(reader, item);
    identityByTable.set(item.table.spec.name, cached.identity);
    if (cached.files !== undefined) {
      cache.set(item.table.spec.name, {
        key: cacheKey(item.table, projectFolder),
        identity: cached.identity,
        files: cached.files,
        digestByFile: graph.contentDigestByFile,
      });
    }
  }
  cache.save();
}

interface Reader {
  readonly graph: ModuleGraph;
  readonly reach: ReturnType<typeof createReach>;
  readonly versions: ReturnType<typeof createPackageVersions>;
  readonly projectDigest: () => string;
}

/** An identity and the files that it depends on; undefined where it cannot be kept. */
interface Digested {
  readonly identity: CachedIdentity;
  readonly files: readonly string[] | undefined;
}

async function digestOne(reader: Reader, { table, file, ownText }: Question): Promise<Digested> {
  const module = file === undefined ? undefined : reader.graph.moduleByFile.get(file);
  if (module === undefined) {
    return {
      identity: identity('text', { source: await ownNormalForm(ownText), packages: {} }),
      files: undefined,
    };
  }
  const found = findMake(reader.graph, module, table.spec.name, table.spec.form ?? 'make');
  if (found.status !== 'found') return moduleOf(reader, module, ownText, found.status === 'open');
  const reach = reader.reach.ofNode(module, found.node, found.text);
  const versions = reader.versions.of(reach.importersByPackage);
  if (reach.open.size > 0 || versions.unknown.size > 0) return moduleOf(reader, module, ownText, true);
  return {
    identity: identity('bundle', { source: reach.source, packages: versions.packages }),
    files: filesOf(reader.graph, module, versions),
  };
}

async function moduleOf(
  reader: Reader,
  module: CodeModule,
  ownText: string,
  isOpen: boolean,
): Promise<Digested> {
  const reach = reader.reach.ofModule(module, await ownNormalForm(ownText));
  const versions = reader.versions.of(reach.importersByPackage);
  const reachesAnything = isOpen || reach.open.size > 0 || versions.unknown.size > 0;
  return {
    identity: identity('module', {
      source: reachesAnything
        ? `${reach.source}\nevery file of the project: ${reader.projectDigest()}`
        : reach.source,
      packages: versions.packages,
    }),
    files: reachesAnything ? undefined : filesOf(reader.graph, module, versions),
  };
}

function identity<B extends CodeIdentity['basis']>(
  basis: B,
  { source, packages }: Pick<CodeIdentity, 'source' | 'packages'>,
): CodeIdentity & { readonly basis: B } {
  // Text as a digest of its own: a lone surrogate in a string of the code has no canonical JSON.
  const content = { version: 2, basis, source: sha256Text(source), packages };
  return { digest: sha256Text(canonicalJson(content)), basis, packages, source };
}

/** The files that decide an identity, those among them whose absence does; undefined where whole folders do. */
function filesOf(
  graph: ModuleGraph,
  start: CodeModule,
  versions: PackageVersions,
): readonly string[] | undefined {
  if (versions.readsFolders) return undefined;
  const files = new Set([start.file]);
  // A set gives what is added to it meanwhile, so this ends when no file leads to another.
  for (const file of files) {
    graph.consultedBy(file).forEach((consulted) => files.add(consulted));
    for (const specifier of graph.moduleByFile.get(file)?.specifiers ?? []) {
      const target = graph.resolve(specifier, file);
      if (target.kind === 'local') files.add(target.file);
    }
  }
  return [...files, ...versions.files];
}

/** A function's text in normal form; a method's text is no expression by itself. */
async function ownNormalForm(text: string): Promise<string> {
  for (const attempt of [`(${text})`, `({${text}})`]) {
    try {
      return await normalForm(attempt, '.ts');
    } catch {
      // The next form is tried; text that has none is taken as it is, which only makes an edit show sooner.
      continue;
    }
  }
  return text;
}

function withParts(
  tables: readonly AnyTable[],
  identityByTable: Map<string, CodeIdentity>,
): ReadonlyMap<string, CodeIdentity> {
  for (const { spec } of tables) {
    const master = spec.master === undefined ? undefined : identityByTable.get(spec.master);
    if (master !== undefined) identityByTable.set(spec.name, master);
  }
  return identityByTable;
}

function lazily<T>(compute: () => T): () => T {
  let known: { readonly value: T } | undefined;
  return () => (known ??= { value: compute() }).value;
}
