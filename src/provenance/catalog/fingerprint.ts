/**
 * The catalog digest `pg-catalog/1`: any one change of the catalog alters it (M101), ids and the order of making do not (M98).
 *
 * ```text
 * object     sha256 of the JSON array [kind, schema, table, name, property...]
 * kind       per schema: sha256 of its objects' digests, in byte order
 * table      per table, where asked for: the same over the objects that belong to it
 * schema     sha256 of "schema/kind/" and digest, kind by kind
 * database   sha256 of "pg-catalog/1 MAJOR " and the schemas' digests
 * ```
 *
 * Any single change of the catalog alters it; the order in which objects were made does not. A strict digest also has the
 * place of each column among its table's, as a dense rank, since a dropped column leaves a gap. Algorithm and major
 * version are part of the digest: across either, digests are not comparable, and `pg-catalog/1` is never given another
 * meaning. The properties are in the `*-class.ts` files beside this one; NOT NULL stands with the columns, because only
 * some majors store it apart; where a sequence stands is data, and is read apart.
 *
 * All of it is one statement, so it is one snapshot. The database's own functions for definitions look into the catalog
 * as it is now, so what others change while the statement runs may show in a definition already.
 * Source: docs/concepts/evidence.md, "Fingerprints".
 */
import { sql, type Sql, type Store, type Transaction } from '../../store/index.ts';
import { readCatalog, withObjects, type CatalogScope } from './statement.ts';

/** How a digest was made. */
export const CATALOG_ALGORITHM = 'pg-catalog/1';

/** What both digests cover; `strictDigest` keeps the order of columns, `digest` knows them by name. */
interface Digests {
  readonly objects: number;
  readonly digest: string;
  readonly strictDigest: string;
}

/** One schema; objects of the database itself stand under `''`. */
export interface SchemaFingerprint extends Digests {
  readonly schema: string;
  readonly kinds: readonly (Digests & { readonly kind: string })[];
  /** Each table with all that belongs to it; only where asked for. */
  readonly tables?: readonly (Digests & { readonly table: string })[];
}

/** A catalog's digest. Shape: `{ algorithm: 'pg-catalog/1', major: 18, objects: 12, digest: 'sha256:...', strictDigest: 'sha256:...', schemas: [...] }` */
export interface Fingerprint extends Digests {
  readonly algorithm: typeof CATALOG_ALGORITHM;
  /** The server's major version. */
  readonly major: number;
  readonly schemas: readonly SchemaFingerprint[];
}

/** What of the catalog, and how finely. */
export interface FingerprintOptions {
  readonly scope?: CatalogScope;
  /** Also a digest per table. Default false. */
  readonly byTable?: boolean;
}

/**
 * The catalog digest of a database, made in the database.
 *
 * Errors: refuses with `permission_denied` where the user may not read the catalog.
 */
export async function fingerprint(
  database: Store | Transaction,
  options: FingerprintOptions = {},
): Promise<Fingerprint> {
  return await readCatalog(database, options.scope, async (reader, major) => {
    const lines = await reader.query<Line>(fingerprintStatement(major, options));
    return fingerprintOf(major, lines, options.byTable === true);
  });
}

/** One digest of a level; `part` tells apart what is digested of one reading. */
export type Line = {
  readonly part: string;
  readonly level: 'database' | 'schema' | 'kind' | 'table';
  readonly schema: string | null;
  readonly name: string | null;
  readonly objects: bigint;
  readonly digest: string;
  readonly strict: string;
};

/** Puts the lines of one part together. */
export function fingerprintOf(major: number, lines: readonly Line[], byTable = false): Fingerprint {
  const digests = ({ objects, digest, strict }: Line): Digests => ({
    objects: Number(objects),
    digest,
    strictDigest: strict,
  });
  const byLevel = Map.groupBy(lines, ({ level }) => level);
  const bySchema = (level: 'kind' | 'table'): ReadonlyMap<string | null, readonly Line[]> =>
    Map.groupBy(byLevel.get(level) ?? [], ({ schema }) => schema);
  const [kinds, tables] = [bySchema('kind'), bySchema('table')];
  const whole = byLevel.get('database')?.[0];
  return {
    algorithm: CATALOG_ALGORITHM,
    major,
    ...(whole === undefined ? { objects: 0, digest: '', strictDigest: '' } : digests(whole)),
    schemas: (byLevel.get('schema') ?? []).map((line) => ({
      schema: line.schema ?? '',
      ...digests(line),
      kinds: (kinds.get(line.schema) ?? []).map((of) => ({ kind: of.name ?? '', ...digests(of) })),
      ...(byTable
        ? { tables: (tables.get(line.schema) ?? []).map((of) => ({ table: of.name ?? '', ...digests(of) })) }
        : {}),
    })),
  };
}

function fingerprintStatement(major: number, { scope, byTable = false }: FingerprintOptions): Sql {
  const objects = withObjects(
    major,
    scope,
    ({ kind, schema, table, name, position, properties }) =>
      `${kind} as kind, ${schema} as schema, ${table} as tab, sha256(convert_to(array_to_json(array[${[
        kind,
        schema,
        table,
        name,
        ...properties.map(([, text]) => text),
      ].join(', ')}])::text, 'UTF8')) as hash, ${position} as position`,
  );
  const inScope = sql.raw(scope === undefined ? 'true' : `schema <> ''`);
  return sql`${objects}, member as (select 'all' as part, kind, schema, tab, hash, position from object where ${inScope}), ${lineOf(major, ['all'], byTable)}
    select part, level, schema, name, objects, digest, strict from line
    order by schema collate "C", level collate "C", name collate "C"`;
}

/** `line as (digests of each level, part by part)` of `member (part, kind, schema, tab, hash, position)`. */
export function lineOf(major: number, parts: readonly string[], byTable: boolean): Sql {
  const combined = (
    by: string,
    order: string,
  ): Sql => sql`count(*) as objects, sha256(string_agg(hash, '' order by hash)) as logical,
      sha256(string_agg(hash, '' order by ${sql.raw(order)}) filter (where position is not null)) as strict_only
    from member where ${sql.raw(by)} is not null group by part, schema, ${sql.raw(by)}`;
  const upward = (text: string, column: string): string =>
    `sha256(string_agg(convert_to(${text}, 'UTF8') || ${column}, '' order by name collate "C"))`;
  const head = sql`convert_to(${`pg-catalog/1 ${String(major)} `}, 'UTF8')`;
  return sql`by_kind as (select part, schema, kind as name, ${combined('kind', `tab collate "C", position`)}),
    by_table as (${byTable ? sql`select part, schema, tab as name, ${combined('tab', 'position')}` : sql`select * from by_kind where false`}),
    by_schema as (select part, schema, sum(objects)::int8 as objects, ${sql.raw(upward(`schema || '/' || name || '/'`, 'logical'))} as logical,
      ${sql.raw(upward(`schema || '/' || name || '/'`, 'coalesce(strict_only, logical)'))} as strict_only from by_kind group by part, schema),
    summed (part, level, schema, name, objects, logical, strict) as (
      select part, 'database', null, null, coalesce(sum(objects), 0)::int8,
        sha256(${head} || coalesce(string_agg(logical, '' order by schema collate "C"), '')),
        sha256(${head} || coalesce(string_agg(strict_only, '' order by schema collate "C"), ''))
        from unnest(${parts}::text[]) p (part) left join by_schema using (part) group by part
      union all select part, 'schema', schema, null, objects, logical, strict_only from by_schema
      union all select part, 'kind', schema, name, objects, logical, coalesce(strict_only, logical) from by_kind
      union all select part, 'table', schema, name, objects, logical, sha256(logical || coalesce(strict_only, '')) from by_table),
    line as (select part, level, schema, name, objects, 'sha256:' || encode(logical, 'hex') as digest,
      'sha256:' || encode(strict, 'hex') as strict from summed)`;
}
