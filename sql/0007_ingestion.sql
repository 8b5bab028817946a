-- Which batch brought which row of a manual table. Grows only: a row that is replaced gets a second line, so that the
-- batch of each version can be named. Apart from the foreign-key graph: nothing refers to it.
--
-- row_check is the first four bytes of the digest of the row as it was brought: a row that differs from it was changed by
-- a plain UPDATE since. It costs nothing, for it fills what alignment would leave empty.
create table varve.ingested (
  relation integer not null,
  ingestion integer not null,
  row_check integer not null,
  -- the first 16 bytes of the digest of the primary key, as in varve.computation
  key_hash bytea not null,
  primary key (relation, key_hash, ingestion)
);
