import type { GraphEdge, TableGraph } from '../provenance/index.ts';
import { tableText, type Style } from './output.ts';

/** The graph for people: tables in topological order, then its edges. */
export function graphText(style: Style, graph: TableGraph): string {
  const tables = graph.order.flatMap((name) => graph.tables.get(name) ?? []);
  const tableLines = tables.map(({ table, tier, primaryKey }) => [table, tier, primaryKey.join(', ')]);
  const edgeLines = graph.edges.map((edge) => [edge.from, edge.to, columnText(edge), edge.kind]);
  const tableHeads = [{ head: 'table' }, { head: 'tier' }, { head: 'primary key' }];
  const edgeHeads = [{ head: 'from' }, { head: 'to' }, { head: 'columns' }, { head: 'kind' }];
  if (edgeLines.length === 0) return tableText(style, tableHeads, tableLines);
  return `${tableText(style, tableHeads, tableLines)}\n\n${tableText(style, edgeHeads, edgeLines)}`;
}

/** Graphviz: an arrow from parent to child, dashed where the child may have no parent. */
export function graphDot(graph: TableGraph): string {
  const nodes = graph.order.map((table) => `  ${quoted(table)};`);
  const edges = graph.edges.map(
    (edge) =>
      `  ${quoted(edge.to)} -> ${quoted(edge.from)} [label=${quoted(columnText(edge))}${edge.nullable ? ', style=dashed' : ''}];`,
  );
  return ['digraph varve {', '  rankdir=TB;', '  node [shape=box];', ...nodes, ...edges, '}'].join('\n');
}

/** Mermaid: the same arrows; tables are numbered, since a name may hold what Mermaid does not allow in an id. */
export function graphMermaid(graph: TableGraph): string {
  const idByTable = new Map(graph.order.map((table, at) => [table, `t${at}`]));
  const nodes = graph.order.map((table) => `  ${idByTable.get(table)}["${escaped(table)}"]`);
  const edges = graph.edges.map((edge) => {
    const arrow = edge.nullable ? '-.->' : '-->';
    return `  ${idByTable.get(edge.to)} ${arrow}|"${escaped(columnText(edge))}"| ${idByTable.get(edge.from)}`;
  });
  return ['flowchart TD', ...nodes, ...edges].join('\n');
}

function columnText({ columns }: GraphEdge): string {
  const pairs = Object.entries(columns).map(([child, parent]) =>
    child === parent ? child : `${child}=${parent}`,
  );
  return pairs.length === 0 ? '*' : pairs.join(', ');
}

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function escaped(text: string): string {
  return text.replaceAll('#', '#35;').replaceAll('"', '#quot;');
}
