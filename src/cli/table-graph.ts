import { catalogGraph, createGraph, type TableGraph } from '../provenance/index.ts';
import type { Store } from '../store/index.ts';
import type { Context } from './context.ts';

/**
 * The graph of a store's tables: foreign keys and parts by its catalog, and in a project also what its definitions
 * declare to be read, for rows depend on what they were computed from.
 */
export async function tableGraph(context: Context, store: Store): Promise<TableGraph> {
  const graph = await catalogGraph(store);
  if (context.options.db !== undefined) return graph;
  const { definitionsOf, graphOf } = await import('../pipeline/index.ts');
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
