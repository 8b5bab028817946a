-- What columns were called in the structure that rows came from. A recorded read names the row that was read by its key as it
-- was called then.

alter table varve.relation_source
  -- column of the relation to that of the source that it goes on from; null: not noted
  add column columns jsonb;
