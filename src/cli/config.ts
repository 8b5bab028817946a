import { existsSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ProjectConfig } from '../pipeline/index.ts';
import { invalid, isObject, unknownMember } from './config-finding.ts';
import { checkMigrations } from './migrations-config.ts';
import { checkObjects } from './objects-config.ts';
import { isVarveError, VarveError, type Finding } from '../base/index.ts';

/** A configuration that was found and checked. */
export interface Project {
  readonly dir: string;
  readonly filePath: string;
  readonly config: ProjectConfig;
}

export const CONFIG_FILE = 'varve.config.ts';

/** The nearest folder upward that has a configuration, or undefined. */
export function findProject(startDir: string): string | undefined {
  for (let dir = resolve(startDir); ; dir = dirname(dir)) {
    if (existsSync(join(dir, CONFIG_FILE))) return dir;
    if (dirname(dir) === dir) return undefined;
  }
}

/**
 * Reads and checks the configuration of a folder, or of the nearest folder above it that has one.
 *
 * Errors: throws `config_missing` when there is none, `config_invalid` with what is wrong in it.
 */
export async function loadConfig(startDir: string): Promise<Project> {
  const dir = findProject(startDir);
  if (dir === undefined) {
    throw new VarveError('config_missing', {
      detail: { subject: startDir, file: CONFIG_FILE },
      hint: 'Run varve init, go to a project, name one with --project DIR, or a database with --db URL.',
    });
  }
  const filePath = join(dir, CONFIG_FILE);
  const config = await importConfig(filePath);
  const [finding] = checkConfig(config, filePath);
  if (finding !== undefined) {
    throw new VarveError('config_invalid', {
      detail: { subject: finding.subject, ...finding.detail },
      hint: finding.hint,
    });
  }
  return { dir, filePath, config: config as ProjectConfig };
}

async function importConfig(filePath: string): Promise<unknown> {
  try {
    const module = (await import(pathToFileURL(filePath).href)) as { readonly default?: unknown };
    return module.default;
  } catch (cause) {
    // A definition that cannot stand says best itself what to do about it.
    if (isVarveError(cause)) throw cause;
    const place = cause instanceof Error ? placeIn(dirname(filePath), cause.stack ?? '') : undefined;
    throw new VarveError('config_invalid', {
      detail: {
        subject: place?.file ?? filePath,
        ...(place === undefined ? {} : { line: place.line }),
        reason: cause instanceof Error ? cause.message : String(cause),
      },
      hint: 'Correct the file so that it can be imported.',
      cause,
    });
  }
}

/** Where in the project's own files a stack comes from: what the configuration imports is where mistakes are made. */
function placeIn(dir: string, stack: string): { readonly file: string; readonly line: number } | undefined {
  const places = stack.matchAll(/(?<file>file:\/\/\/[^\s()]+?|\/[^\s()]+?):(?<line>\d+)(?=[:)\s]|$)/gu);
  for (const { groups } of places) {
    const { file = '', line = '' } = groups ?? {};
    const path = file.startsWith('file:') ? fileURLToPath(file.replace(/[?#].*$/u, '')) : file;
    if (path.startsWith(dir + sep) && !path.includes(`${sep}node_modules${sep}`))
      return { file: path, line: Number(line) };
  }
  return undefined;
}

/** The folder below which makes read files. */
export function filesFolderOf({ dir, config }: Project): string {
  return resolve(dir, config.filesFolder ?? '.');
}

/** What is wrong in a configuration; nothing when it is usable. */
export function checkConfig(config: unknown, filePath: string): readonly Finding[] {
  if (!isObject(config)) {
    const hint = 'Write: export default defineConfig({ stores: { main: { embedded: ".varve/db" } } }).';
    return [invalid(filePath, 'it has no default export that is an object', hint)];
  }
  const { stores, defaultStore, pipelines, filesFolder, objects, migrations } = config;
  const unknown = Object.keys(config).filter((name) => !KNOWN_MEMBERS.includes(name));
  return [
    ...unknown.map((name) => unknownMember(filePath, name, 'a configuration', KNOWN_MEMBERS)),
    ...checkStores(stores, filePath),
    ...checkDefaultStore(defaultStore, isObject(stores) ? Object.keys(stores) : [], filePath),
    ...(pipelines === undefined || Array.isArray(pipelines)
      ? []
      : [invalid(filePath, 'pipelines is no list', 'Write pipelines: [yourPipeline].')]),
    ...(filesFolder === undefined || typeof filesFolder === 'string'
      ? []
      : [invalid(filePath, 'filesFolder is no path', "Write filesFolder: '../data'.")]),
    ...(objects === undefined ? [] : checkObjects(objects, filePath)),
    ...(migrations === undefined ? [] : checkMigrations(migrations, filePath)),
  ];
}

const KNOWN_MEMBERS: readonly string[] = [
  'stores',
  'defaultStore',
  'pipelines',
  'filesFolder',
  'objects',
  'migrations',
];

function checkStores(stores: unknown, filePath: string): readonly Finding[] {
  if (!isObject(stores) || Object.keys(stores).length === 0) {
    return [invalid(filePath, 'stores names no store', 'Write stores: { main: { embedded: ".varve/db" } }.')];
  }
  return Object.entries(stores).flatMap(([name, store]) => checkStore(name, store, filePath));
}

function checkStore(name: string, store: unknown, filePath: string): readonly Finding[] {
  const hint = 'Write { embedded: ".varve/db" } or { postgres: { urlFrom: "DATABASE_URL" } }.';
  if (!isObject(store)) return [invalid(filePath, `store ${name} is neither embedded nor postgres`, hint)];
  const { embedded, postgres, extensions, ...others } = store;
  if (Object.keys(others).length > 0 || (embedded === undefined) === (postgres === undefined)) {
    return [invalid(filePath, `store ${name} is neither embedded nor postgres`, hint)];
  }
  if (extensions !== undefined && !(embedded !== undefined && isExtensionList(extensions))) {
    const remedy =
      "Write { embedded: '.varve/db', extensions: ['postgis'] }; a server has the extensions that are installed there.";
    return [invalid(filePath, `store ${name} has extensions that are no list of names`, remedy)];
  }
  if (typeof embedded === 'string' && embedded !== '') return [];
  if (isObject(postgres) && 'url' in postgres) {
    const remedy =
      'Put the address into an environment variable and write { postgres: { urlFrom: "ITS_NAME" } }.';
    return [invalid(filePath, `store ${name} holds an address, which may hold a password`, remedy)];
  }
  if (isObject(postgres)) {
    const unknown = Object.keys(postgres).filter((member) => !ADDRESSES.includes(member));
    if (unknown[0] !== undefined) return [unknownMember(filePath, unknown[0], `store ${name}`, ADDRESSES)];
    const { urlFrom, ...more } = postgres;
    if ([urlFrom, ...Object.values(more)].every((each) => isVariableName(each))) return [];
  }
  return [invalid(filePath, `store ${name} is neither embedded nor postgres`, hint)];
}

const ADDRESSES: readonly string[] = ['urlFrom', 'runnerUrlFrom', 'verifyUrlFrom'];

function isVariableName(value: unknown): boolean {
  return typeof value === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/u.test(value);
}

function isExtensionList(value: unknown): boolean {
  return (
    Array.isArray(value) && value.every((name) => typeof name === 'string' && /^[a-z][\w-]*$/u.test(name))
  );
}

function checkDefaultStore(name: unknown, stores: readonly string[], filePath: string): readonly Finding[] {
  if (name === undefined || (typeof name === 'string' && stores.includes(name))) return [];
  const hint = `Name one of: ${stores.join(', ')}.`;
  return [invalid(filePath, 'defaultStore names no store of this configuration', hint)];
}
