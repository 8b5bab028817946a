/**
 * A set of definitions: what is deployed together, compared by digest, and kept in the catalog for ever.
 *
 * Tables stand in an order in which each comes after all it depends on, by foreign key or by declared read; among equals
 * by name, so that equal definitions give equal bytes however they are written down.
 */
import { refusal, type Finding, type Json } from '../base/index.ts';
import { digestOf } from '../evidence/index.ts';
import { hintsOf, type Hints } from './hint.ts';
import type { Pipeline } from './pipeline.ts';
import { dependenciesOf, type TableSpec } from './spec.ts';
import type { AnyTable } from './table.ts';

/** The normal form of a set: `{ version: 1, tables: [...] }`. */
export interface DefinitionSet {
  readonly version: 1;
  readonly tables: readonly TableSpec[];
}

/** A set with the functions that belong to it, by table name. */
export interface Definitions {
  readonly set: DefinitionSet;
  readonly digest: string;
  readonly tableByName: ReadonlyMap<string, AnyTable>;
  /** What the definitions say of where tables and columns come from; no part of the digest. */
  readonly hints: Hints;
}

/** Either definitions, or why there are none. */
export type DefinitionsResult =
  | { readonly status: 'ok'; readonly definitions: Definitions }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * Collects the tables of pipelines into one set.
 *
 * Errors: refuses with `definition_cycle` naming the circle, `unknown_table` where a table named by a foreign key or a
 * read is in none of the pipelines, `definition_invalid` for a name that stands twice,
 * or for hints that give the rows of one table to several.
 */
export function definitionsOf(pipelines: readonly Pipeline[]): DefinitionsResult {
  const tables = pipelines.flatMap((pipeline) => pipeline.tables);
  const sorted = sortTables(tables.map(({ spec }) => spec));
  if (sorted.status === 'refused') return sorted;
  const { hints, findings } = hintsOf(tables);
  if (findings.length > 0) return { status: 'refused', findings };
  const set: DefinitionSet = { version: 1, tables: sorted.tables };
  const tableByName = new Map(tables.map((table) => [table.spec.name, table]));
  return { status: 'ok', definitions: { set, digest: digestOfSet(set), tableByName, hints } };
}

/** The digest that names a set. */
export function digestOfSet(set: DefinitionSet): string {
  return digestOf(set as unknown as Json);
}

/** The specs in dependency order, or the findings that forbid one. */
export function sortTables(
  specs: readonly TableSpec[],
):
  | { readonly status: 'ok'; readonly tables: readonly TableSpec[] }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] } {
  const specByName = new Map(specs.map((spec) => [spec.name, spec]));
  const findings = [...duplicates(specs), ...strangers(specs, specByName)];
  if (findings.length > 0) return { status: 'refused', findings };
  const sorted: TableSpec[] = [];
  const placed = new Set<string>();
  let open = specs.toSorted((left, right) => compareText(left.name, right.name));
  while (open.length > 0) {
    const ready = open.filter((spec) => [...dependenciesOf(spec)].every((name) => placed.has(name)));
    if (ready.length === 0) return { status: 'refused', findings: [circle(open)] };
    for (const spec of ready) {
      sorted.push(spec);
      placed.add(spec.name);
    }
    open = open.filter((spec) => !placed.has(spec.name));
  }
  return { status: 'ok', tables: sorted };
}

/** Byte order of UTF-16 text: the same on every machine, unlike the locale's. */
export function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function duplicates(specs: readonly TableSpec[]): readonly Finding[] {
  const seen = new Set<string>();
  return specs.flatMap(({ name }) => {
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    return [
      refusal('definition_invalid', name, {
        detail: { found: 'two definitions of one name' },
        hint: 'Keep one of them, or give one another name.',
      }),
    ];
  });
}

function strangers(
  specs: readonly TableSpec[],
  specByName: ReadonlyMap<string, TableSpec>,
): readonly Finding[] {
  return specs.flatMap((spec) =>
    [...dependenciesOf(spec)]
      .filter((name) => !specByName.has(name))
      .map((name) =>
        refusal('unknown_table', name, {
          detail: { neededBy: spec.name },
          hint: `Add the pipeline that defines ${name} to \`pipelines\` in varve.config.ts.`,
        }),
      ),
  );
}

/** Walks from any open table to an open dependency until one comes again: that is the circle. */
function circle(open: readonly TableSpec[]): Finding {
  const names = new Set(open.map(({ name }) => name));
  const path: string[] = [];
  let name = open[0]?.name ?? '';
  while (!path.includes(name)) {
    path.push(name);
    const spec = open.find((candidate) => candidate.name === name);
    name = spec === undefined ? '' : ([...dependenciesOf(spec)].find((next) => names.has(next)) ?? '');
  }
  const tables = [...path.slice(path.indexOf(name)), name];
  return refusal('definition_cycle', tables[0] ?? '', {
    detail: { tables },
    hint: 'Drop one of these foreign keys or reads: rows of a table cannot come before themselves.',
  });
}
