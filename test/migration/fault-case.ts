import type { SqlBundle } from './sql-bundle.ts';

/** One fault, and how it has to end. `:s` in SQL is the schema of the case. */
export interface FaultCase {
  /** Begins with the number of the fault in the design. */
  readonly title: string;
  readonly given: string;
  readonly bundle: Omit<SqlBundle, 'schema' | 'id'>;
  /** `refused`: seen in the text, nothing sent (3). `rolled_back`: seen before the commit (4). */
  readonly end: 'refused' | 'rolled_back' | 'applied';
  /** Codes of findings, of each with its subject where that matters. */
  readonly codes: readonly (string | readonly [code: string, subject: string])[];
  /** What stands afterwards, over another connection. */
  readonly after: string;
  readonly wantAfter: string;
  /** Runs only where a server does. */
  readonly onServerOnly?: true;
  /** Runs only where the one session is known to be alone. */
  readonly onEmbeddedOnly?: true;
  /** A measure of the receipt's summary. */
  readonly observed?: Readonly<Record<string, number>>;
}

const PLOT = `
  create table :s.plot (id int primary key, area float8 not null);
  insert into :s.plot select i, i from generate_series(1, 5) i;
  create table :s.secret (id int primary key, place text);
  insert into :s.secret values (1, 'kept');`;
const SUM = `select (select sum(area) from :s.plot)::text || ' ' || (select place from :s.secret where id = 1) as state`;
const UNTOUCHED = '15 kept';
const PROTECTED = { tables: ['plot'], forbiddenTables: ['secret'] } as const;

function unchanged(
  title: string,
  forward: string,
  end: FaultCase['end'],
  codes: FaultCase['codes'],
  more: Partial<SqlBundle> & { readonly given?: string; readonly onServerOnly?: true } = {},
): FaultCase {
  const { given = '', onServerOnly, ...bundle } = more;
  return {
    title,
    given: PLOT + given,
    bundle: { ...PROTECTED, ...bundle, forward },
    end,
    codes,
    after: SUM,
    wantAfter: UNTOUCHED,
    ...(onServerOnly === undefined ? {} : { onServerOnly }),
  };
}

const refused = (title: string, forward: string, more: Parameters<typeof unchanged>[4] = {}): FaultCase =>
  unchanged(title, forward, 'refused', ['construct_refused'], more);

/** The fault cases of the kind `postgis` that end before or at the commit. */
export const FAULT_CASES: readonly FaultCase[] = [
  unchanged('F1 writes a forbidden table, as the text says', `update secret set place = 'lost'`, 'refused', [
    ['protected_domain_changed', ':s.secret'],
    ['scope_violation', ':s.secret'],
  ]),
  unchanged(
    'F1 M15 M19 writes a table that is not in scope, in a CTE',
    `with gone as (delete from lone returning 1) select count(*) from gone`,
    'refused',
    [['scope_violation', ':s.lone']],
    { given: 'create table :s.lone (id int);' },
  ),
  unchanged(
    'F1 writes a protected table by dynamic SQL, which was declared',
    `do $$ begin execute 'update secret set place = ''lost'''; end $$`,
    'rolled_back',
    [['protected_domain_changed', ':s.secret']],
    { statements: ['do', 'dynamic_sql'] },
  ),
  unchanged(
    'F1 truncates a protected table by a function',
    `select wipe()`,
    'rolled_back',
    [['protected_domain_changed', ':s.secret']],
    {
      given: `create function :s.wipe() returns void language plpgsql as $$ begin truncate :s.secret; end $$;`,
    },
  ),
  unchanged(
    'F2 a trigger on an allowed table writes a protected one',
    `update plot set area = area + 1`,
    'rolled_back',
    [['protected_domain_changed', ':s.secret']],
    {
      given: `
      create function :s.leak() returns trigger language plpgsql as $$ begin update :s.secret set place = 'lost'; return null; end $$;
      create trigger leak after update on :s.plot for each row execute function :s.leak();`,
    },
  ),
  unchanged(
    'F2 a definer function writes a protected table',
    `select leak()`,
    'rolled_back',
    [['protected_domain_changed', ':s.secret']],
    {
      given: `create function :s.leak() returns void language sql security definer as $$ update :s.secret set place = 'lost' $$;`,
    },
  ),
  unchanged(
    'F2 a trigger writes a table that is neither in scope nor protected',
    `update plot set area = area + 1`,
    'rolled_back',
    [['scope_violation', ':s.lone']],
    {
      given: `
      create table :s.lone (id int);
      create function :s.note() returns trigger language plpgsql as $$ begin insert into :s.lone values (1); return null; end $$;
      create trigger note after update on :s.plot for each statement execute function :s.note();`,
    },
  ),
  ...[
    'commit',
    'rollback',
    'begin',
    "prepare transaction 'x'",
    'savepoint a',
    'commit and chain',
    'abort',
    'release a',
  ].map((statement) =>
    refused(`F3 M78 ${statement}`, `update plot set area = 0; ${statement}; update plot set area = 1`),
  ),
  refused('F4 M78 CALL, where it is not declared', `call gone()`, {
    given: `create procedure :s.gone() language plpgsql as $$ begin commit; end $$;`,
  }),
  unchanged(
    'F4 CALL of a procedure that commits, where it is declared',
    `update plot set area = 0; call gone()`,
    'rolled_back',
    ['statement_failed'],
    {
      given: `create procedure :s.gone() language plpgsql as $$ begin commit; end $$;`,
      statements: ['call'],
    },
  ),
  unchanged(
    'F4 a DO block that commits, where it is declared',
    `update plot set area = 0; do $$ begin commit; end $$`,
    'rolled_back',
    ['statement_failed'],
    { statements: ['do'] },
  ),
  ...[
    'reset role',
    'set role postgres',
    'set session authorization postgres',
    'reset session authorization',
    'create role x',
    'grant pg_read_all_data to postgres',
  ].map((statement) => refused(`F5 M78 ${statement}`, statement)),
  refused(
    'F5 set role in a function that the script makes',
    `create function f() returns void language plpgsql as $$ begin set role postgres; end $$`,
    { objects: ['f'] },
  ),
  refused('F6 the replication role', `set session_replication_role = replica`),
  refused('F6 set_config', `select set_config('session_replication_role', 'replica', true)`),
  refused('F6 M78 event triggers', `alter event trigger varve_note_ddl disable`),
  refused('F6 triggers disabled', `alter table plot disable trigger all`),
  refused('F6 the schema of the guards dropped', `drop schema varve cascade`),
  refused('F6 the guards’ function dropped', `drop function varve.deny_write() cascade`),
  unchanged(
    'F6 M82 a guard dropped by dynamic SQL',
    `do $$ begin execute 'drop trigger varve_deny on secret'; end $$`,
    'rolled_back',
    ['guard_changed', ['scope_violation', ':s.secret']],
    { statements: ['do', 'dynamic_sql'] },
  ),
  unchanged(
    'F6 M82 an event trigger disabled by dynamic SQL',
    `do $$ begin execute 'alter event trigger varve_note_ddl disable'; end $$; create table plot2 (id int)`,
    'rolled_back',
    ['guard_changed'],
    { statements: ['do', 'dynamic_sql'], tables: ['plot', 'plot2'] },
  ),
  unchanged(
    'F6 the replication role by dynamic SQL keeps a guard from nothing',
    `do $$ begin perform set_config('session_replication_role', 'replica', true); update secret set place = 'lost'; end $$`,
    'refused',
    ['construct_refused'],
    { statements: ['do', 'dynamic_sql'] },
  ),
  unchanged(
    'F6 M80 M82 the replication role spoofed in a text',
    `do $$ begin execute 'select set_con' || 'fig(''session_replication_role'', ''replica'', true)'; end $$`,
    'rolled_back',
    ['settings_changed'],
    { statements: ['do', 'dynamic_sql'] },
  ),
  unchanged(
    'F6 the replication role spoofed, and a protected table written',
    `do $$ begin execute 'select set_con' || 'fig(''session_replication_role'', ''replica'', true)'; update secret set place = 'lost'; end $$`,
    'rolled_back',
    [['protected_domain_changed', ':s.secret']],
    { statements: ['do', 'dynamic_sql'] },
  ),
  refused('F7 UPDATE of a system catalog', `update pg_class set relname = 'x' where relname = 'plot'`),
  refused('F7 DELETE of a system catalog by its schema', `delete from pg_catalog.pg_attribute`),
  unchanged(
    'F7 UPDATE of a system catalog by dynamic SQL',
    `do $$ begin execute 'update pg_proc set prosecdef = true where proname = ''plain'''; end $$`,
    'rolled_back',
    ['scope_violation'],
    {
      statements: ['do', 'dynamic_sql'],
      given: `create function :s.plain() returns int language sql as 'select 1';`,
    },
  ),
  ...[
    `copy plot from program 'cat /etc/passwd'`,
    `copy plot to '/tmp/x'`,
    `select lo_import('/etc/passwd')`,
    `select pg_read_file('/etc/passwd')`,
    `create extension dblink`,
    `select dblink('x', 'update secret set place = 1')`,
    `load 'x'`,
    `alter system set fsync = off`,
    `create server other foreign data wrapper x`,
  ].map((statement) => refused(`F8 M78 ${statement}`, statement)),
  refused(
    'F8 a function in an untrusted language',
    `create function f() returns int language c as 'x', 'y'`,
    { objects: ['f'] },
  ),
  unchanged(
    'F9 M83 writes through a view that leads to a protected table',
    `update open_secret set place = 'lost'`,
    'rolled_back',
    [['protected_domain_changed', ':s.secret']],
    {
      given: `create view :s.open_secret as select * from :s.secret;`,
      tables: ['plot', 'open_secret'],
    },
  ),
  unchanged(
    'F9 M83 writes through an INSTEAD OF rule',
    `update open_plot set area = 0`,
    'rolled_back',
    [['protected_domain_changed', ':s.secret']],
    {
      given: `
      create view :s.open_plot as select * from :s.plot;
      create rule elsewhere as on update to :s.open_plot do instead update :s.secret set place = 'lost';`,
      tables: ['plot', 'open_plot'],
    },
  ),
  unchanged(
    'F9 writes a protected table as a child by inheritance',
    `update parent set place = 'lost'`,
    'rolled_back',
    [['protected_domain_changed', ':s.secret']],
    {
      given: `create table :s.parent (id int not null, place text); alter table :s.secret inherit :s.parent;`,
      tables: ['plot', 'parent'],
    },
  ),
  unchanged(
    'F9 M20 writes a partition in a schema that is not allowed',
    `insert into parted values (1)`,
    'rolled_back',
    [['scope_violation', ':s_other.part']],
    {
      given: `
      create schema :s_other;
      create table :s.parted (id int) partition by list (id);
      create table :s_other.part partition of :s.parted for values in (1);`,
      tables: ['plot', 'parted'],
    },
  ),
  {
    title: 'F10 a type change that rewrites counts all rows',
    given: PLOT,
    bundle: {
      ...PROTECTED,
      forward: 'alter table plot alter column id type bigint',
      limits: { max_row_backfill: 4 },
    },
    end: 'rolled_back',
    codes: ['limit_exceeded'],
    // The index of the key goes and another one comes.
    observed: { max_row_backfill: 5, max_index_count_delta: 2 },
    after: SUM,
    wantAfter: UNTOUCHED,
  },
  {
    title: 'F10 a new column with a volatile default rewrites',
    given: PLOT,
    bundle: {
      ...PROTECTED,
      forward: 'alter table plot add column r float8 default random()',
      limits: { max_row_backfill: 4 },
    },
    end: 'rolled_back',
    codes: ['limit_exceeded'],
    observed: { max_row_backfill: 5 },
    after: SUM,
    wantAfter: UNTOUCHED,
  },
  {
    title: 'F10 a new column with a constant default rewrites nothing',
    given: PLOT,
    bundle: {
      ...PROTECTED,
      forward: 'alter table plot add column r float8 default 1',
      limits: { max_row_backfill: 0, max_index_count_delta: 0 },
    },
    end: 'applied',
    codes: [],
    observed: { max_row_backfill: 0, max_index_count_delta: 0, max_table_count_touched: 1 },
    after: SUM,
    wantAfter: UNTOUCHED,
  },
  ...[5, 4].map((limit): FaultCase => ({
    title: `F11 M23 5 rows at a limit of ${String(limit)}`,
    given: PLOT,
    bundle: { ...PROTECTED, forward: 'update plot set area = area', limits: { max_row_backfill: limit } },
    end: limit === 5 ? 'applied' : 'rolled_back',
    codes: limit === 5 ? [] : ['limit_exceeded'],
    observed: { max_row_backfill: 5 },
    after: SUM,
    wantAfter: UNTOUCHED,
  })),
  {
    title: 'F11 an update to equal values counts at limit 0',
    given: PLOT,
    bundle: {
      ...PROTECTED,
      forward: 'update plot set area = area where id = 1',
      limits: { max_row_backfill: 0 },
    },
    end: 'rolled_back',
    codes: ['limit_exceeded'],
    observed: { max_row_backfill: 1 },
    after: SUM,
    wantAfter: UNTOUCHED,
  },
  {
    title: 'F11 M23 MERGE, upsert and DML in a CTE count each row',
    given: PLOT,
    bundle: {
      ...PROTECTED,
      forward: `
        merge into plot p using (values (1), (9)) v (id) on p.id = v.id when matched then update set area = 2 when not matched then insert values (v.id, 1);
        insert into plot values (2, 1), (10, 1) on conflict (id) do update set area = 3;
        with gone as (delete from plot where id in (9, 10) returning id) select count(*) from gone;`,
      limits: { max_row_backfill: 5 },
    },
    end: 'rolled_back',
    codes: ['limit_exceeded'],
    observed: { max_row_backfill: 6 },
    after: SUM,
    wantAfter: UNTOUCHED,
  },
  {
    title: 'F11 M23 M25 TRUNCATE counts all rows that the table had, and those that came before it',
    given: PLOT,
    bundle: {
      ...PROTECTED,
      forward: `insert into plot values (6, 1); truncate plot; insert into plot values (7, 1)`,
      limits: { max_row_backfill: 6, max_index_count_delta: 0 },
    },
    end: 'rolled_back',
    codes: ['limit_exceeded'],
    observed: { max_row_backfill: 7, max_index_count_delta: 0 },
    after: SUM,
    wantAfter: UNTOUCHED,
  },
  {
    title: 'F12 M20 M24 the index of a constraint counts, and each index of partitions',
    given: `${PLOT}
      create table :s.parted (id int) partition by list (id);
      create table :s.part1 partition of :s.parted for values in (1);
      create table :s.part2 partition of :s.parted for values in (2);`,
    bundle: {
      tables: ['plot', 'parted'],
      forbiddenTables: ['secret'],
      forward: `alter table plot add unique (area); alter table parted add primary key (id);`,
      limits: { max_index_count_delta: 2, max_table_count_touched: 4 },
    },
    end: 'rolled_back',
    codes: ['limit_exceeded'],
    observed: { max_index_count_delta: 3, max_table_count_touched: 4 },
    after: SUM,
    wantAfter: UNTOUCHED,
  },
  {
    title: 'F12 M24 M25 an index that came and went counts twice',
    given: PLOT,
    bundle: {
      ...PROTECTED,
      forward: `create index passing on plot (area); drop index passing`,
      limits: { max_index_count_delta: 1 },
    },
    end: 'rolled_back',
    codes: ['limit_exceeded'],
    observed: { max_index_count_delta: 2, max_table_count_touched: 1 },
    after: SUM,
    wantAfter: UNTOUCHED,
  },
  refused('F12 the counters set back', `select pg_stat_reset()`),
  {
    ...unchanged(
      'M89 a function that stops counting',
      `select quiet()`,
      'rolled_back',
      [['touched_unseen', ':s.plot']],
      {
        given: `create function :s.quiet() returns void language sql set track_counts = off as 'update :s.plot set area = 0';`,
      },
    ),
    onEmbeddedOnly: true,
  },
  unchanged(
    'F13 a statement fails',
    `update plot set area = 0; insert into plot values (1, 1); update plot set area = 1`,
    'rolled_back',
    [['statement_failed', 'forward.sql:1:27']],
  ),
  unchanged(
    'F13 M81 a deferred constraint fails',
    `insert into child values (99)`,
    'rolled_back',
    ['statement_failed'],
    {
      given: `create table :s.child (plot int references :s.plot (id) deferrable initially deferred);`,
      tables: ['plot', 'child'],
    },
  ),
];
