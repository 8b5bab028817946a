/** Why a statement is refused, and the declaration that would allow it. */
import { nearestName, VarveError } from '../../base/index.ts';
import type { Queryable } from '../../store/index.ts';
import { splitName, type TableSpec } from '../spec.ts';
import { positionOf } from './parse-tree.ts';
import { findRelation, tablesUnder, type NameSpace } from './relation.ts';
import type { Fault, ReadRelation } from './statement.ts';

/** The exception for a statement that does what no strict statement may. */
export function refusedStatement(table: string, text: string, fault: Fault): VarveError {
  const position = fault.byteOffset === undefined ? {} : { position: positionOf(text, fault.byteOffset) };
  return new VarveError('statement_refused', {
    detail: { table, kind: fault.kind, found: fault.found, ...position },
    hint: HINTS[fault.kind],
  });
}

/** The exception for a read that is not declared; a view is named by the tables below it. */
export async function undeclaredRead(
  store: Queryable,
  spec: TableSpec,
  space: NameSpace,
  text: string,
  read: ReadRelation,
): Promise<VarveError> {
  const written = read.schema === undefined ? read.name : `${read.schema}.${read.name}`;
  const relation = await findRelation(store, space, read.schema, read.name);
  const tables = relation === undefined ? [] : await tablesUnder(store, space, relation);
  const names = tables.map(({ name }) => name);
  const through = relation?.isView === true ? { through: relation.name } : {};
  return new VarveError('undeclared_read', {
    detail: {
      table: spec.name,
      reads: names.length > 1 ? names : (names[0] ?? written),
      ...through,
      position: positionOf(text, read.byteOffset),
    },
    hint:
      names.length === 0
        ? unknownHint(spec, read)
        : names.map((name) => declarationHint(spec, space, name)).join(' '),
  });
}

const HINTS: Readonly<Record<Fault['kind'], string>> = {
  statement: 'Run SELECT statements only; what the make returns is what varve writes.',
  several: 'Run one statement at a time.',
  write: 'Return rows from the make; varve writes them.',
  lock: 'Leave the lock out: the transaction sees one state of the data as it is.',
  function:
    'Call functions of pg_catalog whose result follows from their arguments; take time and randomness from ctx.now and ctx.random.',
  operator: 'Use the operators of pg_catalog: another one may call a function that reads.',
  type: 'Cast to built-in types or enums: another cast may call a function that reads, and a reg* type reads the catalog.',
  clock: 'Pass ctx.now or a member of ctx.key as a parameter, or write the constant with a cast to text.',
  syntax: 'Write it without this: its result may depend on more than the rows read.',
};

function unknownHint(spec: TableSpec, read: ReadRelation): string {
  const nearest = nearestName(
    read.name,
    spec.reads.map(({ name }) => name),
  );
  if (nearest !== undefined)
    return `Read "${nearest}"; write the name in double quotes, or PostgreSQL folds it to lower case.`;
  return `Select from the declared reads by their names: ${spec.reads.map(({ name }) => `"${name}"`).join(', ')}.`;
}

function declarationHint(spec: TableSpec, space: NameSpace, name: string): string {
  const same = spec.reads.filter((read) => read.table === name).map((read) => `"${read.name}"`);
  if (same.length > 0) return `${name} is declared: select from it as ${same.join(' or ')}, by that name.`;
  const table = splitName(name).table;
  const label = camelCase(table);
  const type = `${label.slice(0, 1).toUpperCase()}${label.slice(1)}`;
  if (!space.specByName.has(name)) {
    return `Define ${name} in a pipeline first, then name it under \`reads\`: no definition knows it.`;
  }
  if (spec.foreignKeys.some(({ to }) => to === name)) {
    return `Declare the read of ${name}: \`reads: { ${label}: ${type} }\`.`;
  }
  return `Declare the foreign key to ${name}, \`references: { ${label}: ${type}.optional() }\`, and the read, \`reads: { ${label}: ${type}.all() }\` or \`${type}.matching({ ... })\`.`;
}

function camelCase(name: string): string {
  const text = name.replace(/[^A-Za-z0-9]+(.)?/g, (_, next: string | undefined) =>
    (next ?? '').toUpperCase(),
  );
  return text === '' ? 'other' : text;
}
