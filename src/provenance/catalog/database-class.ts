import { FIRST_OWN_OID, privileges, role, routine, sorted, type CatalogClass } from './catalog-class.ts';

/** Objects without a schema, and what is said of objects of any class. Secrets are left out: how a subscription or a user connects. */
export function databaseClasses(major: number): readonly CatalogClass[] {
  return [
    {
      kind: 'event trigger',
      name: 'e.evtname',
      from: `pg_event_trigger e join pg_proc f on f.oid = e.evtfoid join pg_namespace n on n.oid = f.pronamespace
        where n.nspname not in ('varve', 'varve_build')`,
      properties: {
        owner: role('e.evtowner'),
        event: 'e.evtevent',
        function: routine('e.evtfoid'),
        enabled: 'e.evtenabled',
        tags: sorted('e.evttags'),
      },
    },
    {
      // What varve hangs on others' tables belongs to its own schema, and is seen with it alone.
      kind: 'guard',
      schema: 's.nspname',
      name: 'g.name',
      from: `(select t.tgfoid as function, 'trigger ' || t.tgname || ' on ' || t.tgrelid::regclass as name, pg_get_triggerdef(t.oid) as definition,
          t.tgenabled as enabled, null as owner from pg_trigger t where not t.tgisinternal
        union all select e.evtfoid, 'event trigger ' || e.evtname, e.evtevent::text || coalesce(' ' || e.evttags::text, ''), e.evtenabled,
          ${role('e.evtowner')} from pg_event_trigger e) g
        join pg_proc f on f.oid = g.function join space s on s.oid = f.pronamespace where s.nspname in ('varve', 'varve_build')`,
      properties: {
        definition: 'g.definition',
        function: routine('g.function'),
        enabled: 'g.enabled',
        owner: 'g.owner',
      },
    },
    {
      kind: 'extension',
      name: 'e.extname',
      from: 'pg_extension e',
      properties: {
        owner: role('e.extowner'),
        version: 'e.extversion',
        schema: 'e.extnamespace::regnamespace',
        relocatable: 'e.extrelocatable',
        'rows that are dumped': `array_to_json(array(select c::regclass || ' ' || w from unnest(e.extconfig, e.extcondition) u (c, w)))`,
        members: `(select array_to_json(array_agg(x order by x collate "C"))::text from (select i.type || ' ' || i.identity as x
          from pg_depend d cross join lateral pg_identify_object(d.classid, d.objid, d.objsubid) i
          where d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e') m)`,
      },
    },
    {
      kind: 'publication',
      name: 'p.pubname',
      from: 'pg_publication p',
      properties: {
        owner: role('p.pubowner'),
        'all tables': 'p.puballtables',
        operations: 'array_to_json(array[p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate])',
        'via root': 'p.pubviaroot',
        generated: major < 18 ? 'null' : 'p.pubgencols',
        schemas: `(select array_to_json(array_agg(n.pnnspid::regnamespace::text order by n.pnnspid::regnamespace::text collate "C"))::text
          from pg_publication_namespace n where n.pnpubid = p.oid)`,
        tables: `(select array_to_json(array_agg(x order by x collate "C"))::text from (
          select concat_ws(' ', r.prrelid::regclass, (select array_agg(a.attname order by a.attname collate "C")
            from pg_attribute a where a.attrelid = r.prrelid and a.attnum = any (r.prattrs)), pg_get_expr(r.prqual, r.prrelid)) as x
          from pg_publication_rel r where r.prpubid = p.oid) t)`,
      },
    },
    {
      kind: 'subscription',
      name: 's.subname',
      from: 'pg_subscription s where s.subdbid = (select oid from pg_database where datname = current_database())',
      properties: {
        owner: role('s.subowner'),
        enabled: 's.subenabled',
        options: `array_to_json(array[s.subbinary::text, s.substream::text, s.subtwophasestate::text, s.subdisableonerr::text, s.subslotname::text,
          s.subsynccommit])`,
        publications: sorted('s.subpublications'),
      },
    },
    {
      kind: 'foreign data wrapper',
      name: 'w.fdwname',
      from: 'pg_foreign_data_wrapper w',
      properties: {
        owner: role('w.fdwowner'),
        privileges: privileges('w.fdwacl', { type: 'F', owner: 'w.fdwowner' }),
        functions: `array_to_json(array[${routine('w.fdwhandler')}, ${routine('w.fdwvalidator')}])`,
        options: sorted('w.fdwoptions'),
      },
    },
    {
      kind: 'foreign server',
      name: 'v.srvname',
      from: 'pg_foreign_server v join pg_foreign_data_wrapper w on w.oid = v.srvfdw',
      properties: {
        owner: role('v.srvowner'),
        privileges: privileges('v.srvacl', { type: 'S', owner: 'v.srvowner' }),
        wrapper: 'w.fdwname',
        form: 'v.srvtype',
        version: 'v.srvversion',
        options: sorted('v.srvoptions'),
      },
    },
    {
      kind: 'user mapping',
      name: `case when u.umuser = 0 then 'public' else ${role('u.umuser')} end || ' at ' || u.srvname`,
      from: 'pg_user_mappings u',
      properties: {},
    },
    {
      kind: 'default privilege',
      schema: `coalesce(s.nspname, '')`,
      name: `${role('d.defaclrole')} || '/' || d.defaclobjtype::text`,
      from: 'pg_default_acl d left join space s on s.oid = d.defaclnamespace where d.defaclnamespace = 0 or s.oid is not null',
      properties: { privileges: privileges('d.defaclacl') },
    },
    {
      kind: 'role setting',
      name: `case when r.setrole = 0 then '' else ${role('r.setrole')} end || '/' || case when r.setdatabase = 0 then 'all' else 'here' end`,
      from: `pg_db_role_setting r
        where r.setdatabase in (0, (select oid from pg_database where datname = current_database()))`,
      properties: { settings: sorted('r.setconfig') },
    },
    said('comment', {
      rows: 'pg_description',
      text: 'd.description',
      properties: { text: 'd.text' },
      marker: `''`,
    }),
    said('security label', {
      rows: 'pg_seclabel',
      text: 'd.label',
      properties: { label: 'd.text' },
      marker: `d.provider || ' '`,
    }),
  ];
}

/**
 * What is said of objects, by the name of the object. Relations and columns, of which there are thousands, are joined;
 * the database's own function names the rest, of which it is asked one by one.
 */
function said(
  kind: string,
  what: {
    readonly rows: string;
    readonly text: string;
    readonly marker: string;
    readonly properties: Readonly<Record<string, string>>;
  },
): CatalogClass {
  const belongsTo = (catalog: string, relation: string): string =>
    `when '${catalog}'::regclass then (select ${relation} from ${catalog} o where o.oid = d.objoid)`;
  return {
    kind,
    schema: `coalesce(d.schema, '')`,
    table: 'd.relname',
    name: 'd.name',
    from: `(select c.schema::text, c.relname::text, ${what.marker} || coalesce('column ' || a.attname, 'relation') as name, ${what.text} as text
        from ${what.rows} d join rel c on c.oid = d.objoid left join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid > 0
        where d.classoid = 'pg_class'::regclass
      union all select coalesce(c.schema, s.nspname)::text, c.relname::text, ${what.marker} || i.type || ' ' || i.identity, ${what.text}
        from (select d.*, case d.classoid ${belongsTo('pg_constraint', 'conrelid')} ${belongsTo('pg_trigger', 'tgrelid')}
            ${belongsTo('pg_policy', 'polrelid')} ${belongsTo('pg_rewrite', 'ev_class')} ${belongsTo('pg_statistic_ext', 'stxrelid')}
            when 'pg_class'::regclass then (select indrelid from pg_index where indexrelid = d.objoid) end as relation
          from ${what.rows} d where (d.objoid >= ${FIRST_OWN_OID} or d.classoid in ('pg_namespace'::regclass, 'pg_extension'::regclass))
            and not (d.classoid = 'pg_class'::regclass and d.objoid in (select oid from rel))) d
        cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) i
        left join rel c on c.oid = nullif(d.relation, 0)
        left join space s on s.nspname = coalesce(i.schema, case when i.type = 'schema' then i.name end)
        where c.oid is not null or s.oid is not null or coalesce(i.schema, case when i.type = 'schema' then i.name end) is null) d`,
    properties: what.properties,
  };
}
