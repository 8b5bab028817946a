/**
 * Which objects something needs: the rows of every generation of every table that has or had an object column, whether it
 * is live, being built, retired or a copy (one that was let go has none), and every result in `varve.superseded` that belongs to such a table.
 *
 * Rows are read by column. History is searched by text, for anything in it that is written like a digest: a superseded row
 * stands in the structure of its time, and one that is kept too long does no harm.
 */
import { refusal, type Finding } from '../../base/index.ts';
import { sql, type Sql, type Transaction } from '../../store/index.ts';
import { tableId } from '../relation.ts';
import type { TableSpec } from '../spec.ts';
import { objectColumns } from './pin.ts';

/** The temporary table that `collectNamed` fills: `digest`, `size_bytes` (null from history), `namer` (who names it). */
export const NAMED: Sql = sql`pg_temp.varve_named_object`;

/**
 * Writes every named object into a temporary table of this transaction.
 *
 * Errors: refuses with `structure_missing` where the rows of a table that the catalog knows are not there: what they
 * named is not known.
 */
export async function collectNamed(transaction: Transaction): Promise<readonly Finding[]> {
  const holders = await loadHolders(transaction);
  const gone = holders.filter(({ isThere }) => !isThere);
  if (gone.length > 0) return gone.map(missingStructure);
  await transaction.execute(sql`drop table if exists ${NAMED}`);
  await transaction.execute(sql`
    create temporary table varve_named_object (digest text not null, size_bytes bigint, namer text not null) on commit drop`);
  for (const holder of holders) {
    for (const column of objectColumns(holder.spec)) await addRows(transaction, holder, column);
  }
  await addHistory(transaction, await historyRelations(transaction, holders));
  await transaction.execute(sql`create index on ${NAMED} (digest)`);
  await transaction.execute(sql`analyze ${NAMED}`);
  return [];
}

interface Holder {
  readonly name: string;
  readonly spec: TableSpec;
  readonly placement: { readonly schema: string; readonly table: string };
  readonly isThere: boolean;
}

/** The generations that have an object column. */
async function loadHolders(transaction: Transaction): Promise<readonly Holder[]> {
  const rows = await transaction.query<{
    name: string;
    spec: TableSpec;
    schema: string;
    table: string;
    is_there: boolean;
  }>(sql`
    select r.name, r.spec, r.physical_schema as schema, r.physical_name as "table", c.oid is not null as is_there
    from varve.relation r left join pg_namespace n on n.nspname = r.physical_schema
      left join pg_class c on c.relnamespace = n.oid and c.relname = r.physical_name
    where r.state <> 'let_go' and jsonb_path_exists(r.spec, '$.columns[*] ? (@.object == true)') order by r.id`);
  return rows.map(({ name, spec, schema, table, is_there: isThere }) => ({
    name,
    spec,
    placement: { schema, table },
    isThere,
  }));
}

function missingStructure({ name, placement }: Holder): Finding {
  return refusal('structure_missing', name, {
    detail: { schema: placement.schema, table: placement.table },
    hint: 'This table holds rows that may name objects, and the catalog says that it is there. Bring it back from a backup first; nothing was deleted.',
  });
}

async function addRows(
  transaction: Transaction,
  { name, spec, placement }: Holder,
  column: string,
): Promise<void> {
  const isArray = spec.columns.find((each) => each.name === column)?.type.endsWith('[]') === true;
  const values = isArray
    ? sql`(select unnest(t.${sql.id(column)}) as o from ${tableId(placement)} t) v`
    : sql`(select t.${sql.id(column)} as o from ${tableId(placement)} t) v`;
  await transaction.execute(sql`
    insert into ${NAMED} select o ->> 'digest', (o ->> 'sizeBytes')::bigint, ${`${name}.${column}`}
    from ${values} where o ->> 'digest' is not null`);
}

/** The relations whose results hold rows of these tables: each by itself, and as a part in those of its master. */
async function historyRelations(
  transaction: Transaction,
  holders: readonly Holder[],
): Promise<readonly number[]> {
  const rows = await transaction.query<{ id: number; name: string; master: string | null }>(sql`
    select id, name, spec ->> 'master' as master from varve.relation`);
  const names = new Set(holders.map(({ name }) => name));
  for (let before = 0; before < names.size;) {
    before = names.size;
    for (const { name, master } of rows) if (master !== null && names.has(name)) names.add(master);
  }
  return rows.filter(({ name }) => names.has(name)).map(({ id }) => id);
}

async function addHistory(transaction: Transaction, relations: readonly number[]): Promise<void> {
  if (relations.length === 0) return;
  await transaction.execute(sql`
    insert into ${NAMED} select distinct m[1], null::bigint, 'history of ' || r.name
    from varve.superseded s join varve.relation r on r.id = s.relation,
      regexp_matches(s.rows::text, 'sha256:[0-9a-f]{64}', 'g') m
    where s.relation = any(${relations}::integer[])`);
}
