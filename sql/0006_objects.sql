-- Objects: bytes that stand in an object store under the digest of themselves, and in rows as references.
-- What is there, and what is in use, is known from the store's own listing and from the rows; these tables hold only what
-- two processes must agree on before one of them deletes something.

-- Which database this is: the cluster's number and the database's. A copy made by the server has another.
create function varve.database_identity() returns text
  language sql stable
  as $$ select system_identifier::text || '/' || (select oid::text from pg_database where datname = current_database())
    from pg_control_system() $$;

-- The space of this database in the object store: a folder or bucket may hold those of others. A copy of a database takes
-- its space along, so whose it is stands beside it: nobody else deletes from it.
create table varve.object_space (
  single boolean primary key default true check (single),
  space uuid not null default gen_random_uuid(),
  owner text not null
);
insert into varve.object_space (owner) select varve.database_identity();

-- Who names an object in a row takes its line first, and whoever collects garbage holds the line while he deletes: so an
-- object is never named and gone. A line says nothing about the object beyond this.
create table varve.object (
  digest text primary key check (digest ~ '^sha256:[0-9a-f]{64}$'),
  pinned_at timestamptz not null default now()
);
