import type { CreateStmt, Node, RangeVar } from 'libpg-query';
import { namesOf } from '../../../../store/index.ts';

/** `schema.table` as the statement names it, or the name alone. */
export function relationName(relation: RangeVar | undefined): string {
  const { schemaname, relname = '' } = relation ?? {};
  return schemaname === undefined || schemaname === '' ? relname : `${schemaname}.${relname}`;
}

/** The name of a wrapped list or list of strings, such as that in a DROP. */
export function listName(value: Node | readonly Node[] | undefined): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return namesOf(value).join('.');
  if ('List' in value) return namesOf(value.List.items).join('.');
  if ('String' in value) return value.String.sval ?? '';
  if ('TypeName' in value) return namesOf(value.TypeName.names).join('.');
  if ('ObjectWithArgs' in value) return namesOf(value.ObjectWithArgs.objname).join('.');
  if ('RangeVar' in value) return relationName(value.RangeVar);
  return '';
}

/** A type as a definition names it, without PostgreSQL's own schema: `int4`, `geo.kind`. */
export function typeName(names: readonly Node[] | undefined): string {
  const parts = namesOf(names);
  return (parts[0] === 'pg_catalog' ? parts.slice(1) : parts).join('.');
}

/** The schema of a name, or undefined. */
export function schemaOf(name: string): string | undefined {
  const dot = name.indexOf('.');
  return dot < 0 ? undefined : name.slice(0, dot);
}

/** The definition of a table that a statement creates, a foreign one too; undefined for any other statement. */
export function createdTable(node: Node): CreateStmt | undefined {
  if ('CreateStmt' in node) return node.CreateStmt;
  return 'CreateForeignTableStmt' in node ? node.CreateForeignTableStmt.base : undefined;
}
