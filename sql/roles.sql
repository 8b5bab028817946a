-- The roles that a confined run of a migration needs, and what lets them do their part. A superuser runs this once in a
-- database that has varve's catalog, and again after an upgrade of varve: `varve roles` prints it, `varve roles --apply` runs
-- it. It is no part of the catalog, since only a superuser may do it. Passwords are set by the administrator and stand in no file.
--
-- | role         | logs in | may                                                                                          |
-- |--------------|---------|----------------------------------------------------------------------------------------------|
-- | varve_owner  | no      | owns schema varve and the guards, reads all rows; lent to a run's session around the script, never while it runs |
-- | varve_runner | yes     | nothing; for one run it is lent the role that owns the allowed tables                         |
-- | varve_verify | yes     | decodes the log of a prepared transaction                                                      |

do $$
begin
  if not exists (select from pg_roles where rolname = 'varve_owner') then create role varve_owner; end if;
  if not exists (select from pg_roles where rolname = 'varve_runner') then create role varve_runner; end if;
  if not exists (select from pg_roles where rolname = 'varve_verify') then create role varve_verify; end if;
end
$$;
alter role varve_owner nologin nosuperuser nocreatedb nocreaterole noreplication bypassrls inherit;
alter role varve_runner login nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit;
alter role varve_verify login nosuperuser nocreatedb nocreaterole replication nobypassrls noinherit;
grant pg_read_all_data to varve_owner;

do $$
declare
  each record;
begin
  alter schema varve owner to varve_owner;
  for each in
    select c.oid::regclass as name from pg_class c
    where c.relnamespace = 'varve'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
        and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i'))
  loop
    execute format('alter table %s owner to varve_owner', each.name);
  end loop;
  for each in
    select p.oid::regprocedure as name from pg_proc p
    where p.pronamespace = 'varve'::regnamespace and p.proname not in ('arm_guards', 'disarm_guards', 'arm_capture', 'disarm_capture')
  loop
    execute format('alter routine %s owner to varve_owner', each.name);
  end loop;
end
$$;

-- The script's role may not write where these do.
alter function varve.note_ddl() security definer;
alter function varve.note_drop() security definer;
alter function varve.note_rewrite() security definer;

-- Event triggers, and triggers on tables of others, are a superuser's to make: so these two act as one, and do nothing but this.
-- Each takes protected tables, and those of them whose rows may also come through a parent.
create or replace function varve.arm_guards(tables oid[], children oid[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  one record;
begin
  for one in select c.oid::regclass as name, case c.relkind when 'f' then 'foreign table' else 'table' end as word
    from pg_class c where c.oid = any (tables) order by c.oid
  loop
    execute format('create trigger varve_deny before insert or update or delete or truncate on %s for each statement execute function varve.deny_write()', one.name);
    execute format('alter %s %s enable always trigger varve_deny', one.word, one.name);
  end loop;
  for one in select c.oid::regclass as name from pg_class c where c.oid = any (children) order by c.oid loop
    execute format('create trigger varve_deny_row before insert or update or delete on %s for each row execute function varve.deny_write()', one.name);
    execute format('alter table %s enable always trigger varve_deny_row', one.name);
  end loop;
  -- Last, so that they do not see the others being made.
  create event trigger varve_note_ddl on ddl_command_end execute function varve.note_ddl();
  create event trigger varve_note_drop on sql_drop execute function varve.note_drop();
  create event trigger varve_note_rewrite on table_rewrite execute function varve.note_rewrite();
  alter event trigger varve_note_ddl enable always;
  alter event trigger varve_note_drop enable always;
  alter event trigger varve_note_rewrite enable always;
end
$$;

create or replace function varve.disarm_guards(tables oid[], children oid[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  one record;
begin
  drop event trigger if exists varve_note_ddl;
  drop event trigger if exists varve_note_drop;
  drop event trigger if exists varve_note_rewrite;
  for one in select c.oid::regclass as name from pg_class c where c.oid = any (tables) order by c.oid loop
    execute format('drop trigger if exists varve_deny on %s', one.name);
  end loop;
  for one in select c.oid::regclass as name from pg_class c where c.oid = any (children) order by c.oid loop
    execute format('drop trigger if exists varve_deny_row on %s', one.name);
  end loop;
end
$$;

-- The triggers that keep what a run overwrites stand on tables of others too.
alter function varve.arm_capture(text, oid[]) security definer;
alter function varve.disarm_capture() security definer;
do $$ begin
  execute format('alter function varve.arm_capture(text, oid[]) owner to %I', current_user);
  execute format('alter function varve.disarm_capture() owner to %I', current_user);
end $$;

revoke all on function varve.arm_guards(oid[], oid[]), varve.disarm_guards(oid[], oid[]) from public;
grant execute on function varve.arm_guards(oid[], oid[]), varve.disarm_guards(oid[], oid[]),
  varve.arm_capture(text, oid[]), varve.disarm_capture() to varve_owner;
