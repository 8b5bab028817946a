import type { Scope } from '../../declaration.ts';
import type { MigrationSettings } from '../../settings.ts';
import { fullName, type Relation, type Relations } from './relation.ts';

/** What a bundle may not touch: the project's list and the bundle's own forbidden ones, which only add to it (M27). */
export interface Protection {
  readonly schemas: readonly string[];
  /** `schema.table`, or a name in every schema (M16). */
  readonly tables: readonly string[];
}

/** The protected domains of a bundle. */
export function protectionOf(scope: Scope, { protected: own }: MigrationSettings): Protection {
  return {
    schemas: [...new Set([...own.schemas, ...scope.forbidden_schemas])].toSorted(),
    tables: [...new Set([...own.tables, ...scope.forbidden_tables])].toSorted(),
  };
}

/** Whether a table is one of them. */
export function isProtected({ schemas, tables }: Protection, name: string): boolean {
  const schema = name.slice(0, name.indexOf('.'));
  return schemas.includes(schema) || tables.includes(name) || tables.includes(name.slice(schema.length + 1));
}

/** The protected tables that hold rows themselves, or pass them on to partitions. */
export function protectedTables(relations: Relations, protection: Protection): readonly Relation[] {
  return [...relations.values()]
    .filter((each) => ['r', 'p', 'f'].includes(each.kind) && isProtected(protection, fullName(each)))
    .toSorted((left, right) => (fullName(left) < fullName(right) ? -1 : 1));
}
