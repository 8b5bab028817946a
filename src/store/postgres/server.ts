/**
 * PostgreSQL behind a server, by `pg`.
 *
 * Statements are not named, although a named one, whose plan the server keeps, took about half the time for a join
 * (5,000 runs in 0.6 s instead of 1.2 s) and a tenth less for a trivial one. A kept plan fails with `0A000` once the
 * columns of its result change, which inside a transaction cannot be mended, and changing shapes is what varve does.
 * Those that `sql.kept` marks are named: their results have the same columns always.
 */
import type { Client, ClientConfig, Pool, PoolClient, QueryResult } from 'pg';
import { VarveError } from '../../base/index.ts';
import { quoteLiteral, sql } from '../sql.ts';
import { isStoreError } from '../store-error.ts';
import type { Store, StoreLock } from '../store.ts';
import { copyDatabase, dropDeadCopies, type Copying } from './server-copy.ts';
import { endsSession, toStoreError } from './error.ts';
import { createGate } from './gate.ts';
import { createKeptPlans, type KeptPlan, type KeptPlans } from './kept-plan.ts';
import { openLogReader } from './log-reader.ts';
import { SESSION_SETTINGS, standalone, statusOf, type RawResult, type Session } from './session.ts';
import { runTransaction } from './transaction.ts';

/** Where the server is and how to use it. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with libpq's parameters. */
  readonly url: string;
  /** Sessions at the same time, those of locks apart. Default 4. */
  readonly poolSize?: number;
  /** Name in `pg_stat_activity`. Default `varve`. */
  readonly applicationName?: string;
  /** Milliseconds to wait for a new connection. Default 10,000. */
  readonly connectTimeoutMs?: number;
}

/**
 * Opens a store on a PostgreSQL server; one session is made at once, so that a wrong address or password shows here.
 *
 * Errors: throws `config_invalid` (no such URL), `database_unreachable`, `permission_denied`.
 */
export async function postgresStore(options: PostgresOptions): Promise<Store> {
  const url = parseUrl(options.url);
  const location = `postgres://${url.hostname || 'localhost'}:${url.port || '5432'}${url.pathname}`;
  const { default: pg } = await import('pg');
  const config = clientConfig(url, options);
  const poolSize = options.poolSize ?? 4;
  const newPool = (): Pool => {
    const pool = new pg.Pool({ ...config, max: poolSize, Client: closingClient(pg.Client) });
    // An idle session that died is taken out by the pool itself; the next statement gets a new one.
    pool.on('error', () => undefined);
    return pool;
  };
  const store = createStore({
    url,
    options,
    poolSize,
    location,
    newPool,
    newClient: () => new pg.Client(config),
  });
  try {
    await store.execute(sql`select 1`);
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

interface Server {
  readonly url: URL;
  readonly options: PostgresOptions;
  readonly poolSize: number;
  readonly location: string;
  readonly newPool: () => Pool;
  readonly newClient: () => Client;
}

function createStore({ url, options, poolSize, location, newPool, newClient }: Server): Store {
  let pool = newPool();
  // In front of the pool, because its time limit for connecting would strike a caller who only waits for a free one.
  const gate = createGate(poolSize);
  const locks = new Set<StoreLock>();
  let closed: Promise<void> | undefined;

  const reach = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    if (closed !== undefined) throw closedStore(location);
    return await gate.run(() => withSession(pool, location, work));
  };

  /** Ends every session but those of locks; the next statement opens one again. */
  const leave = async (): Promise<void> => {
    const left = pool;
    pool = newPool();
    await left.end();
  };
  const statements = standalone(reach);
  const copying: Copying = {
    url,
    query: statements.query,
    location,
    open: (address) => postgresStore({ ...options, url: address }),
    leave,
  };

  const close = async (): Promise<void> => {
    // The pool itself would drop a caller who still waits for a session.
    await gate.shut();
    await Promise.all([...locks].map((lock) => lock[Symbol.asyncDispose]()));
    await pool.end();
  };

  return {
    ...statements,
    capabilities: {
      concurrentSessions: true,
      restrictedRole: true,
      sharedByProcesses: true,
      cancelStatement: true,
      disposableCopies: true,
      witness: true,
    },
    location,
    transaction: (options, work) => reach((session) => runTransaction(session, options, work)),
    tryLock: async (name) => {
      if (closed !== undefined) throw closedStore(location);
      return await tryLock(newClient(), name, location, locks);
    },
    copy: async () => {
      if (closed !== undefined) throw closedStore(location);
      return await copyDatabase(copying);
    },
    decidePrepared: (name, decision) => reach((session) => decidePrepared(session, name, decision)),
    readLog: async (reading) => {
      if (closed !== undefined) throw closedStore(location);
      return await openLogReader(newClient(), location, reading);
    },
    dropDeadCopies: () => dropDeadCopies(copying),
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^postgres(ql)?:$/.test(url.protocol)) return url;
  // The text itself stays out: it may hold a password.
  throw new VarveError('config_invalid', {
    detail: { setting: 'url' },
    hint: 'Write the database URL as postgres://user:password@host:port/database.',
  });
}

function clientConfig(url: URL, options: PostgresOptions): ClientConfig {
  const own = new URL(url);
  const settings = Object.entries(SESSION_SETTINGS).map(([name, value]) => `-c ${name}=${value}`);
  const given = url.searchParams.get('options') ?? process.env['PGOPTIONS'] ?? '';
  own.searchParams.set('options', [given, ...settings].join(' ').trim());
  return {
    connectionString: own.href,
    application_name: options.applicationName ?? 'varve',
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    keepAlive: true,
    types: { getTypeParser: () => keepText },
  };
}

/**
 * A client that lets go of its connection when it cannot log in. `pg` itself keeps it when the client's half of the
 * authentication fails, such as for want of a password: the process then stays until the server loses patience (60 s).
 */
function closingClient(base: typeof Client): typeof Client {
  return class extends base {
    override connect(): Promise<Client>;
    override connect(callback: ((error: Error) => void) | ((error: null, client: Client) => void)): void;
    override connect(
      callback?: ((error: Error) => void) | ((error: null, client: Client) => void),
    ): Promise<Client> | void {
      const done = super.connect().catch((error: unknown) => {
        void this.end().catch(() => undefined);
        throw error;
      });
      if (callback === undefined) return done;
      const report = callback as (error: unknown, client?: Client) => void;
      done.then((client) => report(null, client), report);
    }
  };
}

function keepText(text: string): string {
  return text;
}

async function withSession<T>(
  pool: Pool,
  location: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const client = await connect(pool).catch((error: unknown) => {
    throw toStoreError(error, location);
  });
  let broken = false;
  const markBroken = (): void => {
    broken = true;
  };
  // Without a listener, the death of a session in use would end the process.
  client.on('error', markBroken);
  try {
    return await work(sessionOf(client, location, { markBroken, isBroken: () => broken }));
  } finally {
    client.off('error', markBroken);
    client.release(broken);
  }
}

/**
 * A session of the pool. While a make keeps this thread, nothing of a handshake is read, and the time limit strikes a
 * server that answered long ago: a try during which the thread was busy for most of the time says nothing of the server.
 */
async function connect(pool: Pool): Promise<PoolClient> {
  const limitMs = pool.options.connectionTimeoutMillis ?? 0;
  for (;;) {
    const startedAtMs = performance.now();
    const before = performance.eventLoopUtilization();
    try {
      return await pool.connect();
    } catch (error) {
      const wasBusy = performance.eventLoopUtilization(before).utilization > 0.5;
      if (!wasBusy || performance.now() - startedAtMs < limitMs) throw error;
    }
  }
}

function sessionOf(
  client: Pick<Client, 'query' | 'getTransactionStatus'>,
  location: string,
  state: { readonly markBroken: () => void; readonly isBroken: () => boolean },
): Session {
  // One at a time: a client that is given a statement while another runs is deprecated by `pg`.
  const turn = createGate(1);
  const guard = <T>(work: () => Promise<T>): Promise<T> =>
    turn.run(async () => {
      try {
        return await work();
      } catch (error) {
        const wrapped = toStoreError(error, location);
        if (endsSession(wrapped) || !(await isReady())) state.markBroken();
        throw wrapped;
      }
    });
  // `pg` tells of an error before the server's word on the transaction has come: an answer to nothing comes after it.
  const isReady = async (): Promise<boolean> => {
    try {
      await client.query('');
      return true;
    } catch (error) {
      return !endsSession(toStoreError(error, location));
    }
  };
  const plans = plansOf(client);
  const send = async (
    text: string,
    values: readonly (string | null)[],
    plan?: KeptPlan,
  ): Promise<RawResult> => rawResult(await client.query(extended(text, values, plan)));
  const drop = async (name: string): Promise<void> => {
    await client.query(`deallocate ${name}`);
  };
  return {
    run: (text, values, options) =>
      guard(() =>
        options?.isKept === true
          ? plans.run(text, { send: (plan) => send(text, values, plan), drop })
          : send(text, values),
      ),
    script: (text) =>
      guard(async () => {
        // Several statements give a list of results, which the types of `pg` do not tell.
        const given: unknown = await client.query({ text, rowMode: 'array' });
        return (Array.isArray(given) ? given : [given]).map(rawResult);
      }),
    status: () => statusOf(client.getTransactionStatus()),
    // Whoever gives a broken session back to the pool ends it there.
    cut: state.markBroken,
    isAlive: () => !state.isBroken(),
  };
}

/** A client leaves the pool and comes back; its plans stay with the server's session. */
const plansByClient = new WeakMap<object, KeptPlans>();

function plansOf(client: object): KeptPlans {
  const plans = plansByClient.get(client) ?? createKeptPlans();
  plansByClient.set(client, plans);
  return plans;
}

interface ExtendedQuery {
  readonly name?: string;
  readonly text: string;
  readonly values: (string | null)[];
  readonly rowMode: 'array';
  readonly queryMode: 'extended';
}

/** `queryMode` keeps a statement without values from the simple protocol, which would run several statements. */
function extended(text: string, values: readonly (string | null)[], plan?: KeptPlan): ExtendedQuery {
  const query: ExtendedQuery = { text, values: [...values], rowMode: 'array', queryMode: 'extended' };
  return plan === undefined ? query : { ...query, name: plan.name };
}

function rawResult(result: QueryResult<(string | null)[]>): RawResult {
  return {
    columns: result.fields.map((field) => ({ name: field.name, typeOid: field.dataTypeID })),
    rows: result.rows,
    rowCount: result.rowCount ?? 0,
    command: result.command,
  };
}

/** Only who prepared it, or a superuser, decides it; and never inside a transaction. */
async function decidePrepared(
  session: Session,
  name: string,
  decision: 'commit' | 'rollback',
): Promise<boolean> {
  const { rows } = await session.run(
    `select quote_ident(owner), owner = current_user from pg_prepared_xacts where gid = $1 and database = current_database()`,
    [name],
  );
  const [owner, isOwn] = rows[0] ?? [];
  if (typeof owner !== 'string') return false;
  try {
    if (isOwn !== 't') await session.run(`set role ${owner}`, []);
    await session.run(`${decision} prepared ${quoteLiteral(name)}`, []);
    return true;
  } catch (error) {
    // Somebody else has decided it meanwhile.
    if (isStoreError(error, '42704')) return false;
    throw error;
  } finally {
    if (isOwn !== 't' && session.isAlive()) await session.run('reset role', []);
  }
}

/** A lock has a connection of its own: it must not take a session from the pool for as long as it is held. */
async function tryLock(
  client: Client,
  name: string,
  location: string,
  locks: Set<StoreLock>,
): Promise<StoreLock | undefined> {
  const lost = new AbortController();
  client.on('error', () => lost.abort());
  client.on('end', () => lost.abort());
  try {
    await client.connect();
    const statement = extended('select pg_try_advisory_lock(hashtextextended($1, 0))', [`varve:${name}`]);
    const { rows } = await client.query<(string | null)[]>(statement);
    if (rows[0]?.[0] === 't') return heldLock(client, name, lost.signal, locks);
    await client.end();
    return undefined;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw toStoreError(error, location);
  }
}

function heldLock(client: Client, name: string, lost: AbortSignal, locks: Set<StoreLock>): StoreLock {
  let released: Promise<void> | undefined;
  const lock: StoreLock = {
    name,
    lost,
    [Symbol.asyncDispose]: () => {
      locks.delete(lock);
      // Ending the session ends its locks; the server does so even when this call does not arrive.
      return (released ??= client.end());
    },
  };
  locks.add(lock);
  return lock;
}

function closedStore(location: string): VarveError {
  return new VarveError('internal', {
    detail: { used: 'a store after its end', location },
    hint: 'Keep the store open for as long as something uses it.',
  });
}
