import { sql, type Sql, type Store, type Transaction } from '../../store/index.ts';
import { readCatalog, withObjects, type CatalogScope, type Describe } from './statement.ts';

/**
 * One object with its digest, and one for each property that has a value: the first 48 bits of a sha256 over object,
 * property and value. They name what changed without holding it; who guesses a value can tell that it is the one, so a listing
 * is as confidential as the schema. `position` is a column's place among its table's.
 *
 * Shape: `{ kind: 'column', schema: 'lab', table: 'mouse', name: 'sex', position: 2, digest: 'sha256:...', properties: { type: '1c291ca3f0a2' } }`
 */
export type CatalogObject = {
  readonly kind: string;
  /** `''` for objects of the database itself. */
  readonly schema: string;
  /** The relation that it belongs to. */
  readonly table: string | null;
  readonly name: string;
  readonly position: number | null;
  readonly digest: string;
  readonly properties: Readonly<Record<string, string>>;
};

/** All objects in scope, sorted by kind, schema, table and name; their digests are those that a fingerprint combines. */
export async function listObjects(
  database: Store | Transaction,
  scope?: CatalogScope,
): Promise<readonly CatalogObject[]> {
  return await readCatalog(database, scope, async (reader, major) => {
    const objects = withObjects(major, scope, describeWithTexts);
    return await reader.query<CatalogObject>(sql`${objects}
      select * from (select ${LISTED}
        from (select *, ${HASH} as hash from object where ${sql.raw(scope === undefined ? 'true' : `schema <> ''`)}) o) l
      order by ${LISTED_ORDER}`);
  });
}

/** An object with the texts of its properties. */
export const describeWithTexts: Describe = ({ kind, schema, table, name, position, properties }) =>
  `${kind} as kind, ${schema} as schema, ${table} as tab, ${name} as name, ${position} as position,
    array[${properties.map(([property]) => `'${property}'`).join(', ')}]::text[] as names,
    array[${properties.map(([, text]) => text).join(', ')}]::text[] as texts`;

/** Its digest, the same as a fingerprint makes of it. */
export const HASH: Sql = sql`sha256(convert_to(array_to_json(array[kind, schema, tab, name] || texts)::text, 'UTF8'))`;

/** What a listing says of it. */
export const LISTED: Sql = sql`kind, schema, tab as "table", name,
  case when position is not null then dense_rank() over (partition by kind, schema, tab order by position)::int end as position,
  'sha256:' || encode(hash, 'hex') as digest,
  coalesce((select json_object_agg(n, substr(encode(sha256(convert_to(
      array_to_json(array[kind, schema, tab, name, n, t])::text, 'UTF8')), 'hex'), 1, 12))
    from unnest(names, texts) u (n, t) where t is not null), '{}') as properties`;

/** The order of a listing. */
export const LISTED_ORDER: Sql = sql`kind collate "C", schema collate "C", "table" collate "C", name collate "C"`;
