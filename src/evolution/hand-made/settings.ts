/** What people set on a table and its columns beside its definition: storage, defaults, that a column is never empty, comments. */
import { tableId, type Placement } from '../../pipeline/index.ts';
import { quoteLiteral, sql, type Queryable } from '../../store/index.ts';
import { regclass } from '../regclass.ts';
import { columnOf } from '../rebuild/values.ts';
import type { Rebuilding } from '../rebuild/world.ts';
import { ownsSequence } from './hand-made.ts';
import { withBarePath } from '../bare-path.ts';

/** Gives a structure that has its rows the storage and the columns' settings of the first table that they come from. */
export async function carrySettings(transaction: Queryable, of: Rebuilding, next: Placement): Promise<void> {
  const [source] = of.sources;
  if (source === undefined) return;
  const id = tableId(next);
  const options = await transaction.query<{ name: string; value: string }>(sql`
    select o.option_name as name, o.option_value as value from pg_class c cross join pg_options_to_table(c.reloptions) o
    where c.oid = ${regclass(source.placement)}::regclass order by 1`);
  for (const { name, value } of options)
    await transaction.execute(
      sql`alter table ${id} set (${sql.raw(name)} = ${sql.raw(quoteLiteral(value))})`,
    );
  for (const { was, now, settings } of await keptColumns(transaction, of)) {
    const column = sql`alter table ${id} alter column ${sql.id(now)}`;
    const [before, after] = [columnOf(source.spec, was), columnOf(of.spec, now)];
    const isSaid = before?.default !== undefined || after?.default !== undefined;
    if (settings.default !== null && !isSaid)
      await transaction.execute(sql`${column} set default ${sql.raw(settings.default)}`);
    if (settings.isNotNull && before?.nullable === true && after?.nullable === true)
      await transaction.execute(sql`${column} set not null`);
    if (settings.statistics !== null && settings.statistics >= 0)
      await transaction.execute(sql`${column} set statistics ${sql.raw(String(settings.statistics))}`);
    if (settings.storage !== null)
      await transaction.execute(sql`${column} set storage ${sql.raw(settings.storage)}`);
  }
}

/** Comments that no definition has, by new column; the table's own under an empty name. */
export async function commentsByHand(
  transaction: Queryable,
  of: Rebuilding,
): Promise<ReadonlyMap<string, string>> {
  const [source] = of.sources;
  if (source === undefined) return new Map();
  const [table] = await transaction.query<{ comment: string | null }>(
    sql`select obj_description(${regclass(source.placement)}::regclass, 'pg_class') as comment`,
  );
  const isSaid = source.spec.comment !== undefined || of.spec.comment !== undefined;
  const own = isSaid || table?.comment === null || table === undefined ? [] : [['', table.comment] as const];
  const columns = (await keptColumns(transaction, of)).flatMap(({ was, now, settings }) =>
    settings.comment === null ||
    columnOf(source.spec, was)?.comment !== undefined ||
    columnOf(of.spec, now)?.comment !== undefined
      ? []
      : [[now, settings.comment] as const],
  );
  return new Map([...own, ...columns]);
}

/** Writes them. */
export async function writeCommentsByHand(
  transaction: Queryable,
  place: Placement,
  comments: ReadonlyMap<string, string>,
): Promise<void> {
  for (const [column, comment] of comments) {
    const text = sql.raw(quoteLiteral(comment));
    await transaction.execute(
      column === ''
        ? sql`comment on table ${tableId(place)} is ${text}`
        : sql`comment on column ${tableId(place)}.${sql.id(column)} is ${text}`,
    );
  }
}

interface Settings extends Record<string, unknown> {
  readonly column: string;
  readonly isNotNull: boolean;
  readonly default: string | null;
  readonly statistics: number | null;
  /** Null where it is that of the type. */
  readonly storage: string | null;
  readonly comment: string | null;
}

/** Columns whose values are those that stood there. */
async function keptColumns(
  transaction: Queryable,
  { sources, pair, operation }: Rebuilding,
): Promise<readonly { readonly was: string; readonly now: string; readonly settings: Settings }[]> {
  const [source] = sources;
  if (source === undefined) return [];
  const rows = await withBarePath(transaction, () =>
    transaction.query<Settings>(
      sql.kept(sql`
    select a.attname::text as column, a.attnotnull as "isNotNull", nullif(a.attstattarget, -1)::integer as statistics,
      case when a.attgenerated = '' and not ${ownsSequence(sql`a.attrelid`, sql`a.attnum`)} then pg_get_expr(d.adbin, d.adrelid) end as "default",
      case when a.attstorage <> t.typstorage then
        case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'x' then 'extended' else 'main' end end as storage,
      col_description(a.attrelid, a.attnum) as comment
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = ${regclass(source.placement)}::regclass and a.attnum > 0 and not a.attisdropped`),
    ),
  );
  return rows.flatMap((settings) => {
    const [now] = Object.entries(pair.columns[0] ?? {}).find(([, was]) => was === settings.column) ?? [];
    const from = now === undefined ? undefined : operation.columns[now];
    return now === undefined || from?.from !== 'same' ? [] : [{ was: settings.column, now, settings }];
  });
}
