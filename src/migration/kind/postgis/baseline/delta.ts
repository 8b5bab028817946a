/**
 * Layer L7: the catalog rows that this transaction wrote, and none of others.
 *
 * A row that a transaction sees and whose writer is still in progress can only be its own; so of all catalog rows those
 * count whose `xmin` is the transaction's own id or a later one, and whose status is in progress. Ids of subtransactions
 * are later than that of their transaction. `xmin` has 32 bits: with the distance from the own id (`age`) it becomes the
 * id with its epoch. Rows of two thousand million transactions ago seem later than the own id too; before the first write
 * they are the only ones, so their ids are noted then and passed over, for the server refuses to say anything of an id that
 * does not exist yet. The distance comes first because it costs nothing, and hardly a row passes.
 *
 * A deleted row leaves nothing to see. So the oids of before are compared with those of now; what has no oid (a comment,
 * a default privilege) is told by the full digest alone.
 */
import { sql, type Queryable, type Sql, type Transaction } from '../../../../store/index.ts';

/** A catalog whose rows are objects or belong to one, with SQL of the object they belong to. */
interface Catalog {
  readonly name: string;
  /** The catalog of the object. */
  readonly of: string;
  readonly oid: string;
  readonly part?: string;
  /** Which of its rows can only be deleted with another object that is looked for. */
  readonly followers?: string;
}

/** A relation's own type and the array of any type go with them; NOT NULL goes with its column. */
const FOLLOWERS: Readonly<Record<string, string>> = {
  pg_type: 'typrelid <> 0 or typelem <> 0',
  pg_constraint: `contype = 'n'`,
  pg_class: `relkind = 't'`,
};

/** Catalogs whose rows have an oid of their own: their deletions are found. */
const OBJECTS: readonly Catalog[] = [
  'pg_namespace',
  'pg_class',
  'pg_proc',
  'pg_type',
  'pg_constraint',
  'pg_trigger',
  'pg_policy',
  'pg_rewrite',
  'pg_event_trigger',
  'pg_extension',
  'pg_publication',
  'pg_statistic_ext',
  'pg_collation',
  'pg_operator',
  'pg_opclass',
  'pg_opfamily',
  'pg_cast',
  'pg_language',
  'pg_foreign_data_wrapper',
  'pg_foreign_server',
  'pg_ts_config',
  'pg_ts_dict',
].map((name) => ({ name, of: name, oid: 'oid', followers: FOLLOWERS[name] ?? 'false' }));

const PARTS: readonly Catalog[] = [
  { name: 'pg_attribute', of: 'pg_class', oid: 'attrelid', part: 'attnum' },
  { name: 'pg_attrdef', of: 'pg_class', oid: 'adrelid', part: 'adnum' },
  { name: 'pg_index', of: 'pg_class', oid: 'indexrelid' },
  { name: 'pg_inherits', of: 'pg_class', oid: 'inhrelid' },
  { name: 'pg_sequence', of: 'pg_class', oid: 'seqrelid' },
  { name: 'pg_enum', of: 'pg_type', oid: 'enumtypid' },
  { name: 'pg_range', of: 'pg_type', oid: 'rngtypid' },
  { name: 'pg_aggregate', of: 'pg_proc', oid: 'aggfnoid' },
  { name: 'pg_amop', of: 'pg_opfamily', oid: 'amopfamily' },
  { name: 'pg_amproc', of: 'pg_opfamily', oid: 'amprocfamily' },
  { name: 'pg_publication_rel', of: 'pg_publication', oid: 'prpubid' },
  { name: 'pg_publication_namespace', of: 'pg_publication', oid: 'pnpubid' },
  { name: 'pg_foreign_table', of: 'pg_class', oid: 'ftrelid' },
  { name: 'pg_user_mapping', of: 'pg_foreign_server', oid: 'umserver' },
  { name: 'pg_ts_config_map', of: 'pg_ts_config', oid: 'mapcfg' },
  { name: 'pg_default_acl', of: 'pg_default_acl', oid: 'oid' },
];

/** What is said of objects of any catalog. */
const SAID: readonly string[] = ['pg_description', 'pg_seclabel'];

/** The oids of all objects by catalog, and `seeming` ids of writers, as PostgreSQL writes an array: they are only handed back. */
export type CatalogKeys = Readonly<Record<string, string>>;

/** One object that the transaction wrote or took away; its names as the database identifies it. */
export type CatalogWrite = {
  readonly change: 'added' | 'changed' | 'removed';
  /** Such as `table`, `table column`, `index`, `table constraint`; of a removed object, its catalog. */
  readonly kind: string;
  readonly schema: string | null;
  /** Such as `lab.mouse.sex`; null of an object that is gone. */
  readonly identity: string | null;
  /** For the layer that saw the drop to be held against; never part of an artifact. */
  readonly oid: number;
};

/** What is there; to be read before the first write of the transaction, which gets its id here if it has none. */
export async function readCatalogKeys(reader: Queryable): Promise<CatalogKeys> {
  const seeming = [...OBJECTS, ...PARTS].map(({ name }) => name).concat(SAID);
  const [keys] = await reader.query<
    Record<string, string>
  >(sql`with own as materialized (select pg_current_xact_id())
    select ${sql.join(
      OBJECTS.map(
        ({
          name,
          followers = 'false',
        }) => sql`(select coalesce(array_agg(oid), '{}')::text from ${catalog(name)}
          where oid >= 16384 and not (${sql.raw(followers)})) as ${sql.id(name)}`,
      ),
    )}, (select coalesce(array_agg(distinct id), '{}')::text from (${sql.join(
      seeming.map((name) => sql`select x.xmin::text as id from ${catalog(name)} x where age(x.xmin) <= 0`),
      sql` union all `,
    )}) s) as seeming from own`);
  return keys ?? {};
}

/** What this transaction has written so far; objects added and removed again are in neither state, and not told. */
export async function catalogDelta(
  transaction: Transaction,
  pre: CatalogKeys,
): Promise<readonly CatalogWrite[]> {
  const written = [...OBJECTS, ...PARTS].map(
    ({
      name,
      of,
      oid,
      part,
    }) => sql`select ${`pg_catalog.${of}`}::regclass::oid as classid, ${sql.raw(oid)}::oid as objid,
      ${sql.raw(part ?? '0')}::int as part, x.xmin from ${catalog(name)} x where age(x.xmin) <= 0`,
  );
  const said = SAID.map(
    (name) => sql`select classoid, objoid, objsubid, x.xmin from ${catalog(name)} x where age(x.xmin) <= 0`,
  );
  return await transaction.query<CatalogWrite>(sql`with own as materialized (
      select pg_current_xact_id()::text::int8 as id),
    row_ as materialized (${sql.join([...written, ...said], sql` union all `)}),
    mine as (select distinct classid, objid, part from row_ r, own o
      where r.xmin::text <> all (${pre['seeming'] ?? '{}'}::text[])
        and case when age(r.xmin) <= 0 then pg_xact_status((o.id - age(r.xmin))::text::xid8) = 'in progress' end),
    gone as (${sql.join(
      OBJECTS.map((of) => removed(of, pre)),
      sql` union all `,
    )})
    select case when m.part = 0 and ${isNew(pre)} then 'added' else 'changed' end as change, i.type as kind, i.schema, i.identity, m.objid as oid
    from mine m cross join lateral pg_identify_object(m.classid, m.objid, m.part) i
    where i.type is not null and coalesce(i.schema, '') not in ('pg_toast')
    union all select 'removed', kind, null, null, oid from gone order by 2, 4, 5`);
}

function catalog(name: string): Sql {
  return sql.id('pg_catalog', name);
}

function oidsOf(pre: CatalogKeys, name: string): Sql {
  return sql`${pre[name] ?? '{}'}::oid[]`;
}

function removed({ name }: Catalog, pre: CatalogKeys): Sql {
  return sql`select ${name}::text as kind, k as oid from unnest(${oidsOf(pre, name)}) k
    where not exists (select from ${catalog(name)} x where x.oid = k)`;
}

/** Asked of the few rows that were written only. */
function isNew(pre: CatalogKeys): Sql {
  const cases = OBJECTS.map(
    ({ name }) => sql`when ${`pg_catalog.${name}`}::regclass::oid then m.objid <> all (${oidsOf(pre, name)})`,
  );
  return sql`case m.classid ${sql.join(cases, sql` `)} else false end`;
}
