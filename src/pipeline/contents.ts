/** Brings the rows of a lookup table to what its definition says: old rows go to history, rows in use stay. */
import { refusal, type Finding } from '../base/index.ts';
import { isStoreError, sql, type Queryable, type Sql, type Transaction } from '../store/index.ts';
import { columnDdl, names } from './ddl.ts';
import { mismatches, tableId, type Relation, type Relations } from './relation.ts';
import { unitRelation } from './row-unit.ts';
import type { TableSpec } from './spec.ts';
import { archive } from './write-rows.ts';

/** What a synchronisation did. */
export type SyncContentsResult =
  | {
      readonly status: 'synced';
      readonly inserted: number;
      readonly updated: number;
      readonly removed: number;
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * Makes the rows of a deployed lookup those of `spec.contents`, and records `spec` as what is deployed.
 *
 * Invariant: a row that changes or goes is archived first, with reason `contents`.
 * Errors: refuses with `not_deployed` where more than the contents differ, `row_in_use` where rows below refer to one that would go; the transaction goes on then, unchanged.
 */
export async function syncContents(
  transaction: Transaction,
  relation: Relation,
  spec: TableSpec,
  world: { readonly relations: Relations; readonly run: string },
): Promise<SyncContentsResult> {
  const deployed = { ...relation, spec: withoutContents(relation.spec) };
  const findings = mismatches(new Map([[spec.name, deployed]]), [withoutContents(spec)]);
  if (findings.length > 0) return { status: 'refused', findings };
  try {
    return await transaction.savepoint(() => sync(transaction, relation, spec, world));
  } catch (error) {
    if (!isStoreError(error, '23503')) throw error;
    return { status: 'refused', findings: [inUse(spec.name, error.fields.table)] };
  }
}

/** How the rows of a deployed lookup differ from those of `spec.contents`. */
export interface ContentsDifference {
  readonly same: number;
  readonly changed: number;
  readonly added: number;
  readonly removed: number;
}

/** Counts what `syncContents` would do; only reads. */
export async function contentsDifference(
  store: Queryable,
  relation: Relation,
  spec: TableSpec,
): Promise<ContentsDifference> {
  const [first] = spec.primaryKey;
  const there = (alias: string): Sql => sql`${sql.id(alias, first ?? '')} is not null`;
  const [row] = await store.query<Record<keyof ContentsDifference, bigint>>(sql`
    select count(*) filter (where ${there('o')} and ${there('n')} and not ${differs('n', 'o', spec)}) as same,
      count(*) filter (where ${there('o')} and ${there('n')} and ${differs('n', 'o', spec)}) as changed,
      count(*) filter (where not (${there('o')})) as added,
      count(*) filter (where not (${there('n')})) as removed
    from ${tableId(relation.placement)} o full join (${contentsRows(spec)}) n on ${same('n', 'o', spec.primaryKey)}`);
  const count = (name: keyof ContentsDifference): number => Number(row?.[name] ?? 0n);
  return { same: count('same'), changed: count('changed'), added: count('added'), removed: count('removed') };
}

function withoutContents(spec: TableSpec): TableSpec {
  return { ...spec, contents: [] };
}

async function sync(
  transaction: Transaction,
  relation: Relation,
  spec: TableSpec,
  { relations, run }: { readonly relations: Relations; readonly run: string },
): Promise<SyncContentsResult> {
  const table = tableId(relation.placement);
  const wanted = contentsRows(spec);
  const gone = sql`select ${columnsOf('o', spec.primaryKey)} from ${table} o
    where not exists (select from (${wanted}) n where ${same('n', 'o', spec.primaryKey)})`;
  const changed = sql`select ${columnsOf('o', spec.primaryKey)} from ${table} o join (${wanted}) n
    on ${same('n', 'o', spec.primaryKey)} where ${differs('n', 'o', spec)}`;
  const unit = { relation: unitRelation(relation), relations };
  await archive(transaction, unit, gone, 'contents', run);
  await archive(transaction, unit, changed, 'contents', run);
  const removed = await transaction.execute(sql`delete from ${table} t using (${gone}) k
    where ${same('k', 't', spec.primaryKey)}`);
  const updated = await update(transaction, table, spec, wanted);
  const inserted =
    await transaction.execute(sql`insert into ${table} (${names(spec.columns.map(({ name }) => name))})
    ${wanted} on conflict (${names(spec.primaryKey)}) do nothing`);
  await transaction.execute(
    sql`update varve.relation set spec = ${JSON.stringify(spec)}::jsonb where id = ${relation.id}`,
  );
  return { status: 'synced', inserted, updated, removed };
}

async function update(transaction: Transaction, table: Sql, spec: TableSpec, wanted: Sql): Promise<number> {
  const rest = spec.columns.map(({ name }) => name).filter((name) => !spec.primaryKey.includes(name));
  if (rest.length === 0) return 0;
  const set = sql.join(rest.map((column) => sql`${sql.id(column)} = n.${sql.id(column)}`));
  return transaction.execute(sql`update ${table} o set ${set} from (${wanted}) n
    where ${same('n', 'o', spec.primaryKey)} and ${differs('n', 'o', spec)}`);
}

function contentsRows(spec: TableSpec): Sql {
  const types = spec.columns.map(({ name, type }) => columnDdl({ name, type, nullable: true }));
  return sql`select ${names(spec.columns.map(({ name }) => name))}
    from json_to_recordset(${JSON.stringify(spec.contents ?? [])}::json) as c(${sql.join(types)})`;
}

function columnsOf(alias: string, columns: readonly string[]): Sql {
  return sql.join(columns.map((column) => sql.id(alias, column)));
}

function same(left: string, right: string, columns: readonly string[]): Sql {
  return sql.join(
    columns.map((column) => sql`${sql.id(left, column)} = ${sql.id(right, column)}`),
    sql` and `,
  );
}

/** By their text, as digests compare them: not every type has an equality. */
function differs(left: string, right: string, spec: TableSpec): Sql {
  const each = spec.columns.map(
    ({ name }) => sql`${sql.id(left, name)}::text is distinct from ${sql.id(right, name)}::text`,
  );
  return sql`(${sql.join(each, sql` or `)})`;
}

function inUse(table: string, below: string | undefined): Finding {
  return refusal('row_in_use', table, {
    detail: below === undefined ? {} : { usedBy: below },
    hint: 'Keep the row in `contents`, or first delete what refers to it with `varve delete`.',
  });
}
