-- What governed migrations overwrote and destroyed, as it was before: kept in the transaction that did it, until an approved
-- retire lets go of it.

create sequence varve.captured_id;

-- What one statement took from one table.
create table varve.captured (
  id           bigint primary key default nextval('varve.captured_id'),
  run_id       text not null,
  relation     oid not null,
  schema_name  text not null,
  table_name   text not null,
  -- the table that this one is a partition of, else null: its rows are asked for under either name
  root_schema  text,
  root_name    text,
  -- update, delete, truncate; whole: a statement was to take columns or the table; written: what others had written
  cause        text not null check (cause in ('update', 'delete', 'truncate', 'whole', 'written')),
  columns      text[] not null,
  types        text[] not null,
  -- the columns of the primary key; null where there was none
  key_columns  text[],
  rows         bigint not null,
  -- the run that let go of the rows; this line stays
  let_go_run   text
);
create index captured_run on varve.captured (run_id);

-- One row of it: its columns as text, in their order. Written in one piece and read in one piece.
create table varve.captured_row (
  captured bigint not null,
  texts    text[] not null
);
create index captured_row_of on varve.captured_row using brin (captured);

-- What the deciding transaction of a run saw and who it was: rows of whoever it did not see, and was not, came later.
create table varve.run_snapshot (
  run_id   text primary key,
  snapshot pg_snapshot not null,
  own      xid8 not null
);

-- How the rows of a table are written: its columns, and an expression for each as text, of rows aliased o.
create function varve.capture_shape(of oid, out columns text[], out types text[], out texts text, out key_columns text[],
  out schema_name text, out table_name text, out root_schema text, out root_name text)
language sql stable set search_path = pg_catalog, pg_temp as $$
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
$$;

-- After an UPDATE or DELETE, what it took; before a TRUNCATE, all rows. The run is the trigger's argument.
create function varve.capture() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
$$;

-- Before a statement that takes columns, types or the table itself: all rows, partitions included; returns how many.
create function varve.capture_table(run text, of oid) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
$$;

-- The run's triggers on these tables, but on those that this role may put none on. Triggers of one kind fire in the order of their
-- names: these first, so that what others set off is kept after what set it off.
create function varve.arm_capture(run text, tables oid[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
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
$$;

create function varve.disarm_capture() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
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
$$;

-- What the run that is taken back kept of a table, by shape.
create function varve.captured_shapes(asked oid) returns table (ids bigint[], columns text[], key_columns text[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select array_agg(k.id), k.columns, k.key_columns from varve.captured k
  join pg_class c on c.oid = asked join pg_namespace n on n.oid = c.relnamespace
  where k.run_id = current_setting('varve.capture_of', true) and k.let_go_run is null and k.cause <> 'written'
    and ((k.schema_name, k.table_name) = (n.nspname, c.relname) or (k.root_schema, k.root_name) = (n.nspname, c.relname))
  group by k.columns, k.key_columns
$$;

-- The same, row by row.
create function varve.captured_texts(ids bigint[]) returns table (captured bigint, texts text[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select r.captured, r.texts from varve.captured_row r
  where r.captured = any (array(select k.id from varve.captured k
    where k.id = any (ids) and k.run_id = current_setting('varve.capture_of', true)))
$$;

-- For a rollback script: the rows of a table as they were before the run that is taken back, those of them that it overwrote or
-- destroyed, in the table's present columns; one that was not kept is null. A row that was taken several times is the first of these.
--   update plot p set area = c.area from varve.captured(null::plot) c where c.id = p.id;
-- Texts become values with the caller's rights alone, for a type may have its author's checks.
create function varve.captured(of anyelement) returns setof anyelement
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
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
$$;

revoke all on function varve.capture_table(text, oid), varve.arm_capture(text, oid[]), varve.disarm_capture(),
  varve.captured_shapes(oid), varve.captured_texts(bigint[]), varve.captured(anyelement) from public;
