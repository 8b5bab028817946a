import {
  loadRelations,
  relationOf,
  type DefinitionSet,
  type Placement,
  type ReadSpec,
} from '../../pipeline/index.ts';
import { sql, type Queryable } from '../../store/index.ts';
import { countRows } from '../count-rows.ts';
import { nameSets, readsNamedAnew, type Naming } from '../naming.ts';
import { asPlanned, counts, type OperationVerbs, type Redefine, type RunScope } from './operation.ts';

/** Keeps every row; only what the catalog says of the table changes. */
export const redefine: OperationVerbs<Redefine> = {
  kind: 'redefine',
  describe: ({ table, follows }) => `${follows === true ? 'follow    ' : 'redefine  '} ${table}`,
  plan: async ({ table }, { transaction, relations }) => ({
    tables: [counts(table, { keep: await countRows(transaction, relationOf(relations, table).placement) })],
    findings: [],
    bound: {},
  }),
  planBack: async ({ table }, { transaction, relations }) => [
    counts(table, { keep: await countRows(transaction, relationOf(relations, table).placement) }),
  ],
  enter: async ({ table }, scope, transaction) => {
    const { id, placement } = relationOf(await loadRelations(transaction), table);
    await rewriteSpec(transaction, scope, { relation: id, was: table, now: table, place: placement });
    return [];
  },
  observe: async ({ table }, { context, held }, transaction) => {
    const { placement } = relationOf(held, table);
    const rows = await countRows(transaction, placement);
    const planned = context.tables.find((each) => each.table === table)?.keep ?? 0;
    return [asPlanned(counts(table, { keep: planned }), counts(table, { keep: rows }))];
  },
  enterBack: async ({ table }, scope, transaction) => {
    const { id, placement } = relationOf(await loadRelations(transaction), table);
    await rewriteSpec(transaction, scope, { relation: id, was: table, now: table, place: placement });
    return [];
  },
};

/** A relation that stays, and what it was and is called. */
export interface Rewriting {
  readonly relation: number;
  readonly was: string;
  readonly now: string;
  readonly place: Placement;
}

/**
 * Sets what the catalog says of a live relation, and writes down what it said before. What its computations are recorded to
 * have read is told by the names of now: the same rows of the same tables.
 */
export async function rewriteSpec(
  transaction: Queryable,
  scope: RunScope,
  { relation, was, now, place }: Rewriting,
): Promise<void> {
  const isForward = scope.context.direction === 'forward';
  const set: DefinitionSet = isForward ? scope.to : scope.from;
  const spec = set.tables.find(({ name }) => name === now);
  await transaction.execute(sql`
    insert into varve.relation_version (relation, name, spec, until_run)
    select id, name, spec, ${scope.context.runId} from varve.relation where id = ${relation}`);
  await transaction.execute(sql`
    update varve.relation set name = ${now}, spec = ${JSON.stringify(spec)}::jsonb,
      physical_schema = ${place.schema}, physical_name = ${place.table} where id = ${relation}`);
  const naming = isForward ? scope.naming : backNaming(scope);
  await renameReads(transaction, relation, { was, now, naming });
}

function backNaming({ from, to, naming }: RunScope): Naming {
  const hints = Object.fromEntries(
    [...naming.pairs.values()].flatMap(({ spec, sources, columns }) => {
      const [old, another] = sources;
      if (old === undefined || another !== undefined) return [];
      const back = Object.fromEntries(
        Object.entries(columns[0] ?? {})
          .filter(([now, was]) => now !== was)
          .map(([now, was]) => [was, now]),
      );
      const hint = { from: [spec.name], how: 'renamed' as const, columns: back };
      return [[old.name, hint] as const];
    }),
  );
  return nameSets(to, from, hints);
}

async function renameReads(
  transaction: Queryable,
  relation: number,
  { now, naming }: { readonly was: string; readonly now: string; readonly naming: Naming },
): Promise<void> {
  const pair = naming.pairs.get(now);
  const [old] = pair?.sources ?? [];
  if (pair === undefined || old === undefined) return;
  const rows = await transaction.query<{ reads: readonly ReadSpec[] }>(
    sql`select distinct reads from varve.computation_spec where relation = ${relation}`,
  );
  for (const { reads } of rows) {
    const renamed = JSON.stringify(readsNamedAnew(reads, old, pair, naming));
    await transaction.execute(sql`
      update varve.computation_spec set reads = ${renamed}::jsonb
      where relation = ${relation} and reads = ${JSON.stringify(reads)}::jsonb and reads <> ${renamed}::jsonb`);
  }
}
