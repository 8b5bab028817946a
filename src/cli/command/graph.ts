import { Option, type Command } from 'commander';
import type { TableGraph } from '../../provenance/index.ts';
import { withExamples, type Act } from '../command.ts';
import { graphDot, graphMermaid, graphText } from '../graph-text.ts';
import type { Style } from '../output.ts';
import { tableGraph } from '../table-graph.ts';

type Format = 'text' | 'json' | 'dot' | 'mermaid';

/** `varve graph` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve graph', 'varve graph --format mermaid --db postgres://localhost/lab'])
    .addOption(
      new Option('--format <format>', 'how it is written')
        .choices(['text', 'json', 'dot', 'mermaid'])
        .default('text'),
    )
    .action(
      act(
        async (context, { format }: { readonly format: Format }) => {
          const graph = await tableGraph(context, await context.store());
          const fields = graphFields(graph);
          return { status: 'ok', fields, text: (style) => TEXT_BY_FORMAT[format](style, graph) };
        },
        { db: true },
      ),
    );
}

const TEXT_BY_FORMAT: Readonly<Record<Format, (style: Style, graph: TableGraph) => string>> = {
  text: graphText,
  json: (_, graph) => JSON.stringify({ status: 'ok', findings: [], ...graphFields(graph) }, null, 2),
  dot: (_, graph) => graphDot(graph),
  mermaid: (_, graph) => graphMermaid(graph),
};

function graphFields(graph: TableGraph): Readonly<Record<string, unknown>> {
  const tables = graph.order.flatMap((name) => graph.tables.get(name) ?? []);
  return {
    tables: tables.map(({ table, tier, primaryKey, columns }) => ({ table, tier, primaryKey, columns })),
    edges: graph.edges.map(({ name, from, to, columns, kind, nullable }) => ({
      name,
      from,
      to,
      columns,
      kind,
      nullable,
    })),
  };
}
