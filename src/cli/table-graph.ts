import { catalogGraph, createGraph, tableName, type TableGraph } from '../provenance/index.ts';
import { isStoreError, type Store } from '../store/index.ts';
import type { Context } from './context.ts';

/**
 * The graph of a store's tables: foreign keys and parts by its catalog, and in a project also what its definitions
 * declare to be read, for rows depend on what they were computed from.
 */
export async function tableGraph(context: Context, store: Store): Promise<TableGraph> {
  const catalog = await catalogGraph(store);
  if (context.options.db !== undefined) return catalog;
  const { definitionsOf, graphOf } = await import('../pipeline/index.ts');
  const graph = byDefinedName(catalog, await placedTables(store));
  const { config } = await context.project();
  const defined = definitionsOf(config.pipelines ?? []);
  // Definitions that do not stand take nothing away from what the catalog says; `varve check` tells about them.
  if (defined.status === 'refused') return graph;
  const declared = graphOf(defined.definitions);
  const reads = declared.edges.filter(
    ({ kind, from, to }) => kind === 'read' && graph.tables.has(from) && graph.tables.has(to),
  );
  const tables = [...graph.tables.values()].map((table) => ({
    ...table,
    tier: declared.tables.get(table.table)?.tier ?? table.tier,
  }));
  return createGraph(tables, [...graph.edges, ...reads]);
}

/** The tables that do not stand under the names that definitions have for them, such as those that were adopted. */
async function placedTables(store: Store): Promise<ReadonlyMap<string, string>> {
  const { loadRelations } = await import('../pipeline/index.ts');
  try {
    const relations = [...(await loadRelations(store)).values()];
    const places = relations.map(
      ({ name, placement }) => [tableName(placement.schema, placement.table), name] as const,
    );
    return new Map(places.filter(([place, name]) => place !== name));
  } catch (error) {
    // Nothing of varve is in this database: its tables stand as they stand.
    if (isStoreError(error, '42P01', '3F000')) return new Map();
    throw error;
  }
}

function byDefinedName(graph: TableGraph, names: ReadonlyMap<string, string>): TableGraph {
  if (names.size === 0) return graph;
  const named = (table: string): string => {
    const name = names.get(table);
    // A table of others that has the very name keeps it.
    return name === undefined || graph.tables.has(name) ? table : name;
  };
  return createGraph(
    [...graph.tables.values()].map((table) => ({ ...table, table: named(table.table) })),
    graph.edges.map((edge) => ({ ...edge, from: named(edge.from), to: named(edge.to) })),
  );
}
