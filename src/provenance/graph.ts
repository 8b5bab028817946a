import { nearestName, refusal, type Finding } from '../base/index.ts';
import { componentsOf } from './component.ts';

/**
 * Why a row of one table depends on a row of another.
 *
 * | kind | the child's row |
 * |---|---|
 * | `primary` | names its parent in its own primary key |
 * | `secondary` | names its parent elsewhere |
 * | `part` | belongs to one row of its master and is written with it |
 * | `read` | was computed from what it read, as a run recorded it |
 * | `model` | is computed by an SQL model |
 */
export type EdgeKind = 'primary' | 'secondary' | 'part' | 'read' | 'model';

/** Who fills a table; `table` where nobody said, as in a catalog read without definitions. */
export type Tier = 'manual' | 'lookup' | 'imported' | 'computed' | 'part' | 'table';

/** A table of the graph. It must be a relation whose rows have a `ctid`: a table, a partitioned one, a materialized view. */
export interface GraphTable {
  /** `schema.table`; a name that holds a dot is quoted. */
  readonly table: string;
  readonly schema: string;
  readonly name: string;
  readonly tier: Tier;
  /** In key order; empty where there is no key. */
  readonly primaryKey: readonly string[];
  /** In table order. */
  readonly columns: readonly string[];
  /** Size as the planner last knew it, where known: decides only how fast a walk is. */
  readonly rowEstimate?: number;
  readonly pageEstimate?: number;
}

/**
 * A dependency of `from` (the child) on `to` (the parent), matched by its column map and never by equal names.
 *
 * Shape: `{ name: 'scan_subject_fkey', from: 'lab.scan', to: 'lab.mouse', columns: { subject: 'mouse_id' }, kind: 'secondary', nullable: true }`
 * Invariant: an empty column map means the whole table: each row of `from` depends on every row of `to`.
 */
export interface GraphEdge {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly columns: Readonly<Record<string, string>>;
  readonly kind: EdgeKind;
  /** Whether a child's row may have no parent. */
  readonly nullable: boolean;
  /** Whether an index of `from` begins with the child's columns: decides only how fast a walk is. */
  readonly indexed?: boolean;
  /** Schema of the equality operator by child column, where it is an extension's own. */
  readonly operatorSchemas?: Readonly<Record<string, string>>;
  /** The partition that the constraint stands on, where it is not on the whole of `from` or `to`; quoted SQL name. */
  readonly fromPartition?: string;
  readonly toPartition?: string;
}

/** Tables and their dependencies, with an order in which parents stand before their children. */
export interface TableGraph {
  readonly tables: ReadonlyMap<string, GraphTable>;
  readonly edges: readonly GraphEdge[];
  /** Parents first; the tables of a circle stand together, by name. */
  readonly order: readonly string[];
}

/**
 * A graph of tables and edges; equal input gives an equal order.
 *
 * Invariant: an edge to or from a table that is not among `tables` is left out: the graph is closed.
 */
export function createGraph(tables: readonly GraphTable[], edges: readonly GraphEdge[]): TableGraph {
  const tableByName = new Map(tables.map((table) => [table.table, table]));
  const closed = edges.filter(({ from, to }) => tableByName.has(from) && tableByName.has(to));
  const order = componentsOf(
    [...tableByName.keys()],
    closed.map(({ from, to }) => [to, from]),
  ).flat();
  return { tables: tableByName, edges: closed, order };
}

/** The graph with more edges: recorded reads of a pipeline, edges of SQL models. */
export function withEdges(graph: TableGraph, edges: readonly GraphEdge[]): TableGraph {
  return createGraph([...graph.tables.values()], [...graph.edges, ...edges]);
}

/** A table's name in a graph: `schema.table`, each quoted if it holds a dot or a quote. */
export function tableName(schema: string, name: string): string {
  return [schema, name]
    .map((part) => (/[."]/u.test(part) ? `"${part.replaceAll('"', '""')}"` : part))
    .join('.');
}

/**
 * A name as people write it, without its quotes: `lab."day.one"` is `lab.day.one`. Where quotes are needed to tell two
 * tables apart, the name with its quotes is looked for first.
 */
export function unquotedName(asked: string): string {
  const isName = /^(?:"(?:[^"]|"")+"|[^".]+)(?:\.(?:"(?:[^"]|"")+"|[^".]+))*$/u.test(asked);
  if (!isName) return asked;
  return asked.replaceAll(/"(?:[^"]|"")+"/gu, (part) => part.slice(1, -1).replaceAll('""', '"'));
}

/** The table a person means, with quotes or without: its full name, or its bare name where one schema has it; else a finding. */
export function findTable(graph: TableGraph, asked: string): GraphTable | Finding {
  const exact = graph.tables.get(asked);
  if (exact !== undefined) return exact;
  const plain = unquotedName(asked);
  const full = [...graph.tables.values()].filter(({ schema, name }) => `${schema}.${name}` === plain);
  const found = full.length > 0 ? full : [...graph.tables.values()].filter(({ name }) => name === plain);
  if (found.length === 1 && found[0] !== undefined) return found[0];
  if (found.length > 1) return ambiguousTable(asked, found);
  const names = asked.includes('.')
    ? graph.tables.keys()
    : [...graph.tables.values()].map(({ name }) => name);
  const nearest = nearestName(asked, names);
  if (nearest === undefined) {
    return refusal('unknown_table', asked, { hint: 'Ask varve graph for the tables there are.' });
  }
  return refusal('unknown_table', asked, { detail: { nearest }, hint: `Ask for ${nearest}.` });
}

function ambiguousTable(asked: string, found: readonly GraphTable[]): Finding {
  const names = found.map(({ table }) => table).toSorted();
  return refusal('unknown_table', asked, {
    detail: { reason: 'several schemas have a table of this name', tables: names },
    hint: `Name the schema too: ${names.join(' or ')}.`,
  });
}
