/**
 * Objects that people put on a table are made again on the one that takes its place. While it is built they go by the oid of
 * the object that they stand for, since names are one for a whole schema; they get its name with the table's.
 *
 * Where columns are called otherwise by now, nobody rewrites an expression as text: the object is made on an empty table of
 * the old columns, these are renamed, and the database says what it is then.
 */
import { refusal, type Finding } from '../../base/index.ts';
import { relationOf, tableId, type Placement, type Relation } from '../../pipeline/index.ts';
import {
  isStoreError,
  quoteLiteral,
  sql,
  type Queryable,
  type Sql,
  type Transaction,
} from '../../store/index.ts';
import { regclass } from '../regclass.ts';
import type { Rebuilding } from '../rebuild/world.ts';
import { isMadeAnyway, judgeHandMade, type Carried } from './judge.ts';
import type { HandMade, HandMadeNames } from './hand-made.ts';

/** Makes indexes, unique sets, checks and exclusions on a structure that has its rows. */
export async function carryObjects(
  transaction: Transaction,
  of: Rebuilding,
  next: Relation,
): Promise<readonly Finding[]> {
  const { carried } = await judgeHandMade(transaction, of);
  for (const each of carried.filter(({ object }) => object.target === null)) {
    if (isMadeAnyway(each, of)) continue;
    const made = await make(transaction, of, { ...each, next });
    if (made !== undefined) return [made];
  }
  return [];
}

/** Makes foreign keys, their rows not looked at. */
export async function carryKeys(transaction: Queryable, of: Rebuilding, next: Relation): Promise<void> {
  const { carried } = await judgeHandMade(transaction, of);
  for (const { object, columns, target } of carried) {
    if (target === undefined || object.target === null) continue;
    const own = sql.join(object.target.own.map((column) => sql.id(columns[column] ?? column)));
    const theirs = sql.join(target.referenced.map((column) => sql.id(column)));
    const options = object.target.options.replace(/ ?NOT VALID$/u, '');
    await transaction.execute(sql`alter table ${tableId(next.placement)} add constraint ${sql.id(passing(object))}
      foreign key (${own}) references ${tableId(placementOf(of, next, target.table))} (${theirs}) ${sql.raw(options)} not valid`);
  }
}

function placementOf(of: Rebuilding, next: Relation, table: string | Placement): Placement {
  if (typeof table !== 'string') return table;
  return table === of.operation.table ? next.placement : relationOf(of.world.next, table).placement;
}

const PASSING = 'by hand ';

function passing({ oid }: HandMade): string {
  return `${PASSING}${oid}`;
}

async function make(
  transaction: Transaction,
  of: Rebuilding,
  { object, columns, next }: Carried & { readonly next: Relation },
): Promise<Finding | undefined> {
  const isRenamed = Object.entries(columns).some(([was, now]) => was !== now);
  const definition = isRenamed ? await renamed(transaction, of, { object, columns }) : object.definition;
  try {
    await transaction.savepoint(() => transaction.execute(statement(object, next.placement, definition)));
    return undefined;
  } catch (error) {
    if (!isStoreError(error) || !/^(?:23|42)/u.test(error.fields.sqlstate)) throw error;
    return refusal('dependents_in_the_way', of.operation.table, {
      detail: { kind: object.kind, name: object.name, sqlstate: error.fields.sqlstate },
      hint: `Drop the ${object.kind} ${object.name}, or mend what is against it: the new table cannot have it.`,
    });
  }
}

function statement(object: HandMade, place: Placement, definition: string): Sql {
  const name = sql.id(passing(object));
  if (object.kind !== 'index') {
    return sql`alter table ${tableId(place)} add constraint ${name} ${sql.raw(definition)}`;
  }
  const unique = sql.raw(object.isUniqueIndex ? 'unique' : '');
  return sql`create ${unique} index ${name} on ${tableId(place)} ${sql.raw(definition)}`;
}

/** The definition of an object once its columns go by other names. */
async function renamed(
  transaction: Queryable,
  of: Rebuilding,
  { object, columns }: Carried,
): Promise<string> {
  const place = { schema: 'pg_temp', table: 'by hand' };
  const id = tableId(place);
  await transaction.execute(sql`drop table if exists ${id}`);
  const old = of.sources.find(({ spec }) =>
    object.columns.every((one) => spec.columns.some(({ name }) => name === one)),
  );
  await transaction.execute(
    sql`create temporary table ${sql.id(place.table)} (like ${tableId(relationOf(of.world.old, old?.name ?? '').placement)}) on commit drop`,
  );
  await transaction.execute(statement(object, place, object.definition));
  const pairs = Object.entries(columns).filter(([was, now]) => was !== now);
  // Two columns may take each other's names.
  for (const [index, [was]] of pairs.entries())
    await transaction.execute(
      sql`alter table ${id} rename column ${sql.id(was)} to ${sql.id(`by hand ${String(index)}`)}`,
    );
  const others = (old?.spec.columns ?? []).filter(({ name }) => columns[name] === undefined);
  for (const { name } of others)
    await transaction.execute(sql`alter table ${id} drop column ${sql.id(name)}`);
  for (const [index, [, now]] of pairs.entries())
    await transaction.execute(
      sql`alter table ${id} rename column ${sql.id(`by hand ${String(index)}`)} to ${sql.id(now)}`,
    );
  const [row] = await transaction.query<{ definition: string }>(
    object.kind === 'index'
      ? sql`select substr(d, strpos(d, ' USING ')) as definition from (select pg_get_indexdef(i.indexrelid) as d
          from pg_index i where i.indrelid = ${regclass(place)}::regclass) x`
      : sql`select pg_get_constraintdef(oid) as definition from pg_constraint
          where conrelid = ${regclass(place)}::regclass and contype <> 'n'`,
  );
  await transaction.execute(sql`drop table ${id}`);
  return row?.definition ?? object.definition;
}

/** What stands on a structure by hand and will be carried, by oid: to be read before the structure leaves its name. */
export async function namesOf(
  transaction: Queryable,
  of: Rebuilding,
  next: Relation,
): Promise<{ readonly names: HandMadeNames; readonly findings: readonly Finding[] }> {
  const { carried } = await judgeHandMade(transaction, of);
  const present = new Set((await passingObjects(transaction, next.placement)).map(({ oid }) => oid));
  const absent = carried.filter((each) => !present.has(each.object.oid) && !isMadeAnyway(each, of));
  return {
    names: new Map(carried.map(({ object }) => [object.oid, object])),
    findings: absent.map(({ object: { kind, name } }) =>
      refusal('concurrent_change', of.operation.table, {
        detail: { kind, name },
        hint: `The ${kind} ${name} came while the new table was built: apply again.`,
      }),
    ),
  };
}

interface PassingObject extends Record<string, unknown> {
  readonly kind: 'constraint' | 'index';
  readonly oid: string;
}

async function passingObjects(transaction: Queryable, place: Placement): Promise<readonly PassingObject[]> {
  return transaction.query<PassingObject>(sql`
    select 'constraint' as kind, substr(conname::text, ${PASSING.length + 1}::integer) as oid from pg_constraint
    where conrelid = ${regclass(place)}::regclass and starts_with(conname::text, ${PASSING})
    union all
    select 'index', substr(c.relname::text, ${PASSING.length + 1}::integer) from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indrelid = ${regclass(place)}::regclass and starts_with(c.relname::text, ${PASSING})
      and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.conrelid = i.indrelid)
    order by 1, 2`);
}

/** Gives carried objects the names of those that they stand for, and their comments. */
export async function nameObjects(
  transaction: Queryable,
  place: Placement,
  names: HandMadeNames,
): Promise<void> {
  for (const { kind, oid } of await passingObjects(transaction, place)) {
    const known = names.get(oid);
    if (known === undefined) continue;
    const now = sql.id(`${PASSING}${oid}`);
    const name = await freeName(transaction, place, known.name);
    const comment = sql.raw(known.comment === null ? 'null' : quoteLiteral(known.comment));
    if (kind === 'constraint') {
      await transaction.execute(
        sql`alter table ${tableId(place)} rename constraint ${now} to ${sql.id(name)}`,
      );
      await transaction.execute(
        sql`comment on constraint ${sql.id(name)} on ${tableId(place)} is ${comment}`,
      );
    } else {
      await transaction.execute(
        sql`alter index ${sql.id(place.schema, `${PASSING}${oid}`)} rename to ${sql.id(name)}`,
      );
      await transaction.execute(sql`comment on index ${sql.id(place.schema, name)} is ${comment}`);
    }
  }
}

/** The definition of today may have taken the name. */
async function freeName(transaction: Queryable, place: Placement, wanted: string): Promise<string> {
  const rows = await transaction.query<{ name: string }>(sql`
    select conname::text as name from pg_constraint where conrelid = ${regclass(place)}::regclass
    union all select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${place.schema}`);
  const taken = new Set(rows.map(({ name }) => name));
  for (let number = 0; ; number += 1) {
    const name = number === 0 ? wanted : `${wanted.slice(0, 56)}_${String(number)}`;
    if (!taken.has(name)) return name;
  }
}
