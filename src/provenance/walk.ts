import type { Sql } from '../store/index.ts';
import { componentsOf } from './component.ts';
import type { GraphEdge, TableGraph } from './graph.ts';

/** An edge as a walk uses it: from rows of `source`, which are known, to rows of `target`. */
export interface Arc {
  readonly edge: GraphEdge;
  readonly toParent: boolean;
  readonly source: string;
  readonly target: string;
}

/** Where a walk begins: rows of a table, all of them where there is no condition. */
export interface Seed {
  readonly table: string;
  /** A condition on the table's own columns, already known to be one expression. */
  readonly condition?: Sql;
}

/** What is to be walked, before any SQL. */
export interface Walk {
  readonly graph: TableGraph;
  readonly seeds: readonly Seed[];
  /** `any`: a row counts when one of its sources does; `all`: when each of them does. */
  readonly converge: 'any' | 'all';
  /** The arcs between tables of the walk, none twice. */
  readonly arcs: readonly Arc[];
  /** The tables that can be reached, sources first; the tables of a circle stand together. */
  readonly components: readonly (readonly string[])[];
}

/** Which way a walk goes, and whether a master's parts go with it. */
export interface WalkDirection {
  readonly toParents: boolean;
  /** A part leads to its master and a master to all its parts, whichever way the walk goes. */
  readonly throughParts: boolean;
}

/** The tables and arcs that a walk from these seeds can reach; a table is entered once, however many paths lead to it. */
export function planWalk(
  graph: TableGraph,
  seeds: readonly Seed[],
  direction: WalkDirection,
  converge: Walk['converge'] = 'any',
): Walk {
  const arcsBySource = Map.groupBy(
    graph.edges.flatMap((edge) => arcsOf(edge, direction)),
    ({ source }) => source,
  );
  const reached = new Set(seeds.map(({ table }) => table));
  // A set is walked in order of insertion, what is added meanwhile included.
  for (const table of reached) for (const { target } of arcsBySource.get(table) ?? []) reached.add(target);
  const arcs = [...reached].flatMap((table) => arcsBySource.get(table) ?? []);
  const components = componentsOf(
    [...reached],
    arcs.map(({ source, target }) => [source, target]),
  );
  return { graph, seeds, converge, arcs, components };
}

function arcsOf(edge: GraphEdge, { toParents, throughParts }: WalkDirection): readonly Arc[] {
  const up: Arc = { edge, toParent: true, source: edge.from, target: edge.to };
  const down: Arc = { edge, toParent: false, source: edge.to, target: edge.from };
  if (throughParts && edge.kind === 'part') return [up, down];
  return [toParents ? up : down];
}

/** Whether a component is a circle: several tables, or one that refers to itself. */
export function isCircle(walk: Walk, component: readonly string[]): boolean {
  const [only] = component;
  return component.length > 1 || walk.arcs.some(({ source, target }) => source === only && target === only);
}
