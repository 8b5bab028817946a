/** Relations that a run is building: found again by the run's id, so that a run that was killed goes on where it was. */
import type { Relation, Relations } from '../pipeline/index.ts';
import { sql, type Queryable } from '../store/index.ts';

/** The schema in which new structures are built. */
export const BUILD = 'varve_build';

/** The schema in which retired structures stand. */
export const HISTORY = 'varve_history';

interface RelationRow extends Record<string, unknown> {
  readonly id: number;
  readonly name: string;
  readonly spec: Relation['spec'];
  readonly physical_schema: string;
  readonly physical_name: string;
  readonly state: Relation['state'];
}

const COLUMNS = sql`id, name, spec, physical_schema, physical_name, state`;

function toRelation(row: RelationRow): Relation {
  const { id, name, spec, state } = row;
  return { id, name, spec, state, placement: { schema: row.physical_schema, table: row.physical_name } };
}

/** What stands, and what this run builds, by table: a run asks for both at nearly every step. */
export async function runRelations(
  store: Queryable,
  runId: string,
): Promise<{ readonly live: Relations; readonly building: Relations }> {
  const rows = await store.query<RelationRow>(
    sql.kept(sql`
    select ${COLUMNS} from varve.relation where state = 'live'
    union all select ${COLUMNS} from varve.relation where since_run = ${runId} and state = 'building'`),
  );
  const byName = (wanted: Relation['state']): Relations =>
    new Map(rows.filter(({ state }) => state === wanted).map((row) => [row.name, toRelation(row)]));
  return { live: byName('live'), building: byName('building') };
}

/** The relation that this run builds for a table, until it is live; undefined before it is there. */
export async function buildingRelation(
  store: Queryable,
  table: string,
  runId: string,
): Promise<Relation | undefined> {
  const [row] = await store.query<RelationRow>(
    sql.kept(sql`
    select ${COLUMNS} from varve.relation where name = ${table} and since_run = ${runId} and state = 'building'`),
  );
  return row === undefined ? undefined : toRelation(row);
}
