/**
 * Text of PostgreSQL to JavaScript values, by type OID. Both drivers hand over raw text, so that a value cannot depend on
 * the driver it came through.
 *
 * | type | value |
 * |---|---|
 * | bool | boolean |
 * | int2, int4, oid, float4, float8 | number |
 * | int8 | bigint |
 * | timestamptz | `2026-05-12T09:14:07.123456Z`, always six digits, so that text order is time order |
 * | timestamp, time | `2026-05-12T09:14:07.123456`, `09:14:07.123456` |
 * | bytea | Uint8Array |
 * | json, jsonb | parsed |
 * | arrays of these and of other built-in types | arrays, nested by dimension |
 * | everything else: numeric, uuid, date, interval, enum, range, arrays of enums | PostgreSQL's own text |
 *
 * A domain arrives as its base type. `infinity` and years BC keep PostgreSQL's spelling, which it also accepts back.
 * Type OIDs: PostgreSQL's `pg_type.dat`; those of built-in types never change.
 */
import { parse as parseArray } from 'postgres-array';
import { VarveError } from '../../base/index.ts';
import type { Row } from '../store.ts';

/** A column of a result as the wire describes it. */
export interface ResultColumn {
  readonly name: string;
  readonly typeOid: number;
}

/** A row as it comes from the wire: text or null by column. */
export type RawRow = readonly (string | null)[];

type Decode = (text: string) => unknown;

/** Rows by column name; of two columns with one name the last counts. Decoders are picked once per result. */
export function decodeRows(columns: readonly ResultColumn[], rows: readonly RawRow[]): Row[] {
  const names = columns.map(({ name }) => name);
  const decoders = columns.map(({ typeOid }) => DECODERS.get(typeOid));
  // A plain assignment to this one name would set the prototype and lose the value.
  if (names.includes('__proto__')) {
    return rows.map((row) =>
      Object.fromEntries<unknown>(row.map((cell, i) => [names[i] as string, decodeCell(cell, decoders[i])])),
    );
  }
  const width = names.length;
  return rows.map((row) => {
    const decoded: Record<string, unknown> = {};
    for (let i = 0; i < width; i += 1) decoded[names[i] as string] = decodeCell(row[i], decoders[i]);
    return decoded;
  });
}

function decodeCell(cell: string | null | undefined, decode: Decode | undefined): unknown {
  if (cell === null || cell === undefined) return null;
  return decode === undefined ? cell : decode(cell);
}

const SCALARS: readonly { readonly oid: number; readonly arrayOid: number; readonly decode?: Decode }[] = [
  { oid: 16, arrayOid: 1000, decode: (text) => text === 't' }, // bool
  { oid: 17, arrayOid: 1001, decode: decodeBytes }, // bytea
  { oid: 18, arrayOid: 1002 }, // "char"
  { oid: 19, arrayOid: 1003 }, // name
  { oid: 20, arrayOid: 1016, decode: BigInt }, // int8
  { oid: 21, arrayOid: 1005, decode: Number }, // int2
  { oid: 23, arrayOid: 1007, decode: Number }, // int4
  { oid: 25, arrayOid: 1009 }, // text
  { oid: 26, arrayOid: 1028, decode: Number }, // oid
  { oid: 114, arrayOid: 199, decode: parseJson }, // json
  { oid: 142, arrayOid: 143 }, // xml
  { oid: 650, arrayOid: 651 }, // cidr
  { oid: 700, arrayOid: 1021, decode: Number }, // float4
  { oid: 701, arrayOid: 1022, decode: Number }, // float8
  { oid: 829, arrayOid: 1040 }, // macaddr
  { oid: 869, arrayOid: 1041 }, // inet
  { oid: 1042, arrayOid: 1014 }, // bpchar
  { oid: 1043, arrayOid: 1015 }, // varchar
  { oid: 1082, arrayOid: 1182 }, // date
  { oid: 1083, arrayOid: 1183, decode: withMicroseconds }, // time
  { oid: 1114, arrayOid: 1115, decode: (text) => decodeTimestamp(text, '') }, // timestamp
  { oid: 1184, arrayOid: 1185, decode: decodeInstant }, // timestamptz
  { oid: 1186, arrayOid: 1187 }, // interval
  { oid: 1266, arrayOid: 1270 }, // timetz
  { oid: 1560, arrayOid: 1561 }, // bit
  { oid: 1562, arrayOid: 1563 }, // varbit
  { oid: 1700, arrayOid: 1231 }, // numeric
  { oid: 2205, arrayOid: 2210 }, // regclass
  { oid: 2206, arrayOid: 2211 }, // regtype
  { oid: 2950, arrayOid: 2951 }, // uuid
  { oid: 3802, arrayOid: 3807, decode: parseJson }, // jsonb
];

const DECODERS: ReadonlyMap<number, Decode> = new Map(
  SCALARS.flatMap(({ oid, arrayOid, decode }): [number, Decode][] => [
    ...(decode === undefined ? [] : [[oid, decode] as [number, Decode]]),
    [arrayOid, (text) => parseArray(text, decode ?? String)],
  ]),
);

function parseJson(text: string): unknown {
  return JSON.parse(text);
}

/** `\x` and hex, as `bytea_output = hex` writes it. */
function decodeBytes(text: string): Uint8Array {
  // A copy: a Buffer's memory may belong to a pool that it shares with others.
  return Uint8Array.from(Buffer.from(text.slice(2), 'hex'));
}

function decodeInstant(text: string): string {
  if (text.endsWith('+00')) return decodeTimestamp(text.slice(0, -3), 'Z');
  if (text.endsWith('+00 BC')) return `${decodeTimestamp(text.slice(0, -6), 'Z')} BC`;
  if (text.endsWith('infinity')) return text;
  throw new VarveError('internal', {
    detail: { setting: 'TimeZone' },
    hint: 'Take `SET TIME ZONE` out of the statements: every session of varve speaks UTC.',
  });
}

function decodeTimestamp(text: string, zone: string): string {
  if (text.endsWith('infinity')) return text;
  if (text.endsWith(' BC')) return `${decodeTimestamp(text.slice(0, -3), zone)} BC`;
  return `${withMicroseconds(text.replace(' ', 'T'))}${zone}`;
}

/** PostgreSQL drops the zeros at the end of a fraction, and a fraction that is zero. */
function withMicroseconds(text: string): string {
  const dot = text.lastIndexOf('.');
  return dot === -1 ? `${text}.000000` : text.padEnd(dot + 7, '0');
}
