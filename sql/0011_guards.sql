-- What a governed migration is watched and held by. Nothing here is in force by itself: a run makes the triggers in its own
-- transaction and takes them away before it commits, so that no setting arms them.

-- What event triggers saw of the transaction that is under way; empty between runs.
create table varve.seen_ddl (
  ordinal     bigint generated always as identity primary key,
  event       text not null,
  tag         text not null,
  object_type text,
  schema_name text,
  -- null: the server does not say what was touched
  identity    text,
  -- of a dropped object: the names that lead to it
  names       text[],
  class_id    oid,
  object_id   oid
);

create function varve.note_ddl() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into varve.seen_ddl (event, tag, object_type, schema_name, identity, class_id, object_id)
  select 'command', command_tag, object_type, schema_name, object_identity, classid, objid
  from pg_event_trigger_ddl_commands();
end
$$;

create function varve.note_drop() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into varve.seen_ddl (event, tag, object_type, schema_name, identity, names, class_id, object_id)
  select 'drop', tg_tag, object_type, schema_name, object_identity, address_names, classid, objid
  from pg_event_trigger_dropped_objects() where not is_temporary;
end
$$;

create function varve.note_rewrite() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into varve.seen_ddl (event, tag, object_type, identity, class_id, object_id)
  values ('rewrite', tg_tag, 'table', '', 'pg_class'::regclass, pg_event_trigger_table_rewrite_oid());
end
$$;

-- The table is told by the fields of the error; the error's text says nothing of rows.
create function varve.deny_write() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = 'VV001', message = 'varve: a protected table refuses the write',
    schema = tg_table_schema, table = tg_table_name;
end
$$;
