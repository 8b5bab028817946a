/**
 * A PostgreSQL server with PostGIS: Debian's `postgresql-15` and `postgresql-15-postgis-3`, run from the place where the packages
 * put them, in a temporary folder and on a port of its own. `.ci/run` installs them; elsewhere they may be absent.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './postgres-server.ts';

const BIN = '/usr/lib/postgresql/15/bin';
const NEEDED = [
  join(BIN, 'initdb'),
  join(BIN, 'postgres'),
  '/usr/share/postgresql/15/extension/postgis.control',
];
const STARTS_WITHIN_MS = 30_000;

/** Why there is no such server on this machine; undefined where there is. */
export function whyNoPostgis(): string | undefined {
  const missing = NEEDED.find((path) => !existsSync(path));
  if (missing === undefined) return undefined;
  return `${missing} is missing: install Debian's postgresql-15 and postgresql-15-postgis-3`;
}

/** A server of its own, for a whole test run. */
export interface PostgisServer extends AsyncDisposable {
  /** Of the superuser, with the database `postgres`. */
  readonly url: string;
}

/** Starts it. Errors: throws what keeps it from starting. */
export async function startPostgis(): Promise<PostgisServer> {
  const missing = whyNoPostgis();
  if (missing !== undefined) throw new Error(missing);
  const folder = await mkdtemp(join(tmpdir(), 'varve-postgis-15-'));
  const user = unprivilegedUser();
  const dataFolder = join(folder, 'data');
  const port = await freePort();
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, 'varve-test\n');
  await mkdir(dataFolder);
  await chmod(folder, 0o755);
  if (user !== undefined) {
    for (const path of [dataFolder, folder, passwordFile]) await chown(path, user.uid, user.gid);
  }
  execFileSync(
    join(BIN, 'initdb'),
    [
      '--pgdata',
      dataFolder,
      '--username=postgres',
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--locale=C',
      '--encoding=UTF8',
      '--no-sync',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...user },
  );
  const settings = [
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
    'max_connections=100',
    'fsync=off',
    'full_page_writes=off',
  ];
  const server = spawn(
    join(BIN, 'postgres'),
    ['-D', dataFolder, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
    { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...user },
  );
  await untilReady(server);
  return {
    url: `postgres://postgres:varve-test@127.0.0.1:${String(port)}/postgres`,
    [Symbol.asyncDispose]: async () => {
      const ended = once(server, 'exit');
      // A fast shutdown: whoever is still connected is cut.
      server.kill('SIGINT');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The server refuses to run as root: then the packages' own user runs it. */
function unprivilegedUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: idOf('-u'), gid: idOf('-g') };
}

/** The server says on its error stream when it takes connections. */
async function untilReady(server: ChildProcess): Promise<void> {
  let said = '';
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error(`PostGIS did not start:\n${said}`)), STARTS_WITHIN_MS);
  server.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-4000);
    if (said.includes('ready to accept connections')) resolve();
  });
  server.once('error', reject);
  server.once('exit', (status) => reject(new Error(`PostGIS ended with ${String(status)}:\n${said}`)));
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
}
