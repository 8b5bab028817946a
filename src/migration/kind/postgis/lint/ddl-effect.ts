/**
 * What each DDL statement locks, and whether it reads or rewrites the table meanwhile.
 *
 * | work | means |
 * |---|---|
 * | `none` | the catalog changes alone: the lock is held for a moment once it is granted |
 * | `scan` | the whole table is read (a check, the build of an index) while the lock is held; ANALYZE reads a sample only |
 * | `rewrite` | the whole table, or the index that is named, is written anew while the lock is held |
 *
 * What `work` says is the worst that PostgreSQL 15 to 18 do for a table with rows. `ddl-effect.test.ts`
 * runs each row on real servers and compares `pg_locks`, the file node and the count of scans.
 *
 * Source: PostgreSQL documentation, "Explicit Locking", "ALTER TABLE", and the page of each statement.
 */

/** The modes of a lock on a table, from the weakest to the strongest. */
export const LOCK_MODES = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;

export type LockMode = (typeof LOCK_MODES)[number];

export type Work = 'none' | 'scan' | 'rewrite';

/** What one kind of statement, or of command in an ALTER TABLE, does to one relation. */
export interface DdlEffect {
  readonly lock: LockMode;
  readonly work: Work;
}

const TABLE = {
  'add column': ['ACCESS EXCLUSIVE', 'none'],
  'add column with rewrite': ['ACCESS EXCLUSIVE', 'rewrite'],
  'add column with check': ['ACCESS EXCLUSIVE', 'scan'],
  'add required column': ['ACCESS EXCLUSIVE', 'scan'],
  'drop column': ['ACCESS EXCLUSIVE', 'none'],
  'set default': ['ACCESS EXCLUSIVE', 'none'],
  'set not null': ['ACCESS EXCLUSIVE', 'scan'],
  'set not null, proved': ['ACCESS EXCLUSIVE', 'none'],
  'drop not null': ['ACCESS EXCLUSIVE', 'none'],
  'set expression': ['ACCESS EXCLUSIVE', 'rewrite'],
  'drop expression': ['ACCESS EXCLUSIVE', 'none'],
  'alter column type': ['ACCESS EXCLUSIVE', 'rewrite'],
  'alter identity': ['ACCESS EXCLUSIVE', 'none'],
  'set statistics': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'set column options': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'set storage': ['ACCESS EXCLUSIVE', 'none'],
  'add check': ['ACCESS EXCLUSIVE', 'scan'],
  'add check not valid': ['ACCESS EXCLUSIVE', 'none'],
  'add not null constraint': ['ACCESS EXCLUSIVE', 'scan'],
  'add not null constraint not valid': ['ACCESS EXCLUSIVE', 'none'],
  'add foreign key': ['SHARE ROW EXCLUSIVE', 'scan'],
  'add foreign key (other)': ['SHARE ROW EXCLUSIVE', 'scan'],
  'add foreign key not valid': ['SHARE ROW EXCLUSIVE', 'none'],
  'add foreign key not valid (other)': ['SHARE ROW EXCLUSIVE', 'none'],
  'add unique': ['ACCESS EXCLUSIVE', 'scan'],
  'add primary key': ['ACCESS EXCLUSIVE', 'scan'],
  'add exclusion': ['ACCESS EXCLUSIVE', 'scan'],
  'add constraint using index': ['ACCESS EXCLUSIVE', 'none'],
  'alter constraint': ['ACCESS EXCLUSIVE', 'none'],
  'validate constraint': ['SHARE UPDATE EXCLUSIVE', 'scan'],
  'validate constraint (other)': ['ROW SHARE', 'scan'],
  'drop constraint': ['ACCESS EXCLUSIVE', 'none'],
  'enable or disable trigger': ['SHARE ROW EXCLUSIVE', 'none'],
  'enable or disable rule': ['ACCESS EXCLUSIVE', 'none'],
  'cluster on': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'set logged or unlogged': ['ACCESS EXCLUSIVE', 'rewrite'],
  'set access method': ['ACCESS EXCLUSIVE', 'rewrite'],
  'set tablespace': ['ACCESS EXCLUSIVE', 'rewrite'],
  'set table options': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'add inheritance': ['ACCESS EXCLUSIVE', 'none'],
  'add inheritance (other)': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'drop inheritance': ['ACCESS EXCLUSIVE', 'none'],
  'drop inheritance (other)': ['ACCESS SHARE', 'none'],
  'attach partition': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'attach partition (other)': ['ACCESS EXCLUSIVE', 'scan'],
  'detach partition': ['ACCESS EXCLUSIVE', 'none'],
  'detach partition (other)': ['ACCESS EXCLUSIVE', 'none'],
  'detach partition concurrently': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'detach partition concurrently (other)': ['ACCESS EXCLUSIVE', 'none'],
  'replica identity': ['ACCESS EXCLUSIVE', 'none'],
  'row security': ['ACCESS EXCLUSIVE', 'none'],
  'change owner': ['ACCESS EXCLUSIVE', 'none'],
  'other alter table': ['ACCESS EXCLUSIVE', 'none'],

  rename: ['ACCESS EXCLUSIVE', 'none'],
  'rename column': ['ACCESS EXCLUSIVE', 'none'],
  'rename index': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'set schema': ['ACCESS EXCLUSIVE', 'none'],

  'create table referring (other)': ['SHARE ROW EXCLUSIVE', 'none'],
  'create partition (other)': ['ACCESS EXCLUSIVE', 'none'],
  'create child (other)': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'create index': ['SHARE', 'scan'],
  'create index concurrently': ['SHARE UPDATE EXCLUSIVE', 'scan'],
  'create trigger': ['SHARE ROW EXCLUSIVE', 'none'],
  'create rule': ['ACCESS EXCLUSIVE', 'none'],
  'create policy': ['ACCESS EXCLUSIVE', 'none'],
  'create statistics': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'replace view': ['ACCESS EXCLUSIVE', 'none'],
  comment: ['SHARE UPDATE EXCLUSIVE', 'none'],

  'drop table': ['ACCESS EXCLUSIVE', 'none'],
  'drop view': ['ACCESS EXCLUSIVE', 'none'],
  'drop index': ['ACCESS EXCLUSIVE', 'none'],
  'drop index concurrently': ['SHARE UPDATE EXCLUSIVE', 'none'],
  'drop trigger, rule or policy': ['ACCESS EXCLUSIVE', 'none'],

  truncate: ['ACCESS EXCLUSIVE', 'rewrite'],
  cluster: ['ACCESS EXCLUSIVE', 'rewrite'],
  'vacuum full': ['ACCESS EXCLUSIVE', 'rewrite'],
  vacuum: ['SHARE UPDATE EXCLUSIVE', 'scan'],
  analyze: ['SHARE UPDATE EXCLUSIVE', 'none'],
  'reindex table': ['SHARE', 'scan'],
  'reindex index': ['ACCESS EXCLUSIVE', 'rewrite'],
  'reindex concurrently': ['SHARE UPDATE EXCLUSIVE', 'scan'],
  'refresh materialized view': ['ACCESS EXCLUSIVE', 'rewrite'],
  'refresh materialized view concurrently': ['EXCLUSIVE', 'scan'],
  'write rows': ['ROW EXCLUSIVE', 'none'],
} as const;

/** What a statement, or a command in an ALTER TABLE, does; `... (other)` to a second relation, such as one that a foreign key refers to. */
export type DdlAction = keyof typeof TABLE;

export const DDL_EFFECTS: Readonly<Record<DdlAction, DdlEffect>> = Object.fromEntries(
  Object.entries(TABLE).map(([action, [lock, work]]) => [action, { lock, work }]),
) as Record<DdlAction, DdlEffect>;

/** Whether writers of the table wait while this lock is held, or wanted. */
export function blocksWriters(lock: LockMode): boolean {
  return LOCK_MODES.indexOf(lock) >= LOCK_MODES.indexOf('SHARE');
}
