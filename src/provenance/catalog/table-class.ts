import { privileges, role, sorted, type, type CatalogClass } from './catalog-class.ts';

/** Relations that have columns; sequences and indexes are classes of their own. */
const WITH_COLUMNS = `('r', 'p', 'v', 'm', 'f', 'c')`;

/** Schemas, relations and what belongs to one relation. */
export function tableClasses(major: number): readonly CatalogClass[] {
  return [
    {
      kind: 'schema',
      schema: 's.nspname',
      name: 's.nspname',
      from: 'space s',
      properties: {
        owner: role('s.nspowner'),
        privileges: privileges('s.nspacl', { type: 'n', owner: 's.nspowner' }),
      },
    },
    relation('relation', `('r', 'p', 'f', 'c')`, {
      bound: 'pg_get_expr(c.relpartbound, c.oid)',
      'partition key': `case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end`,
      'row security': 'c.relrowsecurity',
      'forced row security': 'c.relforcerowsecurity',
      'replica identity': 'c.relreplident',
      server: 'f.srvname',
      'foreign options': sorted('f.ftoptions'),
      'of type': type('nullif(c.reloftype, 0)'),
    }),
    relation('view', `('v', 'm')`, {
      definition: 'pg_get_viewdef(c.oid)',
      populated: 'c.relispopulated',
    }),
    column(major),
    constraint(major),
    index(),
    {
      kind: 'trigger',
      schema: 'c.schema',
      table: 'c.relname',
      name: 't.tgname',
      from: `pg_trigger t join rel c on c.oid = t.tgrelid join pg_proc f on f.oid = t.tgfoid join pg_namespace n on n.oid = f.pronamespace
        left join (pg_trigger u join pg_class v on v.oid = u.tgrelid) on u.oid = t.tgparentid
        where not t.tgisinternal and n.nspname not in ('varve', 'varve_build')`,
      properties: {
        definition: 'pg_get_triggerdef(t.oid)',
        enabled: 't.tgenabled',
        parent: 'v.relname',
      },
    },
    {
      kind: 'policy',
      schema: 'c.schema',
      table: 'c.relname',
      name: 'p.polname',
      from: 'pg_policy p join rel c on c.oid = p.polrelid',
      properties: {
        command: 'p.polcmd',
        permissive: 'p.polpermissive',
        roles: `(select array_to_json(array_agg(r order by r collate "C"))::text from
          (select case when o = 0 then 'public' else ${role('o')} end as r from unnest(p.polroles) o) x)`,
        using: 'pg_get_expr(p.polqual, p.polrelid)',
        check: 'pg_get_expr(p.polwithcheck, p.polrelid)',
      },
    },
    {
      kind: 'rule',
      schema: 'c.schema',
      table: 'c.relname',
      name: 'r.rulename',
      from: `pg_rewrite r join rel c on c.oid = r.ev_class where r.rulename <> '_RETURN' or r.ev_enabled <> 'O'`,
      properties: { definition: 'pg_get_ruledef(r.oid)', enabled: 'r.ev_enabled' },
    },
    {
      kind: 'sequence',
      schema: 'c.schema',
      // The table it goes with, where that is one of the same schema.
      table: 'o.relname',
      name: 'c.relname',
      from: `pg_sequence q join seq c on c.oid = q.seqrelid
        left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = q.seqrelid and d.objsubid = 0
          and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
        left join pg_class o on o.oid = d.refobjid and o.relnamespace = c.relnamespace
        left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid`,
      properties: {
        owner: role('c.relowner'),
        privileges: privileges('c.relacl', { type: 's', owner: 'c.relowner' }),
        persistence: 'c.relpersistence',
        type: type('q.seqtypid'),
        start: 'q.seqstart',
        increment: 'q.seqincrement',
        maximum: 'q.seqmax',
        minimum: 'q.seqmin',
        cache: 'q.seqcache',
        cycle: 'q.seqcycle',
        'owned by': `d.refobjid::regclass || '.' || a.attname || ' ' || d.deptype::text`,
      },
    },
    {
      kind: 'statistics',
      schema: 'c.schema',
      table: 'c.relname',
      name: `x.stxnamespace::regnamespace || '.' || x.stxname`,
      from: 'pg_statistic_ext x join rel c on c.oid = x.stxrelid',
      properties: {
        owner: role('x.stxowner'),
        definition: 'pg_get_statisticsobjdef(x.oid)',
        'statistics target': 'x.stxstattarget',
      },
    },
  ];
}

/** Parents by child, in the order of inheritance. */
const PARENTS = `(select inhrelid, array_to_json(array_agg(inhparent::regclass || case when inhdetachpending then ' detach pending' else '' end
  order by inhseqno))::text as parents from pg_inherits group by inhrelid)`;

function relation(kind: string, kinds: string, more: Readonly<Record<string, string>>): CatalogClass {
  return {
    kind,
    schema: 'c.schema',
    table: 'c.relname',
    name: 'c.relname',
    from: `rel c left join pg_am m on m.oid = c.relam left join pg_tablespace p on c.reltablespace <> 0 and p.oid = c.reltablespace
      left join ${PARENTS} h on h.inhrelid = c.oid
      left join (select oid, reloptions from pg_class where relkind = 't' and reloptions is not null) o on o.oid = c.reltoastrelid
      left join (select oid, typowner, typacl from pg_type where typacl is not null) y on y.oid = c.reltype
      left join (select ftrelid, ftoptions, srvname from pg_foreign_table join pg_foreign_server v on v.oid = ftserver) f
        on f.ftrelid = c.oid
      where c.relkind in ${kinds}`,
    properties: {
      form: 'c.relkind',
      owner: role('c.relowner'),
      privileges: privileges('c.relacl', { type: 'r', owner: 'c.relowner' }),
      'privileges of its type': privileges('y.typacl', { type: 'T', owner: 'y.typowner' }),
      persistence: 'c.relpersistence',
      options: sorted('c.reloptions'),
      'toast options': sorted('o.reloptions'),
      'access method': 'm.amname',
      tablespace: 'p.spcname',
      parents: 'h.parents',
      ...more,
    },
  };
}

function column(major: number): CatalogClass {
  // From 18 on NOT NULL is a constraint as well, of which its column tells what is not usual.
  const notNull =
    major < 18
      ? ''
      : `left join (select conrelid, conkey[1] as attnum, array_to_json(array[convalidated, connoinherit])::text as form
          from pg_constraint where contype = 'n' and conrelid <> 0 and (not convalidated or connoinherit)) k
          on k.conrelid = a.attrelid and k.attnum = a.attnum`;
  return {
    kind: 'column',
    schema: 'c.schema',
    table: 'c.relname',
    name: 'a.attname',
    position: 'a.attnum',
    from: `pg_attribute a join rel c on c.oid = a.attrelid
      join types y on y.id = a.atttypid and y.modifier = a.atttypmod and y.collation_id = a.attcollation
      left join pg_attrdef d on a.atthasdef and d.adrelid = a.attrelid and d.adnum = a.attnum ${notNull}
      where a.attnum > 0 and not a.attisdropped and c.relkind in ${WITH_COLUMNS}`,
    properties: {
      type: 'y.name',
      collation: 'y.collation',
      'not null': major < 18 ? 'a.attnotnull' : `a.attnotnull || coalesce(' ' || k.form, '')`,
      default: 'pg_get_expr(d.adbin, d.adrelid)',
      identity: 'a.attidentity',
      generated: 'a.attgenerated',
      storage: 'a.attstorage',
      compression: 'a.attcompression',
      privileges: privileges('a.attacl'),
      options: sorted('a.attoptions'),
      'foreign options': sorted('a.attfdwoptions'),
      'statistics target': 'nullif(a.attstattarget, -1)',
      'of its own': 'a.attislocal',
      inherited: 'a.attinhcount',
    },
  };
}

/** Types of columns by what a column says of them: thousands of columns have a few. `among` limits the columns. */
export function columnTypes(among: string): string {
  return `select atttypid as id, atttypmod as modifier, attcollation as collation_id,
      format_type(atttypid, atttypmod) as name, nullif(attcollation, 0)::regcollation::text as collation
    from (select distinct atttypid, atttypmod, attcollation from pg_attribute where attnum > 0 and not attisdropped and ${among}) x`;
}

/**
 * An index that only has columns is said by its pieces: the database's own function would take a third of all the time.
 * The names of an index's own columns are those of the time it was made.
 */
function index(): CatalogClass {
  return {
    kind: 'index',
    schema: 't.schema',
    table: 't.relname',
    name: 'c.relname',
    from: `pg_index i join pg_class c on c.oid = i.indexrelid join rel t on t.oid = i.indrelid
      join forms f on f.classes = i.indclass and f.collations = i.indcollation and f.options = i.indoption::text
      left join pg_attribute o on o.attrelid = i.indrelid and o.attnum = i.indkey[0]
      left join pg_am m on m.oid = c.relam left join pg_tablespace p on c.reltablespace <> 0 and p.oid = c.reltablespace
      left join ${PARENTS} h on h.inhrelid = c.oid
      left join (select attrelid, array_to_json(array_agg(concat_ws(' ', attnum, attstattarget, attoptions) order by attnum))::text as settings
        from pg_attribute where attstattarget >= 0 or attoptions is not null group by attrelid) a on a.attrelid = c.oid`,
    properties: {
      method: 'm.amname',
      columns: `case when i.indnatts = 1 then o.attname::text else array_to_json(array(
        select (select a.attname from pg_attribute a where a.attrelid = i.indrelid and a.attnum = k) from unnest(i.indkey) k))::text end`,
      'key columns': 'i.indnkeyatts',
      'order and classes': 'f.text',
      definition: 'case when i.indexprs is not null or i.indpred is not null then pg_get_indexdef(c.oid) end',
      unique: 'i.indisunique',
      'nulls not distinct': 'i.indnullsnotdistinct',
      primary: 'i.indisprimary',
      exclusion: 'i.indisexclusion',
      valid: 'i.indisvalid',
      ready: 'i.indisready',
      live: 'i.indislive',
      immediate: 'i.indimmediate',
      clustered: 'i.indisclustered',
      'replica identity': 'i.indisreplident',
      options: sorted('c.reloptions'),
      tablespace: 'p.spcname',
      parent: 'h.parents',
      'settings of its columns': 'a.settings',
    },
  };
}

/** Operator classes, collations and orders of the columns of indexes: thousands of indexes have a few. `among` limits the indexes. */
export function indexForms(among: string): string {
  return `select classes, collations, options, array_to_json(array[options,
      (select string_agg(o.opcnamespace::regnamespace || '.' || o.opcname, ',' order by u.place)
        from unnest(classes) with ordinality u (oid, place) join pg_opclass o on o.oid = u.oid),
      (select string_agg(u.oid::regcollation::text, ',' order by u.place) from unnest(collations) with ordinality u (oid, place))])::text as text
    from (select distinct indclass as classes, indcollation as collations, indoption::text as options from pg_index where ${among}) x`;
}

function constraint(major: number): CatalogClass {
  return {
    kind: 'constraint',
    schema: 'coalesce(c.schema, s.nspname)',
    table: 'c.relname',
    name: `coalesce(t.typname || '.', '') || k.conname`,
    from: `pg_constraint k left join rel c on c.oid = k.conrelid
      left join (pg_type t join space s on s.oid = t.typnamespace) on t.oid = k.contypid
      left join (select tgconstraint, array_to_json(array_agg(tgenabled::text || ' ' || tgtype order by tgenabled, tgtype))::text as unusual
        from pg_trigger where tgisinternal and tgenabled <> 'O' group by tgconstraint) g on g.tgconstraint = k.oid
      left join (pg_constraint p join pg_class pc on pc.oid = p.conrelid) on p.oid = k.conparentid
      where k.contype <> 'n' and (c.oid is not null or t.oid is not null)`,
    properties: {
      form: 'k.contype',
      // What a key consists of is said by the index under it.
      definition: `case k.contype when 'p' then ${PERIOD(major)} when 'u' then ${PERIOD(major)}
        when 'c' then pg_get_expr(k.conbin, k.conrelid) else pg_get_constraintdef(k.oid) end`,
      enforced: major < 18 ? 'null' : 'k.conenforced',
      valid: 'k.convalidated',
      deferrable: 'k.condeferrable',
      deferred: 'k.condeferred',
      'no inherit': 'k.connoinherit',
      'of its own': 'k.conislocal',
      inherited: 'k.coninhcount',
      parent: `pc.relname || '.' || p.conname`,
      'triggers not as usual': 'g.unusual',
    },
  };
}

function PERIOD(major: number): string {
  return major < 18 ? `''` : `case when k.conperiod then 'without overlaps' else '' end`;
}
