/**
 * Calls makes and turns what they return into rows, or into the reason why there are none.
 *
 * A make that never returns must not hang the run. One that waits is raced against a timer; one that spins cannot be
 * interrupted by its own thread, so the loop over keys runs inside `vm` with a timeout, which ends any JavaScript under
 * it. When that strikes, the key in hand has either used up its time, and failed, or the batch as a whole took long, and
 * the loop goes on with that key: makes are pure.
 */
import { Script } from 'node:vm';
import { isVarveError } from '../../base/index.ts';
import type { Key } from '../key-source.ts';
import type { AnyTable } from '../table.ts';
import { collectRows, isIterable } from './collect-rows.ts';
import type { MakeFailure, MakeOutcome } from './make-outcome.ts';

/** One call: the key, and a function that calls the make with its inputs. */
export interface MakeCall {
  readonly key: Key;
  readonly call: () => unknown;
  /** Called when its time is over, so that what it still waits for can end too. */
  readonly expire: () => void;
}

/** Calls the makes of a batch, one after the other, each within its time. */
export async function callMakes(
  table: AnyTable,
  calls: readonly MakeCall[],
  signal: AbortSignal,
): Promise<readonly MakeOutcome[]> {
  const timeoutMs = table.definition.timeoutSeconds * 1000;
  const outcomes: MakeOutcome[] = [];
  let busySince = performance.now();
  while (outcomes.length < calls.length && !signal.aborted) {
    // Promises that are settled already give nobody else a turn either.
    if (performance.now() - busySince > BUSY_MS) {
      await breath();
      busySince = performance.now();
    }
    const pending = callSynchronously(table, calls, outcomes, timeoutMs);
    if (pending === undefined) continue;
    const call = calls[outcomes.length];
    if (call === undefined) break;
    outcomes.push(await awaitMade(table, call, pending, timeoutMs));
  }
  return outcomes;
}

/** So long a thread calls makes before it looks at what else it has to do, such as saying that it is alive. */
const BUSY_MS = 500;

function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface Pending {
  readonly value: unknown;
  readonly startedAtMs: number;
}

const RUN = 'varveRunMakes';
const script = new Script(`globalThis[Symbol.for('${RUN}')]()`);

/** Goes through the calls until one must be waited for, which it returns, or for {@link BUSY_MS}; outcomes are appended on the way. */
function callSynchronously(
  table: AnyTable,
  calls: readonly MakeCall[],
  outcomes: MakeOutcome[],
  timeoutMs: number,
): Pending | undefined {
  let startedAtMs = 0;
  const loop = (): Pending | undefined => {
    const until = performance.now() + BUSY_MS;
    while (outcomes.length < calls.length && performance.now() < until) {
      const call = calls[outcomes.length];
      if (call === undefined) return undefined;
      startedAtMs = performance.now();
      try {
        const value = call.call();
        if (isWaiting(value)) return { value, startedAtMs };
        // A generator runs, and can throw, while it is read.
        outcomes.push(collectRows(table, call.key, syncPieces(value), startedAtMs));
      } catch (error) {
        outcomes.push(failure(error));
      }
    }
    return undefined;
  };
  try {
    return withinTime(loop, timeoutMs);
  } catch (error) {
    if (!isTimeout(error)) throw error;
    // A little under the limit, for the timer's own grain.
    if (performance.now() - startedAtMs > timeoutMs * 0.95) {
      calls[outcomes.length]?.expire();
      outcomes.push(timedOut(table));
    }
    return undefined;
  }
}

function withinTime<T>(work: () => T, timeoutMs: number): T {
  const holder = globalThis as unknown as Record<symbol, unknown>;
  holder[Symbol.for(RUN)] = work;
  try {
    return script.runInThisContext({ timeout: timeoutMs }) as T;
  } finally {
    holder[Symbol.for(RUN)] = undefined;
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
}

function isWaiting(value: unknown): value is PromiseLike<unknown> | AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && ('then' in value || Symbol.asyncIterator in value);
}

/** Waits for one make that is a promise or an async generator. */
async function awaitMade(
  table: AnyTable,
  call: MakeCall,
  pending: Pending,
  timeoutMs: number,
): Promise<MakeOutcome> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<MakeOutcome>((resolve) => {
    timer = setTimeout(() => {
      call.expire();
      resolve(timedOut(table));
    }, timeoutMs);
  });
  const made = settle(pending.value).then(
    (pieces) => collectRows(table, call.key, pieces, pending.startedAtMs),
    failure,
  );
  try {
    return await Promise.race([made, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

async function settle(value: unknown): Promise<readonly unknown[]> {
  if (typeof value === 'object' && value !== null && Symbol.asyncIterator in value) {
    const pieces: unknown[] = [];
    for await (const piece of value as AsyncIterable<unknown>) pieces.push(piece);
    return pieces;
  }
  return syncPieces(await value);
}

/** A single row, or all that an iterable gives. */
function syncPieces(value: unknown): readonly unknown[] {
  return isIterable(value) ? [...value] : [value];
}

function failure(error: unknown): MakeFailure {
  if (isVarveError(error)) {
    return { status: 'failed', code: error.code, message: error.message, stack: error.stack ?? null };
  }
  const denied = permissionDenied(error);
  if (denied !== undefined) {
    return { status: 'failed', code: 'make_left_isolation', message: denied, stack: null };
  }
  return error instanceof Error
    ? { status: 'failed', code: 'make_failed', message: textOf(error.message), stack: textOf(error.stack) }
    : { status: 'failed', code: 'make_failed', message: textOf(error), stack: null };
}

/** What the runtime's permission model refused, where it did. */
function permissionDenied(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_ACCESS_DENIED') return undefined;
  const { permission, resource } = error as { readonly permission?: unknown; readonly resource?: unknown };
  const group = textOf(permission).startsWith('FileSystem') ? 'file' : 'process';
  return [`${group}: ${textOf(permission ?? error.message)}`, textOf(resource ?? '')].join(' ').trim();
}

/** Whatever was thrown as text; an object may have none. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'the make threw a value that has no text';
  }
}

/** What a key fails with that took longer than it may. */
export function timedOut(table: AnyTable): MakeFailure {
  const message = `the make took longer than ${table.definition.timeoutSeconds} s`;
  return { status: 'failed', code: 'make_timed_out', message, stack: null };
}
