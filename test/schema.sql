-- Made by scripts/catalog-dump.ts from sql/; do not edit.

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
  constraint code_basis_check CHECK ((basis = ANY (ARRAY['bundle'::text, 'module'::text, 'text'::text, 'sql'::text])))
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
  constraint computation_spec_enforcement_check CHECK ((enforcement = ANY (ARRAY['pure'::text, 'role'::text, 'statement'::text, 'none'::text])))
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
  constraint job_pkey PRIMARY KEY (relation, key_hash)
  constraint job_relation_fkey FOREIGN KEY (relation) REFERENCES varve.relation(id)
  constraint job_state_check CHECK ((state = ANY (ARRAY['error'::text, 'ignored'::text])))

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
  constraint relation_pkey PRIMARY KEY (id)
  constraint relation_predecessor_fkey FOREIGN KEY (predecessor) REFERENCES varve.relation(id)
  constraint relation_state_check CHECK ((state = ANY (ARRAY['building'::text, 'live'::text, 'retired'::text, 'copy'::text])))
  CREATE INDEX relation_name ON varve.relation USING btree (name)
  CREATE UNIQUE INDEX relation_live ON varve.relation USING btree (name) WHERE (state = 'live'::text)

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

CREATE OR REPLACE FUNCTION varve.digest_1(VARIADIC items text[])
 RETURNS bytea
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$ select sha256(convert_to(array_to_json(items)::text, 'UTF8')) $function$
