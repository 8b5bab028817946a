/**
 * Which functions a strict statement may call: those whose result follows from their arguments.
 *
 * | in pg_catalog | may be called |
 * |---|---|
 * | every overload immutable | yes |
 * | some overload stable | where it depends on session settings only, which are the same in every session of varve |
 * | some overload volatile | no |
 *
 * A stable function may read the clock, the catalog, settings, or whole tables (`table_to_xml`), so those that do not
 * are named here and all others refused, including the ones of later releases.
 */
import { sql, type Queryable } from '../../store/index.ts';

/** What is known of the functions of pg_catalog, by name. */
export interface FunctionCatalog {
  readonly callable: ReadonlySet<string>;
  /** Aggregates and set-returning functions: a LIMIT beside them counts something else than rows of the relation. */
  readonly reshaping: ReadonlySet<string>;
  /** Enum types outside pg_catalog, `schema.name`: the only types of users that a cast may name. */
  readonly enums: ReadonlySet<string>;
}

const STABLE = new Set(
  `age array_to_json array_to_string array_to_tsvector concat concat_ws date date_add date_part date_subtract date_trunc
  extract format generate_series json_agg json_agg_strict json_build_array json_build_object json_object_agg
  json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict json_populate_record
  json_populate_recordset json_to_record json_to_recordset jsonb_agg jsonb_agg_strict jsonb_build_array
  jsonb_build_object jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict
  jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz
  jsonb_populate_record jsonb_populate_recordset jsonb_to_record jsonb_to_recordset json_to_tsvector jsonb_to_tsvector
  make_timestamptz overlaps phraseto_tsquery plainto_tsquery quote_literal quote_nullable row_to_json text time
  timestamp timestamptz timetz timezone to_char to_date to_json to_jsonb to_timestamp to_tsquery to_tsvector ts_headline
  websearch_to_tsquery`.split(/\s+/),
);

/** Asks the server for its functions and enum types. */
export async function loadFunctionCatalog(store: Queryable): Promise<FunctionCatalog> {
  const rows = await store.query<{ name: string; volatility: string; reshapes: boolean }>(sql`
    select proname::text as name, max(provolatile::text) as volatility,
      bool_or(prokind = 'a' or proretset) as reshapes
    from pg_catalog.pg_proc where pronamespace = 'pg_catalog'::regnamespace group by proname`);
  const enums = await store.query<{ name: string }>(sql`
    select n.nspname || '.' || t.typname as name from pg_catalog.pg_type t
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace where t.typtype = 'e'`);
  // The letters i, s and v stand in the order of how little can be said of a result.
  const callable = rows.filter(
    ({ name, volatility }) => volatility === 'i' || (volatility === 's' && STABLE.has(name)),
  );
  return {
    callable: new Set(callable.map(({ name }) => name)),
    reshaping: new Set(rows.filter(({ reshapes }) => reshapes).map(({ name }) => name)),
    enums: new Set(enums.map(({ name }) => name)),
  };
}

/** Whether this call, by its name as written and its number of arguments, is allowed. */
export function isCallable(
  catalog: FunctionCatalog,
  name: readonly string[],
  argumentCount: number,
): boolean {
  const [schema, bare] = name.length === 1 ? ['pg_catalog', name[0]] : name;
  if (schema !== 'pg_catalog' || bare === undefined || name.length > 2) return false;
  // With one argument it counts from today.
  if (bare === 'age' && argumentCount < 2) return false;
  return catalog.callable.has(bare);
}
