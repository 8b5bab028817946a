import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { sql } from '../../src/store/index.ts';
import { withEmbedded, withPostgres } from '../harness/index.ts';
import { committed, longestMs, startWriter, startWriterHere } from './writer.ts';

withPostgres('a writer in a process of its own', 18, (given) => {
  it('tells what it committed, what was refused, and how long a write waited for a lock', async () => {
    const schema = await given.freshSchema();
    const table = sql.id(schema, 't');
    await given.store.execute(sql`create table ${table} (n integer primary key check (n <> 5))`);
    await using writer = await startWriter(given.url(), {
      perSecond: 200,
      statements: [
        `insert into "${schema}".t values (:n)`,
        `update "${schema}".t set n = -n where n = :n - 1`,
      ],
    });
    const from = await given.store.transaction({}, async (transaction) => {
      await transaction.execute(sql`lock table ${table} in access exclusive mode`);
      const lockedAtMs = Date.now();
      await sleep(300);
      return lockedAtMs;
    });
    await sleep(100);
    const writes = await writer.stop();
    expect(longestMs(writes)).toBeGreaterThan(250);
    expect(writes.filter(({ dueAtMs }) => dueAtMs > from).length).toBeGreaterThan(10);
    expect(writes.filter(({ outcome }) => outcome.status === 'failed')).toMatchObject([
      { n: 5, statement: 0, outcome: { code: 'constraint_violated' } },
    ]);
    expect(writes.map(({ n }) => n)).toEqual(writes.map((_, index) => index + 1));
    const rows = await given.store.query<{ n: number }>(sql`select abs(n) as n from ${table} order by 1`);
    expect(rows.map(({ n }) => n)).toEqual(committed(writes, 0));
  });
});

withEmbedded('a writer in this process', (given) => {
  it('writes on while others use the store', async () => {
    const schema = await given.freshSchema();
    await given.store.execute(sql`create table ${sql.id(schema, 't')} (n integer primary key)`);
    const writer = startWriterHere(given.store, {
      perSecond: 100,
      statements: [`insert into "${schema}".t values (:n)`],
    });
    await expect
      .poll(() => given.store.query(sql`select from ${sql.id(schema, 't')} where n = 10`), {
        timeout: 10_000,
      })
      .toHaveLength(1);
    const writes = await writer.stop();
    expect(committed(writes, 0)).toEqual(writes.map(({ n }) => n));
  });
});
