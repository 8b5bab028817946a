-- Runs, definitions, relations and computations: where every computed row comes from.
-- Written in the transaction of the rows they describe. Nothing here is ever updated in meaning: a row that no longer
-- holds moves to varve.superseded, a structure that no longer holds stays as a retired relation.

-- The digest of a list of values by their text: the one function behind every row digest, so that equal rows give equal
-- digests on every server. Version 1; another version gets another function. Not marked immutable although it is: the
-- planner inlines it only when its parts, which PostgreSQL calls stable, allow it.
create function varve.digest_1(variadic items text[]) returns bytea
  language sql stable parallel safe
  as $$ select sha256(convert_to(array_to_json(items)::text, 'UTF8')) $$;

create table varve.run (
  id integer generated always as identity primary key,
  name text not null unique check (name like 'varve://run/%'),
  kind text not null,
  actor text not null,
  host text not null,
  process integer not null,
  git_commit text,
  lock_digest text,
  definition_digest text,
  settings jsonb not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  status text not null check (status in ('running', 'done', 'failed', 'interrupted'))
);

create table varve.definition_set (
  id integer generated always as identity primary key,
  digest text not null unique,
  body jsonb not null,
  created_at timestamptz not null default now()
);

-- One generation of one table: a change of structure makes a new one and retires the old, whose rows stay where
-- physical_schema and physical_name say.
create table varve.relation (
  id integer generated always as identity primary key,
  name text not null,
  spec jsonb not null,
  physical_schema text not null,
  physical_name text not null,
  state text not null check (state in ('building', 'live', 'retired', 'copy')),
  predecessor integer references varve.relation (id),
  since_run text,
  until_run text,
  since_at timestamptz,
  until_at timestamptz
);
create unique index relation_live on varve.relation (name) where state = 'live';
create index relation_name on varve.relation (name);

-- Which set was live when.
create table varve.deployment (
  id integer generated always as identity primary key,
  definition_set integer not null references varve.definition_set (id),
  run text not null,
  deployed_at timestamptz not null default now()
);

create table varve.code (
  id integer generated always as identity primary key,
  digest text not null unique,
  -- bundle: the make and what it reaches; module: the whole file it stands in; text: its own text only
  basis text not null check (basis in ('bundle', 'module', 'text', 'sql')),
  packages jsonb not null,
  source text not null
);

-- What all computations of one table in one run share.
create table varve.computation_spec (
  id integer generated always as identity primary key,
  run integer not null references varve.run (id),
  relation integer not null references varve.relation (id),
  code integer not null references varve.code (id),
  -- [{ name, table, relation, columns, cardinality, match }] in the order of computation.inputs
  reads jsonb not null,
  -- role: limited by the database; statement: statements were checked; pure: no database handle; none: observed only
  enforcement text not null check (enforcement in ('pure', 'role', 'statement', 'none')),
  -- computed by its make; attributed by a migration; adopted as found
  origin text not null check (origin in ('computed', 'attributed', 'adopted')),
  attribution jsonb
);

-- One computed key: which code, which inputs, which output. key_hash is the first 16 bytes of the digest of the key;
-- inputs holds 32 bytes for each declared read, in the order of the spec's reads.
create table varve.computation (
  relation integer not null,
  spec integer not null,
  duration_us integer not null,
  key_hash bytea not null,
  inputs bytea not null,
  output bytea not null,
  primary key (relation, key_hash)
);

-- What a computation read beside its declared reads: undeclared tables that observation let through, and files.
create table varve.recorded_read (
  relation integer not null,
  key_hash bytea not null,
  spec integer not null,
  ordinal smallint not null,
  -- schema.table, or file:path
  subject text not null,
  declared boolean not null,
  columns text[] not null,
  -- the keys of the rows that were read; null where the statement does not tell them
  keys jsonb,
  row_count bigint not null,
  digest bytea not null,
  primary key (relation, key_hash, spec, ordinal)
);
create index recorded_read_subject on varve.recorded_read (relation, subject);

-- Results that were replaced or deleted, whole: rows of the table and of its parts, and how they were computed.
create table varve.superseded (
  id bigint generated always as identity primary key,
  relation integer not null references varve.relation (id),
  key_hash bytea not null,
  key jsonb not null,
  -- { "schema.table": [row, ...] }, master first
  rows jsonb not null,
  spec integer,
  inputs bytea,
  output bytea,
  duration_us integer,
  -- recomputed, deleted, contents
  reason text not null,
  superseded_by text not null,
  superseded_at timestamptz not null default now()
);
create index superseded_key on varve.superseded (relation, key_hash);

-- Keys that are not computed for a reason: their make failed, or someone said to leave them.
create table varve.job (
  relation integer not null references varve.relation (id),
  key_hash bytea not null,
  key jsonb not null,
  state text not null check (state in ('error', 'ignored')),
  code text,
  message text,
  stack text,
  attempts integer not null,
  run text not null,
  changed_at timestamptz not null,
  primary key (relation, key_hash)
);

-- Where batches of manual rows came from; apart from the foreign-key graph.
create table varve.ingestion (
  id bigint generated always as identity primary key,
  relation integer not null references varve.relation (id),
  source text not null,
  actor text not null,
  row_count integer not null,
  digest text not null,
  ingested_at timestamptz not null default now()
);
