import { readFile } from 'node:fs/promises';
import type { RunnerOptions } from '../../src/migration/index.ts';
import type { Store } from '../../src/store/index.ts';
import {
  installCatalog,
  postgresLogin,
  postgresStore,
  readCatalogFiles,
} from '../../src/store/postgres/index.ts';
import { startPostgres } from '../harness/index.ts';
import type { PostgresServer } from '../harness/postgres-server.ts';
import { sqlOptions } from './sql-bundle.ts';

/** A server with the roles of confined runs: roles are the server's, so that it is no one else's. */
export interface ConfinedServer extends AsyncDisposable {
  readonly server: PostgresServer;
  /** Of the superuser. */
  readonly store: Store;
  readonly logins: Required<Pick<RunnerOptions, 'runnerLogin' | 'verifyLogin'>>;
  /** A schema whose table `plot` belongs to a role of its own, and `secret` to the superuser. */
  readonly scene: () => Promise<{ readonly schema: string; readonly owner: string }>;
}

const PASSWORD = 'of-a-test';

/** Starts it. */
export async function confinedServer(
  about: { readonly durable?: boolean; readonly isLogical?: boolean } = {},
): Promise<ConfinedServer> {
  const { durable = false, isLogical = false } = about;
  const settings: Readonly<Record<string, string>> = isLogical
    ? { wal_level: 'logical', max_prepared_transactions: '10' }
    : {};
  const server = await startPostgres({ version: 18, durable, settings });
  const store = await postgresStore({ url: server.url });
  await installCatalog(store, { files: await readCatalogFiles() });
  await store.script(await rolesScript());
  await store.script(`
    alter role varve_runner password '${PASSWORD}';
    alter role varve_verify password '${PASSWORD}';`);
  let count = 0;
  return {
    server,
    store,
    logins: {
      runnerLogin: postgresLogin({ url: addressOf(server.url, 'varve_runner') }),
      verifyLogin: postgresLogin({ url: addressOf(server.url, 'varve_verify') }),
    },
    scene: async () => {
      count += 1;
      const [schema, owner] = [`s${String(count)}`, `owner_${String(count)}`];
      await store.script(sceneScript(schema, owner));
      return { schema, owner };
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** What an administrator runs. */
export function rolesScript(): Promise<string> {
  return readFile(new URL('../../sql/roles.sql', import.meta.url), 'utf8');
}

/** The address with which a role of these logs in. */
export function addressOf(url: string, user: string): string {
  const address = new URL(url);
  address.username = user;
  address.password = PASSWORD;
  return address.href;
}

/** Runner options with the runner's login, and that of a witness, which a server without a logical log has no use for. */
export function confinedOptions(given: ConfinedServer, root: string): RunnerOptions {
  return { ...sqlOptions(given.store, root), ...given.logins };
}

function sceneScript(schema: string, owner: string): string {
  return `
    create role ${owner};
    create schema ${schema} authorization ${owner};
    set role ${owner};
    create table ${schema}.plot (id int primary key, area float8 not null);
    insert into ${schema}.plot select i, i from generate_series(1, 5) i;
    reset role;
    create table ${schema}.secret (id int primary key, place text);
    insert into ${schema}.secret values (1, 'kept');`;
}
