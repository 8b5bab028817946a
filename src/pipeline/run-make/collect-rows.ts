/** Turns what a make returned into rows of its key, each value checked against its column, or says why it cannot. */
import type { ErrorCode, Json } from '../../base/index.ts';
import type { Column, Columns } from '../column.ts';
import { encodeValue } from '../encode-row.ts';
import type { Key } from '../key-source.ts';
import type { TableSpec } from '../spec.ts';
import type { AnyTable } from '../table.ts';
import type { MadeValues, MakeFailure, MakeOutcome } from './make-outcome.ts';

/** From the pieces that a make gave to the rows of its key, each value checked against its column. */
export function collectRows(
  table: AnyTable,
  key: Key,
  pieces: readonly unknown[],
  startedAtMs: number,
): MakeOutcome {
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
  // A row that is its key and nothing else need not be spelt out beside its parts.
  if (rows.length === 0 && Object.keys(parts).length > 0 && isKeyAlone(table.spec)) rows.push({});
  const fault = countFault(table.spec, rows);
  if (fault !== undefined) return fault;
  return { status: 'made', rows, parts, durationUs: Math.round((performance.now() - startedAtMs) * 1000) };
}

function isKeyAlone(spec: TableSpec): boolean {
  return madeColumns(spec, spec.sourceKey).length === 0;
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

export function isIterable(value: unknown): value is Iterable<unknown> {
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

function refused(code: ErrorCode, message: string): MakeFailure {
  return { status: 'failed', code, message, stack: null };
}
