-- What an approved retire let go. The rows are gone then; that they were there is not: who had them, from when until when,
-- the digest of each unit's rows, the code and the run that computed them.
alter table varve.relation
  drop constraint relation_state_check,
  -- As before, and let_go: a retired structure whose rows are gone; its spec stays, for the graph of its time.
  add constraint relation_state_check check (state in ('building', 'live', 'retired', 'copy', 'let_go')),
  add column let_go_run text,
  add column let_go_at timestamptz;

-- One version of one unit that stood in a structure which was let go, or that was superseded in it.
create table varve.let_go (
  relation integer not null references varve.relation (id),
  -- null: nothing computed it
  spec integer references varve.computation_spec (id),
  since_at timestamptz,
  until_at timestamptz,
  -- structure: it stood until its structure was replaced; else as in varve.superseded
  ended text not null,
  -- the run that replaced it; null where that is the run that replaced the structure
  until_run text,
  -- as in varve.computation: what a key finds it by
  key_hash bytea not null,
  -- the recorded digest of what was computed; of rows that people brought, that of their text as history showed it
  output bytea not null
);
create index let_go_key on varve.let_go (relation, key_hash);

alter table varve.ledger
  drop constraint ledger_direction_check,
  add constraint ledger_direction_check check (direction in ('forward', 'rollback', 'retire'));
