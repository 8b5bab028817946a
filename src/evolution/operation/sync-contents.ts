import { VarveError, type Finding } from '../../base/index.ts';
import type { TableCounts } from '../../evidence/index.ts';
import {
  contentsDifference,
  loadRelations,
  relationOf,
  syncContents as sync,
  type DefinitionSet,
  type TableSpec,
} from '../../pipeline/index.ts';
import { sql, type Queryable, type Transaction } from '../../store/index.ts';
import { countRows } from '../count-rows.ts';
import type { Naming, Pair } from '../naming.ts';
import { pairOf } from '../rebuild/world.ts';
import { asPlanned, counts, type OperationVerbs, type SyncContents } from './operation.ts';

/** The rows of a lookup follow the code: new and changed ones are written, what they were goes to history. */
export const syncContents: OperationVerbs<SyncContents> = {
  kind: 'sync_contents',
  describe: ({ table }) => `contents   ${table}`,
  plan: async ({ table }, { transaction, relations, naming }) => {
    const pair = pairOf(naming, table);
    const relation = relationOf(relations, pair.sources[0]?.name ?? table);
    const found = await contentsDifference(transaction, relation, underOldNames(pair));
    const { same, changed, added, removed } = found;
    return {
      tables: [counts(table, { keep: same, backfill: changed + added, retire: removed })],
      findings: [],
      bound: {},
    };
  },
  planBack: async ({ table }, { transaction, relations }) => [
    counts(table, { keep: await countRows(transaction, relationOf(relations, table).placement) }),
  ],
  enter: ({ table }, { context, to }, transaction) => write(transaction, specOf(to, table), context.runId),
  observe: async ({ table }, { context }, transaction) => observe(transaction, table, context),
  enterBack: ({ table }, { context, from, naming }, transaction) =>
    write(transaction, specOf(from, nameBefore(naming, table)), context.runId),
};

/** What stands now holds the columns that it has, by the names that they have. */
function underOldNames({ spec, columns: [former = {}] }: Pair): TableSpec {
  const named = (names: readonly string[]): readonly string[] => names.flatMap((name) => former[name] ?? []);
  return {
    ...spec,
    columns: spec.columns.flatMap((column) => {
      const name = former[column.name];
      return name === undefined ? [] : [{ ...column, name }];
    }),
    primaryKey: named(spec.primaryKey),
    contents: (spec.contents ?? []).map((row) =>
      Object.fromEntries(
        Object.entries(row).flatMap(([name, value]) => {
          const was = former[name];
          return was === undefined ? [] : [[was, value]];
        }),
      ),
    ),
  };
}

async function write(transaction: Transaction, spec: TableSpec, run: string): Promise<readonly Finding[]> {
  const relations = await loadRelations(transaction);
  const result = await sync(transaction, relationOf(relations, spec.name), spec, { relations, run });
  return result.status === 'refused' ? result.findings : [];
}

/** What the run archived says what it changed and removed; the rest of what is new was added. */
async function observe(
  transaction: Queryable,
  table: string,
  context: { readonly runId: string; readonly direction: string; readonly tables: readonly TableCounts[] },
): Promise<readonly TableCounts[]> {
  const planned = context.tables.find((each) => each.table === table);
  // The way back may have given it its old name.
  if (context.direction === 'rollback') return [counts(table, { keep: planned?.keep ?? 0 })];
  const relation = relationOf(await loadRelations(transaction), table);
  const rows = await countRows(transaction, relation.placement);
  const [archived] = await transaction.query<{ count: bigint }>(sql`
    select count(*) as count from varve.superseded
    where relation = ${relation.id} and superseded_by = ${context.runId} and reason = 'contents'`);
  const keep = planned?.keep ?? 0;
  const written = rows - keep;
  const changedOrRemoved = Number(archived?.count ?? 0n);
  const retire = Math.min(planned?.retire ?? 0, changedOrRemoved);
  return [asPlanned(planned ?? counts(table), counts(table, { keep, backfill: written, retire }))];
}

/** What the lookup is called once an evolution is taken back. */
function nameBefore(naming: Naming, table: string): string {
  return pairOf(naming, table).sources[0]?.name ?? table;
}

function specOf(set: DefinitionSet, table: string): TableSpec {
  const spec = set.tables.find(({ name }) => name === table);
  if (spec !== undefined) return spec;
  throw new VarveError('internal', {
    detail: { table },
    hint: 'Report this: a bundle names a table it does not hold.',
  });
}
