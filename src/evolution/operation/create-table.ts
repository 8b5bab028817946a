import { refusal, VarveError } from '../../base/index.ts';
import { createTables, defaultPlacement, loadRelations, type TableSpec } from '../../pipeline/index.ts';
import { sql, type Queryable } from '../../store/index.ts';
import { countRows } from '../count-rows.ts';
import { retire, retiredRows } from '../retire.ts';
import { counts, type CreateTable, type OperationVerbs } from './operation.ts';

/** Creates empty tables inside the deciding transaction; the way back keeps their rows in history. */
export const createTable: OperationVerbs<CreateTable> = {
  kind: 'create_table',
  describe: ({ table }) => `create     ${table}`,
  plan: async ({ table }, { to, transaction }) => {
    const spec = specOf(to.tables, table);
    const findings = (await exists(transaction, spec))
      ? [
          refusal('table_exists', table, {
            hint: 'Rename one of them: varve takes over no table that it did not make.',
          }),
        ]
      : [];
    return { tables: [counts(table)], findings, bound: {} };
  },
  planBack: async ({ table }, { transaction, relations }) => {
    const relation = relations.get(table);
    const rows = relation === undefined ? 0 : await countRows(transaction, relation.placement);
    return [counts(table, { retire: rows })];
  },
  enter: async ({ table }, { context, to }, transaction) => {
    const relations = await loadRelations(transaction);
    const spec = specOf(to.tables, table);
    await createTables(transaction, [spec], { set: to, relations, run: context.runId });
    return [];
  },
  observe: async ({ table }, { context }, transaction) =>
    context.direction === 'forward'
      ? [counts(table)]
      : [counts(table, { retire: await retiredRows(transaction, table, context.runId) })],
  leaveBack: async ({ table }, { context }, transaction) => {
    const relation = (await loadRelations(transaction)).get(table);
    if (relation !== undefined) await retire(transaction, relation, context.runId);
    return [];
  },
};

function specOf(tables: readonly TableSpec[], name: string): TableSpec {
  const spec = tables.find((candidate) => candidate.name === name);
  if (spec === undefined)
    throw new VarveError('internal', {
      detail: { table: name },
      hint: 'Report this: a bundle names a table it does not hold.',
    });
  return spec;
}

async function exists(transaction: Queryable, spec: TableSpec): Promise<boolean> {
  const { schema, table } = defaultPlacement(spec);
  const [row] = await transaction.query<{ there: boolean }>(sql`
    select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema} and c.relname = ${table}) as there`);
  return row?.there === true;
}
