/** Takes a table over that stands there already: the catalog learns of it, and no row is touched. */
import { refusal, VarveError, type Finding } from '../../base/index.ts';
import {
  contentsDifference,
  insertRelation,
  loadRelations,
  tableId,
  type DefinitionSet,
  type Placement,
  type TableSpec,
} from '../../pipeline/index.ts';
import { sql, type Queryable } from '../../store/index.ts';
import { compareStanding } from '../adopt/compare.ts';
import { letGo } from '../adopt/let-go.ts';
import { readStandingTables } from '../adopt/standing-table.ts';
import { countRows } from '../count-rows.ts';
import { asPlanned, counts, type AdoptTable, type OperationVerbs } from './operation.ts';

/** Rows without a computation are adopted from then on: they stay until an input or a person says otherwise. */
export const adoptTable: OperationVerbs<AdoptTable> = {
  kind: 'adopt_table',
  describe: ({ table, schema, name }) => `adopt      ${table}   (stands as ${schema}.${name})`,
  plan: async (operation, { to, transaction, relations }) => {
    const others = new Map([...relations].map(([name, { placement }]) => [name, placement]));
    const findings = await differences(transaction, operation, to, others);
    const isThere = findings.every(({ code }) => code !== 'adopt_missing');
    const keep = isThere ? await countRows(transaction, placementOf(operation)) : 0;
    const { schema, name } = operation;
    return { tables: [counts(operation.table, { keep })], findings, bound: { schema, name } };
  },
  planBack: async ({ table }, { transaction, relations }) => {
    const relation = relations.get(table);
    const keep = relation === undefined ? 0 : await countRows(transaction, relation.placement);
    return [counts(table, { keep })];
  },
  enter: async (operation, { context, to }, transaction) => {
    const { table } = operation;
    const placement = placementOf(operation);
    // Nobody changes the structure between the look at it and the commit; rows may come and go.
    await transaction.execute(sql`lock table ${tableId(placement)} in access share mode`);
    const relations = await loadRelations(transaction);
    const others = new Map([...relations].map(([name, each]) => [name, each.placement]));
    const findings = await differences(transaction, operation, to, others);
    if (findings.some(({ severity }) => severity === 'error')) return findings;
    const run = context.runId;
    const relation = {
      name: table,
      spec: specOf(to, table),
      placement,
      state: 'live',
      predecessor: null,
    } as const;
    const { id } = await insertRelation(transaction, { ...relation, run });
    await transaction.execute(sql`
      insert into varve.adoption (relation, name, physical_schema, physical_name, run, row_count)
      values (${id}, ${table}, ${placement.schema}, ${placement.table}, ${run}, ${await countRows(transaction, placement)})`);
    return [];
  },
  observe: async ({ table }, { context, held }, transaction) => {
    const relation = held.get(table);
    const planned = context.tables.find((each) => each.table === table)?.keep ?? 0;
    const rows = relation === undefined ? planned : await countRows(transaction, relation.placement);
    return [asPlanned(counts(table, { keep: planned }), counts(table, { keep: rows }))];
  },
  leaveBack: async ({ table }, { context }, transaction) => {
    const relation = (await loadRelations(transaction)).get(table);
    if (relation !== undefined) await letGo(transaction, relation, context.runId);
    return [];
  },
};

function placementOf({ schema, name }: AdoptTable): Placement {
  return { schema, table: name };
}

/** How the table differs from its definition; those that are adopted with it stand where they stand. */
async function differences(
  transaction: Queryable,
  operation: AdoptTable,
  to: DefinitionSet,
  placements: ReadonlyMap<string, Placement>,
): Promise<readonly Finding[]> {
  const { table, schema, name } = operation;
  const [standing] = await readStandingTables(transaction, { tables: [{ schema, name }] });
  if (standing === undefined) {
    return [
      refusal('adopt_missing', table, {
        detail: { standsAs: `${schema}.${name}` },
        hint: 'Run `varve plan` again: the table is not there any more.',
      }),
    ];
  }
  const spec = specOf(to, table);
  return [
    ...compareStanding(spec, standing, (each) => placements.get(each) ?? operation.placements[each]),
    ...(await contentDifferences(transaction, spec, placementOf(operation))),
  ];
}

async function contentDifferences(
  transaction: Queryable,
  spec: TableSpec,
  placement: Placement,
): Promise<readonly Finding[]> {
  if (spec.contents === undefined) return [];
  const relation = { id: 0, name: spec.name, spec, placement, state: 'live' } as const;
  const { changed, added, removed } = await contentsDifference(transaction, relation, spec);
  if (changed + added + removed === 0) return [];
  return [
    refusal('adopt_differs', spec.name, {
      detail: { differences: ['its contents'], changed, added, removed },
      hint: 'Write the rows of the table as its `contents`, adopt it, and change them by an evolution after that.',
    }),
  ];
}

function specOf({ tables }: DefinitionSet, name: string): TableSpec {
  const spec = tables.find((candidate) => candidate.name === name);
  if (spec !== undefined) return spec;
  throw new VarveError('internal', {
    detail: { table: name },
    hint: 'Report this: a bundle names a table it does not hold.',
  });
}
