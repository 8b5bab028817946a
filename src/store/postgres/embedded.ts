/**
 * PostgreSQL in this process, by PGlite: one session, so transactions queue.
 *
 * A statement goes to PGlite as two protocol messages (parse, bind, describe, execute; sync): its own `query` sends five
 * and took about three times as long. The commit of a statement by itself happens at the sync, so that between the
 * two the disk can still be asked for room.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { PGlite } from '@electric-sql/pglite';
import { isVarveError, systemClock, VarveError, type Clock } from '../../base/index.ts';
import { StoreError } from '../store-error.ts';
import type { Store, StoreLock, TransactionOptions, TransactionStatus } from '../store.ts';
import { createCopies, type EmbeddedCopies } from './embedded-copy.ts';
import { openDatabase, type OpenDatabase } from './embedded-open.ts';
import { toStoreError } from './error.ts';
import { createGate } from './gate.ts';
import { createKeptPlans, type KeptPlan } from './kept-plan.ts';
import { standalone, statusOf, type RawResult, type Session } from './session.ts';
import { runTransaction } from './transaction.ts';

/** Where the embedded database keeps its files, and with which extensions it is opened. */
export interface EmbeddedOptions {
  /** Undefined: in memory, gone when closed. */
  readonly folder: string | undefined;
  /** Names as in `create extension`, such as `pg_trgm`; a package that brings one must be installed. */
  readonly extensions?: readonly string[];
  /** For the age of a lock. Default: the machine's. */
  readonly clock?: Clock;
}

/**
 * Opens an embedded store, making its folder when there is none.
 *
 * Errors: throws `store_locked`, `store_corrupt`, `database_full`, `permission_denied`, `config_invalid` (an unknown
 * extension).
 */
export async function embeddedStore(options: EmbeddedOptions): Promise<Store> {
  const { folder, extensions = [], clock = systemClock } = options;
  const { protocol } = await import('@electric-sql/pglite');
  const open = async (path: string | undefined, image?: Blob): Promise<Store> => {
    const opened = await openDatabase(path, extensions, clock, image);
    const session = sessionOf(opened, protocol.serialize);
    return createStore(opened, session, createCopies({ ...opened, isInMemory: path === undefined }, open));
  };
  return await open(folder);
}

function createStore(opened: OpenDatabase, session: Session, copies: EmbeddedCopies): Store {
  const { location } = opened;
  const gate = createGate(1);
  const locks = new Map<string, StoreLock>();
  // What runs inside a transaction's work sees that transaction here.
  const surrounding = new AsyncLocalStorage<{ open: boolean }>();
  let closed: Promise<void> | undefined;

  const reach = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    if (surrounding.getStore()?.open === true) throw nestedUse();
    if (closed !== undefined) throw closedStore(location);
    return await gate.run(() => work(session));
  };

  return {
    ...standalone(reach),
    capabilities: {
      concurrentSessions: false,
      restrictedRole: false,
      sharedByProcesses: false,
      cancelStatement: false,
      disposableCopies: true,
      witness: false,
    },
    location,
    transaction: async (options, work) => {
      assertNoTimeout(options);
      if (options.prepareAs !== undefined) throw noWitness();
      return await reach(async () => {
        const mark = { open: true };
        try {
          return await runTransaction(session, options, (transaction) =>
            surrounding.run(mark, () => work(transaction)),
          );
        } finally {
          mark.open = false;
        }
      });
    },
    tryLock: async (name) => {
      if (closed !== undefined) throw closedStore(location);
      return locks.has(name) ? undefined : holdLock(locks, name);
    },
    copy: () =>
      reach(async (own) => {
        // What is not in the files yet would have to be replayed by the copy.
        await own.script('checkpoint');
        return await copies.make();
      }),
    decidePrepared: () => Promise.reject(noWitness()),
    readLog: () => Promise.reject(noWitness()),
    dropDeadCopies: () => reach(() => copies.dropDead()),
    [Symbol.asyncDispose]: () =>
      (closed ??= gate.shut().then(async () => {
        await copies[Symbol.asyncDispose]();
        await opened.close(session.isAlive());
      })),
  };
}

function assertNoTimeout({ statementTimeoutMs = 0 }: TransactionOptions): void {
  if (statementTimeoutMs === 0) return;
  throw new VarveError('capability_missing', {
    detail: { capability: 'cancelStatement' },
    hint: 'Leave out statementTimeoutMs here, or use a PostgreSQL server: an embedded statement cannot be stopped.',
  });
}

function noWitness(): VarveError {
  return new VarveError('capability_missing', {
    detail: { capability: 'witness' },
    hint: 'Use a PostgreSQL server: an embedded database has one session, and nobody else reads its log.',
  });
}

/** The folder's lock keeps other processes out, so that names within this one are enough. */
function holdLock(locks: Map<string, StoreLock>, name: string): StoreLock {
  const lock: StoreLock = {
    name,
    lost: new AbortController().signal, // its session ends with the process
    [Symbol.asyncDispose]: async () => {
      if (locks.get(name) === lock) locks.delete(name);
    },
  };
  locks.set(name, lock);
  return lock;
}

type Serialize = (typeof import('@electric-sql/pglite'))['protocol']['serialize'];
type Message = Awaited<ReturnType<PGlite['execProtocolStream']>>[number];

function sessionOf({ database, location, hasRoom }: OpenDatabase, serialize: Serialize): Session {
  // PGlite keeps the answer of the running message in one place, so messages must not overlap.
  const turn = createGate(1);
  let fault: VarveError | undefined;
  let status: TransactionStatus = 'idle';
  const guard = <T>(work: () => Promise<T>): Promise<T> =>
    turn.run(async () => {
      if (fault !== undefined) throw fault;
      try {
        return await work();
      } catch (error) {
        if (!endsEngine(error)) throw toStoreError(error, location);
        fault = engineFault(error, location);
        throw fault;
      }
    });
  const exchange = async (message: Uint8Array): Promise<readonly Message[]> => {
    const messages = await database.execProtocolStream(message, {});
    const ready = messages.findLast(isReady);
    if (ready !== undefined) status = statusOf(ready.status);
    return messages;
  };
  const noRoom = (): VarveError => toStoreError({ code: 'ENOSPC' }, location);

  const runStatement = async (steps: Uint8Array): Promise<RawResult> => {
    if (!hasRoom()) throw noRoom();
    let result: RawResult;
    try {
      result = rawResult(await exchange(steps));
    } catch (error) {
      if (!endsEngine(error)) await exchange(serialize.sync());
      throw error;
    }
    // An explicit COMMIT is done by now, and must not be reported as anything else.
    if (result.command === 'COMMIT' || hasRoom()) await exchange(serialize.sync());
    else {
      // What the parser refuses turns the commit at the sync into its opposite.
      const refused = Buffer.concat([serialize.parse({ text: 'no room' }), serialize.sync()]);
      await database.execProtocolStream(refused, { throwOnError: false });
      throw noRoom();
    }
    return result;
  };

  const plans = createKeptPlans();
  const send = (text: string, values: readonly (string | null)[], plan?: KeptPlan): Promise<RawResult> => {
    const name = plan?.name ?? '';
    const steps = [
      ...(plan?.isParsed === true ? [] : [serialize.parse({ name, text })]),
      serialize.bind({ statement: name, values: [...values] }),
      serialize.describe({ type: 'P' }),
      serialize.execute(),
    ];
    return runStatement(Buffer.concat(steps));
  };
  const drop = async (name: string): Promise<void> => {
    await exchange(serialize.query(`deallocate ${name}`));
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
        // A rollback needs no room, and may be what makes some.
        if (!text.startsWith('rollback') && !hasRoom()) throw noRoom();
        return rawResults(await exchange(serialize.query(text)));
      }),
    status: () => status,
    cut: () => {
      fault = cutSession(location);
    },
    isAlive: () => fault === undefined,
  };
}

/** After these a server would start its process anew; PGlite cannot, and would run in circles for ever if asked again. */
function endsEngine(error: unknown): boolean {
  if (isVarveError(error)) return false;
  if (typeof error !== 'object' || error === null || !('severity' in error)) return true;
  return error.severity === 'PANIC' || error.severity === 'FATAL';
}

/** There is one session only, so a cut one ends the store. */
function cutSession(location: string): VarveError {
  return new StoreError(
    'database_unreachable',
    { sqlstate: '57P01', location },
    'Close the store and open it again: its session was ended on purpose.',
  );
}

function engineFault(error: unknown, location: string): VarveError {
  const hint = 'Close the store and open it again: what was committed is kept.';
  const known = typeof error === 'object' && error !== null && 'severity' in error;
  if (!known) {
    const system = error instanceof Error ? error.name : typeof error;
    return new StoreError('database_error', { sqlstate: 'XX000', system, location }, hint);
  }
  const { code, fields } = toStoreError(error, location) as StoreError;
  return new StoreError(code, fields, code === 'database_full' ? `Make room on its disk. ${hint}` : hint);
}

/** One result a statement: each ends with its own command tag. */
function rawResults(messages: readonly Message[]): readonly RawResult[] {
  const ends = messages.flatMap((message, index) => (isComplete(message) ? [index + 1] : []));
  return ends.map((end, index) => rawResult(messages.slice(ends[index - 1] ?? 0, end)));
}

function rawResult(messages: readonly Message[]): RawResult {
  let columns: RawResult['columns'] = [];
  let tag = '';
  const rows: (string | null)[][] = [];
  for (const message of messages) {
    if (isRow(message)) rows.push(message.fields);
    else if (isDescription(message)) {
      columns = message.fields.map((field) => ({ name: field.name, typeOid: field.dataTypeID }));
    } else if (isComplete(message)) tag = message.text;
  }
  const words = tag.split(' ');
  const count = Number(words.at(-1));
  return { columns, rows, rowCount: Number.isInteger(count) ? count : 0, command: words[0] ?? '' };
}

type MessageModule = (typeof import('@electric-sql/pglite'))['messages'];

function isRow(message: Message): message is InstanceType<MessageModule['DataRowMessage']> {
  return message.name === 'dataRow';
}

function isDescription(message: Message): message is InstanceType<MessageModule['RowDescriptionMessage']> {
  return message.name === 'rowDescription';
}

function isReady(message: Message): message is InstanceType<MessageModule['ReadyForQueryMessage']> {
  return message.name === 'readyForQuery';
}

function isComplete(message: Message): message is InstanceType<MessageModule['CommandCompleteMessage']> {
  return message.name === 'commandComplete';
}

function nestedUse(): VarveError {
  return new VarveError('internal', {
    detail: { used: 'the store inside a transaction of its only session' },
    hint: 'Use the handle that the transaction hands to its work: the store would wait for itself.',
  });
}

function closedStore(location: string): VarveError {
  return new VarveError('internal', {
    detail: { used: 'a store after its end', location },
    hint: 'Keep the store open for as long as something uses it.',
  });
}
