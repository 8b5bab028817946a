/**
 * The best way from one version to another: the least lossy steps, then the least cost, then the fewest hops.
 *
 * It goes one way, up or down, so the graph has no cycle and the best ways from each version follow from those of its
 * neighbours. Several best ways are ambiguous unless they are declared to be equivalent; then the steps' order decides.
 */
import { refusal } from '../base/index.ts';
import { ok, refused, type Result } from './result.ts';
import type { Edge } from './step.ts';
import { compareVersions, type Version, type VersionOrder } from './version.ts';

/** A way by the versions it passes. */
export type PathRef = readonly Version[];

/** What a way is chosen from. */
export interface Graph {
  /** Name of the document type, for findings. */
  readonly name: string;
  readonly order: VersionOrder;
  readonly versions: ReadonlySet<Version>;
  readonly edges: readonly Edge[];
  readonly equivalent: readonly (readonly [PathRef, PathRef])[];
}

/** How a way may be chosen. */
export interface PathOptions {
  /** Whether a way down may lose something. Default false. */
  readonly allowLossy?: boolean;
}

interface Way {
  readonly edges: readonly Edge[];
  readonly lossy: number;
  readonly cost: number;
}

/** More ways than this are not told apart; two are enough to be ambiguous. */
const MOST_WAYS = 64;

/** The edges to take, in order; none when the versions are equal. */
export function findPath(
  graph: Graph,
  from: Version,
  to: Version,
  options: PathOptions = {},
): Result<readonly Edge[]> {
  const unknown = [from, to].find((version) => !graph.versions.has(version));
  if (unknown !== undefined) return refused(unknownVersion(graph, unknown));
  if (from === to) return ok([]);
  const isUp = compareVersions(graph.order, from, to) < 0;
  const edges = graph.edges.filter((edge) => compareVersions(graph.order, edge.from, edge.to) < 0 === isUp);
  const ways = bestWays(
    from,
    to,
    Map.groupBy(edges, (edge) => edge.from),
  );
  const [best] = ways;
  if (best === undefined) return refused(noPath(graph, from, to, edges));
  const chosen = ways.length === 1 ? best : chooseEquivalent(graph, ways);
  if (chosen === undefined) return refused(ambiguous(graph, from, to, ways));
  if (!isUp && chosen.lossy > 0 && options.allowLossy !== true) {
    return refused(
      refusal('path_lossy', `${graph.name} ${from} -> ${to}`, {
        detail: { steps: chosen.edges.filter(isLossy).map((edge) => `${edge.from}>${edge.to}`) },
        hint: 'Ask for it with allowLossy, or write a step down that keeps what it drops as residue.',
      }),
    );
  }
  return ok(chosen.edges);
}

function unknownVersion(graph: Graph, version: Version) {
  return refusal('unknown_version', `${graph.name} ${version}`, {
    detail: { known: [...graph.versions] },
    hint: 'Register the version, or ask for one that is known.',
  });
}

function bestWays(from: Version, to: Version, edgesByFrom: ReadonlyMap<Version, readonly Edge[]>) {
  const known = new Map<Version, readonly Way[]>([[to, [{ edges: [], lossy: 0, cost: 0 }]]]);
  const visit = (version: Version): readonly Way[] => {
    const seen = known.get(version);
    if (seen !== undefined) return seen;
    known.set(version, []);
    const ways = (edgesByFrom.get(version) ?? []).flatMap((edge) =>
      visit(edge.to).map((way) => ({
        edges: [edge, ...way.edges],
        lossy: way.lossy + Number(isLossy(edge)),
        cost: way.cost + edge.step.cost,
      })),
    );
    const best = keepBest(ways);
    known.set(version, best);
    return best;
  };
  return visit(from);
}

function isLossy(edge: Edge): boolean {
  return edge.step.loss === 'lossy';
}

function keepBest(ways: readonly Way[]): readonly Way[] {
  const sorted = ways.toSorted(compareWays);
  const [first] = sorted;
  return first === undefined ? [] : sorted.filter((way) => compareWays(way, first) === 0).slice(0, MOST_WAYS);
}

function compareWays(left: Way, right: Way): number {
  return left.lossy - right.lossy || left.cost - right.cost || left.edges.length - right.edges.length;
}

/** The way whose steps were registered first, if all are connected by declared equivalences. */
function chooseEquivalent(graph: Graph, ways: readonly Way[]): Way | undefined {
  const sorted = ways.toSorted((left, right) => {
    const at = left.edges.findIndex((edge, index) => edge.order !== right.edges[index]?.order);
    return at < 0 ? 0 : (left.edges[at]?.order ?? 0) - (right.edges[at]?.order ?? 0);
  });
  const reached = new Set<Way>();
  const open = sorted.slice(0, 1);
  for (let way = open.pop(); way !== undefined; way = open.pop()) {
    reached.add(way);
    for (const other of sorted) if (!reached.has(other) && areEquivalent(graph, way, other)) open.push(other);
  }
  return reached.size === sorted.length ? sorted[0] : undefined;
}

/** Whether two ways differ in one stretch only, and that is declared. */
function areEquivalent({ equivalent }: Graph, left: Way, right: Way): boolean {
  const [a, b] = [versionsOf(left), versionsOf(right)];
  return equivalent.some(([one, other]) => {
    return [
      [one, other],
      [other, one],
      [one.toReversed(), other.toReversed()],
      [other.toReversed(), one.toReversed()],
    ].some(([from, to]) => replaced(a, from ?? [], to ?? []) === b.join('\n'));
  });
}

function versionsOf(way: Way): PathRef {
  return [...way.edges.map(({ from }) => from), ...way.edges.slice(-1).map(({ to }) => to)];
}

function replaced(versions: PathRef, stretch: PathRef, by: PathRef): string | undefined {
  const at = versions.findIndex((_, index) =>
    stretch.every((version, off) => versions[index + off] === version),
  );
  return at < 0 ? undefined : versions.toSpliced(at, stretch.length, ...by).join('\n');
}

function ambiguous(graph: Graph, from: Version, to: Version, ways: readonly Way[]) {
  return refusal('path_ambiguous', `${graph.name} ${from} -> ${to}`, {
    detail: { paths: ways.slice(0, 4).map((way) => versionsOf(way).join(' -> ')) },
    hint: 'Give one of the steps a higher cost, or declare these ways equivalent.',
  });
}

/** Names the gap: how far one gets from the start, and from where the goal can be reached. */
function noPath(graph: Graph, from: Version, to: Version, edges: readonly Edge[]) {
  const ahead = reach(from, edges, 'from', 'to');
  const behind = reach(to, edges, 'to', 'from');
  return refusal('path_missing', `${graph.name} ${from} -> ${to}`, {
    detail: { reached: ahead, reachableFrom: behind },
    hint: `Register a step from ${ahead.at(-1) ?? from} to ${behind.at(-1) ?? to}.`,
  });
}

function reach(start: Version, edges: readonly Edge[], near: 'from' | 'to', far: 'from' | 'to'): Version[] {
  const reached = [start];
  for (const version of reached) {
    for (const edge of edges)
      if (edge[near] === version && !reached.includes(edge[far])) reached.push(edge[far]);
  }
  return reached;
}
