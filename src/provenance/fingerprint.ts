/**
 * The catalog digest `pg-catalog/1`.
 *
 * One SHA-256 per object over kind, identity and a JSON array of its properties; per schema and kind one over the
 * objects' digests in byte order; one over all of these, the algorithm and the server's major version. So any single
 * change of the catalog alters it, the order of creation does not, and digests of different majors are never equal.
 *
 * Normalised: no oid anywhere; NOT NULL constraints stand in their columns, since only some majors store them apart;
 * privileges and options are sorted; a column's position is its dense rank, since a dropped column leaves a gap.
 * Source: docs/concepts/evidence.md, "Fingerprints".
 */
import { sql, type Queryable, type Sql, type Store } from '../store/index.ts';

/** Reads the same objects as one schema's digest by kind. */
export interface SchemaFingerprint {
  readonly schema: string;
  readonly digest: string;
  readonly kinds: readonly { readonly kind: string; readonly objects: number; readonly digest: string }[];
}

/** A catalog's digest. Shape: `{ algorithm: 'pg-catalog/1', major: 18, schemas: [...], digest: 'sha256:...' }` */
export interface Fingerprint {
  readonly algorithm: 'pg-catalog/1';
  /** The server's major version; digests of two majors are not to be compared. */
  readonly major: number;
  /** Database-wide objects stand under the schema `''`. */
  readonly schemas: readonly SchemaFingerprint[];
  readonly digest: string;
}

/** What of the catalog. */
export interface FingerprintOptions {
  /** Only this schema's objects. Default: all but the system's and varve's own. */
  readonly schema?: string;
  /** `strict` keeps the order of columns, `logical` knows them by name only. Default `logical`. */
  readonly mode?: 'strict' | 'logical';
}

/** The catalog digest of a database, made in the database from one snapshot. */
export async function fingerprint(
  database: Store | Queryable,
  options: FingerprintOptions = {},
): Promise<Fingerprint> {
  const statement = fingerprintStatement(options);
  const rows =
    'transaction' in database
      ? await database.transaction({ readOnly: true, isolation: 'repeatable read' }, (reader) =>
          readKinds(reader, statement),
        )
      : await readKinds(database, statement);
  const major = rows.find(({ schema }) => schema === null)?.objects ?? 0;
  const all = rows.find(({ schema }) => schema === null)?.digest ?? '';
  const bySchema = Map.groupBy(
    rows.filter(({ schema }) => schema !== null),
    ({ schema }) => schema ?? '',
  );
  const schemas = [...bySchema].map(([schema, lines]) => ({
    schema,
    digest: lines.find(({ kind }) => kind === null)?.digest ?? '',
    kinds: lines.flatMap(({ kind, objects, digest }) =>
      kind === null ? [] : [{ kind, objects: Number(objects), digest }],
    ),
  }));
  return { algorithm: 'pg-catalog/1', major: Number(major), schemas, digest: all };
}

type KindRow = {
  readonly schema: string | null;
  readonly kind: string | null;
  readonly objects: bigint;
  readonly digest: string;
};

async function readKinds(reader: Queryable, statement: Sql): Promise<readonly KindRow[]> {
  return await reader.query<KindRow>(statement);
}

function fingerprintStatement({ schema, mode = 'logical' }: FingerprintOptions): Sql {
  const objects = sql.join(
    OBJECTS.map(
      (text) => sql`(${sql.raw(text.replaceAll(':position', mode === 'strict' ? POSITION : 'null::int8'))})`,
    ),
    sql` union all `,
  );
  const wanted = schema === undefined ? sql`true` : sql`schema = ${schema}`;
  return sql`with space as materialized (
      select oid, nspname, nspowner, nspacl from pg_catalog.pg_namespace
      where nspname !~ '^pg_' and nspname not in ('information_schema', 'varve', 'varve_queue', 'varve_build')
    ), object(schema, kind, identity, properties) as (${objects}),
    hashed as (
      select schema, kind, identity, pg_catalog.sha256(pg_catalog.convert_to(
        pg_catalog.json_build_array(kind, identity, properties)::text, 'UTF8')) as hash from object where ${wanted}
    ), by_kind as (
      select schema, kind, count(*) as objects, pg_catalog.sha256(pg_catalog.string_agg(hash, ''::bytea order by hash)) as hash
      from hashed group by schema, kind
    ), by_schema as (
      select schema, sum(objects)::int8 as objects, pg_catalog.sha256(pg_catalog.string_agg(
        pg_catalog.convert_to(schema || '/' || kind || '/', 'UTF8') || hash, ''::bytea order by kind collate "C")) as hash
      from by_kind group by schema
    ), major(number) as (select pg_catalog.current_setting('server_version_num')::int8 / 10000),
    line(schema, kind, objects, hash) as (
      select null, null, number, pg_catalog.sha256(pg_catalog.convert_to('pg-catalog/1 ${sql.raw(mode)} ' || number || ' ', 'UTF8')
        || coalesce((select pg_catalog.string_agg(hash, ''::bytea order by schema collate "C") from by_schema), ''::bytea)) from major
      union all select schema, null, objects, hash from by_schema
      union all select schema, kind, objects, hash from by_kind
    )
    select schema, kind, objects, 'sha256:' || pg_catalog.encode(hash, 'hex') as digest from line
    order by schema collate "C" nulls first, kind collate "C" nulls first`;
}

const POSITION = 'dense_rank() over (partition by a.attrelid order by a.attnum)';

function acl(column: string): string {
  return `(select pg_catalog.json_agg(x::text order by x::text collate "C") from pg_catalog.unnest(${column}) x)`;
}

function options(column: string): string {
  return `(select pg_catalog.json_agg(x order by x collate "C") from pg_catalog.unnest(${column}) x)`;
}

/** A SELECT of `schema, kind, identity, properties` per class of objects; identities hold names, never oids. */
const OBJECTS: readonly string[] = [
  `select nspname::text, 'schema', nspname::text, pg_catalog.json_build_array(pg_catalog.pg_get_userbyid(nspowner), ${acl('nspacl')}) from space`,
  `select s.nspname::text, 'relation', c.relname::text, pg_catalog.json_build_array(c.relkind, pg_catalog.pg_get_userbyid(c.relowner),
     ${acl('c.relacl')}, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, ${options('c.reloptions')},
     (select amname from pg_catalog.pg_am where oid = c.relam), pg_catalog.pg_get_expr(c.relpartbound, c.oid),
     case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end,
     (select pg_catalog.json_agg(i.inhparent::regclass::text order by i.inhseqno) from pg_catalog.pg_inherits i where i.inhrelid = c.oid),
     case when c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid) end)
   from pg_catalog.pg_class c join space s on s.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')`,
  `select s.nspname::text, 'column', c.relname || '.' || a.attname, pg_catalog.json_build_array(:position,
     pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attidentity,
     a.attgenerated, a.attcollation::regcollation::text, a.attstorage, a.attcompression, ${acl('a.attacl')}, ${options('a.attoptions')}, a.attislocal)
   from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid join space s on s.oid = c.relnamespace
   left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')`,
  `select s.nspname::text, 'constraint', coalesce(r.relname || '.', '') || coalesce(t.typname || '.', '') || k.conname,
     pg_catalog.json_build_array(k.contype, pg_catalog.pg_get_constraintdef(k.oid), k.condeferrable, k.condeferred, k.convalidated, k.connoinherit)
   from pg_catalog.pg_constraint k join space s on s.oid = k.connamespace left join pg_catalog.pg_class r on r.oid = k.conrelid
   left join pg_catalog.pg_type t on t.oid = k.contypid where k.contype <> 'n'`,
  `select s.nspname::text, 'index', c.relname::text, pg_catalog.json_build_array(pg_catalog.pg_get_indexdef(c.oid), i.indisvalid, i.indisready,
     i.indisclustered, i.indisreplident, ${options('c.reloptions')})
   from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid join space s on s.oid = c.relnamespace`,
  `select s.nspname::text, 'trigger', c.relname || '.' || t.tgname, pg_catalog.json_build_array(pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled)
   from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid join space s on s.oid = c.relnamespace
   where not t.tgisinternal and not exists (select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where p.oid = t.tgfoid and n.nspname = 'varve_build')`,
  `select s.nspname::text, 'function', p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')', pg_catalog.json_build_array(
     p.prokind, pg_catalog.pg_get_userbyid(p.proowner), ${acl('p.proacl')}, pg_catalog.pg_get_function_result(p.oid),
     case when p.prokind <> 'a' then pg_catalog.pg_get_functiondef(p.oid) end,
     (select pg_catalog.json_build_array(g.aggtransfn::regproc::text, g.aggfinalfn::regproc::text, g.agginitval, g.aggtranstype::regtype::text)
      from pg_catalog.pg_aggregate g where g.aggfnoid = p.oid))
   from pg_catalog.pg_proc p join space s on s.oid = p.pronamespace`,
  `select s.nspname::text, 'policy', c.relname || '.' || p.polname, pg_catalog.json_build_array(p.polcmd, p.polpermissive,
     (select pg_catalog.json_agg(case when r = 0 then 'public' else pg_catalog.pg_get_userbyid(r)::text end
        order by case when r = 0 then 'public' else pg_catalog.pg_get_userbyid(r)::text end collate "C") from pg_catalog.unnest(p.polroles) r),
     pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
   from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid join space s on s.oid = c.relnamespace`,
  `select s.nspname::text, 'type', t.typname::text, pg_catalog.json_build_array(t.typtype, pg_catalog.pg_get_userbyid(t.typowner), ${acl('t.typacl')},
     t.typnotnull, t.typdefault, case when t.typtype = 'd' then pg_catalog.format_type(t.typbasetype, t.typtypmod) end, t.typcollation::regcollation::text,
     (select pg_catalog.json_agg(e.enumlabel order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid),
     (select pg_catalog.json_build_array(r.rngsubtype::regtype::text, r.rngcollation::regcollation::text, r.rngcanonical::regproc::text,
        r.rngsubdiff::regproc::text) from pg_catalog.pg_range r where r.rngtypid = t.oid))
   from pg_catalog.pg_type t join space s on s.oid = t.typnamespace where t.typtype in ('d', 'e', 'r')`,
  `select s.nspname::text, 'sequence', c.relname::text, pg_catalog.json_build_array(pg_catalog.pg_get_userbyid(c.relowner), ${acl('c.relacl')},
     q.seqtypid::regtype::text, q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, q.seqcycle,
     (select d.refobjid::regclass::text || '.' || a.attname from pg_catalog.pg_depend d join pg_catalog.pg_attribute a
        on a.attrelid = d.refobjid and a.attnum = d.refobjsubid where d.objid = c.oid and d.classid = 'pg_class'::regclass
        and d.deptype in ('a', 'i') and d.refobjsubid > 0 limit 1))
   from pg_catalog.pg_sequence q join pg_catalog.pg_class c on c.oid = q.seqrelid join space s on s.oid = c.relnamespace`,
  `select s.nspname::text, 'rule', c.relname || '.' || r.rulename, pg_catalog.json_build_array(pg_catalog.pg_get_ruledef(r.oid), r.ev_enabled)
   from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class join space s on s.oid = c.relnamespace where r.rulename <> '_RETURN'`,
  `select '', 'event trigger', e.evtname::text, pg_catalog.json_build_array(e.evtevent, pg_catalog.pg_get_userbyid(e.evtowner), e.evtfoid::regprocedure::text,
     e.evtenabled, ${options('e.evttags')}) from pg_catalog.pg_event_trigger e`,
  `select '', 'extension', e.extname::text, pg_catalog.json_build_array(e.extversion, (select nspname from pg_catalog.pg_namespace where oid = e.extnamespace))
   from pg_catalog.pg_extension e`,
  `select '', 'publication', p.pubname::text, pg_catalog.json_build_array(pg_catalog.pg_get_userbyid(p.pubowner), p.puballtables, p.pubinsert, p.pubupdate,
     p.pubdelete, p.pubtruncate, p.pubviaroot, (select pg_catalog.json_agg(t.schemaname || '.' || t.tablename || coalesce(' ' || t.rowfilter, '')
       order by t.schemaname collate "C", t.tablename collate "C") from pg_catalog.pg_publication_tables t where t.pubname = p.pubname))
   from pg_catalog.pg_publication p`,
  `select coalesce(s.nspname::text, ''), 'default privilege', pg_catalog.pg_get_userbyid(d.defaclrole)::text || '/' || d.defaclobjtype::text,
     pg_catalog.json_build_array(${acl('d.defaclacl')}) from pg_catalog.pg_default_acl d left join space s on s.oid = d.defaclnamespace`,
  `select '', 'role setting', coalesce((select rolname from pg_catalog.pg_roles where oid = r.setrole)::text, '') || '/' || (r.setdatabase <> 0)::text,
     pg_catalog.json_build_array(${options('r.setconfig')}) from pg_catalog.pg_db_role_setting r
   where r.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))`,
  `select s.nspname::text, 'comment', i.type || ' ' || i.identity, pg_catalog.json_build_array(d.description)
   from pg_catalog.pg_description d cross join lateral pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) i
   join space s on s.nspname = coalesce(i.schema, case when i.type = 'schema' then i.name end)`,
];
