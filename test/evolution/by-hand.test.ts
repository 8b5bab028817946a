import { expect, it } from 'vitest';
import { t, type Pipeline } from '../../src/pipeline/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openLab, type Lab } from './lab.ts';
import { liveState, SETTLED, settledState } from './state.ts';
import { bare } from './tables.ts';

const ROWS = `
  insert into lab.strain values ('bl6', 1), ('cd1', 2);
  insert into lab.mouse values (1, 20, 'bl6', 'a', 7), (2, 30, 'cd1', 'b', 8);`;

/** Mice with a weight; as they were, and as they are to be. */
function mice(shape: 'old' | 'renamed' | 'without weight' | 'weight is text' | 'other key'): Pipeline {
  return bare((lab) => {
    const strain = lab.manual('strain', { key: { strain: t.text() }, columns: { n: t.integer() } });
    void strain;
    const isOld = shape === 'old';
    const weight = {
      old: { weight: t.integer() },
      renamed: { grams: t.integer().renamedFrom('weight') },
      'without weight': {},
      'weight is text': { weight: t.text() },
      'other key': { weight: t.integer() },
    }[shape];
    const isKeyed = shape === 'other key';
    const mouse = lab.manual('mouse', {
      key: { mouse: t.integer(), ...(isKeyed ? { strain: t.text() } : {}) },
      columns: {
        ...weight,
        ...(isKeyed ? {} : { strain: t.text() }),
        note: t.text(),
        cage: t.integer(),
        ...(isOld ? {} : { extra: t.integer().nullable() }),
      },
    });
    lab.computed('seen', {
      parents: [mouse],
      columns: { length: t.integer() },
      reads: { mouse: mouse.columns('note') },
      make: ({ mouse: { note } }) => ({ length: note.length }),
    });
  });
}

const HAND_MADE = `
  create index scales on lab.mouse (weight);
  create index on lab.mouse (cage desc) include (note);
  create unique index "one Note" on lab.mouse (lower(note)) where weight > 0;
  alter table lab.mouse add check (weight > 0);
  alter table lab.mouse add constraint "not all" check (weight < 1000 or cage = 0);
  alter table lab.mouse add constraint apart unique (weight, cage);
  alter table lab.mouse add constraint heavier exclude using btree (cage with =);
  alter table lab.mouse add constraint of_strain foreign key (strain) references lab.strain (strain) on update cascade on delete restrict;
  alter table lab.mouse set (fillfactor = 71);
  alter table lab.mouse alter column note set default 'none';
  comment on column lab.mouse.cage is 'of the north side';
  comment on table lab.mouse is 'mice of the north';
  comment on constraint apart on lab.mouse is 'never twice';
  comment on index lab.scales is 'for the scales';
  create table public.scale (id int primary key, w int, c int,
    constraint of_mouse foreign key (w, c) references lab.mouse (weight, cage) on delete cascade);
  insert into public.scale values (1, 20, 7);`;

/** All that stands on the table, by name. */
const STANDING = `
  select * from (
    select 'index' as kind, i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as is, obj_description(i.indexrelid) as comment
      from pg_index i where indrelid = 'lab.mouse'::regclass
    union all select 'constraint', conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') from pg_constraint
      where conrelid = 'lab.mouse'::regclass and contype <> 'n'
    union all select 'to it', conname, pg_get_constraintdef(oid), null from pg_constraint
      where confrelid = 'lab.mouse'::regclass and conrelid = 'public.scale'::regclass
    union all select 'option', o, '', null from pg_class cross join unnest(reloptions) o where oid = 'lab.mouse'::regclass
    union all select 'comment', coalesce(a.attname, ''), d.description, null from pg_description d
      left join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid > 0
      where d.objoid = 'lab.mouse'::regclass and d.classoid = 'pg_class'::regclass
    union all select 'default', a.attname, pg_get_expr(d.adbin, d.adrelid), null from pg_attrdef d
      join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum where d.adrelid = 'lab.mouse'::regclass) x
  order by 1, 2`;

async function openMice(lab: Lab): Promise<void> {
  await lab.deploy(mice('old'));
  await lab.store.script(`drop table if exists public.scale; ${ROWS}`);
  await lab.populate(mice('old'));
}

function suite(given: StoreUnderTest): void {
  it('indexes, checks, unique sets and foreign keys come along under their names, there, back, and there again', async () => {
    await using lab = await openLab(given.store);
    await openMice(lab);
    await lab.store.script(HAND_MADE);
    const before = await lab.rows(STANDING);
    const state = await liveState(lab.store);
    const id = await lab.planned(mice('renamed'));
    const now = before.map(({ is, ...row }) => ({ ...row, is: String(is).replaceAll('weight', 'grams') }));
    for (let turn = 1; turn <= 2; turn += 1) {
      expect(await lab.apply(mice('renamed'), id)).toMatchObject({ status: 'applied' });
      const after = await lab.rows(STANDING);
      expect(after.map(({ is, ...row }) => ({ ...row, is: String(is) }))).toEqual(now);
      await expect(lab.store.script(`update lab.mouse set grams = 0`)).rejects.toMatchObject({
        code: 'constraint_violated',
      });
      await expect(
        lab.store.script(`update lab.mouse set strain = 'x' where mouse = 1`),
      ).rejects.toMatchObject({
        code: 'constraint_violated',
      });
      if (turn === 2) break;
      expect(await lab.rollback(mice('renamed'), id)).toMatchObject({ status: 'applied' });
      expect(await lab.rows(STANDING)).toEqual(before);
      expect(await liveState(lab.store)).toEqual(state);
    }
    expect(await lab.plan(mice('without weight'))).toMatchObject({
      outcome: {
        findings: expect.arrayContaining([
          expect.objectContaining({ code: 'dependents_in_the_way' }),
        ]) as unknown,
      },
    });
    expect(await settledState(lab.options(mice('renamed')))).toEqual(SETTLED);
    await lab.store.script('drop table public.scale');
  });

  it.each([
    [
      'a check',
      `alter table lab.mouse add constraint mine check (weight > 0)`,
      'without weight',
      { kind: 'check', name: 'mine' },
    ],
    [
      'a unique set',
      `alter table lab.mouse add constraint mine unique (weight)`,
      'without weight',
      { kind: 'unique' },
    ],
    ['a unique index', `create unique index mine on lab.mouse (weight)`, 'without weight', { kind: 'index' }],
    [
      'a check over another type',
      `alter table lab.mouse add constraint mine check (weight > 0)`,
      'weight is text',
      { why: 'column_changed' },
    ],
    [
      'a foreign key of another table',
      `create table public.scale (m int references lab.mouse)`,
      'other key',
      { kind: 'foreign key', name: 'public.scale', why: 'not_unique' },
    ],
  ] as const)(
    '%s that cannot come along is in the way, and told by the plan',
    async (_, made, shape, detail) => {
      await using lab = await openLab(given.store);
      await openMice(lab);
      await lab.store.script(made);
      const before = await liveState(lab.store);
      expect(await lab.plan(mice(shape), { 'lab.mouse.extra': 'null' })).toMatchObject({
        outcome: {
          status: 'planned',
          findings: [{ code: 'dependents_in_the_way', severity: 'error', detail }],
        },
      });
      expect(await liveState(lab.store)).toEqual(before);
      await lab.store.script('drop table if exists public.scale');
    },
  );

  it('a plain index of a column that goes is told, and keeps nobody', async () => {
    await using lab = await openLab(given.store);
    await openMice(lab);
    await lab.store.script(
      'create index mine on lab.mouse (weight); create statistics mine on cage, note from lab.mouse',
    );
    const shape = mice('without weight');
    const plan = await lab.plan(shape);
    expect(plan).toMatchObject({
      outcome: {
        findings: [
          { code: 'stays_behind', severity: 'warning', detail: { kind: 'index', name: 'mine' } },
          { code: 'stays_behind', severity: 'warning', detail: { kind: 'statistics', name: 'mine' } },
        ],
      },
    });
    const id = plan.status === 'planned' ? plan.migrationId : '';
    expect(await lab.apply(shape, id)).toMatchObject({ status: 'applied' });
    expect(await lab.rollback(shape, id)).toMatchObject({ status: 'applied' });
    expect(await lab.rows(`select 'lab.mine'::regclass::text as index`)).toEqual([{ index: 'lab.mine' }]);
  });

  it('foreign keys by hand against the order of the definitions come along', async () => {
    await using lab = await openLab(given.store);
    await openMice(lab);
    await lab.store
      .script(`alter table lab.mouse add constraint favourite foreign key (cage) references lab.seen (mouse) not valid;
      alter table lab.mouse drop constraint favourite; update lab.mouse set cage = mouse;
      alter table lab.mouse add constraint favourite foreign key (cage) references lab.seen (mouse);
      alter table lab.mouse add constraint self foreign key (cage) references lab.mouse (mouse);`);
    const keys = `select conname, confrelid::regclass::text as to from pg_constraint where contype = 'f' and conrelid = 'lab.mouse'::regclass order by 1`;
    const before = await lab.rows(keys);
    expect(before).toEqual([
      { conname: 'favourite', to: 'lab.seen' },
      { conname: 'self', to: 'lab.mouse' },
    ]);
    const id = await lab.deploy(mice('renamed'));
    expect(await lab.rows(keys)).toEqual(before);
    expect(await lab.rollback(mice('renamed'), id)).toMatchObject({ status: 'applied' });
    expect(await lab.rows(keys)).toEqual(before);
  });
}

withEmbedded('what people put on a table', suite);
withPostgres('what people put on a table', 18, suite);
