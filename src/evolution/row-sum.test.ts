import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../../test/harness/index.ts';
import { tableId, type Relation } from '../pipeline/index.ts';
import { sql, sumRows, type Store } from '../store/index.ts';
import { installCatalog, readCatalogFiles } from '../store/postgres/index.ts';
import { changeSum, forgetSum, keepSum, keptSum, sumRowsEarlier } from './row-sum.ts';

const COLUMNS = ['k', 'v'];

withEmbedded('the sum of rows', suite);
withPostgres('the sum of rows', 15, suite);
withPostgres('the sum of rows', 18, suite);

function suite(given: StoreUnderTest): void {
  it('of an earlier release is the sum of the words of each sha256', async () => {
    await opened(given);
    const rows = [
      ['1', 'a'],
      ['2', 'b'],
    ];
    const digests = rows.map((row) => createHash('sha256').update(JSON.stringify(row)).digest());
    const word = (at: number): string =>
      digests.reduce((sum, digest) => sum + digest.readBigInt64BE(at), 0n).toString();
    const from = sql`(select * from (values (2, 'b'), (1, 'a')) t (k, v))`;
    expect(await sumRowsEarlier(given.store, from, ['v', 'k'])).toEqual({
      rows: 2,
      first: word(0),
      second: word(8),
    });
  });

  it('kept over any changes is what measuring gives', async () => {
    const schema = await opened(given);
    const table = relation(schema);
    const change = fc.record({ from: fc.nat(20), to: fc.nat(20), value: fc.string({ maxLength: 3 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 6 }), async (changes) => {
        await given.store.execute(sql`truncate ${tableId(table.placement)}`);
        await given.store.execute(
          sql`insert into ${tableId(table.placement)} select i, i::text from generate_series(1, 10) i`,
        );
        await given.store.transaction({}, (transaction) => keepSum(transaction, table, COLUMNS));
        for (const { from, to, value } of changes) await replace(given.store, table, { from, to, value });
        expect(await keptSum(given.store, table)).toEqual(
          await sumRows(given.store, { from: tableId(table.placement), columns: COLUMNS }),
        );
      }),
      { numRuns: 20 },
    );
    await forgetSum(given.store, table);
    expect(await keptSum(given.store, table)).toBeUndefined();
    await replace(given.store, table, { from: 1, to: 2, value: 'x' });
  });
}

/** Puts rows in the place of others, with one value. */
async function replace(
  store: Store,
  table: Relation,
  { from, to, value }: { readonly from: number; readonly to: number; readonly value: string },
): Promise<void> {
  const rows = sql`select * from ${tableId(table.placement)} where k in (${from}, ${to})`;
  await store.transaction({}, async (transaction) => {
    await changeSum(transaction, table, { columns: COLUMNS, rows, by: 'taking out' });
    await transaction.execute(sql`delete from ${tableId(table.placement)} where k = ${from}`);
    await transaction.execute(sql`
      insert into ${tableId(table.placement)} values (${to}, ${value.replaceAll('\0', '')}::text)
      on conflict (k) do update set v = excluded.v`);
    await changeSum(transaction, table, { columns: COLUMNS, rows, by: 'putting in' });
  });
}

async function opened({ store, freshSchema }: StoreUnderTest): Promise<string> {
  await installCatalog(store, { files: await readCatalogFiles() });
  const schema = await freshSchema();
  await store.execute(sql`create table ${sql.id(schema, 't')} (k integer primary key, v text)`);
  return schema;
}

function relation(schema: string): Relation {
  const spec = { name: `${schema}.t`, sourceKey: ['k'], primaryKey: ['k'] } as unknown as Relation['spec'];
  return { id: 7, name: spec.name, spec, state: 'building', placement: { schema, table: 't' } };
}
