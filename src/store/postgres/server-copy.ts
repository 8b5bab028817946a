/**
 * Copies of a database on its own server, by `create database ... template ...`. The server copies files, and does so only
 * while nobody is connected to the original, this store included. What belongs to the server and not to the database is
 * not copied: settings of `alter database`, subscriptions, replication slots.
 *
 * Name: `varve_copy_<8 digits of the original's name>_<8 random digits>`
 * Whoever uses a copy holds a lock under its name in the maintenance database. The lock dies with its session, so a copy
 * whose lock is free was left by a process that was killed, and may be dropped by anybody.
 */
import { createHash, randomBytes } from 'node:crypto';
import { VarveError } from '../../base/index.ts';
import { sql } from '../sql.ts';
import { isStoreError } from '../store-error.ts';
import type { Store } from '../store.ts';

/** What making a copy needs of a store on a server. */
export interface Copying {
  readonly url: URL;
  readonly location: string;
  readonly query: Store['query'];
  /** Opens another database of the same server, by its URL. */
  readonly open: (url: string) => Promise<Store>;
  /** Ends the store's own sessions. */
  readonly leave: () => Promise<void>;
}

/** Copies the database and opens the copy. Errors: throws `copy_blocked`, `permission_denied`, `database_full`. */
export async function copyDatabase(copying: Copying): Promise<Store> {
  await using parts = new AsyncDisposableStack();
  const admin = parts.use(await openMaintenance(copying));
  const original = databaseOf(copying.url);
  const name = `${prefixOf(original)}${randomBytes(4).toString('hex')}`;
  const lock = await admin.tryLock(lockName(name));
  if (lock !== undefined) parts.use(lock);
  await copying.leave();
  await createFrom(copying, admin, { name, original });
  parts.defer(() => dropCopy(admin, name));
  const store = parts.use(await copying.open(urlOf(copying.url, name)));
  const kept = parts.move();
  return { ...store, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Drops the copies of this database that no process uses. */
export async function dropDeadCopies(copying: Copying): Promise<number> {
  const prefix = prefixOf(databaseOf(copying.url));
  const rows = await copying.query<{ readonly name: string }>(
    sql`select datname as name from pg_database where starts_with(datname, ${prefix}) order by datname`,
  );
  if (rows.length === 0) return 0;
  await using admin = await openMaintenance(copying);
  let dropped = 0;
  for (const { name } of rows) {
    await using lock = await admin.tryLock(lockName(name));
    if (lock === undefined) continue;
    await dropCopy(admin, name);
    dropped += 1;
  }
  return dropped;
}

async function createFrom(
  { location }: Copying,
  admin: Store,
  { name, original }: { readonly name: string; readonly original: string },
): Promise<void> {
  try {
    await admin.execute(sql`create database ${sql.id(name)} template ${sql.id(original)}`);
  } catch (cause) {
    if (!isStoreError(cause, '55006')) throw cause;
    const [row] = await admin.query<{ readonly sessions: number }>(
      sql`select count(*)::int4 as sessions from pg_stat_activity where datname = ${original} and backend_type = 'client backend'`,
    );
    throw new VarveError('copy_blocked', {
      detail: { location, sessions: row?.sessions ?? 0 },
      hint: 'Stop what is connected to this database and repeat, or work with a restored copy of it: a server copies a database only while nobody is connected.',
      cause,
    });
  }
}

async function dropCopy(admin: Store, name: string): Promise<void> {
  await admin.execute(sql`drop database if exists ${sql.id(name)} with (force)`);
}

/** A database beside the original: `postgres`, and where that was taken away, `template1`. */
async function openMaintenance({ url, open }: Copying): Promise<Store> {
  const first = databaseOf(url) === 'postgres' ? 'template1' : 'postgres';
  try {
    return await open(urlOf(url, first));
  } catch (error) {
    if (first === 'template1' || !isStoreError(error, '3D000')) throw error;
    return await open(urlOf(url, 'template1'));
  }
}

function prefixOf(original: string): string {
  return `varve_copy_${createHash('sha256').update(original).digest('hex').slice(0, 8)}_`;
}

function lockName(copy: string): string {
  return `copy:${copy}`;
}

/** As libpq does, an address without a database means the one with the user's name. */
function databaseOf(url: URL): string {
  return decodeURIComponent(url.pathname.slice(1)) || decodeURIComponent(url.username);
}

function urlOf(url: URL, database: string): string {
  const other = new URL(url);
  other.pathname = `/${encodeURIComponent(database)}`;
  return other.href;
}
