import { conditionFault, readCondition, type GraphTable } from '../provenance/index.ts';
import { loadRelations, splitName, tableId, type TableSpec } from '../pipeline/index.ts';
import type { Finding } from '../base/index.ts';
import { compileSql, isStoreError, sql, type Sql, type Store } from '../store/index.ts';
import { isFinding } from './table-argument.ts';

/**
 * Reads `--where` as a condition over the key columns of every one of these tables, or says why it is none.
 *
 * The parser sees to it that it is one condition; that its names are key columns and its types fit, the database says:
 * the condition is prepared, in a read-only transaction, over a row that has the key columns and nothing else.
 */
export async function readKeyCondition(
  store: Store,
  specs: readonly TableSpec[],
  text: string,
): Promise<Sql | Finding> {
  let condition: Sql | Finding = sql`true`;
  for (const spec of specs) {
    condition = await readConditionOver(store, spec, spec.sourceKey, text);
    if (isFinding(condition)) return condition;
  }
  return condition;
}

/** Reads `--where` as a condition over all columns of a table, or says why it is none. */
export async function readRowCondition(store: Store, spec: TableSpec, text: string): Promise<Sql | Finding> {
  return readConditionOver(
    store,
    spec,
    spec.columns.map(({ name }) => name),
    text,
  );
}

async function readConditionOver(
  store: Store,
  spec: TableSpec,
  columns: readonly string[],
  text: string,
): Promise<Sql | Finding> {
  const { schema, table: name } = splitName(spec.name);
  const table = { table: spec.name, schema, name, tier: spec.tier, primaryKey: spec.primaryKey, columns };
  const condition = await readCondition(table, text);
  if (isFinding(condition)) return condition;
  const relation = (await loadRelations(store)).get(spec.name);
  // A table that is not there is refused by the command itself, with what to do about it.
  if (relation === undefined) return condition;
  return (await tryCondition(store, table, tableId(relation.placement), { condition, text })) ?? condition;
}

async function tryCondition(
  store: Store,
  table: GraphTable,
  from: Sql,
  { condition, text }: { readonly condition: Sql; readonly text: string },
): Promise<Finding | undefined> {
  const columns = sql.join(table.columns.map((column) => sql`t.${sql.id(column)}`));
  const statement = sql`select from (select ${columns} from ${from} t) row_ where (${condition}) limit 0`;
  try {
    await store.transaction({ readOnly: true }, (transaction) => transaction.query(statement));
    return undefined;
  } catch (error) {
    if (!isStoreError(error) || !/^(22|42)/u.test(error.fields.sqlstate)) throw error;
    return conditionFault(table, text, compileSql(statement).text, error.fields);
  }
}
