/** What the verbs of this operation share: the tables in hand, how they are classified, where the new one is built. */
import { VarveError } from '../../../base/index.ts';
import {
  loadRelations,
  relationOf,
  type ForeignKeySpec,
  type Placement,
  type Relation,
  type Relations,
  type TableSpec,
} from '../../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../../store/index.ts';
import { BUILD, buildingRelation } from '../../building.ts';
import type { Classification } from '../../classify.ts';
import type { DeclareReference, PlanScope, RunScope } from '../operation.ts';

/** What is being built for this run, and what it will replace. */
export interface Building {
  readonly old: Relation;
  readonly next: Relation;
  /** The list of classes and values. */
  readonly list: Placement;
  readonly given: Classification;
  /** The new world: the table where it is built, every other where it stands. */
  readonly relations: Relations;
}

/** Finds what this run builds. Errors: throws `run_fenced` where another process took it away. */
export async function building(
  operation: DeclareReference,
  scope: RunScope,
  store: Queryable,
): Promise<Building> {
  const live = await loadRelations(store);
  const next = await buildingRelation(store, operation.table, scope.context.runId);
  if (next === undefined) {
    throw new VarveError('run_fenced', {
      detail: { table: operation.table },
      hint: 'The run was settled by another process: look at `varve status`.',
    });
  }
  const old = relationOf(live, operation.table);
  const given = classification(operation, {
    old,
    to: scope.to,
    relations: live,
    attribution: scope.attribution,
  });
  const relations = new Map([...given.relations, [operation.table, next]]);
  return { old, next, list: listOf(next), given, relations };
}

/** Where the list of classes stands. */
export function listOf(next: Relation): Placement {
  return { schema: BUILD, table: `classes of ${String(next.id)}` };
}

/** What is to be classified for this operation. */
export function classification(
  operation: DeclareReference,
  {
    old,
    to,
    relations,
    attribution,
  }: Pick<PlanScope, 'to' | 'relations' | 'attribution'> & { readonly old: Relation },
): Classification {
  const spec = specOf(to.tables, operation.table);
  return {
    old,
    spec,
    key: keyOf(spec, operation),
    relations: withSpecs(relations, to.tables),
    recomputeAmbiguous: attribution[operation.table] === 'recompute',
  };
}

/** The definition of a table that the bundle names. */
export function specOf(tables: readonly TableSpec[], name: string): TableSpec {
  const spec = tables.find((candidate) => candidate.name === name);
  if (spec !== undefined) return spec;
  throw new VarveError('internal', {
    detail: { table: name },
    hint: 'Report this: a bundle names a table it does not hold.',
  });
}

/** The foreign key that the operation declares. */
export function keyOf(spec: TableSpec, operation: DeclareReference): ForeignKeySpec {
  const key = spec.foreignKeys.find(({ name, to }) => name === operation.reference && to === operation.to);
  if (key !== undefined) return key;
  throw new VarveError('internal', {
    detail: { table: spec.name },
    hint: 'Report this: a bundle names a reference it does not hold.',
  });
}

/** The world under the new definitions: the rows stand where they do, the specs are the new ones. */
function withSpecs(relations: Relations, tables: readonly TableSpec[]): Relations {
  const specs = new Map(tables.map((spec) => [spec.name, spec]));
  return new Map(
    [...relations].map(([name, relation]) => [name, { ...relation, spec: specs.get(name) ?? relation.spec }]),
  );
}

/** That two rows have the same source key. */
export function sameKey(spec: TableSpec, left: Sql, right: Sql): Sql {
  return sql.join(
    spec.sourceKey.map((column) => sql`${left}.${sql.id(column)} = ${right}.${sql.id(column)}`),
    sql` and `,
  );
}
