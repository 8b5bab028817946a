/**
 * Retired structures: tables that an evolution replaced stay, whole, in a schema of their own, under a name that says
 * what they were and which generation. They keep primary key and checks, and lose foreign keys, for history must not
 * hold back what the present deletes.
 */
import { tableId, type Placement, type Relation } from '../pipeline/index.ts';
import { HISTORY } from './building.ts';
import { dropOwnKeys } from './own-keys.ts';
import { regclass } from './regclass.ts';
import { executeAll, sql, type Queryable, type Sql } from '../store/index.ts';

/** Moves a live table to history. */
export async function retire(transaction: Queryable, relation: Relation, runId: string): Promise<Placement> {
  const placement = { schema: HISTORY, table: historyName(relation) };
  await transaction.execute(sql`create schema if not exists ${sql.id(HISTORY)}`);
  await dropOwnKeys(transaction, relation);
  await move(transaction, relation.placement, placement);
  await transaction.execute(sql`
    update varve.relation set state = 'retired', until_run = ${runId}, until_at = now(),
      physical_schema = ${placement.schema}, physical_name = ${placement.table} where id = ${relation.id}`);
  return placement;
}

/** How many rows went to history with the structure of this table that the run retired. */
export async function retiredRows(transaction: Queryable, table: string, runId: string): Promise<number> {
  const [relation] = await transaction.query<{ schema: string; name: string }>(sql`
    select physical_schema as schema, physical_name as name from varve.relation
    where name = ${table} and until_run = ${runId} and state = 'retired'`);
  if (relation === undefined) return 0;
  const [row] = await transaction.query<{ count: bigint }>(
    sql`select count(*) as count from ${sql.id(relation.schema, relation.name)}`,
  );
  return Number(row?.count ?? 0n);
}

/**
 * Moves a table to another schema and name. Its indexes and constraints go with it, and those that are named after the
 * table are named after it again: in history every generation has its own names, so that none is in another's way.
 */
export async function move(transaction: Queryable, from: Placement, to: Placement): Promise<void> {
  // In two steps, since a schema and a name cannot be set at once; the name is free in neither schema for sure.
  const passing = { schema: from.schema, table: `${from.table.slice(0, 40)} moving` };
  await transaction.execute(sql`alter table ${tableId(from)} rename to ${sql.id(passing.table)}`);
  await nameAfter(transaction, passing, { from, to });
  await executeAll(transaction, [
    ...(await namesByGeneration(transaction, passing, { from, to })),
    sql`alter table ${tableId(passing)} set schema ${sql.id(to.schema)}`,
    sql`alter table ${sql.id(to.schema, passing.table)} rename to ${sql.id(to.table)}`,
  ]);
}

async function nameAfter(
  transaction: Queryable,
  place: Placement,
  { from, to }: { readonly from: Placement; readonly to: Placement },
): Promise<void> {
  const rows = await transaction.query<{ kind: 'constraint' | 'index'; name: string }>(
    sql.kept(sql`
    select 'constraint' as kind, conname::text as name from pg_constraint
    where conrelid = ${regclass(place)}::regclass and starts_with(conname::text, ${from.table})
    union all
    select 'index', c.relname::text from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indrelid = ${regclass(place)}::regclass and starts_with(c.relname::text, ${from.table})
      and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.conrelid = i.indrelid)
    order by 1, 2`),
  );
  if (rows.length === 0) return;
  const named = rows.map(({ kind, name }) => ({
    kind,
    name,
    wanted: withSuffix(to.table, name.slice(from.table.length)),
  }));
  const taken = await takenNames(transaction, place, {
    names: named.map(({ wanted }) => wanted),
    schemas: [from.schema, to.schema],
  });
  const renames = named.flatMap(({ kind, name, wanted }) => {
    if (taken.has(wanted)) return [];
    // What goes by another name now leaves its own to those that come after it.
    taken.delete(name);
    taken.add(wanted);
    return [
      kind === 'constraint'
        ? sql`alter table ${tableId(place)} rename constraint ${sql.id(name)} to ${sql.id(wanted)}`
        : sql`alter index ${sql.id(place.schema, name)} rename to ${sql.id(wanted)}`,
    ];
  });
  await executeAll(transaction, renames);
}

/** Those of these names that something in the schemas has, or a constraint of the table. */
async function takenNames(
  transaction: Queryable,
  place: Placement,
  { names, schemas }: { readonly names: readonly string[]; readonly schemas: readonly string[] },
): Promise<Set<string>> {
  const rows = await transaction.query<{ name: string }>(
    sql.kept(sql`
    select c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any(${schemas}::text[]) and c.relname = any(${names}::text[])
    union
    select conname::text from pg_constraint where conrelid = ${regclass(place)}::regclass and conname = any(${names}::text[])`),
  );
  return new Set(rows.map(({ name }) => name));
}

/**
 * Index names that people gave: where the other schema has one of that name already, the older generations in history do, it
 * goes by its generation too, until it comes back.
 */
async function namesByGeneration(
  transaction: Queryable,
  place: Placement,
  { from, to }: { readonly from: Placement; readonly to: Placement },
): Promise<readonly Sql[]> {
  const [mark] = /@\d+$/u.exec(to.schema === HISTORY ? to.table : from.table) ?? [];
  if (mark === undefined) return [];
  const indexes = await transaction.query<{ name: string; taken: boolean }>(
    sql.kept(sql`
    select c.relname::text as name, exists (select from pg_class o join pg_namespace n on n.oid = o.relnamespace
      where n.nspname = ${to.schema} and n.oid <> c.relnamespace and o.relname = c.relname) as taken
    from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = ${regclass(place)}::regclass order by 1`),
  );
  const renames: Sql[] = [];
  for (const { name, taken } of indexes) {
    const wanted =
      to.schema === HISTORY && taken
        ? withSuffix(`${mark} ${name}`, '')
        : name.startsWith(`${mark} `)
          ? name.slice(mark.length + 1)
          : name;
    if (wanted === name) continue;
    // An index that a constraint has goes by the name of that.
    const [owner] = await transaction.query<{ name: string }>(sql`
      select k.conname::text as name from pg_constraint k join pg_class c on c.oid = k.conindid
      where k.conrelid = ${regclass(place)}::regclass and c.relname = ${name} and k.contype in ('p', 'u', 'x')`);
    renames.push(
      owner === undefined
        ? sql`alter index ${sql.id(place.schema, name)} rename to ${sql.id(wanted)}`
        : sql`alter table ${tableId(place)} rename constraint ${sql.id(owner.name)} to ${sql.id(wanted)}`,
    );
  }
  return renames;
}

/** The two within the 63 bytes of a name, whole characters only. */
function withSuffix(name: string, suffix: string): string {
  const bytes = new TextEncoder().encode(name).slice(0, 63 - new TextEncoder().encode(suffix).length);
  return `${new TextDecoder().decode(bytes).replaceAll('\u{FFFD}', '')}${suffix}`;
}

/** `audit.license_verdict@17`, within 63 bytes. */
function historyName(relation: Relation): string {
  return withSuffix(relation.name, `@${String(relation.id)}`);
}
