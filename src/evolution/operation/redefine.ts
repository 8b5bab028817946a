import { loadRelations, relationOf, type DefinitionSet, type TableSpec } from '../../pipeline/index.ts';
import { sql, type Queryable } from '../../store/index.ts';
import { countRows } from '../count-rows.ts';
import { counts, type OperationVerbs, type Redefine } from './operation.ts';

/** Keeps every row; only what the catalog says of the table changes. */
export const redefine: OperationVerbs<Redefine> = {
  kind: 'redefine',
  describe: ({ table }) => `redefine   ${table}`,
  plan: async ({ table }, { transaction, relations }) => ({
    tables: [counts(table, { keep: await countRows(transaction, relationOf(relations, table).placement) })],
    findings: [],
    bound: {},
  }),
  cutOver: async ({ table }, { to }, transaction) => {
    await writeSpec(transaction, to, table);
    return [];
  },
  observe: async ({ table }, { context }, transaction) => {
    const { placement } = relationOf(await loadRelations(transaction), table);
    const rows = await countRows(transaction, placement);
    const planned = context.tables.find((each) => each.table === table)?.keep ?? 0;
    return [counts(table, { keep: Math.min(rows, planned), carried: Math.max(0, rows - planned) })];
  },
  rollBack: async ({ table }, { from }, transaction) => {
    await writeSpec(transaction, from, table);
    return [];
  },
};

/** Sets what the catalog says of a live table. What it said before stays in the deployed definition sets. */
export async function writeSpec(transaction: Queryable, set: DefinitionSet, table: string): Promise<void> {
  const spec: TableSpec | undefined = set.tables.find(({ name }) => name === table);
  await transaction.execute(sql`
    update varve.relation set spec = ${JSON.stringify(spec)}::jsonb where name = ${table} and state = 'live'`);
}
