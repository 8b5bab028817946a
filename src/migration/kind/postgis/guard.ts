/**
 * The guards of a run (layers L2 and L3): event triggers that note every DDL, and on each protected table triggers that
 * refuse DML and TRUNCATE. They are made in the deciding transaction, with functions of schema `varve`, and taken away before
 * its commit: no setting arms them (M82), and nothing of them is left, whichever way the run ends. Their digest holds the number of
 * each, so that one that was dropped and made again is another.
 *
 * A protected table is locked against other writers for as long as the run is open.
 */
import { refusal, type Finding } from '../../../base/index.ts';
import { digestOf } from '../../../evidence/index.ts';
import { quoteLiteral, sql, type Queryable, type Transaction } from '../../../store/index.ts';
import type { Relation } from './relation.ts';

/** Who installs the guards. */
export type Armer =
  /** The user of the session itself, as far as it may. */
  | 'session'
  /** The functions of `sql/roles.sql`, which a confined session reaches before and after the script. */
  | 'roles';

/** What can be guarded by the user of this session. */
export interface GuardPower {
  /** Only a superuser makes event triggers. */
  readonly canWatch: boolean;
  /** The protected tables that this user may not put a trigger on. */
  readonly unguardable: readonly string[];
}

/** What this session could install. */
export async function guardPower(queryable: Queryable, tables: readonly Relation[]): Promise<GuardPower> {
  const [row] = await queryable.query<{ isSuper: boolean; unguardable: string[] }>(sql`
    select r.rolsuper as "isSuper", coalesce((
      select array_agg(c.oid::regclass::text order by 1) from pg_class c
      where c.oid = any(${tables.map(({ oid }) => oid)}::oid[]) and not pg_has_role(current_user, c.relowner, 'usage')), '{}') as unguardable
    from pg_roles r where r.rolname = current_user`);
  return { canWatch: row?.isSuper === true, unguardable: row?.unguardable ?? [] };
}

/** Guards in force. */
export interface Guards {
  readonly armer: Armer;
  readonly watches: boolean;
  /** Whether this session reads the catalogs of roles. */
  readonly readsRoles: boolean;
  /** Protected tables that refuse writes; undefined where not all of them could be guarded. */
  readonly denies: readonly Relation[] | undefined;
  readonly digest: string;
}

const EVENTS = [
  ['varve_note_ddl', 'ddl_command_end', 'note_ddl'],
  ['varve_note_drop', 'sql_drop', 'note_drop'],
  ['varve_note_rewrite', 'table_rewrite', 'note_rewrite'],
] as const;
const DENY = 'varve_deny';
const DENY_ROW = 'varve_deny_row';

/** Installs what this session may; with the roles' functions, all of it. */
export async function installGuards(
  transaction: Transaction,
  tables: readonly Relation[],
  armer: Armer,
): Promise<Guards> {
  if (armer === 'roles') {
    await transaction.execute(sql`delete from varve.seen_ddl`);
    await transaction.query(
      sql`select varve.arm_guards(${oidsOf(tables)}::oid[], ${childrenOf(tables)}::oid[])::text`,
    );
    const digest = await digestGuards(transaction);
    return { armer, watches: true, readsRoles: false, denies: tables, digest };
  }
  const { canWatch, unguardable } = await guardPower(transaction, tables);
  const canDeny = unguardable.length === 0;
  if (canDeny) for (const table of tables) await denyWrites(transaction, table);
  // Last, so that they do not see the others being made.
  if (canWatch) {
    await transaction.execute(sql`delete from varve.seen_ddl`);
    for (const [name, event, handler] of EVENTS) {
      await transaction.execute(
        sql`create event trigger ${sql.id(name)} on ${sql.raw(event)} execute function ${sql.id('varve', handler)}()`,
      );
      await transaction.execute(sql`alter event trigger ${sql.id(name)} enable always`);
    }
  }
  const denies = canDeny ? tables : undefined;
  return {
    armer,
    watches: canWatch,
    readsRoles: canWatch,
    denies,
    digest: await digestGuards(transaction),
  };
}

/** Takes them away; what is left of the run is its own work. */
export async function removeGuards(
  transaction: Transaction,
  { armer, watches, denies = [] }: Guards,
): Promise<void> {
  if (armer === 'roles') {
    await transaction.query(
      sql`select varve.disarm_guards(${oidsOf(denies)}::oid[], ${childrenOf(denies)}::oid[])::text`,
    );
    await transaction.execute(sql`delete from varve.seen_ddl`);
    return;
  }
  if (watches) {
    for (const [name] of EVENTS) await transaction.execute(sql`drop event trigger if exists ${sql.id(name)}`);
    await transaction.execute(sql`delete from varve.seen_ddl`);
  }
  for (const { schema, name, kind, isChild } of denies) {
    await transaction.execute(sql`drop trigger if exists ${sql.id(DENY)} on ${sql.id(schema, name)}`);
    if (needsRowTrigger(kind, isChild))
      await transaction.execute(sql`drop trigger if exists ${sql.id(DENY_ROW)} on ${sql.id(schema, name)}`);
  }
}

/** What differs from the guards as they were installed (M82). */
export async function guardFindings(transaction: Transaction, guards: Guards): Promise<readonly Finding[]> {
  if ((await digestGuards(transaction)) === guards.digest) return [];
  return [
    refusal('guard_changed', 'varve', {
      detail: { layers: ['L2', 'L3'] },
      hint: 'The script changed or dropped what holds it. Take that out; nothing was changed.',
    }),
  ];
}

/**
 * A statement trigger sees what is addressed to its table by name; rows that come through a parent are seen by a row trigger
 * alone.
 */
async function denyWrites(
  transaction: Transaction,
  { schema, name, kind, isChild }: Relation,
): Promise<void> {
  const table = sql.id(schema, name);
  // Foreign tables cannot be truncated by every wrapper, and take the trigger all the same.
  await transaction.execute(
    sql`create trigger ${sql.id(DENY)} before insert or update or delete or truncate on ${table} for each statement execute function varve.deny_write()`,
  );
  await enableAlways(transaction, { schema, name, kind }, DENY);
  if (!needsRowTrigger(kind, isChild)) return;
  await transaction.execute(
    sql`create trigger ${sql.id(DENY_ROW)} before insert or update or delete on ${table} for each row execute function varve.deny_write()`,
  );
  await enableAlways(transaction, { schema, name, kind }, DENY_ROW);
}

function oidsOf(tables: readonly Relation[]): readonly number[] {
  return tables.map(({ oid }) => oid);
}

function childrenOf(tables: readonly Relation[]): readonly number[] {
  return oidsOf(tables.filter(({ kind, isChild }) => needsRowTrigger(kind, isChild)));
}

function needsRowTrigger(kind: string, isChild: boolean): boolean {
  return isChild && kind === 'r';
}

/** ALWAYS: also where the replication role switches ordinary triggers off. */
async function enableAlways(
  transaction: Transaction,
  { schema, name, kind }: Pick<Relation, 'schema' | 'name' | 'kind'>,
  trigger: string,
): Promise<void> {
  const word = sql.raw(kind === 'f' ? 'foreign table' : 'table');
  await transaction.execute(
    sql`alter ${word} ${sql.id(schema, name)} enable always trigger ${sql.id(trigger)}`,
  );
}

async function digestGuards(transaction: Queryable): Promise<string> {
  const rows = await transaction.query(sql`
    select 'function' as kind, p.oid::regprocedure::text as name, md5(pg_get_functiondef(p.oid)) || p.proowner::text as text
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'varve' and p.proname in ('note_ddl', 'note_drop', 'note_rewrite', 'deny_write')
    union all
    select 'event trigger', evtname, concat_ws(' ', oid, evtevent, evtfoid, evtenabled, evttags::text) from pg_event_trigger
    where evtname like ${'varve\\_%'}
    union all
    select 'trigger', tgrelid::text || ' ' || tgname, concat_ws(' ', oid, tgfoid, tgtype, tgenabled, tgqual::text) from pg_trigger
    where tgname in (${sql.raw(quoteLiteral(DENY))}, ${sql.raw(quoteLiteral(DENY_ROW))})
    order by 1, 2`);
  return digestOf(rows as readonly { readonly kind: string; readonly name: string; readonly text: string }[]);
}
