-- Makes that ran in a process which reaches nothing but its inputs.
alter table varve.computation_spec
  drop constraint computation_spec_enforcement_check,
  -- As before, and isolated: no database handle, in a process without address, network, file system and environment.
  add constraint computation_spec_enforcement_check
    check (enforcement in ('pure', 'isolated', 'role', 'statement', 'none'));
