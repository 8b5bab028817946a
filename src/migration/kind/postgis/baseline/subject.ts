import type { Queryable } from '../../../../store/index.ts';
import type { Scope } from '../../../declaration.ts';
import { scopeFindings } from '../../../judge.ts';
import type { MigrationSettings } from '../../../settings.ts';
import { protectedTables, protectionOf } from '../protected.ts';
import { fullName, loadRelations, type Relation, type Relations } from '../relation.ts';
import type { BaselineSubject } from './measure.ts';

/**
 * What the baseline of a bundle covers: the catalog of its allowed schemas, the rows of each table in scope, and the objects and
 * rows of what is protected. `relations` where they are known already.
 */
export async function subjectOf(
  transaction: Queryable,
  scope: Scope,
  settings: MigrationSettings,
  relations?: Relations,
): Promise<BaselineSubject> {
  const known = relations ?? (await loadRelations(transaction));
  const protection = protectionOf(scope, settings);
  const guarded = protectedTables(known, protection).map(fullName);
  return {
    scope: { schemas: scope.allowed_schemas },
    watched: { schemas: protection.schemas, tables: guarded },
    tables: [...known.values()]
      .filter((each) => ['r', 'm'].includes(each.kind) && isInScope(scope, each, known))
      .map(fullName),
    protectedTables: guarded,
    ...(settings.protectedKey === undefined ? {} : { protectedKey: settings.protectedKey }),
  };
}

/** Partitions one by one, for each counts as a table. */
export function isInScope(scope: Scope, relation: Relation, relations: Relations): boolean {
  const root = relation.root === null ? undefined : relations.get(relation.root);
  const name = fullName(relation);
  return scopeFindings(scope, [name], root === undefined ? {} : { [name]: fullName(root) }).length === 0;
}
