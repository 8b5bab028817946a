/** What a project lists has to be there, and in force, after every run (M130). */
import { refusal, type Finding } from '../../../base/index.ts';
import type { Check } from '../../../evidence/index.ts';
import { sql, type Queryable } from '../../../store/index.ts';
import type { MigrationSettings } from '../../settings.ts';

/** Asks the catalog, before the commit. */
export async function checkRequired(
  queryable: Queryable,
  { required }: Pick<MigrationSettings, 'required'>,
): Promise<{ readonly checks: readonly Check[]; readonly findings: readonly Finding[] }> {
  const { constraints = [], geometries = [] } = required ?? {};
  const faults = new Map<string, string | undefined>();
  for (const name of constraints) faults.set(name, await constraintFault(queryable, name));
  if (geometries.length > 0) {
    const schema = await postgisSchema(queryable);
    for (const { column, srid } of geometries)
      faults.set(
        column,
        schema === undefined ? 'postgis_missing' : await geometryFault(queryable, { schema, column, srid }),
      );
  }
  return {
    checks: [...faults].map(([name, fault]) => ({
      name: `required: ${name}`,
      status: fault === undefined ? 'pass' : 'fail',
    })),
    findings: [...faults].flatMap(([name, reason]) =>
      reason === undefined
        ? []
        : [
            refusal('invariant_failed', name, {
              detail: { reason },
              hint: 'The project lists this under migrations.required: leave it in force, or change that list.',
            }),
          ],
    ),
  };
}

/** `schema.table.name`; what is not enforced or not validated holds for no row that was there before. */
async function constraintFault(queryable: Queryable, name: string): Promise<string | undefined> {
  const [schema, table, constraint] = name.split('.');
  const [row] = await queryable.query<{ isValidated: boolean }>(sql`
    select x.convalidated and coalesce((to_jsonb(x) ->> 'conenforced')::bool, true) as "isValidated"
    from pg_constraint x join pg_class c on c.oid = x.conrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema ?? ''} and c.relname = ${table ?? ''} and x.conname = ${constraint ?? ''}`);
  if (row === undefined) return 'missing';
  return row.isValidated ? undefined : 'not_validated';
}

async function postgisSchema(queryable: Queryable): Promise<string | undefined> {
  const [row] = await queryable.query<{ schema: string }>(sql`
    select n.nspname::text as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'postgis'`);
  return row?.schema;
}

/** `schema.table.column`: its SRID by PostGIS's own list, and an index of an access method for shapes that begins with it. */
async function geometryFault(
  queryable: Queryable,
  about: { readonly schema: string; readonly column: string; readonly srid: number },
): Promise<string | undefined> {
  const [schema = '', table = '', column = ''] = about.column.split('.');
  const [row] = await queryable.query<{ srid: number; hasIndex: boolean }>(sql`
    select g.srid, exists (
      select from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
        join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = ${column} and a.attnum = i.indkey[0]
      where n.nspname = ${schema} and c.relname = ${table} and i.indisvalid and i.indisready and i.indpred is null
        and m.amname in ('gist', 'spgist', 'brin')) as "hasIndex"
    from (
      select f_table_schema::text as s, f_table_name::text as t, f_geometry_column::text as c, srid from ${sql.id(about.schema, 'geometry_columns')}
      union all
      select f_table_schema::text, f_table_name::text, f_geography_column::text, srid from ${sql.id(about.schema, 'geography_columns')}
    ) g where g.s = ${schema} and g.t = ${table} and g.c = ${column}`);
  if (row === undefined) return 'missing';
  if (row.srid !== about.srid) return 'other_srid';
  return row.hasIndex ? undefined : 'no_spatial_index';
}
