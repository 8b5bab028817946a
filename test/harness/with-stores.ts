import { afterAll, beforeAll, describe } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { embeddedStore, postgresStore } from '../../src/store/postgres/index.ts';
import { whyNoPostgis } from './postgis-server.ts';
import { postgresDatabase, uniqueName, type PostgresDatabase } from './postgres-database.ts';

/** The stores that a suite runs on. */
export type StoreName = 'embedded' | 'postgres-15' | 'postgres-18' | 'embedded-postgis' | 'postgis-15';

/** What a suite is given; `store` and `open` work from `beforeAll` on. */
export interface StoreUnderTest {
  readonly name: StoreName;
  /** Opened once per suite, on a database of its own. */
  readonly store: Store;
  /** Creates a schema with a name of its own and returns the name. */
  readonly freshSchema: () => Promise<string>;
  /**
   * The URL of the server's database, for a second store or another user.
   *
   * Errors: throws on the embedded store; ask `store.capabilities.sharedByProcesses` first.
   */
  readonly url: () => string;
}

/** Limits the stores by name, separated by commas; the run prints that it is limited. */
const wanted: readonly string[] = process.env['VARVE_TEST_STORES']?.split(',') ?? [
  'embedded',
  'postgres-15',
  'postgres-18',
  'embedded-postgis',
  'postgis-15',
];

/**
 * Runs one suite on the embedded store, PostgreSQL 15 and PostgreSQL 18, each with a fresh database.
 *
 * ```ts
 * withStores('trace', (given) => {
 *   it('finds the rows above', async () => {
 *     const schema = await given.freshSchema();
 *     await given.store.execute(sql`create table ${sql.id(schema, 'mouse')} (id int primary key)`);
 *   });
 * });
 * ```
 */
export function withStores(suiteName: string, define: (given: StoreUnderTest) => void): void {
  withEmbedded(suiteName, define);
  withPostgres(suiteName, 15, define);
  withPostgres(suiteName, 18, define);
}

/** Only on the embedded store. */
export function withEmbedded(suiteName: string, define: (given: StoreUnderTest) => void): void {
  describe.skipIf(!wanted.includes('embedded'))(`${suiteName} (embedded)`, () => {
    suite('embedded', async () => ({ store: await embeddedStore({ folder: undefined }) }), define);
  });
}

/** Only on a PostgreSQL server of that version. */
export function withPostgres(
  suiteName: string,
  version: 15 | 18,
  define: (given: StoreUnderTest) => void,
): void {
  const name = `postgres-${version}` as const;
  describe.skipIf(!wanted.includes(name))(`${suiteName} (${name})`, () => {
    suite(
      name,
      async () => {
        const database = await postgresDatabase(version);
        return { store: await postgresStore({ url: database.url }), database };
      },
      define,
    );
  });
}

/**
 * On the embedded store and on a server, both with PostGIS and the extension made in `public`. Where the server is not
 * installed its suite is skipped and the run says why; in CI it fails.
 */
export function withPostgis(suiteName: string, define: (given: StoreUnderTest) => void): void {
  describe.skipIf(!wanted.includes('embedded-postgis'))(`${suiteName} (embedded-postgis)`, () => {
    const open = async (): Promise<Opened> => ({
      store: await embeddedStore({ folder: undefined, extensions: ['postgis'] }),
    });
    suite('embedded-postgis', () => made(open()), define);
  });
  const reason = process.env['CI'] === undefined ? whyNoPostgis() : undefined;
  if (reason !== undefined) console.info(`${suiteName} (postgis-15) is skipped: ${reason}`);
  describe.skipIf(!wanted.includes('postgis-15') || reason !== undefined)(`${suiteName} (postgis-15)`, () => {
    const open = async (): Promise<Opened> => {
      const database = await postgresDatabase('postgis');
      return { store: await postgresStore({ url: database.url }), database };
    };
    suite('postgis-15', () => made(open()), define);
  });
}

async function made(opening: Promise<Opened>): Promise<Opened> {
  const opened = await opening;
  await opened.store.script('create extension postgis');
  return opened;
}

/** Unpacking and making PostGIS in this process takes long. */
const OPEN_WITHIN_MS: Readonly<Record<StoreName, number>> = {
  embedded: 15_000,
  'postgres-15': 15_000,
  'postgres-18': 15_000,
  'embedded-postgis': 180_000,
  'postgis-15': 60_000,
};

interface Opened {
  readonly store: Store;
  readonly database?: PostgresDatabase;
}

function suite(name: StoreName, open: () => Promise<Opened>, define: (given: StoreUnderTest) => void): void {
  let opened: Opened | undefined;
  beforeAll(async () => {
    opened = await open();
  }, OPEN_WITHIN_MS[name]);
  afterAll(async () => {
    await opened?.store[Symbol.asyncDispose]();
    await opened?.database?.[Symbol.asyncDispose]();
  }, 15_000);

  const current = (): Opened => {
    if (opened === undefined) throw new Error('ask for the store inside a test or hook');
    return opened;
  };
  define({
    name,
    get store() {
      return current().store;
    },
    freshSchema: async () => {
      const schema = uniqueName('s');
      await current().store.execute(sql`create schema ${sql.id(schema)}`);
      return schema;
    },
    url: () => {
      const { database } = current();
      if (database === undefined) throw new Error('the embedded store has no URL');
      return database.url;
    },
  });
}
