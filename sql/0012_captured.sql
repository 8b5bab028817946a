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

-- How the rows of a table are written: its columns, and an expression for each as text, of rows aliased o.
create function varve.capture_shape(of oid, out columns text[], out types text[], out texts text, out key_columns text[],
  out schema_name text, out table_name text, out root_schema text, out root_name text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select array_agg(a.attname::text order by a.attnum), array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum),
    string_agg(format('o.%I::text', a.attname), ', ' order by a.attnum),
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

-- Before a statement that takes columns, types or the table itself: all rows, partitions included; returns how many. With a
-- condition, the rows that it picks.
create function varve.capture_table(run text, of oid, cause text, condition text default 'true') returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  shape record;
  number bigint := nextval('varve.captured_id');
  taken bigint;
begin
  select * into shape from varve.capture_shape(of);
  execute format('insert into varve.captured_row select %s, array[%s]::text[] from %I.%I o where %s', number, shape.texts,
    shape.schema_name, shape.table_name, condition);
  get diagnostics taken = row_count;
  insert into varve.captured (id, run_id, relation, schema_name, table_name, root_schema, root_name, cause, columns, types, key_columns, rows)
  values (number, run, of, shape.schema_name, shape.table_name, shape.root_schema, shape.root_name, capture_table.cause,
    shape.columns, shape.types, shape.key_columns, taken);
  return taken;
end
$$;

-- For a rollback script: the rows of a table as they were before the run that is taken back, those of them that it overwrote or
-- destroyed, in the table's present columns; one that was not kept is null. A row that was taken several times is the first of these.
--   update plot p set area = c.area from varve.captured(null::plot) c where c.id = p.id;
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
  for piece in
    select array_agg(k.id) as ids, k.columns, k.key_columns from varve.captured k
    join pg_class c on c.oid = asked join pg_namespace n on n.oid = c.relnamespace
    where k.run_id = current_setting('varve.capture_of', true) and k.let_go_run is null and k.cause <> 'written'
      and ((k.schema_name, k.table_name) = (n.nspname, c.relname) or (k.root_schema, k.root_name) = (n.nspname, c.relname))
    group by k.columns, k.key_columns
  loop
    select string_agg(case when at is null then format('null::%s', format_type(a.atttypid, a.atttypmod))
        else format('r.texts[%s]::%s', at, format_type(a.atttypid, a.atttypmod)) end, ', ' order by a.attnum)
      into list from pg_attribute a cross join lateral (select array_position(piece.columns, a.attname::text)) p (at)
      where a.attrelid = asked and a.attnum > 0 and not a.attisdropped;
    parts := parts || format('select r.captured, %s as own_key, row(%s)::%s as own_row from varve.captured_row r where r.captured = any(%L::bigint[])',
      case when piece.key_columns is null then 'array[r.captured::text, r.ctid::text]'
        else (select format('array[%s]', string_agg(format('r.texts[%s]', array_position(piece.columns, k)), ', ')) from unnest(piece.key_columns) k) end,
      list, pg_typeof(of), piece.ids);
  end loop;
  if cardinality(parts) > 0 then
    return query execute format('select (d.own_row).* from (select distinct on (own_key) own_row from (%s) u order by own_key, captured) d',
      array_to_string(parts, ' union all '));
  end if;
end
$$;
