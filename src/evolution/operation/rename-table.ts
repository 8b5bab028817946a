/**
 * A table goes by another name, in the same schema or another one. The rows stay where they stand: the structure is the same
 * relation, which keeps its computations, and what it was called before is written down.
 */
import { refusal, type Finding } from '../../base/index.ts';
import { loadRelations, relationOf, splitName, tableId } from '../../pipeline/index.ts';
import { sql, type Transaction } from '../../store/index.ts';
import { countRows } from '../count-rows.ts';
import { dropReadViews } from '../dependents.ts';
import { BUILD } from '../building.ts';
import { homeOf } from '../home.ts';
import { move } from '../retire.ts';
import { words } from '../change/change.ts';
import { asPlanned, counts, type OperationVerbs, type RenameTable, type RunScope } from './operation.ts';
import { rewriteSpec } from './redefine.ts';

/** See the header. */
export const renameTable: OperationVerbs<RenameTable> = {
  kind: 'rename_table',
  describe: ({ table, was }) => words('move', `${was} -> ${table}`),
  plan: async ({ table, was }, { transaction, relations, from }) => {
    const old = relationOf(relations, was);
    const { schema, table: name } = await homeOf(transaction, table);
    const [row] = await transaction.query<{ there: boolean }>(sql`
      select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = ${schema} and c.relname = ${name}) as there`);
    const isOurs = from.tables.some((spec) => spec.name === table);
    const findings: readonly Finding[] =
      row?.there === true && !isOurs
        ? [
            refusal('table_exists', table, {
              hint: 'Rename one of them: varve takes over no table that it did not make.',
            }),
          ]
        : [];
    return {
      tables: [counts(table, { keep: await countRows(transaction, old.placement) })],
      findings,
      bound: { relation: old.id },
    };
  },
  planBack: async ({ table }, { transaction, relations }) => [
    counts(table, { keep: await countRows(transaction, relationOf(relations, table).placement) }),
  ],
  leave: ({ was, table }, scope, transaction) => step(transaction, scope, { from: was, to: passing(table) }),
  enter: async ({ was, table }, scope, transaction) => {
    await take(transaction, scope, { relation: was, from: passing(table), to: table });
    return [];
  },
  observe: async ({ table, was }, { context, held }, transaction) => {
    const relation = relationOf(held, context.direction === 'forward' ? table : was);
    const rows = await countRows(transaction, relation.placement);
    const planned = context.tables.find((each) => each.table === table)?.keep ?? 0;
    return [asPlanned(counts(table, { keep: planned }), counts(table, { keep: rows }))];
  },
  leaveBack: ({ was, table }, scope, transaction) =>
    step(transaction, scope, { from: table, to: passing(was) }),
  enterBack: async ({ was, table }, scope, transaction) => {
    await take(transaction, scope, { relation: table, from: passing(was), to: was });
    return [];
  },
};

/** A place of its own between two names, so that two tables can change names. */
function passing(to: string): string {
  return `${BUILD}.moving ${to}`.slice(0, 60);
}

async function step(
  transaction: Transaction,
  _: RunScope,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<readonly Finding[]> {
  const relation = relationOf(await loadRelations(transaction), from);
  await transaction.execute(sql`lock table ${tableId(relation.placement)} in access exclusive mode`);
  await dropReadViews(transaction, relation.placement);
  await transaction.execute(sql`create schema if not exists ${sql.id(BUILD)}`);
  const place = splitName(to);
  await move(transaction, relation.placement, place);
  await transaction.execute(
    sql`update varve.relation set physical_schema = ${place.schema}, physical_name = ${place.table} where id = ${relation.id}`,
  );
  return [];
}

async function take(
  transaction: Transaction,
  scope: RunScope,
  { relation: name, from, to }: { readonly relation: string; readonly from: string; readonly to: string },
): Promise<void> {
  const place = await homeOf(transaction, to);
  // Another table may go by the old name by now, so the one in hand is known by where it stands.
  const passing_ = splitName(from);
  const [row] = await transaction.query<{ id: number }>(sql`
    select id from varve.relation where state = 'live' and physical_schema = ${passing_.schema} and physical_name = ${passing_.table}`);
  await transaction.execute(sql`create schema if not exists ${sql.id(place.schema)}`);
  await move(transaction, passing_, place);
  await rewriteSpec(transaction, scope, { relation: row?.id ?? 0, was: name, now: to, place });
}
