import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { VarveError } from '../base/index.ts';
import type { Login } from '../migration/index.ts';
import type { Store } from '../store/index.ts';
import type { StoreConfig } from '../pipeline/index.ts';
import { loadConfig, type Project } from './config.ts';
import type { Io } from './io.ts';
import { kindsOf, type KindsOf } from './kinds.ts';
import { createProgress, silentProgress, type Progress } from './progress.ts';

/** The options every command understands. */
export interface GlobalOptions {
  readonly project?: string;
  readonly store?: string;
  readonly db?: string;
  readonly env: 'dev' | 'stage' | 'prod';
  readonly branch?: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly yes: boolean;
}

/** What a command works with. Nothing is opened before it is asked for, and what was opened is closed for it. */
export interface Context extends AsyncDisposable {
  readonly io: Io;
  readonly options: GlobalOptions;
  /** Aborted by the first Ctrl-C: stop at the next safe point. */
  readonly signal: AbortSignal;
  /** The kinds of migration that can be run. */
  readonly kindsOf: KindsOf;
  /** The project of `--project` or the nearest upward; throws `config_missing`, `config_invalid`. */
  readonly project: () => Promise<Project>;
  /** The store of `--db`, `--store` or the project's default; the same one on each call. */
  readonly store: () => Promise<Store>;
  /** Further logins of that store, as far as they are named. */
  readonly logins: () => Promise<StoreLogins>;
  /** Whether there is something to open; false for an embedded store whose folder was never made. A server is believed. */
  readonly isStoreThere: () => Promise<boolean>;
  /** Progress on standard error; silent with `--quiet` and `--json`. */
  readonly progress: (label: string, total?: number) => Progress;
  /** Asks yes or no; `--yes` answers, and without a terminal it is refused. */
  readonly confirm: (question: string) => Promise<boolean>;
  /** A line for people on standard error; nothing with `--quiet`. */
  readonly say: (line: string) => void;
}

/** Logins that migrations use beside the store's own. */
export interface StoreLogins {
  /** Runs scripts and may nothing of its own. */
  readonly runner?: Login;
  /** Reads the server's log. */
  readonly verify?: Login;
}

/** The context of one command. */
export function createContext(io: Io, options: GlobalOptions, kinds: KindsOf = kindsOf): Context {
  const controller = new AbortController();
  const forget = io.onInterrupt(() => interrupt(io, controller));
  const project = once(() => loadConfig(resolve(io.workingDir, options.project ?? '.')));
  let opened: Promise<Store> | undefined;
  return {
    io,
    options,
    signal: controller.signal,
    kindsOf: kinds,
    project,
    store: () => (opened ??= openStore(io, options, project)),
    logins: () => storeLogins(io, options, project),
    isStoreThere: async () => {
      const folder = await embeddedFolder(io, options, project);
      return folder === undefined || existsSync(folder);
    },
    progress: (label, total) =>
      options.quiet || options.json ? silentProgress : createProgress(io, label, total),
    confirm: (question) => confirm(io, options, question),
    say: (line) => {
      if (!options.quiet) io.stderr(`${line}\n`);
    },
    [Symbol.asyncDispose]: async () => {
      forget();
      // A store that failed to open has nothing to close, and its failure was thrown to the command already.
      await (await opened?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}

/** What a shell reports for a process ended by Ctrl-C. */
const INTERRUPTED_STATUS = 130;

function interrupt(io: Io, controller: AbortController): void {
  if (controller.signal.aborted) return io.exit(INTERRUPTED_STATUS);
  io.stderr('\nStopping at the next safe point. Press Ctrl-C again to stop at once.\n');
  controller.abort(
    new VarveError('interrupted', { hint: 'Run the same command again; it goes on where this one stopped.' }),
  );
}

async function openStore(io: Io, options: GlobalOptions, project: () => Promise<Project>): Promise<Store> {
  if (options.db !== undefined) return openAddress(options.db, io.workingDir);
  const { dir, config } = await project();
  const { name, store } = chooseStore(options, config.stores, config.defaultStore);
  return openConfigured(io, name, store, dir);
}

async function embeddedFolder(
  io: Io,
  options: GlobalOptions,
  project: () => Promise<Project>,
): Promise<string | undefined> {
  if (options.db !== undefined) {
    const folder = folderOfAddress(options.db);
    return folder === undefined ? undefined : resolve(io.workingDir, folder);
  }
  const { dir, config } = await project();
  const { store } = chooseStore(options, config.stores, config.defaultStore);
  return 'embedded' in store ? resolve(dir, store.embedded) : undefined;
}

function chooseStore(
  options: GlobalOptions,
  stores: Readonly<Record<string, StoreConfig>>,
  defaultStore: string | undefined,
): { readonly name: string; readonly store: StoreConfig } {
  const name = options.store ?? defaultStore ?? onlyName(stores);
  const store = stores[name];
  if (store === undefined) {
    throw new VarveError('config_invalid', {
      detail: { subject: name, reason: 'no store of this name in the configuration' },
      hint: `Name one of: ${Object.keys(stores).join(', ')}.`,
    });
  }
  return { name, store };
}

function onlyName(stores: Readonly<Record<string, StoreConfig>>): string {
  const names = Object.keys(stores);
  if (names.length === 1 && names[0] !== undefined) return names[0];
  if ('main' in stores) return 'main';
  throw new VarveError('config_invalid', {
    detail: { subject: 'defaultStore', reason: 'several stores and no default' },
    hint: `Name one of them with --store, or as defaultStore: ${names.join(', ')}.`,
  });
}

async function openConfigured(io: Io, name: string, store: StoreConfig, dir: string): Promise<Store> {
  if ('embedded' in store) return openEmbedded(resolve(dir, store.embedded), store.extensions);
  return openServer(addressIn(io, store.postgres.urlFrom, name));
}

function addressIn(io: Io, variable: string, subject: string): string {
  const url = io.env[variable];
  if (url !== undefined && url !== '') return url;
  throw new VarveError('config_invalid', {
    detail: { subject, reason: `the environment variable ${variable} is not set` },
    hint: `Set ${variable} to the address of the database.`,
  });
}

/** With `--db`, which names no configuration, two variables of fixed names are asked. */
async function storeLogins(
  io: Io,
  options: GlobalOptions,
  project: () => Promise<Project>,
): Promise<StoreLogins> {
  const { runner, verify } = await loginVariables(io, options, project);
  return {
    ...(runner === undefined ? {} : { runner: await loginFrom(io, runner) }),
    ...(verify === undefined ? {} : { verify: await loginFrom(io, verify) }),
  };
}

async function loginVariables(
  io: Io,
  options: GlobalOptions,
  project: () => Promise<Project>,
): Promise<{ readonly runner: string | undefined; readonly verify: string | undefined }> {
  if (options.db !== undefined) {
    const given = (name: string): string | undefined => (io.env[name] ? name : undefined);
    return { runner: given('VARVE_RUNNER_URL'), verify: given('VARVE_VERIFY_URL') };
  }
  const { config } = await project();
  const { store } = chooseStore(options, config.stores, config.defaultStore);
  if ('embedded' in store) return { runner: undefined, verify: undefined };
  return { runner: store.postgres.runnerUrlFrom, verify: store.postgres.verifyUrlFrom };
}

async function loginFrom(io: Io, variable: string): Promise<Login> {
  const url = addressIn(io, variable, variable);
  return (await import('../store/postgres/index.ts')).postgresLogin({ url });
}

/** `postgres://...` is a server, `embedded:FOLDER` an embedded database. */
async function openAddress(address: string, workingDir: string): Promise<Store> {
  if (/^postgres(ql)?:\/\//u.test(address)) return openServer(address);
  const folder = folderOfAddress(address);
  if (folder !== undefined) return openEmbedded(existingFolder(resolve(workingDir, folder)));
  throw new VarveError('usage', {
    // The text itself is left out: a mistyped address may hold a password.
    detail: { subject: '--db', reason: 'not an address of a database' },
    hint: 'Write --db postgres://user@host:5432/name or --db embedded:FOLDER.',
  });
}

/** Opening makes what is not there: right for a project's own database, wrong for a path that somebody mistyped. */
function existingFolder(folder: string): string {
  if (existsSync(folder)) return folder;
  throw new VarveError('database_unreachable', {
    detail: { subject: folder, reason: 'no such folder' },
    hint: 'Check the path of --db embedded:FOLDER; a folder with a database has a file PG_VERSION in it.',
  });
}

function folderOfAddress(address: string): string | undefined {
  return /^embedded:(?<folder>.+)$/u.exec(address)?.groups?.['folder'];
}

// The drivers are loaded when a database is opened, so that help and refusals stay fast.

async function openServer(url: string): Promise<Store> {
  return (await import('../store/postgres/index.ts')).postgresStore({ url });
}

async function openEmbedded(folder: string, extensions: readonly string[] = []): Promise<Store> {
  return (await import('../store/postgres/index.ts')).embeddedStore({ folder, extensions });
}

async function confirm(io: Io, options: GlobalOptions, question: string): Promise<boolean> {
  if (options.yes) return true;
  if (!io.isTerminal.stdin) {
    throw new VarveError('usage', {
      detail: { subject: '--yes', reason: 'a question has to be answered, and there is no terminal' },
      hint: 'Add --yes to answer it with yes.',
    });
  }
  return /^y(es)?$/iu.test((await io.ask(`${question} [y/N] `)).trim());
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
