import { Option, type Command } from 'commander';
import type { TableGraph } from '../../provenance/index.ts';
import { withExamples, type Act } from '../command.ts';
import { graphDot, graphMermaid, graphText } from '../graph-text.ts';
import type { Context } from '../context.ts';
import { storeToRead } from '../open-project-world.ts';
import type { CommandResult, Style } from '../output.ts';
import { tableGraph } from '../table-graph.ts';
import { refusedResult } from '../walk-output.ts';

type Format = 'text' | 'json' | 'dot' | 'mermaid';

/** `varve graph` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve graph',
    'varve graph --format mermaid --db postgres://localhost/lab',
    'varve graph --as-of 2026-05-12T09:00:00Z --json',
  ])
    .addOption(
      new Option('--format <format>', 'how it is written')
        .choices(['text', 'json', 'dot', 'mermaid'])
        .default('text'),
    )
    .option('--as-of <when>', 'the graph that was deployed at a time (ISO 8601), or that a run worked with')
    .action(act(run, { db: true }));
}

interface GraphFlags {
  readonly format: Format;
  readonly asOf?: string;
}

async function run(context: Context, { format, asOf }: GraphFlags): Promise<CommandResult> {
  if (asOf !== undefined) return pastGraph(context, format, asOf);
  const graph = await tableGraph(context, await context.store());
  return {
    status: 'ok',
    fields: graphFields(graph),
    text: (style) => TEXT_BY_FORMAT[format](style, graph, {}),
  };
}

async function pastGraph(context: Context, format: Format, asOf: string): Promise<CommandResult> {
  const store = await storeToRead(context);
  const { codeAsOf, graphAsOf } = await import('../../pipeline/index.ts');
  const result = await graphAsOf(store, asOf);
  if (result.status === 'refused') return refusedResult(result.findings);
  const { graph, definitionDigest, deployedBy, deployedAt } = result.past;
  const code = await codeAsOf(store, { asOf });
  const codeByTable = code.status === 'ok' ? code.code : [];
  const past = {
    asOf: result.past.asOf,
    definitionDigest,
    deployedBy,
    deployedAt,
    code: codeByTable.map(({ table, digest, basis, run: ran, startedAt }) => ({
      table,
      digest,
      basis,
      run: ran,
      startedAt,
    })),
  };
  return {
    status: 'ok',
    fields: { ...graphFields(graph), ...past },
    text: (style) => TEXT_BY_FORMAT[format](style, graph, past),
  };
}

const TEXT_BY_FORMAT: Readonly<Record<Format, (style: Style, graph: TableGraph, more: object) => string>> = {
  text: graphText,
  json: (_, graph, more) =>
    JSON.stringify({ status: 'ok', findings: [], ...graphFields(graph), ...more }, null, 2),
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
