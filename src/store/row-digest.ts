/**
 * Digests of a table's rows, made in the database.
 *
 * ```text
 * text     of a row: its columns in the order of their names, as the database writes a row value; geometry is EWKB there
 * sum      count, and two sums over 64-bit hashes of each row's text (seeds 0 and 1): exact whole numbers
 *          digest: sha256 of "count first second"
 * keyed    sha256 of each row's text, in byte order, in 256 sets by first byte; sha256 of each set; HMAC-SHA-256 over those
 * ```
 *
 * The sum does not depend on the order of rows, and taking a row out or putting one in costs what hashing that row costs,
 * so it can be kept up to date while rows change. It finds change, with 128 bits against accident; it is no proof against
 * somebody who may choose the rows, for whom sums can be made to agree, and a small table's can be guessed. The keyed
 * digest is for protected tables: nobody without the key can try out values against it. In sets, because one value of the
 * database ends at 1 GB, which is 33 million digests.
 *
 * Texts depend on settings of the session: call within `readPinned` where statements of others ran before.
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { hex } from '../base/index.ts';
import { sql, type Sql } from './sql.ts';
import type { Queryable } from './store.ts';
import { UNMERGED } from './unmerged.ts';

/** What is summed; the sums as text since they pass 64 bits. */
export interface RowSum {
  readonly rows: number;
  readonly first: string;
  readonly second: string;
}

/** Rows that are digested: `from` stands after FROM, its columns without an alias of their own. */
export interface Rows {
  readonly from: Sql;
  readonly columns: readonly string[];
}

/** The digest of summed rows. Shape: `sha256:...` */
export function sumDigest({ rows, first, second }: RowSum): string {
  return `sha256:${hex(sha256(utf8(`${String(rows)} ${first} ${second}`)))}`;
}

/** `select rows, first, second`: the sum of rows, for where it is kept. */
export function rowSumOf({ from, columns }: Rows): Sql {
  const word = (seed: string): Sql =>
    sql`coalesce(sum(hashtextextended(h collate "C", ${sql.raw(seed)})), 0)`;
  // Or the text would be made once for each word.
  return sql`select count(*) as rows, ${word('0')} as first, ${word('1')} as second
    from (select ${rowText(columns)} as h from ${from} t ${UNMERGED}) d`;
}

/** Sums rows. */
export async function sumRows(reader: Queryable, rows: Rows): Promise<RowSum> {
  const [row] = await reader.query<{ rows: bigint; first: string; second: string }>(rowSumOf(rows));
  return { rows: Number(row?.rows ?? 0n), first: row?.first ?? '0', second: row?.second ?? '0' };
}

/**
 * The keyed digest of rows. What is sent to the database is derived from key and purpose, so that what one statement
 * might betray is of use for no other. Shape: `{ rows: 2, digest: 'hmac-sha256:...' }`
 */
export async function keyedDigest(
  reader: Queryable,
  { from, columns }: Rows,
  { key, purpose }: { readonly key: Uint8Array; readonly purpose: string },
): Promise<{ readonly rows: number; readonly digest: string }> {
  const own = hmac(sha256, key, utf8(`varve protected rows 1 ${purpose}`));
  const pad = (byte: number): Uint8Array => Uint8Array.from({ length: 64 }, (_, at) => (own[at] ?? 0) ^ byte);
  const [row] = await reader.query<{ rows: bigint; digest: string }>(sql`
    select coalesce(sum(n), 0)::int8 as rows, 'hmac-sha256:' || encode(sha256(${pad(0x5c)}::bytea
      || sha256(${pad(0x36)}::bytea || coalesce(string_agg(int2send(bucket::int2) || digest, '' order by bucket), ''))), 'hex') as digest
    from (select get_byte(h, 0) as bucket, count(*) as n, sha256(string_agg(h, '' order by h)) as digest
      from (select sha256(convert_to(${rowText(columns)}, 'UTF8')) as h from ${from} t ${UNMERGED}) d group by 1) b`);
  return { rows: Number(row?.rows ?? 0n), digest: row?.digest ?? '' };
}

/** Names a key without giving it away. Shape: `hmac-sha256:...` */
export function keyIdOfSecret(key: Uint8Array): string {
  return `hmac-sha256:${hex(hmac(sha256, key, utf8('varve key id 1')))}`;
}

function rowText(columns: readonly string[]): Sql {
  const sorted = columns.toSorted((left, right) => (left < right ? -1 : 1));
  return sql`row(${sql.join(sorted.map((column) => sql`t.${sql.id(column)}`))})::text`;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
