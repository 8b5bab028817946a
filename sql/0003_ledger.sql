-- The ledger of runs: append-only, chained by digest, one line per phase of a run.
--
-- | phase     | written                                        | body                                              |
-- |-----------|------------------------------------------------|---------------------------------------------------|
-- | opened    | before the run measures or writes anything     | actor, host, start, what the plan binds           |
-- | baselined | before the first write of the run              | the baseline                                      |
-- | committed | in the transaction of the change itself        | the receipt without its end, and every product    |
-- | undone    | in the transaction that takes the work back    | the same                                          |
-- | closed    | once the receipt is stored                     | the receipt                                       |
--
-- A run without `closed` is unfinished; `committed` or `undone` says which way it went, and neither means that
-- nothing which readers see was changed.

create table varve.ledger (
  seq            bigint  primary key check (seq > 0),
  prev           text    not null check (prev ~ '^sha256:[0-9a-f]{64}$'),
  digest         text    not null unique check (digest ~ '^sha256:[0-9a-f]{64}$'),
  run_id         text    not null,
  migration_id   text    not null,
  phase          text    not null check (phase in ('opened', 'baselined', 'committed', 'undone', 'closed')),
  environment    text    not null,
  direction      text    not null check (direction in ('forward', 'rollback')),
  attempt        integer not null check (attempt > 0),
  bundle_digest  text    not null,
  plan_digest    text    not null,
  body_digest    text    not null,
  receipt_digest text,
  at             text    not null,
  body           jsonb   not null,
  unique (run_id, phase),
  unique (migration_id, bundle_digest, environment, direction, attempt, phase),
  check ((phase = 'closed') = (receipt_digest is not null))
);

-- A run goes one way only: two processes that both think it theirs cannot each end it.
create unique index ledger_one_way on varve.ledger (run_id) where phase in ('committed', 'undone');

create function varve.refuse_ledger_change() returns trigger language plpgsql as $$
begin
  raise exception using errcode = '55000', message = 'varve.ledger only grows';
end
$$;

create trigger ledger_only_grows before update or delete or truncate on varve.ledger
  for each statement execute function varve.refuse_ledger_change();
-- ALWAYS: also in a session whose replication role switches ordinary triggers off.
alter table varve.ledger enable always trigger ledger_only_grows;
