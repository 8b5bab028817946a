-- Made by scripts/catalog-dump.ts from sql/; do not edit.

table varve.adoption
  column relation integer not null
  column name text not null
  column physical_schema text not null
  column physical_name text not null
  column run text not null
  column row_count bigint not null
  column adopted_at timestamp with time zone not null default now()
  constraint adoption_pkey PRIMARY KEY (relation)

table varve.captured
  column id bigint not null default nextval('varve.captured_id'::regclass)
  column run_id text not null
  column relation oid not null
  column schema_name text not null
  column table_name text not null
  column root_schema text
  column root_name text
  column cause text not null
  column columns text[] not null
  column types text[] not null
  column key_columns text[]
  column rows bigint not null
  column let_go_run text
  constraint captured_cause_check CHECK ((cause = ANY (ARRAY['update'::text, 'delete'::text, 'truncate'::text, 'whole'::text, 'written'::text])))
  constraint captured_pkey PRIMARY KEY (id)
  CREATE INDEX captured_run ON varve.captured USING btree (run_id)

sequence varve.captured_id

table varve.captured_row
  column captured bigint not null
  column texts text[] not null
  CREATE INDEX captured_row_of ON varve.captured_row USING brin (captured)

table varve.catalog_file
  column number integer not null
  column name text not null
  column digest text not null
  column applied_at timestamp with time zone not null default now()
  constraint catalog_file_pkey PRIMARY KEY (number)

table varve.code
  column id integer not null generated always as identity
  column digest text not null
  column basis text not null
  column packages jsonb not null
  column source text not null
  constraint code_basis_check CHECK ((basis = ANY (ARRAY['bundle'::text, 'module'::text, 'text'::text, 'sql'::text, 'command'::text])))
  constraint code_digest_key UNIQUE (digest)
  constraint code_pkey PRIMARY KEY (id)

table varve.computation
  column relation integer not null
  column spec integer not null
  column duration_us integer not null
  column key_hash bytea not null
  column inputs bytea not null
  column output bytea not null
  constraint computation_pkey PRIMARY KEY (relation, key_hash)

table varve.computation_spec
  column id integer not null generated always as identity
  column run integer not null
  column relation integer not null
  column code integer not null
  column reads jsonb not null
  column enforcement text not null
  column origin text not null
  column attribution jsonb
  constraint computation_spec_code_fkey FOREIGN KEY (code) REFERENCES varve.code(id)
  constraint computation_spec_enforcement_check CHECK ((enforcement = ANY (ARRAY['pure'::text, 'isolated'::text, 'outside'::text, 'role'::text, 'statement'::text, 'none'::text])))
  constraint computation_spec_origin_check CHECK ((origin = ANY (ARRAY['computed'::text, 'attributed'::text, 'adopted'::text])))
  constraint computation_spec_pkey PRIMARY KEY (id)
  constraint computation_spec_relation_fkey FOREIGN KEY (relation) REFERENCES varve.relation(id)
  constraint computation_spec_run_fkey FOREIGN KEY (run) REFERENCES varve.run(id)

table varve.definition_set
  column id integer not null generated always as identity
  column digest text not null
  column body jsonb not null
  column created_at timestamp with time zone not null default now()
  constraint definition_set_digest_key UNIQUE (digest)
  constraint definition_set_pkey PRIMARY KEY (id)

table varve.deployment
  column id integer not null generated always as identity
  column definition_set integer not null
  column run text not null
  column deployed_at timestamp with time zone not null default now()
  constraint deployment_definition_set_fkey FOREIGN KEY (definition_set) REFERENCES varve.definition_set(id)
  constraint deployment_pkey PRIMARY KEY (id)

table varve.dropped_key
  column relation integer not null
  column name text not null
  column definition text not null
  constraint dropped_key_pkey PRIMARY KEY (relation, name)

table varve.ingested
  column relation integer not null
  column ingestion integer not null
  column row_check integer not null
  column key_hash bytea not null
  constraint ingested_pkey PRIMARY KEY (relation, key_hash, ingestion)

table varve.ingestion
  column id bigint not null generated always as identity
  column relation integer not null
  column source text not null
  column actor text not null
  column row_count integer not null
  column digest text not null
  column ingested_at timestamp with time zone not null default now()
  constraint ingestion_pkey PRIMARY KEY (id)
  constraint ingestion_relation_fkey FOREIGN KEY (relation) REFERENCES varve.relation(id)

table varve.job
  column relation integer not null
  column key_hash bytea not null
  column key jsonb not null
  column state text not null
  column code text
  column message text
  column stack text
  column attempts integer not null
  column run text not null
  column changed_at timestamp with time zone not null
  column priority integer not null default 0
  column not_before timestamp with time zone
  constraint job_pkey PRIMARY KEY (relation, key_hash)
  constraint job_relation_fkey FOREIGN KEY (relation) REFERENCES varve.relation(id)
  constraint job_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'error'::text, 'ignored'::text])))

table varve.ledger
  column seq bigint not null
  column prev text not null
  column digest text not null
  column run_id text not null
  column migration_id text not null
  column phase text not null
  column environment text not null
  column direction text not null
  column attempt integer not null
  column bundle_digest text not null
  column plan_digest text not null
  column body_digest text not null
  column receipt_digest text
  column at text not null
  column body jsonb not null
  constraint ledger_attempt_check CHECK ((attempt > 0))
  constraint ledger_check CHECK (((phase = 'closed'::text) = (receipt_digest IS NOT NULL)))
  constraint ledger_digest_check CHECK ((digest ~ '^sha256:[0-9a-f]{64}$'::text))
  constraint ledger_digest_key UNIQUE (digest)
  constraint ledger_direction_check CHECK ((direction = ANY (ARRAY['forward'::text, 'rollback'::text, 'retire'::text])))
  constraint ledger_migration_id_bundle_digest_environment_direction_att_key UNIQUE (migration_id, bundle_digest, environment, direction, attempt, phase)
  constraint ledger_phase_check CHECK ((phase = ANY (ARRAY['opened'::text, 'baselined'::text, 'committed'::text, 'undone'::text, 'closed'::text])))
  constraint ledger_pkey PRIMARY KEY (seq)
  constraint ledger_prev_check CHECK ((prev ~ '^sha256:[0-9a-f]{64}$'::text))
  constraint ledger_run_id_phase_key UNIQUE (run_id, phase)
  constraint ledger_seq_check CHECK ((seq > 0))
  CREATE UNIQUE INDEX ledger_one_way ON varve.ledger USING btree (run_id) WHERE (phase = ANY (ARRAY['committed'::text, 'undone'::text]))
  CREATE TRIGGER ledger_only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON varve.ledger FOR EACH STATEMENT EXECUTE FUNCTION varve.refuse_ledger_change()

table varve.let_go
  column relation integer not null
  column spec integer
  column since_at timestamp with time zone
  column until_at timestamp with time zone
  column ended text not null
  column until_run text
  column key_hash bytea not null
  column output bytea not null
  constraint let_go_relation_fkey FOREIGN KEY (relation) REFERENCES varve.relation(id)
  constraint let_go_spec_fkey FOREIGN KEY (spec) REFERENCES varve.computation_spec(id)
  CREATE INDEX let_go_key ON varve.let_go USING btree (relation, key_hash)

unlogged table varve.make_key
  column backend integer not null
  column key jsonb not null
  constraint make_key_pkey PRIMARY KEY (backend)

table varve.object
  column digest text not null
  column pinned_at timestamp with time zone not null default now()
  constraint object_digest_check CHECK ((digest ~ '^sha256:[0-9a-f]{64}$'::text))
  constraint object_pkey PRIMARY KEY (digest)

table varve.object_space
  column single boolean not null default true
  column space uuid not null default gen_random_uuid()
  column owner text not null
  constraint object_space_pkey PRIMARY KEY (single)
  constraint object_space_single_check CHECK (single)

table varve.recorded_read
  column relation integer not null
  column key_hash bytea not null
  column spec integer not null
  column ordinal smallint not null
  column subject text not null
  column declared boolean not null
  column columns text[] not null
  column keys jsonb
  column row_count bigint not null
  column digest bytea not null
  constraint recorded_read_pkey PRIMARY KEY (relation, key_hash, spec, ordinal)
  CREATE INDEX recorded_read_subject ON varve.recorded_read USING btree (relation, subject)

table varve.relation
  column id integer not null generated always as identity
  column name text not null
  column spec jsonb not null
  column physical_schema text not null
  column physical_name text not null
  column state text not null
  column predecessor integer
  column since_run text
  column until_run text
  column since_at timestamp with time zone
  column until_at timestamp with time zone
  column let_go_run text
  column let_go_at timestamp with time zone
  constraint relation_pkey PRIMARY KEY (id)
  constraint relation_predecessor_fkey FOREIGN KEY (predecessor) REFERENCES varve.relation(id)
  constraint relation_state_check CHECK ((state = ANY (ARRAY['building'::text, 'live'::text, 'retired'::text, 'copy'::text, 'let_go'::text])))
  CREATE INDEX relation_name ON varve.relation USING btree (name)
  CREATE UNIQUE INDEX relation_live ON varve.relation USING btree (name) WHERE (state = 'live'::text)

table varve.relation_source
  column relation integer not null
  column source integer not null
  column map text
  column columns jsonb
  constraint relation_source_pkey PRIMARY KEY (relation, source)
  constraint relation_source_relation_fkey FOREIGN KEY (relation) REFERENCES varve.relation(id)
  constraint relation_source_source_fkey FOREIGN KEY (source) REFERENCES varve.relation(id)

table varve.relation_version
  column id integer not null generated always as identity
  column relation integer not null
  column name text not null
  column spec jsonb not null
  column until_run text not null
  column until_at timestamp with time zone not null default now()
  constraint relation_version_pkey PRIMARY KEY (id)
  constraint relation_version_relation_fkey FOREIGN KEY (relation) REFERENCES varve.relation(id)
  CREATE INDEX relation_version_name ON varve.relation_version USING btree (name)

table varve.run
  column id integer not null generated always as identity
  column name text not null
  column kind text not null
  column actor text not null
  column host text not null
  column process integer not null
  column git_commit text
  column lock_digest text
  column definition_digest text
  column settings jsonb not null
  column started_at timestamp with time zone not null
  column finished_at timestamp with time zone
  column status text not null
  constraint run_name_check CHECK ((name ~~ 'varve://run/%'::text))
  constraint run_name_key UNIQUE (name)
  constraint run_pkey PRIMARY KEY (id)
  constraint run_status_check CHECK ((status = ANY (ARRAY['running'::text, 'done'::text, 'failed'::text, 'interrupted'::text])))

table varve.run_snapshot
  column run_id text not null
  column snapshot pg_snapshot not null
  column own xid8 not null
  constraint run_snapshot_pkey PRIMARY KEY (run_id)

table varve.seen_ddl
  column ordinal bigint not null generated always as identity
  column event text not null
  column tag text not null
  column object_type text
  column schema_name text
  column identity text
  column names text[]
  column class_id oid
  column object_id oid
  column table_id oid
  constraint seen_ddl_pkey PRIMARY KEY (ordinal)

table varve.superseded
  column id bigint not null generated always as identity
  column relation integer not null
  column key_hash bytea not null
  column key jsonb not null
  column rows jsonb not null
  column spec integer
  column inputs bytea
  column output bytea
  column duration_us integer
  column reason text not null
  column superseded_by text not null
  column superseded_at timestamp with time zone not null default now()
  constraint superseded_pkey PRIMARY KEY (id)
  constraint superseded_relation_fkey FOREIGN KEY (relation) REFERENCES varve.relation(id)
  CREATE INDEX superseded_key ON varve.superseded USING btree (relation, key_hash)

CREATE OR REPLACE FUNCTION varve.arm_capture(run text, tables oid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  one record;
begin
  for one in
    select c.oid::regclass as name, t.trigger, t.moment, t.rows from pg_class c
    cross join (values ('!varve_capture_update', 'after update', 'referencing old table as old_rows'),
      ('!varve_capture_delete', 'after delete', 'referencing old table as old_rows'),
      ('!varve_capture_truncate', 'before truncate', '')) t (trigger, moment, rows)
    -- Each partition that is truncated has a trigger of its own.
    where c.oid = any (tables) and c.relkind in ('r', 'p') and not (c.relkind = 'p' and t.moment = 'before truncate')
      and has_table_privilege(c.oid, 'trigger') order by c.oid, t.trigger
  loop
    execute format('create trigger %I %s on %s %s for each statement execute function varve.capture(%L)',
      one.trigger, one.moment, one.name, one.rows, run);
    execute format('alter table %s enable always trigger %I', one.name, one.trigger);
  end loop;
end
$function$

CREATE OR REPLACE FUNCTION varve.capture()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  shape record;
  number bigint := nextval('varve.captured_id');
  taken bigint;
begin
  select * into shape from varve.capture_shape(tg_relid);
  execute format('insert into varve.captured_row select %s, array[%s]::text[] from %s o', number, shape.texts,
    case when tg_op = 'TRUNCATE' then format('only %I.%I', tg_table_schema, tg_table_name) else 'old_rows' end);
  get diagnostics taken = row_count;
  if taken > 0 then
    insert into varve.captured (id, run_id, relation, schema_name, table_name, root_schema, root_name, cause, columns, types, key_columns, rows)
    values (number, tg_argv[0], tg_relid, shape.schema_name, shape.table_name, shape.root_schema, shape.root_name, lower(tg_op),
      shape.columns, shape.types, shape.key_columns, taken);
  end if;
  return null;
end
$function$

CREATE OR REPLACE FUNCTION varve.capture_shape(of oid, OUT columns text[], OUT types text[], OUT texts text, OUT key_columns text[], OUT schema_name text, OUT table_name text, OUT root_schema text, OUT root_name text)
 RETURNS record
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select array_agg(a.attname::text order by a.attnum), array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum),
    -- By the output of the type and never by a cast, which may be somebody's function.
    string_agg(case when a.atttypid < 16384 then format('o.%I::text', a.attname)
      else format('case when num_nulls(o.%1$I) = 0 then format(''%%s'', o.%1$I) end', a.attname) end, ', ' order by a.attnum),
    (select array_agg(k.attname::text order by p.place) from pg_index i
      cross join lateral unnest(i.indkey::int2[]) with ordinality p (attnum, place)
      join pg_attribute k on k.attrelid = of and k.attnum = p.attnum where i.indrelid = of and i.indisprimary),
    n.nspname::text, c.relname::text,
    (select rn.nspname::text from pg_class r join pg_namespace rn on rn.oid = r.relnamespace where r.oid = pg_partition_root(of) and c.relispartition),
    (select r.relname::text from pg_class r where r.oid = pg_partition_root(of) and c.relispartition)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where c.oid = of group by n.nspname, c.relname, c.relispartition
$function$

CREATE OR REPLACE FUNCTION varve.capture_table(run text, of oid)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  shape record;
  number bigint := nextval('varve.captured_id');
  taken bigint;
begin
  -- A view would run whatever its author wrote, as the owner of this function.
  if not exists (select from pg_class where oid = of and relkind in ('r', 'p')) then
    raise exception using errcode = '42809', message = 'varve.capture_table takes a table';
  end if;
  select * into shape from varve.capture_shape(of);
  execute format('insert into varve.captured_row select %s, array[%s]::text[] from %I.%I o', number, shape.texts,
    shape.schema_name, shape.table_name);
  get diagnostics taken = row_count;
  insert into varve.captured (id, run_id, relation, schema_name, table_name, root_schema, root_name, cause, columns, types, key_columns, rows)
  values (number, run, of, shape.schema_name, shape.table_name, shape.root_schema, shape.root_name, 'whole',
    shape.columns, shape.types, shape.key_columns, taken);
  return taken;
end
$function$

CREATE OR REPLACE FUNCTION varve.captured_shapes(asked oid)
 RETURNS TABLE(ids bigint[], columns text[], key_columns text[])
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select array_agg(k.id), k.columns, k.key_columns from varve.captured k
  join pg_class c on c.oid = asked join pg_namespace n on n.oid = c.relnamespace
  where k.run_id = current_setting('varve.capture_of', true) and k.let_go_run is null and k.cause <> 'written'
    and ((k.schema_name, k.table_name) = (n.nspname, c.relname) or (k.root_schema, k.root_name) = (n.nspname, c.relname))
  group by k.columns, k.key_columns
$function$

CREATE OR REPLACE FUNCTION varve.captured_texts(ids bigint[])
 RETURNS TABLE(captured bigint, texts text[])
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select r.captured, r.texts from varve.captured_row r
  where r.captured = any (array(select k.id from varve.captured k
    where k.id = any (ids) and k.run_id = current_setting('varve.capture_of', true)))
$function$

CREATE OR REPLACE FUNCTION varve.captured(of anyelement)
 RETURNS SETOF anyelement
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  asked oid;
  parts text[] := '{}';
  piece record;
  list text;
begin
  select t.typrelid into asked from pg_type t where t.oid = pg_typeof(of);
  if coalesce(asked, 0) = 0 then
    raise exception using errcode = '42809', message = 'varve.captured takes a row of the table, such as null::plot';
  end if;
  for piece in select * from varve.captured_shapes(asked) loop
    select string_agg(case when at is null then format('null::%s', format_type(a.atttypid, a.atttypmod))
        else format('r.texts[%s]::%s', at, format_type(a.atttypid, a.atttypmod)) end, ', ' order by a.attnum)
      into list from pg_attribute a cross join lateral (select array_position(piece.columns, a.attname::text)) p (at)
      where a.attrelid = asked and a.attnum > 0 and not a.attisdropped;
    parts := parts || format('select r.captured, %s as own_key, row(%s)::%s as own_row from varve.captured_texts(%L::bigint[]) with ordinality r (captured, texts, place)',
      case when piece.key_columns is null then 'array[r.captured::text, r.place::text]'
        else (select format('array[%s]', string_agg(format('r.texts[%s]', array_position(piece.columns, k)), ', ')) from unnest(piece.key_columns) k) end,
      list, pg_typeof(of), piece.ids);
  end loop;
  if cardinality(parts) > 0 then
    return query execute format('select (d.own_row).* from (select distinct on (own_key) own_row from (%s) u order by own_key, captured) d',
      array_to_string(parts, ' union all '));
  end if;
end
$function$

CREATE OR REPLACE FUNCTION varve.database_identity()
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$ select system_identifier::text || '/' || (select oid::text from pg_database where datname = current_database())
    from pg_control_system() $function$

CREATE OR REPLACE FUNCTION varve.deny_write()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  raise exception using errcode = 'VV001', message = 'varve: a protected table refuses the write',
    schema = tg_table_schema, table = tg_table_name;
end
$function$

CREATE OR REPLACE FUNCTION varve.digest_1(VARIADIC items text[])
 RETURNS bytea
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$ select sha256(convert_to(array_to_json(items)::text, 'UTF8')) $function$

CREATE OR REPLACE FUNCTION varve.disarm_capture()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  one record;
begin
  for one in
    select t.tgrelid::regclass as name, t.tgname from pg_trigger t
    where t.tgfoid = 'varve.capture()'::regprocedure and not t.tgisinternal and t.tgparentid = 0 order by t.tgrelid, t.tgname
  loop
    execute format('drop trigger %I on %s', one.tgname, one.name);
  end loop;
end
$function$

CREATE OR REPLACE FUNCTION varve.note_ddl()
 RETURNS event_trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into varve.seen_ddl (event, tag, object_type, schema_name, identity, class_id, object_id, table_id)
  select 'command', command_tag, object_type, schema_name, object_identity, classid, objid,
    (select i.indrelid from pg_index i where classid = 'pg_class'::regclass and i.indexrelid = objid)
  from pg_event_trigger_ddl_commands();
end
$function$

CREATE OR REPLACE FUNCTION varve.note_drop()
 RETURNS event_trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into varve.seen_ddl (event, tag, object_type, schema_name, identity, names, class_id, object_id)
  select 'drop', tg_tag, object_type, schema_name, object_identity, address_names, classid, objid
  from pg_event_trigger_dropped_objects() where not is_temporary;
end
$function$

CREATE OR REPLACE FUNCTION varve.note_rewrite()
 RETURNS event_trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into varve.seen_ddl (event, tag, object_type, identity, class_id, object_id)
  values ('rewrite', tg_tag, 'table', '', 'pg_class'::regclass, pg_event_trigger_table_rewrite_oid());
end
$function$

CREATE OR REPLACE FUNCTION varve.refuse_ledger_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception using errcode = '55000', message = 'varve.ledger only grows';
end
$function$
