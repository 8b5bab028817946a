/**
 * Calls makes and turns what they return into rows, or into the reason why there are none.
 *
 * A make that never returns must not hang the run. One that waits is raced against a timer; one that spins cannot be
 * interrupted by its own thread, so the loop over keys runs inside `vm` with a timeout, which ends any JavaScript under
 * it. When that strikes, the key in hand has either used up its time, and failed, or the batch as a whole took long, and
 * the loop goes on with that key: makes are pure.
 */
import { Script } from 'node:vm';
import { isVarveError, type ErrorCode, type Json } from '../base/index.ts';
import type { Column, Columns } from './column.ts';
import { encodeValue } from './encode-row.ts';
import type { Key } from './key-source.ts';
import type { TableSpec } from './spec.ts';
import type { AnyTable } from './table.ts';

/** A row ready to be sent, its columns by name. */
export type MadeValues = Readonly<Record<string, Json>>;

/** What one key produced. */
export interface MadeRows {
  readonly status: 'made';
  readonly rows: readonly MadeValues[];
  /** By part name. */
  readonly parts: Readonly<Record<string, readonly MadeValues[]>>;
  readonly durationUs: number;
}

/** Why one key produced nothing. `message` and `stack` are the make's own and stay in the database. */
export interface MakeFailure {
  readonly status: 'failed';
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack: string | null;
}

/** What calling a make gave. */
export type MakeOutcome = MadeRows | MakeFailure;

/** One call: the key, and a function that calls the make with its inputs. */
export interface MakeCall {
  readonly key: Key;
  readonly call: () => unknown;
  /** Called when its time is over, so that what it still waits for can end too. */
  readonly expire: () => void;
}

/** Calls the makes of a batch, one after the other, each within its time. */
export async function runMakes(
  table: AnyTable,
  calls: readonly MakeCall[],
  signal: AbortSignal,
): Promise<readonly MakeOutcome[]> {
  const timeoutMs = table.definition.timeoutSeconds * 1000;
  const outcomes: MakeOutcome[] = [];
  while (outcomes.length < calls.length && !signal.aborted) {
    const pending = callSynchronously(table, calls, outcomes, timeoutMs);
    if (pending === undefined) continue;
    const call = calls[outcomes.length];
    if (call === undefined) break;
    outcomes.push(await awaitMade(table, call, pending, timeoutMs));
  }
  return outcomes;
}

interface Pending {
  readonly value: unknown;
  readonly startedAtMs: number;
}

const RUN = 'varveRunMakes';
const script = new Script(`globalThis[Symbol.for('${RUN}')]()`);

/** Goes through the calls until one must be waited for, which it returns; outcomes are appended on the way. */
function callSynchronously(
  table: AnyTable,
  calls: readonly MakeCall[],
  outcomes: MakeOutcome[],
  timeoutMs: number,
): Pending | undefined {
  let startedAtMs = 0;
  const loop = (): Pending | undefined => {
    while (outcomes.length < calls.length) {
      const call = calls[outcomes.length];
      if (call === undefined) return undefined;
      startedAtMs = performance.now();
      try {
        const value = call.call();
        if (isWaiting(value)) return { value, startedAtMs };
        // A generator runs, and can throw, while it is read.
        outcomes.push(collect(table, call.key, syncPieces(value), startedAtMs));
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
    (pieces) => collect(table, call.key, pieces, pending.startedAtMs),
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
  return error instanceof Error
    ? { status: 'failed', code: 'make_failed', message: textOf(error.message), stack: textOf(error.stack) }
    : { status: 'failed', code: 'make_failed', message: textOf(error), stack: null };
}

/** Whatever was thrown as text; an object may have none. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'the make threw a value that has no text';
  }
}

function timedOut(table: AnyTable): MakeFailure {
  const message = `the make took longer than ${table.definition.timeoutSeconds} s`;
  return { status: 'failed', code: 'make_timed_out', message, stack: null };
}

function refused(code: ErrorCode, message: string): MakeFailure {
  return { status: 'failed', code, message, stack: null };
}

/** From the pieces that a make gave to the rows of its key, each value checked against its column. */
function collect(table: AnyTable, key: Key, pieces: readonly unknown[], startedAtMs: number): MakeOutcome {
  const rows: MadeValues[] = [];
  const parts: Record<string, MadeValues[]> = {};
  for (const piece of pieces) {
    if (piece === undefined || piece === null) continue;
    if (typeof piece !== 'object' || Array.isArray(piece)) {
      return refused(
        'make_returned_wrong_type',
        `${table.spec.name}: the make returned no row but a ${typeof piece}`,
      );
    }
    const fault = collectPiece(table, key, piece as Readonly<Record<string, unknown>>, rows, parts);
    if (fault !== undefined) return fault;
  }
  const fault = countFault(table.spec, rows);
  if (fault !== undefined) return fault;
  return { status: 'made', rows, parts, durationUs: Math.round((performance.now() - startedAtMs) * 1000) };
}

function countFault(spec: TableSpec, rows: readonly MadeValues[]): MakeFailure | undefined {
  if (rows.length === 0)
    return refused('make_returned_nothing', `${spec.name}: the make returned no row for its key`);
  if (rows.length > 1 && spec.primaryKey.length === spec.sourceKey.length) {
    return refused(
      'make_returned_another_key',
      `${spec.name}: the make returned ${rows.length} rows for one key`,
    );
  }
  return undefined;
}

function collectPiece(
  table: AnyTable,
  key: Key,
  piece: Readonly<Record<string, unknown>>,
  rows: MadeValues[],
  parts: Record<string, MadeValues[]>,
): MakeFailure | undefined {
  // Most pieces are a row and nothing else: those are taken as they are.
  if (!('parts' in piece)) return collectRow(table, key, piece, rows);
  const { parts: partRows, ...columns } = piece;
  const isRow = partRows === undefined || Object.keys(columns).length > 0;
  const fault = isRow ? collectRow(table, key, columns, rows) : undefined;
  return fault ?? collectParts(table, key, partRows ?? {}, parts);
}

function collectParts(
  table: AnyTable,
  key: Key,
  partRows: unknown,
  parts: Record<string, MadeValues[]>,
): MakeFailure | undefined {
  const { spec, definition } = table;
  if (typeof partRows !== 'object' || partRows === null) {
    return refused('make_returned_wrong_type', `${spec.name}: \`parts\` is no object of lists by part name`);
  }
  for (const [label, list] of Object.entries(partRows)) {
    const part = definition.parts.find((candidate) => candidate.spec.name === spec.parts[label]);
    if (part === undefined) return refused('make_returned_wrong_type', `${spec.name} has no part "${label}"`);
    if (!isIterable(list))
      return refused('make_returned_wrong_type', `${part.spec.name}: the rows are no list`);
    const encoded = (parts[label] ??= []);
    for (const item of list) {
      if (typeof item !== 'object' || item === null) {
        return refused(
          'make_returned_wrong_type',
          `${part.spec.name}: a row is no object but a ${typeof item}`,
        );
      }
      const fault = collectRow(part, key, item as Readonly<Record<string, unknown>>, encoded);
      if (fault !== undefined) return fault;
    }
  }
  return undefined;
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

function collectRow(
  table: AnyTable,
  key: Key,
  columns: Readonly<Record<string, unknown>>,
  rows: MadeValues[],
): MakeFailure | undefined {
  const row = encodeRow(table, key, columns);
  if ('status' in row) return row;
  rows.push(row.values);
  return undefined;
}

/** Columns that a make returns: all but the key it was called for and what varve fills. */
export function madeColumns(spec: TableSpec, sourceKey: readonly string[]): readonly string[] {
  const filled = new Set(
    spec.foreignKeys
      .filter(({ fills }) => fills !== undefined)
      .flatMap(({ columns }) => Object.keys(columns)),
  );
  return spec.columns
    .map(({ name }) => name)
    .filter((name) => !sourceKey.includes(name) && (!filled.has(name) || spec.primaryKey.includes(name)));
}

/** A key's value as the store gave it and as a make returned it: `1n` and `1` are the same key. */
function isSameValue(own: unknown, returned: unknown): boolean {
  if (Object.is(own, returned)) return true;
  if (own instanceof Uint8Array) return returned instanceof Uint8Array && Buffer.compare(own, returned) === 0;
  return isSimple(own) && isSimple(returned) && own.toString() === returned.toString();
}

function isSimple(value: unknown): value is string | number | bigint | boolean {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value);
}

interface MadeColumn {
  readonly name: string;
  readonly type: Column;
}

const shapes = new WeakMap<AnyTable, readonly MadeColumn[]>();

/** The columns that a make returns, with their types: found for the first key of a table, the same for all. */
function shapeOf(table: AnyTable, key: Key): readonly MadeColumn[] {
  const known = shapes.get(table);
  if (known !== undefined) return known;
  const types: Columns = table.definition.columns;
  const shape = madeColumns(table.spec, Object.keys(key)).flatMap((name) => {
    const type = types[name];
    return type === undefined ? [] : [{ name, type }];
  });
  shapes.set(table, shape);
  return shape;
}

function encodeRow(
  table: AnyTable,
  key: Key,
  columns: Readonly<Record<string, unknown>>,
): { readonly values: MadeValues } | MakeFailure {
  const { spec } = table;
  const values: Record<string, Json> = {};
  for (const { name, type } of shapeOf(table, key)) {
    const encoded = encodeValue(name, type, Object.hasOwn(columns, name) ? columns[name] : undefined);
    if ('fault' in encoded) {
      const { fault } = encoded;
      return refused(fault.code, `${spec.name}.${fault.column}: the value is no ${fault.expected}`);
    }
    values[name] = encoded.value;
  }
  for (const name of Object.keys(columns)) {
    const value = columns[name];
    if (Object.hasOwn(values, name) || value === undefined) continue;
    if (Object.hasOwn(key, name)) {
      if (isSameValue(key[name], value)) continue;
      return refused(
        'make_returned_another_key',
        `${spec.name}.${name}: the make returned a row of another key`,
      );
    }
    return refused('make_returned_wrong_type', `${spec.name} has no column "${name}" for its make to return`);
  }
  return { values };
}
