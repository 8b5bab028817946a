/** Makes the tables of a definition set that are not there yet: structure, relation, contents of lookups. */
import { sql, type Queryable, type Sql } from '../store/index.ts';
import { columnDdl, createIndexes, createTable } from './ddl.ts';
import type { DefinitionSet } from './definition-set.ts';
import {
  defaultPlacement,
  insertRelation,
  tableId,
  type Placement,
  type Relation,
  type Relations,
} from './relation.ts';
import type { TableSpec } from './spec.ts';

/** Creates these tables, in their order, and returns the relations with them added. */
export async function createTables(
  transaction: Queryable,
  specs: readonly TableSpec[],
  world: { readonly set: DefinitionSet; readonly relations: Relations; readonly run: string },
): Promise<Relations> {
  const relations = new Map(world.relations);
  for (const spec of specs) {
    const placement = defaultPlacement(spec);
    const placementOf = (table: string): Placement => relations.get(table)?.placement ?? placement;
    const statements = [
      ...createTable(spec, placement, placementOf),
      ...createIndexes(spec, placement, world.set),
      ...fillContents(spec, placement),
    ];
    for (const statement of statements) await transaction.execute(statement);
    relations.set(spec.name, await liveRelation(transaction, spec, placement, world.run));
  }
  return relations;
}

async function liveRelation(
  transaction: Queryable,
  spec: TableSpec,
  placement: Placement,
  run: string,
): Promise<Relation> {
  return insertRelation(transaction, {
    name: spec.name,
    spec,
    placement,
    state: 'live',
    predecessor: null,
    run,
  });
}

/** The rows of a lookup, as its definition lists them. */
function fillContents(spec: TableSpec, placement: Placement): readonly Sql[] {
  if (spec.contents === undefined || spec.contents.length === 0) return [];
  const types = spec.columns.map(({ name, type }) => columnDdl({ name, type, nullable: true }));
  return [
    sql`insert into ${tableId(placement)} (${sql.join(spec.columns.map(({ name }) => sql.id(name)))})
      select * from json_to_recordset(${JSON.stringify(spec.contents)}::json) as c(${sql.join(types)})`,
  ];
}
