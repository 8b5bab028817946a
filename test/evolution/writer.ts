/**
 * A writer that goes on while others work: so many writes a second, each a transaction of its own, with a record of what
 * was committed and how long each took.
 *
 * Writes begin at their time, whether earlier ones have ended or not, and a write's latency counts from that time: a
 * writer that waited for its own last write would hide every write that it did not make meanwhile.
 *
 * On a server it is a process of its own, so that it measures the database and not the event loop of who applies.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isVarveError } from '../../src/base/index.ts';
import { sql, type Sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';

/** What is written. */
export interface Writing {
  readonly perSecond: number;
  /**
   * Statements in turn; `:n` stands for the number of the write, from 1. Where each write has rows of its own, what
   * was committed last is what has to be there: `insert into lab.s values (1000000 + :n, :n)`.
   */
  readonly statements: readonly string[];
}

/** One write. */
export interface Write {
  /** What stood for `:n`. */
  readonly n: number;
  /** Its place in `statements`. */
  readonly statement: number;
  /** When it was due, on the wall clock in milliseconds. */
  readonly dueAtMs: number;
  readonly latencyMs: number;
  /** How many rows it touched; `failed` with the error's code where it was refused. */
  readonly outcome:
    | { readonly status: 'committed'; readonly rows: number }
    | { readonly status: 'failed'; readonly code: string };
}

/** A writer that is at work, from its first committed write on. */
export interface Writer extends AsyncDisposable {
  /** Ends it when the writes under way are done; all writes in the order of their numbers. Once only. */
  readonly stop: () => Promise<readonly Write[]>;
}

/** Starts a writer in a process of its own. */
export async function startWriter(url: string, writing: Writing): Promise<Writer> {
  const child = fork(fileURLToPath(import.meta.url), [url, JSON.stringify(writing)], {
    execArgv: [],
    serialization: 'json',
  });
  const ended = once(child, 'exit');
  const next = async (): Promise<unknown> => {
    const [message] = (await Promise.race([once(child, 'message'), ended.then(() => [undefined])])) as [
      unknown,
    ];
    if (message === undefined) throw new Error('the writer has ended');
    return message;
  };
  await next();
  return {
    stop: async () => {
      const report = next();
      child.send('stop');
      return (await report) as readonly Write[];
    },
    [Symbol.asyncDispose]: async () => {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/** Starts a writer in this process, for a store that only one process opens. */
export function startWriterHere(store: Store, writing: Writing): Writer {
  const stopping = new AbortController();
  const writes = write(store, writing, { signal: stopping.signal });
  return {
    stop: () => {
      stopping.abort();
      return writes;
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await writes;
    },
  };
}

/** The numbers that a statement was committed with. */
export function committed(writes: readonly Write[], statement: number): readonly number[] {
  return writes
    .filter((each) => each.statement === statement && each.outcome.status === 'committed')
    .map(({ n }) => n);
}

/** The longest that a write took, in milliseconds; 0 of none. */
export function longestMs(writes: readonly Write[]): number {
  return writes.reduce((longest, { latencyMs }) => Math.max(longest, latencyMs), 0);
}

async function write(
  store: Store,
  { perSecond, statements }: Writing,
  { signal, begun = () => undefined }: { readonly signal: AbortSignal; readonly begun?: () => void },
): Promise<readonly Write[]> {
  const started = { atMs: Date.now(), clockMs: performance.now() };
  const writes: Promise<Write>[] = [];
  for (let n = 1; !signal.aborted; n += 1) {
    const dueMs = (n - 1) * (1000 / perSecond);
    const waitMs = started.clockMs + dueMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const statement = (n - 1) % statements.length;
    const one = writeOne(store, statementOf(statements[statement] ?? '', n)).then((outcome): Write => ({
      n,
      statement,
      dueAtMs: started.atMs + dueMs,
      latencyMs: performance.now() - started.clockMs - dueMs,
      outcome,
    }));
    writes.push(one);
    if (n > 1) continue;
    await one;
    begun();
  }
  return Promise.all(writes);
}

function statementOf(text: string, n: number): Sql {
  return sql.raw(text.replaceAll(':n', String(n)));
}

async function writeOne(store: Store, statement: Sql): Promise<Write['outcome']> {
  try {
    const rows = await store.transaction({}, (transaction) => transaction.execute(statement));
    return { status: 'committed', rows };
  } catch (error) {
    return { status: 'failed', code: isVarveError(error) ? error.code : 'unknown' };
  }
}

/** Sessions of a writer: as many writes as come due within some hundred milliseconds can wait at the same time. */
const SESSIONS = 60;

if (import.meta.main) {
  const [url = '', text = '{}'] = process.argv.slice(2);
  const stopping = new AbortController();
  process.once('message', () => stopping.abort());
  process.once('disconnect', () => process.exit());
  const store = await postgresStore({ url, poolSize: SESSIONS, applicationName: 'writer' });
  const writes = await write(store, JSON.parse(text) as Writing, {
    signal: stopping.signal,
    begun: () => process.send?.('begun'),
  });
  process.send?.(writes);
  await store[Symbol.asyncDispose]();
}
