/**
 * Relations: the generations of each table that the catalog knows, and where their rows physically stand. A table's name
 * is what people say; its relation is what computations point to, so that a result stays traceable when the structure
 * around it changes.
 */
import { refusal, VarveError, type Finding } from '../base/index.ts';
import { sql, type Queryable, type Sql } from '../store/index.ts';
import type { DefinitionSet } from './definition-set.ts';
import { sameJson } from './same-json.ts';
import { splitName, type TableSpec } from './spec.ts';

/** Where rows stand. */
export interface Placement {
  readonly schema: string;
  readonly table: string;
}

/** One generation of one table. */
export interface Relation {
  readonly id: number;
  readonly name: string;
  readonly spec: TableSpec;
  readonly placement: Placement;
  readonly state: 'building' | 'live' | 'retired' | 'copy' | 'let_go';
}

/** Relations by table name: the world that a statement is written for. */
export type Relations = ReadonlyMap<string, Relation>;

/** The table in the database, quoted. */
export function tableId(placement: Placement): Sql {
  return sql.id(placement.schema, placement.table);
}

/** Where a table stands unless an evolution says otherwise. */
export function defaultPlacement(spec: TableSpec): Placement {
  return splitName(spec.name);
}

/** The relation of a table that must be there. Errors: throws `not_deployed`. */
export function relationOf(relations: Relations, name: string): Relation {
  const relation = relations.get(name);
  if (relation !== undefined) return relation;
  throw new VarveError('not_deployed', {
    detail: { table: name },
    hint: 'Run `varve plan` and `varve apply` to create it.',
  });
}

/** The live relations of a database; empty before the first deployment. */
export async function loadRelations(store: Queryable): Promise<Relations> {
  const rows = await store.query<RelationRow>(
    sql.kept(sql`
    select id, name, spec, physical_schema, physical_name, state from varve.relation where state = 'live'`),
  );
  return new Map(rows.map((row) => [row.name, toRelation(row)]));
}

/** One generation of a table with its time: what history is read from. */
export interface Generation extends Relation {
  readonly sinceAt: string | null;
  readonly untilAt: string | null;
  readonly untilRun: string | null;
  /** Null: its rows are there. */
  readonly letGo: LetGo | null;
}

/** When and by whom rows of history were let go, under an approval that the run's receipt names. */
export interface LetGo {
  readonly run: string;
  /** ISO 8601 UTC. */
  readonly at: string;
  /** The principal of the runner. */
  readonly by: string;
}

/**
 * The generations of a table that readers see or saw, newest first: relations that have this name or had it, and those that
 * their rows came from, whatever these were called.
 *
 * At a time (ISO 8601 or `infinity`), without those that were out of place then: a structure that another one had replaced
 * until that was rolled back, and a relation that had given the name up.
 */
export async function loadGenerations(
  store: Queryable,
  name: string,
  at?: string,
): Promise<readonly Generation[]> {
  const rows = await store.query<
    RelationRow & Omit<Generation, keyof Relation | 'letGo'> & Record<keyof LetGo, string | null>
  >(sql`
    with recursive source (relation, source) as (
      select relation, source from varve.relation_source
      union select id, predecessor from varve.relation where predecessor is not null),
    family (id) as (
      (select id from varve.relation where name = ${name}
        union select relation from varve.relation_version where name = ${name})
      union select s.source from family f join source s on s.relation = f.id)
    select r.id, r.name, r.spec, r.physical_schema, r.physical_name, r.state, r.since_at as "sinceAt",
      r.until_at as "untilAt", r.until_run as "untilRun", r.let_go_run as run, r.let_go_at as at,
      (select body #>> '{actor,principal}' from varve.ledger l where l.run_id = r.let_go_run and l.phase = 'opened') as by
    from varve.relation r join family f on f.id = r.id
    where r.state in ('live', 'retired', 'let_go') and (${at ?? null}::timestamptz is null or (${inPlace(name, at)}))
    order by r.id desc`);
  return rows.map(({ run, at: letGoAt, by, sinceAt, untilAt, untilRun, ...row }) => ({
    ...toRelation(row),
    sinceAt,
    untilAt,
    untilRun,
    letGo: run === null || letGoAt === null ? null : { run, at: letGoAt, by: by ?? 'unknown' },
  }));
}

function inPlace(name: string, at: string | undefined): Sql {
  const then = sql`${at ?? null}::timestamptz`;
  return sql`not exists (select from source s join varve.relation n on n.id = s.relation
      where s.source = r.id and n.state in ('retired', 'let_go') and n.since_at <= ${then} and n.until_at > ${then})
    and (r.name = ${name}
      or not exists (select from varve.relation_version v where v.relation = r.id and v.name = ${name})
      or ${name} = (select v.name from varve.relation_version v where v.relation = r.id and v.until_at > ${then}
        order by v.until_at, v.id limit 1))`;
}

/**
 * The relation of every name that was ever live: the one that is, or the last that was; under a name that was given up, as
 * it was defined then. For questions about the past.
 */
export async function loadKnownRelations(store: Queryable): Promise<Relations> {
  const rows = await store.query<RelationRow>(sql`
    select distinct on (name) id, name, spec, physical_schema, physical_name, state from (
      select id, name, spec, physical_schema, physical_name, state, null::timestamptz as until_at from varve.relation
      where state in ('live', 'retired', 'let_go')
      union all
      select r.id, v.name, v.spec, r.physical_schema, r.physical_name, r.state, v.until_at
      from varve.relation_version v join varve.relation r on r.id = v.relation and r.name <> v.name
      where r.state in ('live', 'retired', 'let_go')) k
    order by name, until_at desc nulls first, state = 'live' desc, state = 'retired' desc, id desc`);
  return new Map(rows.map((row) => [row.name, toRelation(row)]));
}

/** Adds a relation. */
export async function insertRelation(
  store: Queryable,
  relation: Omit<Relation, 'id'> & { readonly run: string; readonly predecessor: number | null },
): Promise<Relation> {
  const [row] = await store.query<RelationRow>(sql`
    insert into varve.relation
      (name, spec, physical_schema, physical_name, state, predecessor, since_run, since_at)
    values (${relation.name}, ${JSON.stringify(relation.spec)}::jsonb, ${relation.placement.schema},
      ${relation.placement.table}, ${relation.state}, ${relation.predecessor}, ${relation.run}, now())
    returning id, name, spec, physical_schema, physical_name, state`);
  if (row === undefined)
    throw new VarveError('internal', { hint: 'Report this: an insert returned no row.' });
  return toRelation(row);
}

interface RelationRow extends Record<string, unknown> {
  readonly id: number;
  readonly name: string;
  readonly spec: TableSpec;
  readonly physical_schema: string;
  readonly physical_name: string;
  readonly state: Relation['state'];
}

function toRelation(row: RelationRow): Relation {
  return {
    id: row.id,
    name: row.name,
    spec: row.spec,
    placement: { schema: row.physical_schema, table: row.physical_name },
    state: row.state,
  };
}

/** Records that a set is live from now on; the same set again records one more deployment of it. */
export async function recordDeployment(
  store: Queryable,
  set: DefinitionSet,
  digest: string,
  run: string,
): Promise<void> {
  await store.execute(sql`
    with known as (
      insert into varve.definition_set (digest, body) values (${digest}, ${JSON.stringify(set)}::jsonb)
      on conflict (digest) do update set digest = excluded.digest returning id)
    insert into varve.deployment (definition_set, run) select id, ${run} from known`);
}

/** The digest and body of the set that is live; undefined before the first deployment. */
export async function deployedSet(
  store: Queryable,
): Promise<{ readonly digest: string; readonly set: DefinitionSet } | undefined> {
  const [row] = await store.query<{ digest: string; body: DefinitionSet }>(sql`
    select s.digest, s.body from varve.deployment d join varve.definition_set s on s.id = d.definition_set
    order by d.id desc limit 1`);
  return row === undefined ? undefined : { digest: row.digest, set: row.body };
}

/** The tables whose deployed structure is not what the definitions say: nothing may be computed for them. */
export function mismatches(relations: Relations, specs: readonly TableSpec[]): readonly Finding[] {
  return specs.flatMap((spec) => {
    const relation = relations.get(spec.name);
    if (relation !== undefined && sameJson(relation.spec, spec)) return [];
    return [
      refusal('not_deployed', spec.name, {
        detail: { found: relation === undefined ? 'no such table yet' : 'another definition is deployed' },
        hint: 'Run `varve plan` to see what would change, then `varve apply`.',
      }),
    ];
  });
}
