import { readPinned, sql, type Sql, type Store, type Transaction } from '../../store/index.ts';
import type { CatalogClass } from './catalog-class.ts';
import { databaseClasses } from './database-class.ts';
import { routineClasses } from './routine-class.ts';
import { columnTypes, indexForms, tableClasses } from './table-class.ts';

/**
 * Which objects. Without a scope: all but the system's and varve's own.
 *
 * A schema brings all that is in it; a table brings itself, what hangs on it (columns, constraints, indexes, triggers,
 * policies, rules, sequences it owns, comments). With a scope, objects of the database itself are left out.
 */
export interface CatalogScope {
  readonly schemas?: readonly string[];
  /** `schema.table` */
  readonly tables?: readonly string[];
}

/**
 * Reads the catalog under fixed settings; the work gets the server's major version.
 *
 * A whole catalog is joined by hashing: the planner takes it for small, and one nested loop over 10,000 tables costs minutes.
 */
export async function readCatalog<T>(
  database: Store | Transaction,
  scope: CatalogScope | undefined,
  work: (reader: Transaction, major: number) => Promise<T>,
  more: Readonly<Record<string, string>> = {},
): Promise<T> {
  const joins = scope === undefined ? { enable_nestloop: 'off', work_mem: '64MB' } : {};
  const settings = { ...joins, ...more };
  return await readPinned(
    database,
    async (reader) => {
      const [row] = await reader.query<{ major: number }>(
        sql`select current_setting('server_version_num')::int / 10000 as major`,
      );
      return await work(reader, row?.major ?? 0);
    },
    settings,
  );
}

/** The classes of `pg-catalog/1` on a server of this major version. */
export function catalogClasses(major: number): readonly CatalogClass[] {
  return [...tableClasses(major), ...routineClasses(major), ...databaseClasses(major)];
}

/** What a statement says of each object of a class, given its kind, schema, table, name, position and properties. */
export type Describe = (object: {
  readonly kind: string;
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly position: string;
  readonly properties: readonly (readonly [name: string, text: string])[];
}) => string;

/** Of a schema by its name: not the system's, and not varve's own. */
export function isUserSchema(column: string): Sql {
  return sql.raw(
    `(${column} !~ '^pg_' and ${column} not in ('information_schema', 'varve', 'varve_queue', 'varve_build'))`,
  );
}

/**
 * `with ... object as (all objects in scope, as described)`; to be followed by a SELECT. Without a scope `alsoSchemas` are
 * read as well, though they are the system's or varve's own.
 */
export function withObjects(
  major: number,
  scope: CatalogScope | undefined,
  describe: Describe,
  alsoSchemas: readonly string[] = [],
): Sql {
  const selects = catalogClasses(major)
    .filter(({ schema }) => scope === undefined || schema !== undefined)
    .map((of) => sql.raw(`select ${describe(described(of))} from ${of.from}`));
  const { schemas, tables, names } = split(scope);
  const named = sql`nspname = any (${scope === undefined ? alsoSchemas : schemas}::text[])`;
  const whole = scope === undefined ? sql`(${isUserSchema('nspname')} or ${named})` : named;
  const alone =
    scope === undefined
      ? sql`false`
      : sql`(nspname, relname) in (select a, b from unnest(${tables}::text[], ${names}::text[]) u (a, b))`;
  const among = (oid: string): string => (scope === undefined ? 'true' : `${oid} in (select oid from rel)`);
  // Scoped, few rows are asked for often; else the planner sees better through it.
  const kept = sql.raw(scope === undefined ? 'not materialized' : 'materialized');
  return sql`with space as materialized (select oid, nspname, nspowner, nspacl from pg_namespace where ${whole}),
    rel as ${kept} (select c.*, nspname as schema from pg_class c join pg_namespace s on s.oid = c.relnamespace
      where relkind in ('r', 'p', 'v', 'm', 'f', 'c') and (${whole} or ${alone})),
    seq as ${kept} (select c.*, nspname as schema from pg_class c join pg_namespace s on s.oid = c.relnamespace
      where relkind = 'S' and (${whole} or c.oid in (select objid from pg_depend d join rel r on r.oid = d.refobjid
        where ${scope !== undefined} and d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
          and d.refobjsubid > 0 and d.deptype in ('a', 'i')))),
    types as materialized (${sql.raw(columnTypes(among('attrelid')))}),
    forms as materialized (${sql.raw(indexForms(among('indrelid')))}),
    object as (${sql.join(selects, sql` union all `)})`;
}

function described({
  kind,
  schema,
  table,
  name,
  position,
  properties,
}: CatalogClass): Parameters<Describe>[0] {
  const text = (expression: string | undefined): string =>
    expression === undefined ? 'null::text' : `(${expression})::text`;
  return {
    kind: `'${kind}'::text`,
    schema: text(schema ?? `''`),
    table: text(table),
    name: text(name),
    position: position === undefined ? 'null::int' : `(${position})::int`,
    properties: Object.entries(properties).map(([property, expression]) => [property, text(expression)]),
  };
}

/** Its tables as two lists, which go side by side. */
export function split(scope: CatalogScope = {}): {
  readonly schemas: readonly string[];
  readonly tables: readonly string[];
  readonly names: readonly string[];
} {
  const pairs = (scope.tables ?? []).map((table) => {
    const dot = table.indexOf('.');
    return [table.slice(0, dot), table.slice(dot + 1)] as const;
  });
  return {
    schemas: scope.schemas ?? [],
    tables: pairs.map(([schema]) => schema),
    names: pairs.map(([, name]) => name),
  };
}
