import { expect, it } from 'vitest';
import { withEmbedded, withPostgres, uniqueName, type StoreUnderTest } from '../../test/harness/index.ts';
import { openLab, sideLab, type Lab } from '../../test/evolution/lab.ts';
import { versionOne } from '../../test/evolution/side-pipeline.ts';
import { keyHash, loadRelations, relationOf } from '../pipeline/index.ts';
import { fingerprint } from '../provenance/index.ts';
import { sql, type Queryable, type Store, type Transaction } from '../store/index.ts';
import { postgresStore } from '../store/postgres/index.ts';
import { countNotes, hasNotes, startCapture, stopCapture, takeNotes, type Watched } from './capture.ts';
import { dependents } from './dependents.ts';

const RUN = 'varve://run/one';

withEmbedded('noting what changes', suite);
withPostgres('noting what changes', 15, suite);
withPostgres('noting what changes', 18, suite);

function suite(given: StoreUnderTest): void {
  it('notes the units of inserted, changed and deleted rows, old and new', async () => {
    await using lab = await opened(given.store);
    const watched = await watch(lab.store, 'lab.s');
    await lab.store.script('insert into lab.s values (3, 30); update lab.s set v = 21 where s = 2');
    expect(await takenKeys(lab.store, watched)).toEqual([2, 3]);
    await lab.store.script('update lab.s set s = 4 where s = 3; delete from lab.s where s = 4');
    expect(await takenKeys(lab.store, watched)).toEqual([3, 4]);
    expect(await takenKeys(lab.store, watched)).toEqual([]);
  });

  it('gives each unit with the hash that computations are found by, from whatever session', async () => {
    await using lab = await opened(given.store);
    await lab.store.script(
      `create table lab.at (at timestamptz, n numeric, "#x y" float8, primary key (at, n, "#x y"))`,
    );
    const [watched] = await watchAll(lab.store, ['lab.s'], ['at', 'n', '#x y'], 'lab.at');
    await lab.store.script(`
      begin; set local timezone = 'Asia/Tokyo'; set local datestyle = 'German'; set local extra_float_digits = -5;
      insert into lab.at values ('2026-03-01 10:00', 1.0, 0.1::float8 + 0.2::float8); commit;
      update lab.at set n = 1.00`);
    const hashes = await lab.store.transaction({}, async (transaction) => {
      const { units, count } = await takeNotes(transaction, watched);
      expect(count).toBe(2);
      return transaction.query<{ is_same: boolean }>(sql`
        select "#hash" = ${keyHash(sql`u`, watched.unit)} as is_same from ${units} u`);
    });
    expect(hashes).toEqual([{ is_same: true }, { is_same: true }]);
  });

  it('notes nothing of a transaction or savepoint that was taken back', async () => {
    await using lab = await opened(given.store);
    const watched = await watch(lab.store, 'lab.s');
    await lab.store.transaction({}, async (writer) => {
      await writer.execute(sql`insert into lab.s values (3, 30)`);
      await writer
        .savepoint(async () => {
          await writer.execute(sql`insert into lab.s values (4, 40)`);
          throw new TypeError('taken back');
        })
        .catch(() => undefined);
    });
    await lab.store
      .transaction({}, async (writer) => {
        await writer.execute(sql`insert into lab.s values (5, 50)`);
        throw new TypeError('taken back');
      })
      .catch(() => undefined);
    expect(await takenKeys(lab.store, watched)).toEqual([3]);
  });

  it('gives notes back when who took them is aborted', async () => {
    await using lab = await opened(given.store);
    const watched = await watch(lab.store, 'lab.s');
    await lab.store.script('insert into lab.s values (3, 30)');
    await lab.store
      .transaction({}, async (transaction) => {
        expect((await takeNotes(transaction, watched)).count).toBe(1);
        throw new TypeError('killed');
      })
      .catch(() => undefined);
    expect(await takenKeys(lab.store, watched)).toEqual([3]);
  });

  it('takes no more than asked for, the oldest first, and never a part of what one transaction noted', async () => {
    await using lab = await opened(given.store);
    const watched = await watch(lab.store, 'lab.s');
    for (const s of [9, 3, 5, 4]) await lab.store.execute(sql`insert into lab.s values (${s}, 0)`);
    await lab.store.script('insert into lab.s select i, i from generate_series(6, 8) i');
    expect(await countNotes(lab.store, [watched.relation])).toEqual([7]);
    expect(await takenKeys(lab.store, watched, 2)).toEqual([3, 9]);
    expect(await countNotes(lab.store, [watched.relation])).toEqual([5]);
    await lab.store.transaction({}, async (transaction) => {
      expect(await keysOf(transaction, watched, 3)).toEqual([4, 5, 6, 7, 8]);
      expect(await keysOf(transaction, watched, 3)).toEqual([]);
    });
  });

  it('tells changed rows from others until their notes are taken', async () => {
    await using lab = await opened(given.store);
    const watched = await watch(lab.store, 'lab.s');
    const changed = () =>
      lab.store.query(sql`select s from lab.s o where ${hasNotes(watched, sql`o`)} order by s`);
    await lab.store.script('insert into lab.s values (3, 30); update lab.s set v = 21 where s = 2');
    expect(await changed()).toEqual([{ s: 2 }, { s: 3 }]);
    await takenKeys(lab.store, watched);
    expect(await changed()).toEqual([]);
  });

  it('notes everything when the table is truncated', async () => {
    await using lab = await opened(given.store);
    const watched = await watch(lab.store, 'lab.double');
    await lab.store.script('truncate lab.double');
    await lab.store.transaction({}, async (transaction) => {
      expect(await takeNotes(transaction, watched)).toMatchObject({ all: true, count: 0 });
      expect(await takeNotes(transaction, watched)).toMatchObject({ all: false, count: 0 });
    });
  });

  it('notes a computation whose row stays as it is, and of this relation only', async () => {
    await using lab = await opened(given.store);
    const watched = await watch(lab.store, 'lab.r');
    const { id } = watched.relation;
    await lab.store.execute(sql`
      update varve.computation c set duration_us = 7 where relation = ${id} and key_hash =
        (select ${keyHash(sql`r`, ['s'])} from lab.r r where r.s = 2)`);
    await lab.store.execute(sql`update varve.computation set duration_us = 8 where relation <> ${id}`);
    expect(await takenKeys(lab.store, watched)).toEqual([2]);
    await lab.store.execute(sql`delete from varve.computation where relation = ${id}`);
    expect(await takenKeys(lab.store, watched)).toEqual([1, 2]);
    await lab.store.execute(sql`
      insert into varve.computation select ${id}, min(id), 0, '\\x00', '', '' from varve.computation_spec`);
    expect(await takenKeys(lab.store, watched)).toEqual([null]);
  });

  it('notes what populate writes, each unit once', async () => {
    await using lab = await opened(given.store);
    const watched = await watch(lab.store, 'lab.r');
    await lab.store.script('insert into lab.s values (3, 30); update lab.s set v = 11 where s = 1');
    expect(await lab.populate(versionOne('lab'))).toMatchObject({ status: 'done' });
    expect(await takenKeys(lab.store, watched)).toEqual([1, 3]);
  });

  it('goes on with the notes of its run, and forgets those of another', async () => {
    await using lab = await opened(given.store);
    const watched = await watch(lab.store, 'lab.s');
    await lab.store.script('insert into lab.s values (3, 30)');
    await start(lab.store, [watched]);
    expect(await countNotes(lab.store, [watched.relation])).toEqual([1]);
    await start(lab.store, [watched], 'varve://run/two');
    expect(await countNotes(lab.store, [watched.relation])).toEqual([0]);
    await lab.store.script('insert into lab.s values (4, 40)');
    expect(await takenKeys(lab.store, watched)).toEqual([4]);
  });

  it('leaves nothing behind, also of a table that was moved meanwhile, and is in the way of nothing', async () => {
    await using lab = await opened(given.store);
    const before = await fingerprint(lab.store);
    const watched = await watchAll(lab.store, ['lab.r', 'lab.s']);
    expect(await fingerprint(lab.store)).toEqual(before);
    for (const { relation } of watched) expect(await dependents(lab.store, relation)).toEqual([]);
    await lab.store.script(
      'create schema away; alter table lab.r rename to moved; alter table lab.moved set schema away',
    );
    await lab.store.transaction({}, (transaction) =>
      stopCapture(
        transaction,
        watched.map(({ relation }) => relation),
      ),
    );
    expect(
      await lab.rows(`
        select tgname::text as name from pg_trigger where starts_with(tgname::text, 'varve_note')
        union all select proname from pg_proc where starts_with(proname::text, 'varve_note')
        union all select relname from pg_class where relnamespace = 'varve_build'::regnamespace`),
    ).toEqual([]);
    await lab.store.script('drop schema away cascade');
  });

  it('notes the units of part rows by the key of their master', async () => {
    await using lab = await opened(given.store);
    await lab.store.script('create table lab.spike (s integer, n integer, primary key (s, n))');
    const [watched] = await watchAll(lab.store, ['lab.s'], ['s'], 'lab.spike');
    await lab.store.script('insert into lab.spike select i / 2, i from generate_series(2, 5) i');
    expect(await takenKeys(lab.store, watched)).toEqual([1, 2]);
  });
}

withPostgres('noting what changes while others write', 18, (given) => {
  it('a change that commits after notes were taken is noted the next time, though its note has a lower number', async () => {
    await using lab = await opened(given.store);
    await using other = await postgresStore({ url: given.url() });
    const watched = await watch(lab.store, 'lab.s');
    await other.transaction({}, async (writer) => {
      await writer.execute(sql`insert into lab.s values (3, 30)`);
      await lab.store.script('insert into lab.s values (4, 40)');
      expect(await takenKeys(lab.store, watched)).toEqual([4]);
    });
    expect(await takenKeys(lab.store, watched)).toEqual([3]);
  });

  it('loses no change of many writers, some of whom take theirs back', async () => {
    await using lab = await opened(given.store);
    await using other = await postgresStore({ url: given.url(), poolSize: 5 });
    const watched = await watch(lab.store, 'lab.s');
    await lab.store.script('create table lab.copy as select * from lab.s');
    const state = { open: 4, carried: 0 };
    const writers = Array.from({ length: state.open }, async (_, writer) => {
      for (let n = 0; n < 60; n += 1) await writeSome(other, writer, n);
      state.open -= 1;
    });
    while (state.open > 0) state.carried += await carry(lab.store, watched);
    await Promise.all(writers);
    state.carried += await lab.store.transaction({}, async (transaction) => {
      await transaction.execute(sql`lock table lab.s in access exclusive mode`);
      return carryIn(transaction, watched);
    });
    expect(state.carried).toBeGreaterThan(0);
    expect(
      await lab.rows('(table lab.copy except table lab.s) union all (table lab.s except table lab.copy)'),
    ).toEqual([]);
    expect(await countNotes(lab.store, [watched.relation])).toEqual([0]);
  });

  it('notes the changes of writers without rights on the notes, and of sessions that replicate', async () => {
    await using lab = await opened(given.store);
    const watched = await watch(lab.store, 'lab.s');
    const role = uniqueName('writer');
    await lab.store.script(`
      create role ${role}; grant usage on schema lab to ${role}; grant insert on lab.s to ${role};
      begin; set local role ${role}; insert into lab.s values (3, 30); commit;
      begin; set local session_replication_role = replica; insert into lab.s values (4, 40); commit;
      drop owned by ${role}; drop role ${role}`);
    expect(await takenKeys(lab.store, watched)).toEqual([3, 4]);
  });

  it('begins when the writers before it are done, and keeps no reader waiting', async () => {
    await using lab = await opened(given.store);
    await using other = await postgresStore({ url: given.url() });
    const relation = relationOf(await loadRelations(lab.store), 'lab.s');
    await other.transaction({}, async (writer) => {
      await writer.execute(sql`insert into lab.s values (3, 30)`);
      const begun = lab.store
        .transaction({ lockTimeoutMs: 1_000 }, (transaction) =>
          startCapture(transaction, [{ relation, unit: ['s'] }], RUN),
        )
        .catch((error: unknown) => (error as { readonly code: string }).code);
      await expect
        .poll(() =>
          other.query(sql`select mode from pg_locks where not granted and relation = 'lab.s'::regclass`),
        )
        .toEqual([{ mode: 'ShareRowExclusiveLock' }]);
      const read = await other.transaction({ lockTimeoutMs: 50 }, (reader) =>
        reader.query(sql`select count(*)::int as n from lab.s`),
      );
      expect(read).toEqual([{ n: 2 }]);
      expect(await begun).toBe('transaction_conflict');
    });
    await start(lab.store, [{ relation, unit: ['s'] }]);
  });
});

async function opened(store: Store): Promise<Lab> {
  const lab = await openLab(store);
  await sideLab(lab);
  return lab;
}

async function watch(store: Store, table: string): Promise<Watched> {
  const [watched] = await watchAll(store, [table]);
  if (watched === undefined) throw new TypeError('nothing to watch');
  return watched;
}

/** Watches relations by name; `instead` is a table that stands in the place of the first one. */
async function watchAll(
  store: Store,
  tables: readonly string[],
  unit: readonly string[] = ['s'],
  instead?: string,
): Promise<[Watched, ...Watched[]]> {
  const relations = await loadRelations(store);
  const [schema = '', table = ''] = instead?.split('.') ?? [];
  const watched = tables.map((name) => {
    const relation = relationOf(relations, name);
    return {
      relation: instead === undefined ? relation : { ...relation, placement: { schema, table } },
      unit,
    };
  });
  await start(store, watched);
  return watched as [Watched, ...Watched[]];
}

async function start(store: Store, watched: readonly Watched[], run: string = RUN): Promise<void> {
  await store.transaction({ lockTimeoutMs: 2_000 }, (transaction) => startCapture(transaction, watched, run));
}

async function takenKeys(store: Store, watched: Watched, limit?: number): Promise<readonly unknown[]> {
  return store.transaction({}, (transaction) => keysOf(transaction, watched, limit));
}

async function keysOf(
  transaction: Transaction,
  watched: Watched,
  limit?: number,
): Promise<readonly unknown[]> {
  const { units, count } = await takeNotes(transaction, watched, limit);
  const rows = await transaction.query<{ s: unknown }>(sql`select s from ${units} order by s`);
  expect(rows.length).toBe(count);
  return rows.map(({ s }) => s);
}

/** One write of one writer, on keys that all writers share. */
async function writeSome(store: Store, writer: number, n: number): Promise<void> {
  const key = (n * 7 + writer) % 40;
  await store
    .transaction({}, async (transaction) => {
      await transaction.execute(sql`
        insert into lab.s values (${key + 10}, ${n}) on conflict (s) do update set v = excluded.v`);
      if (n % 3 === 0) await transaction.query(sql`select pg_sleep(0.01)::text`);
      if (n % 5 === 0) await transaction.execute(sql`delete from lab.s where s = ${((key + 1) % 40) + 10}`);
      if (n % 7 === 0) throw new TypeError('taken back');
    })
    .catch(() => undefined);
}

async function carry(store: Store, watched: Watched): Promise<number> {
  return store.transaction({}, (transaction) => carryIn(transaction, watched));
}

async function carryIn(transaction: Queryable & Transaction, watched: Watched): Promise<number> {
  const { units, count } = await takeNotes(transaction, watched, 20);
  await transaction.execute(sql`delete from lab.copy c using ${units} u where u.s = c.s`);
  await transaction.execute(sql`insert into lab.copy select o.* from lab.s o join ${units} u on u.s = o.s`);
  // The rest, where nobody writes any more.
  return count < 20 ? count : count + (await carryIn(transaction, watched));
}
