-- How the generations of tables hang together. A structure that is built anew is a relation of its own; what its rows came
-- from stands in varve.relation_source, for one table may be split into several and several be merged into one. A table
-- that only got another name, or a definition that says something else about the same rows, stays the same relation: what
-- it was called and how it was defined before stands in varve.relation_version.

create table varve.relation_source (
  relation integer not null references varve.relation (id),
  source integer not null references varve.relation (id),
  -- Where the map from the rows of the source to those of the relation stands, in schema varve_history; null: rows with
  -- the same key are the same rows.
  map text,
  primary key (relation, source)
);

create table varve.relation_version (
  id integer generated always as identity primary key,
  relation integer not null references varve.relation (id),
  name text not null,
  spec jsonb not null,
  until_run text not null,
  until_at timestamptz not null default now()
);
create index relation_version_name on varve.relation_version (name);
