import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readScript, sql, type Queryable, type Store } from '../../../../store/index.ts';
import { postgresStore } from '../../../../store/postgres/index.ts';
import { postgresDatabase, uniqueName, type PostgresDatabase } from '../../../../../test/harness/index.ts';
import { DDL_EFFECTS, LOCK_MODES, type DdlAction, type LockMode } from './ddl-effect.ts';
import { openChronicle } from './history.ts';
import { readEffects } from './read-effects.ts';
import { STEADY_FUNCTIONS } from './volatility.ts';

/** A statement that does the action, on the tables that `SETUP` makes. */
interface Sample {
  readonly run: string;
  /** The relation that the action is about; default `t`. */
  readonly on?: string;
  /** Where the lock is looked for, if not there. */
  readonly look?: string;
  /** Statements of the bundle before it. */
  readonly before?: string;
  /** The first version that knows it. */
  readonly since?: 16 | 17 | 18;
  /** PostgreSQL refuses it in a transaction, so it is seen waiting for a session that holds this lock. */
  readonly waitsFor?: LockMode;
}

/** Every table has rows, or there would be nothing to scan. */
const SETUP = `
create table u (id bigint primary key, name text);
create table t (id bigint primary key, a int not null, b int, c text, g int generated always as (a + 1) stored, v int);
insert into u select n, n::text from generate_series(1, 50) n;
insert into t (id, a, b, c, v) select n, n, n, n::text, n from generate_series(1, 50) n;
create index t_b on t (b);
create unique index t_a on t (a);
create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger t_trigger before insert on t for each row execute function f();
create rule t_rule as on delete to t do also nothing;
create policy t_policy on t;
create view w as select id from t;
create materialized view m as select id, a from t;
create unique index m_id on m (id);
create domain d as int check (value > 0);
create table parent (id bigint, k int not null) partition by list (k);
create table part partition of parent for values in (1);
insert into parent select n, 1 from generate_series(1, 50) n;
create table loose (id bigint, k int not null);
insert into loose select n, 2 from generate_series(1, 50) n;
create table child (like t);
create table heir () inherits (u);
create table orphan (like u);
alter table t add constraint t_check check (b > 0) not valid;
alter table t add constraint t_u foreign key (id) references u not valid;
`;

const SAMPLES: Readonly<Record<DdlAction, readonly [Sample, ...Sample[]]>> = {
  'add column': [
    { run: 'alter table t add column x int' },
    { run: 'alter table t add column x timestamptz not null default now()' },
    { run: 'alter table t add column x int generated always as (a) virtual', since: 18 },
    { run: 'alter table t add column x bigint references u (id)' },
  ],
  'add column with rewrite': [
    { run: 'alter table t add column x uuid default gen_random_uuid()' },
    { run: 'alter table t add column x serial' },
    { run: 'alter table t add column x bigint generated always as identity' },
    { run: 'alter table t add column x int generated always as (a * 2) stored' },
    { run: 'alter table t add column x d default 1', before: 'create domain d as int check (value > 0)' },
  ],
  'add column with check': [{ run: 'alter table t add column x int check (x > 0)' }],
  'add required column': [{ run: 'alter table child add column x int not null', on: 'child' }],
  'drop column': [{ run: 'alter table t drop column c' }],
  'set default': [
    { run: 'alter table t alter column b set default 1' },
    { run: 'alter table t alter b drop default' },
  ],
  'set not null': [{ run: 'alter table t alter column c set not null' }],
  'set not null, proved': [
    {
      before:
        'alter table t add constraint p check (c is not null) not valid; alter table t validate constraint p',
      run: 'alter table t alter column c set not null',
    },
  ],
  'drop not null': [{ run: 'alter table t alter column a drop not null' }],
  'set expression': [{ run: 'alter table t alter column g set expression as (a + 2)', since: 17 }],
  'drop expression': [{ run: 'alter table t alter column g drop expression' }],
  'alter column type': [{ run: 'alter table t alter column b type bigint' }],
  'alter identity': [{ run: 'alter table t alter column a add generated always as identity' }],
  'set statistics': [{ run: 'alter table t alter column b set statistics 200' }],
  'set column options': [{ run: 'alter table t alter column b set (n_distinct = 5)' }],
  'set storage': [
    { run: 'alter table t alter column c set storage external' },
    { run: 'alter table t alter column c set compression pglz' },
  ],
  'add check': [{ run: 'alter table t add constraint x check (a > 0)' }],
  'add check not valid': [{ run: 'alter table t add constraint x check (a > 0) not valid' }],
  'add not null constraint': [{ run: 'alter table t add constraint x not null c', since: 18 }],
  'add not null constraint not valid': [
    { run: 'alter table t add constraint x not null c not valid', since: 18 },
  ],
  'add foreign key': [{ run: 'alter table t add constraint x foreign key (a) references u (id)' }],
  'add foreign key (other)': [
    { run: 'alter table t add constraint x foreign key (a) references u (id)', on: 'u' },
  ],
  'add foreign key not valid': [
    { run: 'alter table t add constraint x foreign key (a) references u (id) not valid' },
  ],
  'add foreign key not valid (other)': [
    { run: 'alter table t add constraint x foreign key (a) references u (id) not valid', on: 'u' },
    { run: 'alter table t add column x bigint references u (id)', on: 'u' },
  ],
  'add unique': [{ run: 'alter table t add constraint x unique (b)' }],
  'add primary key': [{ run: 'alter table loose add primary key (id)', on: 'loose' }],
  'add exclusion': [{ run: 'alter table t add constraint x exclude using btree (b with =)' }],
  'add constraint using index': [{ run: 'alter table t add constraint x unique using index t_a' }],
  'alter constraint': [{ run: 'alter table t alter constraint t_u deferrable' }],
  'validate constraint': [
    { run: 'alter table t validate constraint t_check' },
    { run: 'alter table t validate constraint t_u' },
  ],
  'validate constraint (other)': [
    {
      before: 'alter table t add constraint x foreign key (a) references u (id) not valid',
      run: 'alter table t validate constraint x',
      on: 'u',
    },
  ],
  'drop constraint': [{ run: 'alter table t drop constraint t_check' }],
  'enable or disable trigger': [{ run: 'alter table t disable trigger t_trigger' }],
  'enable or disable rule': [{ run: 'alter table t disable rule t_rule' }],
  'cluster on': [{ run: 'alter table t cluster on t_b' }, { run: 'alter table t set without cluster' }],
  'set logged or unlogged': [{ run: 'alter table child set unlogged', on: 'child' }],
  'set access method': [{ run: 'alter table t set access method heap_again' }],
  'set tablespace': [{ run: 'alter table t set tablespace TABLESPACE' }],
  'set table options': [
    { run: 'alter table t set (fillfactor = 70)' },
    { run: 'alter table t reset (fillfactor)' },
  ],
  'add inheritance': [{ run: 'alter table orphan inherit u', on: 'orphan' }],
  'add inheritance (other)': [{ run: 'alter table orphan inherit u', on: 'u' }],
  'drop inheritance': [{ run: 'alter table heir no inherit u', on: 'heir' }],
  'drop inheritance (other)': [{ run: 'alter table heir no inherit u', on: 'u' }],
  'attach partition': [{ run: 'alter table parent attach partition loose for values in (2)', on: 'parent' }],
  'attach partition (other)': [
    { run: 'alter table parent attach partition loose for values in (2)', on: 'loose' },
  ],
  'detach partition': [{ run: 'alter table parent detach partition part', on: 'parent' }],
  'detach partition (other)': [{ run: 'alter table parent detach partition part', on: 'part' }],
  'detach partition concurrently': [
    {
      run: 'alter table parent detach partition part concurrently',
      on: 'parent',
      waitsFor: 'SHARE UPDATE EXCLUSIVE',
    },
  ],
  'detach partition concurrently (other)': [
    { run: 'alter table parent detach partition part concurrently', on: 'part', waitsFor: 'ACCESS SHARE' },
  ],
  'replica identity': [{ run: 'alter table t replica identity full' }],
  'row security': [
    { run: 'alter table t enable row level security' },
    { run: 'alter table t force row level security' },
  ],
  'change owner': [{ run: 'alter table t owner to pg_database_owner' }],
  'other alter table': [{ run: 'alter table t rename constraint t_check to x' }],
  rename: [{ run: 'alter table t rename to x' }, { run: 'alter view w rename to x', on: 'w' }],
  'rename column': [{ run: 'alter table t rename column c to x' }],
  'rename index': [{ run: 'alter index t_b rename to x', on: 't_b' }],
  'set schema': [{ run: 'alter table t set schema public' }],
  'create table referring (other)': [{ run: 'create table x (id bigint references u)', on: 'u' }],
  'create partition (other)': [{ run: 'create table x partition of parent for values in (3)', on: 'parent' }],
  'create child (other)': [{ run: 'create table x () inherits (t)' }],
  'create index': [{ run: 'create index on t (c)' }],
  'create index concurrently': [
    { run: 'create index concurrently x on t (c)', waitsFor: 'SHARE UPDATE EXCLUSIVE' },
  ],
  'create trigger': [{ run: 'create trigger x before insert on t for each row execute function f()' }],
  'create rule': [{ run: 'create rule x as on update to t do also nothing' }],
  'create policy': [{ run: 'create policy x on t' }, { run: 'alter policy t_policy on t using (true)' }],
  'create statistics': [{ run: 'create statistics x on a, b from t' }],
  'replace view': [{ run: 'create or replace view w as select id from t where id > 0', on: 'w' }],
  comment: [{ run: "comment on table t is 'x'" }, { run: "comment on column t.a is 'x'" }],
  'drop table': [
    { run: 'drop table loose', on: 'loose' },
    { run: 'drop materialized view m', on: 'm' },
  ],
  'drop view': [{ run: 'drop view w', on: 'w' }],
  'drop index': [
    { run: 'drop index t_b', on: 't_b', look: 't' },
    { run: 'drop index t_b', on: 't_b' },
  ],
  'drop index concurrently': [
    { run: 'drop index concurrently t_b', on: 't_b', look: 't', waitsFor: 'SHARE UPDATE EXCLUSIVE' },
  ],
  'drop trigger, rule or policy': [
    { run: 'drop trigger t_trigger on t' },
    { run: 'drop rule t_rule on t' },
    { run: 'drop policy t_policy on t' },
  ],
  truncate: [{ run: 'truncate t' }],
  cluster: [{ run: 'cluster t using t_b' }],
  'vacuum full': [{ run: 'vacuum full t', waitsFor: 'SHARE UPDATE EXCLUSIVE' }],
  vacuum: [{ run: 'vacuum t', waitsFor: 'SHARE UPDATE EXCLUSIVE' }],
  analyze: [{ run: 'analyze t' }],
  'reindex table': [{ run: 'reindex table t' }],
  'reindex index': [{ run: 'reindex index t_b', on: 't_b' }],
  'reindex concurrently': [{ run: 'reindex table concurrently t', waitsFor: 'SHARE UPDATE EXCLUSIVE' }],
  'refresh materialized view': [{ run: 'refresh materialized view m', on: 'm' }],
  'refresh materialized view concurrently': [{ run: 'refresh materialized view concurrently m', on: 'm' }],
  'write rows': [
    { run: 'update t set b = 1 where id = 1' },
    { run: 'delete from t where id = 1' },
    { run: 'insert into u values (1000)', on: 'u' },
  ],
};

describe.each([15, 18] as const)('what DDL does on PostgreSQL %i', (version) => {
  let database: PostgresDatabase;
  let store: Store;
  const tablespace = uniqueName('space');

  beforeAll(async () => {
    database = await postgresDatabase(version);
    await using first = await postgresStore({ url: database.url, poolSize: 1 });
    await first.execute(sql`alter database ${sql.id(database.name)} set allow_in_place_tablespaces = on`);
    await first.execute(sql`create access method heap_again type table handler heap_tableam_handler`);
    store = await postgresStore({ url: database.url });
    await store.execute(sql`create tablespace ${sql.id(tablespace)} location ''`);
  });

  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  const cases = Object.entries(SAMPLES)
    .flatMap(([action, samples]) => samples.map((sample) => ({ ...sample, action: action as DdlAction })))
    .filter(({ since = 15 }) => since <= version);

  test.each(cases.map((each) => [each.action, each.run, each] as const))(
    '%s: %s',
    async (action, run, sample) => {
      const { before, on = 't', look = on, waitsFor } = sample;
      const schema = uniqueName('s');
      await store.script(`create schema ${schema}; set search_path = ${schema}; ${SETUP} reset search_path;`);
      const own = (text: string): string => text.replaceAll('TABLESPACE', tablespace);
      if (before?.startsWith('alter') === true)
        await store.script(`set search_path = ${schema}; ${before}; reset search_path;`);
      expect(await actionsOf(before ?? '', own(run), on)).toContain(action);

      const seen = await (waitsFor === undefined ? within : waiting)(store, {
        schema,
        run: own(run),
        relation: `${schema}.${look}`,
        held: waitsFor ?? 'ACCESS SHARE',
      });
      const { lock, work } = DDL_EFFECTS[action];
      expect(seen.lock).toBe(lock);
      if (seen.isRewritten !== undefined) expect(seen.isRewritten, 'rewritten').toBe(work === 'rewrite');
      // How much a statement on rows reads is its own affair.
      const isAboutRows = action === 'write rows' || work === 'rewrite';
      if (seen.scans !== undefined && !isAboutRows) expect(seen.scans > 0, 'scanned').toBe(work === 'scan');
    },
  );

  test('functions that count as steady are not volatile', async () => {
    const rows = await store.query<{ proname: string }>(
      sql`select distinct proname from pg_proc where proname = any(${STEADY_FUNCTIONS}) and provolatile = 'v' and pronamespace = 'pg_catalog'::regnamespace`,
    );
    expect(rows).toEqual([]);
  });
});

/** What the lint takes the statement for, as far as it is about this relation. */
async function actionsOf(before: string, run: string, on: string): Promise<readonly DdlAction[]> {
  const chronicle = openChronicle();
  const { statements } = await readScript(`${before};${run}`);
  const effects = statements.map(({ node, start }) => {
    const read = readEffects(node, {
      history: chronicle.history,
      offsetOf: (at) => at,
      commandStart: () => 0,
    });
    chronicle.record({ node, start, line: 1, effects: read });
    return read;
  });
  return (effects.at(-1) ?? []).filter(({ relation }) => relation === on).map(({ action }) => action);
}

interface Probe {
  readonly schema: string;
  readonly run: string;
  readonly relation: string;
  readonly held: LockMode;
}

interface Seen {
  readonly lock: LockMode | undefined;
  /** Undefined where the relation is gone, or nothing was seen of it. */
  readonly isRewritten: boolean | undefined;
  readonly scans: number | undefined;
}

async function within(store: Store, { schema, run, relation }: Probe): Promise<Seen> {
  return store.transaction({}, async (transaction) => {
    await transaction.execute(sql`set local search_path = ${sql.id(schema)}`);
    const [{ oid, file } = { oid: 0, file: undefined }] = await fileOf(
      transaction,
      sql`${relation}::regclass`,
    );
    // What this session did before in other transactions may be counted still.
    const scansBefore = await scansOf(transaction, oid);
    await transaction.script(run);
    const modes = await transaction.query<{ mode: string }>(
      sql`select mode from pg_locks where relation = ${oid} and pid = pg_backend_pid() and granted`,
    );
    const scans = await scansOf(transaction, oid);
    const [after] = await fileOf(transaction, sql`${oid}::oid`);
    return {
      lock: strongest(modes.map(({ mode }) => mode)),
      isRewritten: after === undefined ? undefined : after.file !== file,
      scans: scans === undefined ? undefined : scans - (scansBefore ?? 0),
    };
  });
}

async function scansOf(store: Queryable, oid: number): Promise<number | undefined> {
  const [stats] = await store.query<{ scans: bigint }>(
    sql`select coalesce(seq_scan, 0) + coalesce(idx_scan, 0) scans from pg_stat_xact_all_tables where relid = ${oid}`,
  );
  return stats === undefined ? undefined : Number(stats.scans);
}

async function fileOf(
  store: Queryable,
  oid: ReturnType<typeof sql>,
): Promise<readonly { readonly oid: number; readonly file: number }[]> {
  return store.query(sql`select oid, relfilenode file from pg_class where oid = ${oid}`);
}

/** The statement is sent while another session holds a lock that it has to wait for; what it waits for is seen from a third. */
async function waiting(store: Store, { schema, run, relation, held }: Probe): Promise<Seen> {
  const marked = `/* ${schema} */ ${run.replaceAll(/\b(t|t_b|part|parent)\b(?! concurrently)/g, `${schema}.$1`).replace('part concurrently', `${schema}.part concurrently`)}`;
  const [before] = await fileOf(store, sql`${relation}::regclass`);
  let sent: Promise<unknown> = Promise.resolve();
  const lock = await store.transaction({}, async (transaction) => {
    await transaction.execute(sql`lock table ${sql.raw(relation)} in ${sql.raw(held)} mode`);
    sent = store.execute(sql.raw(marked));
    sent.catch(() => undefined);
    return waitedFor(store, relation, schema);
  });
  await sent;
  const [after] = await fileOf(store, sql`${relation}::regclass`);
  return { lock, isRewritten: before?.file !== after?.file, scans: undefined };
}

async function waitedFor(store: Store, relation: string, marker: string): Promise<LockMode | undefined> {
  for (let tries = 0; tries < 200; tries += 1) {
    const rows = await store.query<{ mode: string }>(
      sql`select mode from pg_locks join pg_stat_activity using (pid) where relation = ${relation}::regclass and query like ${`/* ${marker}%`} and not granted`,
    );
    if (rows.length > 0) return strongest(rows.map(({ mode }) => mode));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}

/** `AccessExclusiveLock` is ACCESS EXCLUSIVE. */
function strongest(modes: readonly string[]): LockMode | undefined {
  const names = modes.map((mode) =>
    mode
      .replace(/Lock$/, '')
      .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
      .toUpperCase(),
  );
  return LOCK_MODES.findLast((mode) => names.includes(mode));
}
