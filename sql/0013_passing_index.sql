-- An index that comes and goes in one run is gone when the run is looked at: its table is noted while it is there.

alter table varve.seen_ddl add column table_id oid;

create or replace function varve.note_ddl() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into varve.seen_ddl (event, tag, object_type, schema_name, identity, class_id, object_id, table_id)
  select 'command', command_tag, object_type, schema_name, object_identity, classid, objid,
    (select i.indrelid from pg_index i where classid = 'pg_class'::regclass and i.indexrelid = objid)
  from pg_event_trigger_ddl_commands();
end
$$;
