-- Tables that others made and varve took over as they stood, and makes that are outside commands.

-- A relation whose rows were there before varve was. A row of it without a computation was adopted, or written since by
-- another program; generations that an evolution makes of it lead back here by varve.relation_source. What goes by the
-- name it had then stands where it stood then, whichever generation it is.
create table varve.adoption (
  relation integer primary key,
  name text not null,
  physical_schema text not null,
  physical_name text not null,
  run text not null,
  row_count bigint not null,
  adopted_at timestamptz not null default now()
);

-- Foreign keys that a structure lost when it went to history, word by word: the way back gives it the very same, with
-- their actions, and those that no definition says.
create table varve.dropped_key (
  relation integer not null,
  name text not null,
  definition text not null,
  primary key (relation, name)
);

alter table varve.computation_spec
  drop constraint computation_spec_enforcement_check,
  -- As before, and outside: a command was given the declared reads; what else it read, nobody saw.
  add constraint computation_spec_enforcement_check
    check (enforcement in ('pure', 'isolated', 'outside', 'role', 'statement', 'none'));

alter table varve.code
  drop constraint code_basis_check,
  -- As before, and command: the arguments of an outside command and the files that they name
  add constraint code_basis_check check (basis in ('bundle', 'module', 'text', 'sql', 'command'));
