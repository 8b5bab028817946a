/** The definitions as a graph of tables, for trace and cascade. */
import { createGraph, type GraphEdge, type TableGraph } from '../provenance/index.ts';
import type { Definitions } from './definition-set.ts';
import { defaultPlacement, type Relations } from './relation.ts';
import { sameJson } from './same-json.ts';
import type { ForeignKeySpec, Origin, ReadSpec, TableSpec } from './spec.ts';

/** Which edges beside those of foreign keys and parts. */
export interface GraphOptions {
  /** Where the tables stand; default: where their names say. */
  readonly relations?: Relations;
  /** Default true: rows depend on what they were computed from, also where no foreign key says so. */
  readonly reads?: boolean;
}

/**
 * The tables with an edge for each foreign key, each part and each declared read.
 *
 * Invariant: a read whose rows cannot be told from the reader's own columns is an edge of the whole table, or of those
 * columns that can be told: more rows than were read, never fewer.
 */
export function graphOf(definitions: Pick<Definitions, 'set'>, options: GraphOptions = {}): TableGraph {
  const { tables } = definitions.set;
  return createGraph(
    tables.map((spec) => {
      const place = options.relations?.get(spec.name)?.placement ?? defaultPlacement(spec);
      return {
        table: spec.name,
        schema: place.schema,
        name: place.table,
        tier: spec.tier,
        primaryKey: spec.primaryKey,
        columns: spec.columns.map(({ name }) => name),
      };
    }),
    tables.flatMap((spec) => [
      ...spec.foreignKeys.map((key) => keyEdge(spec, key)),
      ...(options.reads === false ? [] : readEdges(spec)),
    ]),
  );
}

function keyEdge(spec: TableSpec, key: ForeignKeySpec): GraphEdge {
  const { name, to, columns, kind, optional } = key;
  return { name, from: spec.name, to, columns, kind, nullable: optional };
}

/** A read along a foreign key says nothing that the foreign key does not. */
function readEdges(spec: TableSpec): readonly GraphEdge[] {
  return spec.reads
    .filter((read) => !spec.foreignKeys.some((key) => isFilledBy(key, read)))
    .map((read) => readEdge(spec, read))
    .filter(
      (edge) => !spec.foreignKeys.some((key) => key.to === edge.to && sameMap(key.columns, edge.columns)),
    );
}

/** Whether a read finds its row as the columns of this foreign key are filled: what it found, the foreign key says. */
function isFilledBy({ to, columns, fills }: ForeignKeySpec, read: ReadSpec): boolean {
  if (to !== read.table || fills === undefined) return false;
  return Object.entries(columns).every(([child, parent]) => sameJson(fills[child], read.match[parent]));
}

function readEdge(spec: TableSpec, read: ReadSpec): GraphEdge {
  const pairs = Object.entries(read.match).flatMap(([column, origin]): [string, string][] => {
    const child = columnOf(spec, origin);
    return child === undefined ? [] : [[child, column]];
  });
  return {
    name: `read ${read.name}`,
    from: spec.name,
    to: read.table,
    // Two matches from one column of the reader: the first is kept, which only lets more rows through.
    columns: Object.fromEntries(pairs.toReversed()),
    kind: 'read',
    nullable: read.cardinality !== 'one',
  };
}

/** The reader's own column that holds what a match compares with; a filled foreign key keeps values of other reads. */
function columnOf(spec: TableSpec, origin: Origin): string | undefined {
  if (origin.kind === 'key') return origin.column;
  for (const { fills, optional } of spec.foreignKeys) {
    // An optional one is null where its own row is not there, whatever else had that value.
    if (optional) continue;
    const filled = Object.entries(fills ?? {}).find(
      ([, from]) => JSON.stringify(from) === JSON.stringify(origin),
    );
    if (filled !== undefined) return filled[0];
  }
  return undefined;
}

function sameMap(left: Readonly<Record<string, string>>, right: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => left[name] === right[name]);
}
