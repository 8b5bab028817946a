/**
 * The rows of the server's catalogs that this transaction wrote (layer L7), its subtransactions included.
 *
 * The transaction's id is forced before its snapshot has anything to do with it, and is higher than every id that the snapshot
 * sees of others: a visible row whose `xmin` is not older than the transaction is its own.
 */
import { sql, type Queryable, type Sql } from '../../../store/index.ts';

/** One catalog row that was written. */
export interface CatalogRow {
  readonly catalog: string;
  /** Where the row lies: another version of it has another place. */
  readonly place: string;
  /** The relation that it is, or belongs to; null for what belongs to none. */
  readonly relation: number | null;
  /** Of what belongs to no relation: `function`, `type`, `schema`, `extension`, `shared`, `other`. */
  readonly kind: string;
  readonly schema: string;
  readonly name: string;
  /** The extension that made it, where one did. */
  readonly extension: string | null;
}

/** The catalogs whose rows belong to a relation, with the column that says which. */
const OF_RELATIONS: readonly (readonly [catalog: string, column: string])[] = [
  ['pg_class', 'oid'],
  ['pg_attribute', 'attrelid'],
  ['pg_attrdef', 'adrelid'],
  ['pg_constraint', 'conrelid'],
  ['pg_index', 'indrelid'],
  ['pg_trigger', 'tgrelid'],
  ['pg_policy', 'polrelid'],
  ['pg_rewrite', 'ev_class'],
  ['pg_statistic_ext', 'stxrelid'],
  ['pg_inherits', 'inhrelid'],
  ['pg_sequence', 'seqrelid'],
  ['pg_partitioned_table', 'partrelid'],
];

/** Catalogs of things with a schema and a name of their own. */
const OF_OBJECTS: readonly (readonly [catalog: string, kind: string, schema: string, name: string])[] = [
  ['pg_proc', 'function', 'pronamespace', 'proname'],
  ['pg_type', 'type', 'typnamespace', 'typname'],
  ['pg_operator', 'operator', 'oprnamespace', 'oprname'],
  ['pg_opclass', 'operator class', 'opcnamespace', 'opcname'],
  ['pg_opfamily', 'operator family', 'opfnamespace', 'opfname'],
  ['pg_collation', 'collation', 'collnamespace', 'collname'],
  ['pg_conversion', 'conversion', 'connamespace', 'conname'],
  ['pg_ts_config', 'text search configuration', 'cfgnamespace', 'cfgname'],
  ['pg_ts_dict', 'text search dictionary', 'dictnamespace', 'dictname'],
  ['pg_ts_parser', 'text search parser', 'prsnamespace', 'prsname'],
  ['pg_ts_template', 'text search template', 'tmplnamespace', 'tmplname'],
];

/** Catalogs of things that stand in no schema. */
const WITHOUT_SCHEMA: readonly (readonly [catalog: string, kind: string, name: string])[] = [
  ['pg_namespace', 'schema', 'nspname'],
  ['pg_extension', 'extension', 'extname'],
  ['pg_language', 'language', 'lanname'],
  ['pg_event_trigger', 'event trigger', 'evtname'],
  ['pg_publication', 'publication', 'pubname'],
  ['pg_foreign_data_wrapper', 'foreign data wrapper', 'fdwname'],
  ['pg_foreign_server', 'foreign server', 'srvname'],
  ['pg_am', 'access method', 'amname'],
  ['pg_database', 'shared', 'datname'],
  ['pg_authid', 'shared', 'rolname'],
  ['pg_tablespace', 'shared', 'spcname'],
];

/** Catalogs of which a row is out of every scope, whatever it says. */
const NAMELESS: readonly (readonly [catalog: string, kind: string])[] = [
  ['pg_db_role_setting', 'shared'],
  ['pg_auth_members', 'shared'],
  ['pg_default_acl', 'default privileges'],
  ['pg_largeobject_metadata', 'large object'],
  ['pg_cast', 'cast'],
  ['pg_transform', 'transform'],
  ['pg_publication_rel', 'publication'],
  ['pg_user_mapping', 'user mapping'],
];

/** Every such row, with what it belongs to. */
export async function ownCatalogRows(
  queryable: Queryable,
  about: { readonly readsRoles: boolean },
): Promise<readonly CatalogRow[]> {
  const parts: Sql[] = [
    ...OF_RELATIONS.map(([catalog, column]) => ofRelation(catalog, column)),
    ...OF_OBJECTS.map((each) => ofObject(...each)),
    ...WITHOUT_SCHEMA.map((each) => withoutSchema(...each)),
    ...NAMELESS.map((each) => nameless(...each)),
    comments(),
    enumValues(),
  ];
  const readable = about.readsRoles ? parts : parts.filter((_, index) => !isSecret(index));
  // Asked before and after the script, and planned for longer than it runs.
  return queryable.query<CatalogRow & Record<string, unknown>>(
    sql.kept(sql.join(readable, sql` union all `)),
  );
}

/** Only superusers read these catalogs. */
function isSecret(index: number): boolean {
  const before = OF_RELATIONS.length + OF_OBJECTS.length;
  return (
    WITHOUT_SCHEMA[index - before]?.[0] === 'pg_authid' ||
    NAMELESS[index - before - WITHOUT_SCHEMA.length]?.[0] === 'pg_user_mapping'
  );
}

/** A function with the types of its arguments, without its schema. */
const SIGNATURE = sql.raw(`x.proname || '(' || pg_get_function_identity_arguments(x.oid) || ')'`);

/** Younger than, or as old as, the transaction itself. */
function isOwn(alias: string): Sql {
  return sql.raw(`age(${alias}.xmin) <= 0`);
}

function extensionOf(catalog: string): Sql {
  return sql.raw(
    `(select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid where d.classid = '${catalog}'::regclass and d.objid = x.oid and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e')`,
  );
}

function ofRelation(catalog: string, column: string): Sql {
  return sql`select ${sql.raw(`'${catalog}'`)}::text as catalog, x.ctid::text as place, x.${sql.id(column)} as relation, 'relation'::text as kind,
    ''::text as schema, ''::text as name, ${catalog === 'pg_class' ? extensionOf(catalog) : sql`null::text`} as extension
    from pg_catalog.${sql.id(catalog)} x where ${isOwn('x')} and x.${sql.id(column)} <> 0`;
}

function ofObject(catalog: string, kind: string, schema: string, name: string): Sql {
  // A row type comes and goes with its table, an array with its element.
  const isDependent =
    catalog === 'pg_type'
      ? sql` and x.typcategory <> 'A' and (x.typrelid = 0 or exists (select from pg_class r where r.oid = x.typrelid and r.relkind = 'c'))`
      : sql``;
  return sql`select ${sql.raw(`'${catalog}'`)}::text, x.ctid::text, null::oid, ${sql.raw(`'${kind}'`)}::text,
    n.nspname::text, ${catalog === 'pg_proc' ? SIGNATURE : sql`x.${sql.id(name)}::text`}, ${extensionOf(catalog)}
    from pg_catalog.${sql.id(catalog)} x join pg_namespace n on n.oid = x.${sql.id(schema)} where ${isOwn('x')}${isDependent}`;
}

function withoutSchema(catalog: string, kind: string, name: string): Sql {
  const extension = kind === 'shared' ? sql`null::text` : extensionOf(catalog);
  return sql`select ${sql.raw(`'${catalog}'`)}::text, x.ctid::text, null::oid, ${sql.raw(`'${kind}'`)}::text, ''::text,
    x.${sql.id(name)}::text, ${extension} from pg_catalog.${sql.id(catalog)} x where ${isOwn('x')}`;
}

function nameless(catalog: string, kind: string): Sql {
  return sql`select ${sql.raw(`'${catalog}'`)}::text, x.ctid::text, null::oid, ${sql.raw(`'${kind}'`)}::text, ''::text, ''::text,
    ${catalog === 'pg_cast' ? extensionOf(catalog) : sql`null::text`} from pg_catalog.${sql.id(catalog)} x where ${isOwn('x')}`;
}

/** A comment touches what it stands on. */
function comments(): Sql {
  return sql`select 'pg_description'::text, x.ctid::text,
    case when x.classoid = 'pg_class'::regclass then x.objoid
      when x.classoid = 'pg_constraint'::regclass then (select conrelid from pg_constraint where oid = x.objoid)
      when x.classoid = 'pg_trigger'::regclass then (select tgrelid from pg_trigger where oid = x.objoid)
      when x.classoid = 'pg_policy'::regclass then (select polrelid from pg_policy where oid = x.objoid)
      when x.classoid = 'pg_rewrite'::regclass then (select ev_class from pg_rewrite where oid = x.objoid) end,
    case x.classoid when 'pg_proc'::regclass then 'function' when 'pg_type'::regclass then 'type'
      when 'pg_namespace'::regclass then 'schema' when 'pg_extension'::regclass then 'extension' else 'relation' end,
    coalesce((select s.nspname::text from pg_proc o join pg_namespace s on s.oid = o.pronamespace where x.classoid = 'pg_proc'::regclass and o.oid = x.objoid),
      (select s.nspname::text from pg_type o join pg_namespace s on s.oid = o.typnamespace where x.classoid = 'pg_type'::regclass and o.oid = x.objoid), ''),
    coalesce((select o.proname || '(' || pg_get_function_identity_arguments(o.oid) || ')' from pg_proc o where x.classoid = 'pg_proc'::regclass and o.oid = x.objoid),
      (select o.typname::text from pg_type o where x.classoid = 'pg_type'::regclass and o.oid = x.objoid),
      (select o.nspname::text from pg_namespace o where x.classoid = 'pg_namespace'::regclass and o.oid = x.objoid),
      (select o.extname::text from pg_extension o where x.classoid = 'pg_extension'::regclass and o.oid = x.objoid), ''),
    (select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid where d.classid = x.classoid and d.objid = x.objoid
      and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e')
    from pg_catalog.pg_description x where ${isOwn('x')}`;
}

/** A value touches its type. */
function enumValues(): Sql {
  return sql`select 'pg_enum'::text, x.ctid::text, null::oid, 'type'::text, n.nspname::text, t.typname::text,
    (select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid where d.classid = 'pg_type'::regclass and d.objid = t.oid
      and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e')
    from pg_catalog.pg_enum x join pg_type t on t.oid = x.enumtypid join pg_namespace n on n.oid = t.typnamespace where ${isOwn('x')}`;
}
