import { nearestName } from '../../base/index.ts';
import { splitName } from '../spec.ts';
import type { AnyTable } from '../table.ts';
import type { Relation } from './sql-relation.ts';

/** What hints need to know of the project. */
export interface Names {
  readonly tables: readonly AnyTable[];
  /** Constants by the short name of the table that they hold. */
  readonly constantByTable: ReadonlyMap<string, string>;
}

/** The table that a name in code means: by its schema, by that of the reader, or as the only one of that name. */
export function tableMeant(
  reader: AnyTable,
  { schema, name }: Relation,
  { tables }: Names,
): AnyTable | undefined {
  const own = schema ?? splitName(reader.spec.name).schema;
  const exact = tables.find(({ spec }) => spec.name === `${own}.${name}`);
  if (exact !== undefined || schema !== undefined) return exact;
  const [only, another] = tables.filter(({ spec }) => splitName(spec.name).table === name);
  return another === undefined ? only : undefined;
}

/** What to do about a table that is read without being declared. */
export function readRemedy(reader: AnyTable, relation: Relation, names: Names): string {
  const meant = tableMeant(reader, relation, names);
  if (meant === undefined) return unknownRemedy(relation, names);
  const declared = reader.spec.reads.find(({ table }) => table === meant.spec.name);
  if (declared !== undefined) return `Read it by its name under \`reads\`: \`${declared.name}\`.`;
  const constant = constantOf(meant, names);
  const label = labelOf(meant);
  if (isAncestor(reader, meant)) return `Add \`${label}: ${constant}\` to \`reads\`.`;
  const fills = meant.spec.primaryKey.map((column) => `${column}: SOURCE.column('...')`).join(', ');
  return (
    `Add \`${label}: ${constant}\` to \`reads\` and ` +
    `\`references: { ${label}: ${constant}.optional().from({ ${fills} }) }\`, ` +
    `or, for the whole table, \`${label}: ${constant}.all()\` to \`reads\`.`
  );
}

function unknownRemedy({ name }: Relation, { tables }: Names): string {
  const nearest = nearestName(
    name,
    tables.map(({ spec }) => splitName(spec.name).table),
  );
  const question = nearest === undefined ? '' : ` Did you mean "${nearest}"?`;
  return `Define the table "${name}" in a pipeline, as \`manual\` where others fill it, and add it to \`reads\`.${question}`;
}

function constantOf(table: AnyTable, { constantByTable }: Names): string {
  const { master } = table.spec;
  const short = splitName(table.spec.name).table;
  if (master !== undefined) {
    const owner = splitName(master).table;
    return `${constantByTable.get(owner) ?? pascal(owner)}.parts.${short.slice(owner.length + 2)}`;
  }
  return constantByTable.get(short) ?? pascal(short);
}

/** The last word of a name, as reads are called by: `policy` of `license_policy`. */
function labelOf(table: AnyTable): string {
  return splitName(table.spec.name).table.split('_').at(-1) ?? 'other';
}

function pascal(name: string): string {
  return name
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');
}

/** Whether foreign keys of the primary key lead there. */
function isAncestor(table: AnyTable, target: AnyTable): boolean {
  return table.spec.foreignKeys
    .filter(({ kind }) => kind !== 'secondary')
    .some(({ to }) => {
      const parent = table.definition.parents.find(({ spec }) => spec.name === to);
      return to === target.spec.name || (parent !== undefined && isAncestor(parent, target));
    });
}
