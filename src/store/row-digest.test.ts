import { createHmac } from 'node:crypto';
import { expect, it } from 'vitest';
import { withStores } from '../../test/harness/index.ts';
import { keyedDigest, keyIdOfSecret, readPinned, sql, sumDigest, sumRows, type Rows } from './index.ts';

const KEY = new TextEncoder().encode('a key of thirty-two bytes or more');
const rowsOf = (text: string, columns: readonly string[] = ['k', 'v']): Rows => ({
  from: sql`(select * from (${sql.raw(text)}) t (k, v))`,
  columns,
});

withStores('digests of rows', (given) => {
  const digests = async (rows: Rows, purpose = 'lab.t'): Promise<readonly [string, string]> => [
    sumDigest(await sumRows(given.store, rows)),
    (await keyedDigest(given.store, rows, { key: KEY, purpose })).digest,
  ];

  it('M102 are the same for equal rows, whatever their order and that of the columns, and for no others', async () => {
    const one = await digests(rowsOf(`values (1, 'a'), (2, 'b')`));
    expect(await digests(rowsOf(`values (2, 'b'), (1, 'a')`, ['v', 'k']))).toEqual(one);
    const others = [
      `values (1, 'b'), (2, 'a')`,
      `values (1, 'a')`,
      `values (1, 'a'), (2, 'b'), (2, 'b')`,
      `values (1, 'a'), (2, null)`,
      `values (1, 'a'), (2, '')`,
      `values (1, 'a'), (2, 'b,')`,
      `select 1, 'a' where false`,
    ];
    const seen = new Set(one);
    for (const other of others) for (const digest of await digests(rowsOf(other))) seen.add(digest);
    expect(seen.size).toBe(2 + 2 * others.length);
  });

  it('M123 the keyed one is HMAC-SHA-256 of a key of its own, and changes with key and purpose', async () => {
    const rows = rowsOf(`select 1, 'a' where false`);
    const own = createHmac('sha256', KEY).update('varve protected rows 1 lab.t').digest();
    const { rows: count, digest } = await keyedDigest(given.store, rows, { key: KEY, purpose: 'lab.t' });
    expect([count, digest]).toEqual([0, `hmac-sha256:${createHmac('sha256', own).digest('hex')}`]);
    const other = await keyedDigest(given.store, rows, { key: KEY, purpose: 'lab.u' });
    expect(other.digest).not.toBe(digest);
    expect(keyIdOfSecret(KEY)).not.toContain(own.toString('hex'));
  });

  it('do not depend on the settings of the session', async () => {
    const rows = rowsOf(`values (timestamptz '2020-02-01 00:00+00', 0.1::float8)`);
    const expected = sumDigest(await sumRows(given.store, rows));
    await given.store.transaction({}, async (transaction) => {
      await transaction.script(
        `set local datestyle = 'German'; set local timezone = 'Asia/Tokyo'; set local extra_float_digits = -5`,
      );
      expect(sumDigest(await readPinned(transaction, (reader) => sumRows(reader, rows)))).toBe(expected);
    });
  });
});
