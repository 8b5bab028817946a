import { expect, it } from 'vitest';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../../test/harness/index.ts';
import { sql } from '../store/index.ts';
import { installCatalog, readCatalogFiles } from '../store/postgres/index.ts';
import { rowDigest } from './read-plan.ts';
import type { ColumnSpec } from './spec.ts';

withEmbedded('digest of a row', suite);
withPostgres('digest of a row', 15, suite);
withPostgres('digest of a row', 18, suite);

/** Types, and values of them, some of which JSON writes with signs of its own. */
const VALUES: readonly (readonly [string, readonly string[]])[] = [
  ['smallint', ['-1', '32767']],
  ['integer', ['0', '-2147483648']],
  ['bigint', ['9223372036854775807']],
  ['boolean', ['true', 'false']],
  ['uuid', ['00000000-0000-4000-8000-00000000000a']],
  ['date', ['2026-11-29', 'infinity', '0044-03-15 BC']],
  ['real', ['1e-30', 'NaN', '-Infinity']],
  ['double precision', ['0.1', '1e300']],
  ['numeric(12, 3)', ['1.50', '-7']],
  ['numeric', ['NaN', '1.00']],
  ['text', ['a "b" \\ c', 'null', '', 'ü\n\t']],
  ['jsonb', ['{"a": [1, "b"]}']],
  ['timestamp with time zone', ['2026-11-29 18:00:00.5+01']],
];

function suite(given: StoreUnderTest): void {
  it.each(VALUES)('of type %s is the same whether its type is known or not', async (type, values) => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    const known: readonly ColumnSpec[] = ['k', 'v'].map((name) => ({
      name,
      type: name === 'k' ? 'integer' : type,
      nullable: name === 'v',
    }));
    const rows = sql.join(
      [...values, null].map((value, at) => sql`(${at}::integer, (${value}::text)::${sql.raw(type)})`),
    );
    for (const columns of [['k', 'v'], ['v']]) {
      const found = await given.store.query<{ known: string; plain: string }>(sql`
        select encode(${rowDigest(sql`t`, columns, known)}, 'hex') as known, encode(${rowDigest(sql`t`, columns)}, 'hex') as plain
        from (values ${rows}) t (k, v)`);
      expect(found.length).toBe(values.length + 1);
      expect(found.map((row) => row.known)).toEqual(found.map((row) => row.plain));
      expect(new Set(found.map((row) => row.known)).size).toBe(found.length);
    }
  });
}
