import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { sql } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import './global-setup.ts';
import type { DatabaseServer } from './postgres-server.ts';

/** A database of its own on the run's shared server; dropped when disposed. */
export interface PostgresDatabase extends AsyncDisposable {
  readonly name: string;
  /** Of the superuser. */
  readonly url: string;
}

/** Creates a database on one of the run's shared servers (some 40 ms; the first one starts the server). */
export async function postgresDatabase(server: DatabaseServer): Promise<PostgresDatabase> {
  const serverUrl = await sharedServer(server);
  const name = uniqueName('test');
  await onServer(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    name,
    url: url.href,
    [Symbol.asyncDispose]: () => onServer(serverUrl, `drop database if exists ${name} with (force)`),
  };
}

/** A name that no other test has: for databases, schemas, roles, locks. */
export function uniqueName(prefix: string): string {
  return `${prefix}_${randomBytes(5).toString('hex')}`;
}

async function sharedServer(server: DatabaseServer): Promise<string> {
  const response = await fetch(`${inject('postgresBroker')}/${server}`);
  const text = await response.text();
  if (!response.ok) throw new Error(`PostgreSQL ${server} did not start: ${text}`);
  return text;
}

async function onServer(url: string, statement: string): Promise<void> {
  await using store = await postgresStore({ url, poolSize: 1 });
  await store.execute(sql.raw(statement));
}
