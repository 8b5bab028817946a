import { FIRST_OWN_OID, privileges, role, routine, type, type CatalogClass } from './catalog-class.ts';

/** Functions, types and what is built of both; all but functions and types are few, and most databases have none. */
export function routineClasses(major: number): readonly CatalogClass[] {
  return [
    {
      kind: 'function',
      schema: 's.nspname',
      name: `p.proname || '(' || oidvectortypes(p.proargtypes) || ')'`,
      from: 'pg_proc p join space s on s.oid = p.pronamespace left join pg_aggregate g on g.aggfnoid = p.oid',
      properties: {
        form: 'p.prokind',
        owner: role('p.proowner'),
        privileges: privileges('p.proacl', { type: 'f', owner: 'p.proowner' }),
        result: 'pg_get_function_result(p.oid)',
        definition: `case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end`,
        // What the definition of another form says of itself.
        marks: `case when p.prokind = 'a' then array_to_json(array[p.provolatile::text, p.proparallel::text, p.prosecdef::text])::text end`,
        aggregate: `case when p.prokind = 'a' then array_to_json(array[pg_get_function_arguments(p.oid), g.aggkind::text,
          g.aggnumdirectargs::text, ${[
            'trans',
            'final',
            'combine',
            'serial',
            'deserial',
            'mtrans',
            'minvtrans',
            'mfinal',
          ]
            .map((name) => routine(`g.agg${name}fn`))
            .join(
              ', ',
            )}, g.aggfinalextra::text, g.aggmfinalextra::text, g.aggfinalmodify::text, g.aggmfinalmodify::text,
          g.aggsortop::regoper::text, ${type('g.aggtranstype')}, g.aggtransspace::text, ${type('g.aggmtranstype')},
          g.aggmtransspace::text, g.agginitval, g.aggminitval])::text end`,
      },
    },
    {
      kind: 'type',
      schema: 's.nspname',
      name: 't.typname',
      from: `pg_type t join space s on s.oid = t.typnamespace left join pg_range r on r.rngtypid = t.oid
        where t.typtype in ('d', 'e', 'r', 'p') or t.typtype = 'b' and t.typcategory <> 'A'`,
      properties: {
        form: 't.typtype',
        owner: role('t.typowner'),
        privileges: privileges('t.typacl', { type: 'T', owner: 't.typowner' }),
        'not null': 't.typnotnull',
        default: `case when t.typtype = 'd' then pg_get_expr(t.typdefaultbin, 0) else t.typdefault end`,
        base: `case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end`,
        collation: 'nullif(t.typcollation, 0)::regcollation',
        labels: `case when t.typtype = 'e' then (select array_to_json(array_agg(e.enumlabel order by e.enumsortorder))::text
          from pg_enum e where e.enumtypid = t.oid) end`,
        range: `case when t.typtype = 'r' then array_to_json(array[r.rngsubtype::regtype::text, r.rngcollation::regcollation::text,
          ${routine('r.rngcanonical')}, ${routine('r.rngsubdiff')}, r.rngmultitypid::regtype::text,
          (select o.opcname::text from pg_opclass o where o.oid = r.rngsubopc)])::text end`,
        'as stored': `case when t.typtype = 'b' then array_to_json(array[t.typlen::text, t.typbyval::text, t.typcategory::text,
          t.typispreferred::text, t.typisdefined::text, t.typdelim::text, t.typalign::text, t.typstorage::text, ${type('t.typelem')},
          ${['input', 'output', 'receive', 'send', 'modin', 'modout', 'analyze', 'subscript'].map((name) => routine(`t.typ${name}`)).join(', ')}])::text end`,
      },
    },
    {
      kind: 'collation',
      schema: 's.nspname',
      name: 'c.collname',
      from: 'pg_collation c join space s on s.oid = c.collnamespace',
      properties: {
        owner: role('c.collowner'),
        provider: 'c.collprovider',
        deterministic: 'c.collisdeterministic',
        encoding: 'c.collencoding',
        collate: 'c.collcollate',
        ctype: 'c.collctype',
        locale: major < 17 ? 'c.colliculocale' : 'c.colllocale',
        rules: major < 16 ? 'null' : 'c.collicurules',
        version: 'c.collversion',
      },
    },
    {
      kind: 'conversion',
      schema: 's.nspname',
      name: 'c.conname',
      from: 'pg_conversion c join space s on s.oid = c.connamespace',
      properties: {
        owner: role('c.conowner'),
        from: 'pg_encoding_to_char(c.conforencoding)',
        to: 'pg_encoding_to_char(c.contoencoding)',
        function: routine('c.conproc'),
        default: 'c.condefault',
      },
    },
    {
      kind: 'operator',
      schema: 's.nspname',
      name: `o.oprname || '(' || case when o.oprleft = 0 then '' else o.oprleft::regtype || ', ' end || o.oprright::regtype || ')'`,
      from: 'pg_operator o join space s on s.oid = o.oprnamespace',
      properties: {
        owner: role('o.oprowner'),
        result: type('o.oprresult'),
        function: routine('o.oprcode'),
        restriction: routine('o.oprrest'),
        join: routine('o.oprjoin'),
        commutator: 'nullif(o.oprcom, 0)::regoperator',
        negator: 'nullif(o.oprnegate, 0)::regoperator',
        merges: 'o.oprcanmerge',
        hashes: 'o.oprcanhash',
      },
    },
    {
      kind: 'operator class',
      schema: 's.nspname',
      name: `m.amname || '.' || o.opcname`,
      from: `pg_opclass o join space s on s.oid = o.opcnamespace join pg_am m on m.oid = o.opcmethod
        join pg_opfamily f on f.oid = o.opcfamily`,
      properties: {
        owner: role('o.opcowner'),
        family: `f.opfnamespace::regnamespace || '.' || f.opfname`,
        input: type('o.opcintype'),
        key: type('o.opckeytype'),
        default: 'o.opcdefault',
      },
    },
    {
      kind: 'operator family',
      schema: 's.nspname',
      name: `m.amname || '.' || f.opfname`,
      from: 'pg_opfamily f join space s on s.oid = f.opfnamespace join pg_am m on m.oid = f.opfmethod',
      properties: {
        owner: role('f.opfowner'),
        operators: `(select array_to_json(array_agg(x order by x collate "C"))::text from (
          select concat_ws(' ', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose, a.amopsortfamily <> 0) as x
          from pg_amop a where a.amopfamily = f.oid) o)`,
        functions: `(select array_to_json(array_agg(x order by x collate "C"))::text from (
          select concat_ws(' ', a.amprocnum, a.amproclefttype::regtype, a.amprocrighttype::regtype, a.amproc::regprocedure) as x
          from pg_amproc a where a.amprocfamily = f.oid) o)`,
      },
    },
    {
      kind: 'cast',
      name: `c.castsource::regtype || ' as ' || c.casttarget::regtype`,
      from: `pg_cast c where c.oid >= ${FIRST_OWN_OID}`,
      properties: {
        function: 'nullif(c.castfunc, 0)::regprocedure',
        context: 'c.castcontext',
        method: 'c.castmethod',
      },
    },
    {
      kind: 'transform',
      name: `t.trftype::regtype || ' for ' || l.lanname`,
      from: 'pg_transform t join pg_language l on l.oid = t.trflang',
      properties: { 'from sql': routine('t.trffromsql'), 'to sql': routine('t.trftosql') },
    },
    {
      kind: 'language',
      name: 'l.lanname',
      from: 'pg_language l where l.lanispl',
      properties: {
        owner: role('l.lanowner'),
        privileges: privileges('l.lanacl', { type: 'l', owner: 'l.lanowner' }),
        trusted: 'l.lanpltrusted',
        functions: `array_to_json(array[${routine('l.lanplcallfoid')}, ${routine('l.laninline')}, ${routine('l.lanvalidator')}])`,
      },
    },
    {
      kind: 'access method',
      name: 'm.amname',
      from: `pg_am m where m.oid >= ${FIRST_OWN_OID}`,
      properties: { form: 'm.amtype', handler: 'm.amhandler' },
    },
    ...textSearchClasses(),
  ];
}

function textSearchClasses(): readonly CatalogClass[] {
  return [
    {
      kind: 'text search configuration',
      schema: 's.nspname',
      name: 'c.cfgname',
      from: 'pg_ts_config c join space s on s.oid = c.cfgnamespace join pg_ts_parser p on p.oid = c.cfgparser',
      properties: {
        owner: role('c.cfgowner'),
        parser: `p.prsnamespace::regnamespace || '.' || p.prsname`,
        mappings: `(select array_to_json(array_agg(m.maptokentype || ' ' || m.mapdict::regdictionary order by m.maptokentype, m.mapseqno))::text
          from pg_ts_config_map m where m.mapcfg = c.oid)`,
      },
    },
    {
      kind: 'text search dictionary',
      schema: 's.nspname',
      name: 'd.dictname',
      from: 'pg_ts_dict d join space s on s.oid = d.dictnamespace join pg_ts_template t on t.oid = d.dicttemplate',
      properties: {
        owner: role('d.dictowner'),
        template: `t.tmplnamespace::regnamespace || '.' || t.tmplname`,
        options: 'd.dictinitoption',
      },
    },
    {
      kind: 'text search parser',
      schema: 's.nspname',
      name: 'p.prsname',
      from: 'pg_ts_parser p join space s on s.oid = p.prsnamespace',
      properties: {
        functions: `array_to_json(array[${['start', 'token', 'end', 'headline', 'lextype'].map((name) => routine(`p.prs${name}`)).join(', ')}])`,
      },
    },
    {
      kind: 'text search template',
      schema: 's.nspname',
      name: 't.tmplname',
      from: 'pg_ts_template t join space s on s.oid = t.tmplnamespace',
      properties: { functions: `array_to_json(array[${routine('t.tmplinit')}, ${routine('t.tmpllexize')}])` },
    },
  ];
}
