import { sql as ksql } from 'kysely';
import { expect, it } from 'vitest';
import { part, pipeline, t, type Pipeline } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openLab, sideLab } from './lab.ts';
import { versionOne, versionTwo } from './side-pipeline.ts';
import { liveState, SETTLED, settledState } from './state.ts';

const ONE = versionOne('lab');
const TWO = versionTwo('lab');

function suite(given: StoreUnderTest): void {
  it.each([
    ['view', 'create view public.mine as select * from lab.r', 'drop view public.mine', 'public.mine'],
    [
      'trigger',
      'create trigger mine before update on lab.r for each row execute function suppress_redundant_updates_trigger()',
      'drop trigger mine on lab.r',
      'mine',
    ],
    ['policy', 'create policy mine on lab.r', 'drop policy mine on lab.r', 'mine'],
    ['column', 'alter table lab.r add column mine integer', 'alter table lab.r drop column mine', 'mine'],
  ])('a %s that someone put on the table refuses, and nothing is changed', async (kind, make, drop, name) => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const id = await lab.planned(TWO);
    const before = await liveState(lab.store);
    await lab.store.script(make);
    expect(await lab.apply(TWO, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'dependents_in_the_way', subject: 'lab.r', detail: { kind, name } }],
    });
    await lab.store.script(drop);
    expect(await liveState(lab.store)).toEqual(before);
    expect(await lab.apply(TWO, id)).toMatchObject({ status: 'applied' });
  });

  it('foreign keys of other tables lead to the new table as they led to the old one, there and back', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await lab.store.script(`
      create table public.note (id int primary key, s int,
        constraint "to r" foreign key (s) references lab.r (s) on update cascade on delete set null deferrable initially deferred);
      create table public.part (id int, s int references lab.r (s) on delete cascade) partition by list (id);
      create table public.part_1 partition of public.part for values in (1);
      insert into public.note values (1, 1); insert into public.part values (1, 2);`);
    const keys = `select conrelid::regclass::text as child, conname, pg_get_constraintdef(oid) as definition, conparentid <> 0 as inherited
      from pg_constraint where contype = 'f' and confrelid = 'lab.r'::regclass order by 1, 2`;
    const before = await lab.rows(keys);
    expect(before.length).toBeGreaterThanOrEqual(4);
    const id = await lab.deploy(TWO);
    expect(await lab.rows(keys)).toEqual(before);
    await expect(lab.store.script('insert into lab.double values (99, 1)')).rejects.toMatchObject({
      code: 'constraint_violated',
    });
    expect(await lab.rollback(TWO, id)).toMatchObject({ status: 'applied' });
    expect(await lab.rows(keys)).toEqual(before);
    await lab.store.script('delete from lab.double; delete from lab.r');
    expect(await lab.rows('select s from public.note')).toEqual([{ s: null }]);
    expect(await lab.rows('select s from public.part')).toEqual([]);
  });

  it('owner, grants on table and columns, and row security come along', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await lab.store.script(`
      drop role if exists evo_reader; create role evo_reader; drop role if exists evo_owner; create role evo_owner;
      grant select on lab.r to evo_reader with grant option; grant update (value) on lab.r to public;
      alter table lab.r owner to evo_owner; alter table lab.r enable row level security;`);
    const facts = `select pg_get_userbyid(relowner) as owner, relrowsecurity, relforcerowsecurity,
      has_table_privilege('evo_reader', oid, 'select with grant option') as reads,
      has_column_privilege('evo_reader', oid, 'value', 'update') as updates,
      has_column_privilege('evo_reader', oid, 's', 'update') as widens from pg_class where oid = 'lab.r'::regclass`;
    const before = await lab.rows(facts);
    expect(before).toMatchObject([
      { owner: 'evo_owner', relrowsecurity: true, reads: true, updates: true, widens: false },
    ]);
    const id = await lab.deploy(TWO);
    expect(await lab.rows(facts)).toEqual(before);
    await lab.rollback(TWO, id);
    expect(await lab.rows(facts)).toEqual(before);
    await lab.store.script(
      'drop schema lab cascade; drop schema varve_history cascade; drop role evo_reader; drop role evo_owner',
    );
  });

  it('a make that is changed beyond its reads is found out and rolled back', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const before = await liveState(lab.store);
    const changed = versionTwo('lab', 1);
    const id = await lab.planned(changed);
    expect(await lab.apply(changed, id)).toMatchObject({
      status: 'rolled_back',
      findings: [{ code: 'make_changed', subject: 'lab.r', detail: { sample: 2, differing: 2 } }],
    });
    expect(await liveState(lab.store)).toEqual(before);
    expect(await settledState(lab.options(changed))).toEqual(SETTLED);
  });

  it('the few rows of an earlier code are in the sample, however many others there are', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    await lab.store.script('insert into lab.s select i, i from generate_series(3, 400) i');
    await lab.populate(ONE);
    await lab.store.script(`
      insert into varve.code (digest, basis, packages, source) values ('sha256:0', 'text', '{}', 'an earlier one');
      update varve.computation_spec set code = (select id from varve.code where digest = 'sha256:0')
        where id = (select min(id) from varve.computation_spec where relation = (select id from varve.relation where name = 'lab.r'));
      update lab.r set value = value + 1 where s = 2;`);
    const id = await lab.planned(TWO);
    expect(await lab.apply(TWO, id)).toMatchObject({
      status: 'rolled_back',
      findings: [{ code: 'make_changed', detail: { differing: 1 } }],
    });
  });

  it('a table read in two statements is attributed like one that is read once', async () => {
    await using lab = await openLab(given.store);
    const twice = readsTwice();
    await lab.deploy(twice);
    await lab.store.script(`
      insert into lab.s values (1, 10), (2, 20); insert into lab.side values (1, 7);`);
    expect(await lab.populate(twice)).toMatchObject({ status: 'done' });
    await lab.deploy(TWO);
    expect(await lab.rows('select s, side from lab.r order by s')).toEqual([
      { s: 1, side: 1 },
      { s: 2, side: 1 },
    ]);
    await lab.populate(TWO);
    expect(await lab.verify(TWO)).toMatchObject({ status: 'equal' });
  });

  it('rows that were populated since are carried back, and counted', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const id = await lab.deploy(TWO);
    await lab.store.script('insert into lab.s values (3, 30); update lab.s set v = 11 where s = 1');
    await lab.populate(TWO);
    const back = await lab.rollback(TWO, id);
    expect(back).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(back).toMatchObject({
      receipt: {
        receipt: {
          proof: { status: 'equal_except_new_writes', new_writes: [{ table: 'lab.r', rows: 2 }] },
        },
      },
    });
    expect(await lab.rows('select * from lab.r order by s')).toEqual([
      { s: 1, value: 18 },
      { s: 2, value: 27 },
      { s: 3, value: 37 },
    ]);
    expect(await lab.populate(ONE)).toMatchObject({ status: 'done' });
    expect(await lab.rows('select count(*)::int as n from lab.double')).toEqual([{ n: 3 }]);
    expect(await settledState(lab.options(TWO))).toEqual(SETTLED);
  });

  it('rows that someone computes while a run fails stay, and the way back is proved but for them', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const changed = versionTwo('lab', 1);
    const id = await lab.planned(changed);
    const fault = async (point: string): Promise<void> => {
      if (point !== 'E01_classified') return;
      await lab.store.script('insert into lab.s values (3, 30)');
      expect(await lab.populate(ONE)).toMatchObject({ status: 'done' });
    };
    expect(await lab.apply(changed, id, { fault })).toMatchObject({
      status: 'rolled_back',
      receipt: { receipt: { proof: { status: 'equal_except_new_writes' } } },
    });
    expect(await lab.rows('select * from lab.r order by s')).toHaveLength(3);
    expect(await settledState(lab.options(changed))).toEqual(SETTLED);
  });

  it('a created table goes to history with its rows when it is taken back', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const more = versionOne('lab');
    const note = more.manual('note', { key: { note: t.integer() } });
    const id = await lab.deploy(more);
    await lab.store.script('insert into lab.note values (1), (2)');
    expect(note.spec.name).toBe('lab.note');
    expect(await lab.rollback(more, id)).toMatchObject({
      status: 'applied',
      tables: [{ table: 'lab.note', retire: 2 }],
    });
    const [kept] = await lab.rows(
      `select physical_schema, physical_name, state from varve.relation where name = 'lab.note'`,
    );
    expect(kept).toMatchObject({ physical_schema: 'varve_history', state: 'retired' });
    expect(
      await lab.store.query(
        sql`select note from ${sql.id('varve_history', String(kept?.['physical_name']))} order by 1`,
      ),
    ).toEqual([{ note: 1 }, { note: 2 }]);
  });

  it('a make that reads the table through views reads the new one after the cutover', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(withReader(versionOne('lab')));
    await lab.store.script('insert into lab.s values (1, 10), (2, 20); insert into lab.side values (1, 7)');
    expect(await lab.populate(withReader(versionOne('lab')))).toMatchObject({ status: 'done' });
    const id = await lab.deploy(withReader(versionTwo('lab')));
    await lab.store.script('update lab.s set v = 100 where s = 1; insert into lab.s values (3, 30)');
    expect(await lab.populate(withReader(versionTwo('lab')))).toMatchObject({ status: 'done' });
    const seen = [
      { s: 1, seen: 107 },
      { s: 2, seen: 27 },
      { s: 3, seen: 37 },
    ];
    expect(await lab.rows('select * from lab.reader order by s')).toEqual(seen);
    expect(await lab.rollback(withReader(versionTwo('lab')), id)).toMatchObject({ status: 'applied' });
    await lab.store.script('update lab.s set v = 200 where s = 2');
    expect(await lab.populate(withReader(versionOne('lab')))).toMatchObject({ status: 'done' });
    expect(await lab.rows('select seen from lab.reader where s = 2')).toEqual([{ seen: 207 }]);
  });

  it('a table with parts keeps them, and they hang on the new table', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(withParts(false));
    await lab.store.script('insert into lab.s values (1, 10), (2, 20); insert into lab.side values (1, 7)');
    expect(await lab.populate(withParts(false))).toMatchObject({ status: 'done' });
    const before = await liveState(lab.store);
    const id = await lab.deploy(withParts(true));
    expect(await lab.rows('select * from lab.r__piece order by 1, 2')).toHaveLength(4);
    expect(await lab.stale(withParts(true))).toMatchObject({ tables: [{ stale: [] }] });
    expect(await lab.verify(withParts(true))).toMatchObject({ status: 'equal' });
    expect(await lab.rollback(withParts(true), id)).toMatchObject({ status: 'applied' });
    expect(await liveState(lab.store)).toEqual(before);
  });

  it('a table with parts whose make changed is found out too', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(withParts(false));
    await lab.store.script('insert into lab.s values (1, 10), (2, 20); insert into lab.side values (1, 7)');
    await lab.populate(withParts(false));
    const id = await lab.planned(withParts(true, 1));
    expect(await lab.apply(withParts(true, 1), id)).toMatchObject({
      status: 'rolled_back',
      findings: [{ code: 'make_changed', detail: { differing: 2 } }],
    });
    expect(await settledState(lab.options(withParts(true, 1)))).toEqual(SETTLED);
  });
}

/** Version one whose make asks for side twice, for other columns each time. */
function readsTwice(): Pipeline {
  const lab = pipeline('lab');
  const source = lab.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  lab.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
  const result = lab.computed('r', {
    parents: [source],
    columns: { value: t.integer() },
    strict: 'observe',
    reads: { s: source },
    makeWith: async (db) => {
      const { v } = await db.selectFrom('s').select('v').executeTakeFirstOrThrow();
      const found = await ksql<{ side: number }>`select side from lab.side where side = 1`.execute(db);
      const latest = await ksql<{
        off: number;
      }>`select "off" from lab.side where side = ${found.rows[0]?.side}`.execute(db);
      return { value: v + (latest.rows[0]?.off ?? 0) };
    },
  });
  lab.computed('double', {
    parents: [result],
    columns: { twice: t.integer() },
    reads: { r: result },
    make: ({ r }) => ({ twice: r.value * 2 }),
  });
  return lab;
}

/** A table below `r` whose make reads it by itself. */
function withReader(lab: Pipeline): Pipeline {
  const result = lab.tables.find(({ spec }) => spec.name === 'lab.r') as unknown as ReturnType<
    typeof resultOf
  >;
  lab.computed('reader', {
    parents: [result],
    columns: { seen: t.integer() },
    reads: { r: result },
    makeWith: async (db) => ({
      seen: (await db.selectFrom('r').select('value').executeTakeFirstOrThrow()).value,
    }),
  });
  return lab;
}

/** For its type only. */
function resultOf(lab: Pipeline) {
  return lab.manual('typed', { key: { s: t.integer() }, columns: { value: t.integer() } });
}

/** `r` with a part, declared or not; `change` is added to the pieces. */
function withParts(isDeclared: boolean, change = 0): Pipeline {
  const lab = pipeline('lab');
  const source = lab.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  const side = lab.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
  const shared = { parents: [source], columns: { value: t.integer() } } as const;
  const parts = { piece: part({ key: { n: t.integer() }, columns: { size: t.integer() } }) };
  if (isDeclared) {
    lab.computed('r', {
      ...shared,
      parts,
      references: { side },
      reads: { s: source, sides: side.all() },
      make: ({ s, sides }) => {
        const [one] = sides;
        const pieces = [1, 2].map((n) => ({ n, size: s.v * n + change }));
        return { side: one?.side ?? 0, value: s.v + (one?.off ?? 0), parts: { piece: pieces } };
      },
    });
  } else {
    lab.computed('r', {
      ...shared,
      parts,
      strict: 'observe',
      reads: { s: source },
      makeWith: async (db) => {
        const { v } = await db.selectFrom('s').select('v').executeTakeFirstOrThrow();
        const found = await ksql<{ off: number }>`select "off" from lab.side limit 1`.execute(db);
        return {
          value: v + (found.rows[0]?.off ?? 0),
          parts: { piece: [1, 2].map((n) => ({ n, size: v * n })) },
        };
      },
    });
  }
  return lab;
}

withEmbedded('what surrounds an evolved table', suite);
withPostgres('what surrounds an evolved table', 15, suite);
withPostgres('what surrounds an evolved table', 18, suite);
