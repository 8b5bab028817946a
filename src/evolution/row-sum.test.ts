import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../../test/harness/index.ts';
import { tableId, type Relation } from '../pipeline/index.ts';
import { sql, type Store } from '../store/index.ts';
import { installCatalog, readCatalogFiles } from '../store/postgres/index.ts';
import { changeSum, forgetSum, keepSum, keptSum, sumDigest, sumRows } from './row-sum.ts';

const COLUMNS = ['k', 'v'];
/** Sums of two rows as every server gave them when these hashes were chosen: baselines of earlier runs hold such sums. */
const DATABASE_SUM = { rows: 2, first: '-9147583790741196730', second: '1564377764373565935' };
const SHA256_SUM = { rows: 2, first: '1867925031542055649', second: '-4500027362258593300' };

withEmbedded('the sum of rows', suite);
withPostgres('the sum of rows', 15, suite);
withPostgres('the sum of rows', 18, suite);

function suite(given: StoreUnderTest): void {
  it('is the same for equal rows, whatever their order and that of the columns, and for no others', async () => {
    const schema = await opened(given);
    const digest = async (rows: string, columns = COLUMNS) =>
      sumDigest(await sumRows(given.store, sql`(${sql.raw(rows)})`, columns));
    const one = await digest(`select * from (values (1, 'a'), (2, 'b')) t (k, v)`);
    expect(await digest(`select * from (values (2, 'b'), (1, 'a')) t (k, v)`, ['v', 'k'])).toBe(one);
    const others = [
      `values (1, 'b'), (2, 'a')`,
      `values (1, 'a')`,
      `values (1, 'a'), (2, 'b'), (2, 'b')`,
      `values (1, 'a'), (2, null)`,
    ];
    for (const other of others) expect(await digest(`select * from (${other}) t (k, v)`)).not.toBe(one);
    expect(await sumRows(given.store, sql.id(schema, 't'), COLUMNS)).toEqual({
      rows: 0,
      first: '0',
      second: '0',
    });
  });

  it('is the same number on every server, in this release and in the one before', async () => {
    await opened(given);
    const rows = sql`(select 1 as k, 'a"b, (c)' as v, null::numeric as n, true as b, '{1,2}'::integer[] as a
      union all select 2, '', 1.50, false, '{}')`;
    const columns = ['k', 'v', 'n', 'b', 'a'];
    expect(await sumRows(given.store, rows, columns)).toEqual(DATABASE_SUM);
    expect(await sumRows(given.store, rows, columns, 'sha256')).toEqual(SHA256_SUM);
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
          await sumRows(given.store, tableId(table.placement), COLUMNS),
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
