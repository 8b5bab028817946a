-- Keys with something to say about when they are computed: failed ones that are tried again by their table's policy,
-- and those that a person put first or off until later.
--
-- | state   | the key is due                                                              |
-- |---------|-----------------------------------------------------------------------------|
-- | pending | from not_before on, at once where that is null; higher priority first       |
-- | error   | from not_before on; never by itself where that is null                      |
-- | ignored | never                                                                       |
--
-- A key without a row here is due when it is missing or stale. Which keys a process has in hand stands in the schema
-- varve_queue, which belongs to the queue's library.
alter table varve.job
  drop constraint job_state_check,
  add constraint job_state_check check (state in ('pending', 'error', 'ignored')),
  add column priority integer not null default 0,
  add column not_before timestamptz;
