/**
 * What a baseline says of the catalog, in one reading: the digest of all of it, that of a scope, and objects one by one. The
 * server takes longer to plan such a statement than to run it on a small catalog, and a large one is read in full for the first
 * of the three anyway.
 *
 * The statement is a kept one: a session that measures before and after a run plans it once. It is joined by hashing, however
 * large the catalog is by then, and what is asked for stands in its values alone.
 */
import { sql, type Sql, type Store, type Transaction } from '../../store/index.ts';
import { fingerprintOf, lineOf, type Fingerprint, type Line } from './fingerprint.ts';
import { describeWithTexts, HASH, LISTED, LISTED_ORDER, type CatalogObject } from './listing.ts';
import { isUserSchema, readCatalog, split, withObjects, type CatalogScope } from './statement.ts';

/** Which objects beside all of them. */
export interface SurveyOptions {
  /** These have a digest of their own. */
  readonly scope: CatalogScope;
  /** These are listed one by one. */
  readonly listed: CatalogScope;
}

/** The catalog as it was at one moment. */
export interface Survey {
  readonly whole: Fingerprint;
  readonly inScope: Fingerprint;
  readonly objects: readonly CatalogObject[];
}

/**
 * Surveys a database: what `fingerprint`, `fingerprint` of the scope and `listObjects` give, of one snapshot.
 *
 * Errors: refuses with `permission_denied` where the user may not read the catalog.
 */
export async function surveyCatalog(database: Store | Transaction, options: SurveyOptions): Promise<Survey> {
  return await readCatalog(
    database,
    undefined,
    async (reader, major) => {
      const rows = await reader.query<SurveyRow>(sql.kept(surveyStatement(major, options)));
      const byPart = Map.groupBy(rows, ({ part }) => part);
      return {
        whole: fingerprintOf(major, byPart.get('whole') ?? []),
        inScope: fingerprintOf(major, byPart.get('scope') ?? []),
        objects: byPart.get('listed')?.[0]?.listed ?? [],
      };
    },
    { plan_cache_mode: 'force_generic_plan' },
  );
}

type SurveyRow = Line & {
  /** In the one row that is none of a digest. */
  readonly listed: readonly CatalogObject[] | null;
};

function surveyStatement(major: number, { scope, listed }: SurveyOptions): Sql {
  const alsoSchemas = [...new Set([...(scope.schemas ?? []), ...(listed.schemas ?? [])])];
  const objects = withObjects(major, undefined, describeWithTexts, alsoSchemas);
  return sql`${objects},
    hashed as materialized (select kind, schema, tab, name, position, is_user, is_scoped, is_listed, ${HASH} as hash,
        case when is_listed then names end as names, case when is_listed then texts end as texts
      from (select *, schema = '' or ${isUserSchema('schema')} as is_user, ${isAmong(scope)} as is_scoped,
        ${isAmong(listed)} as is_listed from object) o),
    member as (select 'whole' as part, kind, schema, tab, hash, position from hashed where is_user
      union all select 'scope', kind, schema, tab, hash, position from hashed where is_scoped),
    ${lineOf(major, ['whole', 'scope'], false)}
    select part, level, schema, name, objects, digest, strict, null::json as listed
    from (select * from line order by schema collate "C", level collate "C", name collate "C") l
    union all select 'listed', null, null, null, null, null, null, (select coalesce(json_agg(o order by ${LISTED_ORDER}), '[]')
      from (select ${LISTED} from hashed where is_listed) o)`;
}

/** Whether a row of `object` is one of these: what goes with a table stands in its schema, sequences included. */
function isAmong(scope: CatalogScope): Sql {
  const { schemas, tables, names } = split(scope);
  return sql`schema = any (${schemas}::text[])
    or (schema, tab) in (select a, b from unnest(${tables}::text[], ${names}::text[]) u (a, b))`;
}
