import type { CommandEntry } from './command.ts';

/** Every command, in the order of `varve --help`. A command's file is loaded when it is called. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'init',
    summary: 'a project that runs, in this folder or another',
    load: () => import('./command/init.ts'),
  },
  {
    name: 'trace',
    summary: 'the rows above: everything these rows were derived from',
    load: () => import('./command/trace.ts'),
  },
  {
    name: 'cascade',
    summary: 'the rows below: everything that depends on these rows',
    load: () => import('./command/cascade.ts'),
  },
  {
    name: 'graph',
    summary: 'the graph of tables and foreign keys',
    load: () => import('./command/graph.ts'),
  },
  {
    name: 'fingerprint',
    summary: 'a digest of the catalog, by schema and kind of object',
    load: () => import('./command/fingerprint.ts'),
  },
  {
    name: 'adopt',
    summary: 'definitions of a database that is there already',
    load: () => import('./command/adopt.ts'),
  },
  {
    name: 'check',
    summary: 'everything that needs no write: the command for CI',
    load: () => import('./command/check.ts'),
  },
  {
    name: 'lint',
    summary: 'what SQL migrations would lock, rewrite, lose or break',
    load: () => import('./command/lint.ts'),
  },
  {
    name: 'insert',
    summary: 'bring rows of a file into a manual table',
    load: () => import('./command/insert.ts'),
  },
  {
    name: 'populate',
    summary: 'compute what is missing or stale',
    load: () => import('./command/populate.ts'),
  },
  {
    name: 'jobs',
    summary: 'keys that stand aside: list, retry, ignore or clear them',
    load: () => import('./command/jobs.ts'),
  },
  {
    name: 'why',
    summary: 'where a row comes from: run, code, actor, time, every input',
    load: () => import('./command/why.ts'),
  },
  {
    name: 'history',
    summary: 'a row as it was, and what replaced it',
    load: () => import('./command/history.ts'),
  },
  {
    name: 'code',
    summary: 'the code that each table was computed with, now or as of a run',
    load: () => import('./command/code.ts'),
  },
  {
    name: 'stale',
    summary: 'rows whose recorded inputs or code are no longer those of the present',
    load: () => import('./command/stale.ts'),
  },
  {
    name: 'observe',
    summary: 'record what adopted rows were made from, where their makes give them again',
    load: () => import('./command/observe.ts'),
  },
  {
    name: 'delete',
    summary: 'move rows and all that hangs on them to history; asks first',
    load: () => import('./command/delete.ts'),
  },
  {
    name: 'restore',
    summary: 'let rows that a deletion took stand again',
    load: () => import('./command/restore.ts'),
  },
  {
    name: 'objects',
    summary: 'large values: what is there, what is garbage, what is missing',
    load: () => import('./command/objects.ts'),
  },
  {
    name: 'new',
    summary: 'a migration to be filled in',
    load: () => import('./command/new.ts'),
  },
  {
    name: 'plan',
    summary: 'what a migration would do, without doing it',
    load: () => import('./command/plan.ts'),
  },
  {
    name: 'rehearse',
    summary: 'a migration on a disposable copy: there, back, and there again',
    load: () => import('./command/rehearse.ts'),
  },
  {
    name: 'apply',
    summary: 'do what was planned, or go on where a killed run stopped',
    load: () => import('./command/apply.ts'),
  },
  {
    name: 'rollback',
    summary: 'take an applied migration back',
    load: () => import('./command/rollback.ts'),
  },
  {
    name: 'approve',
    summary: 'sign what a migration is allowed to do',
    load: () => import('./command/approve.ts'),
  },
  {
    name: 'keys',
    summary: 'whose signatures count: list, add',
    load: () => import('./command/keys.ts'),
  },
  {
    name: 'roles',
    summary: 'the roles of a server that confined runs need: print, or make them',
    load: () => import('./command/roles.ts'),
  },
  {
    name: 'retire',
    summary: 'let go for good of what a migration superseded; needs an approval',
    load: () => import('./command/retire.ts'),
  },
  {
    name: 'verify',
    summary: 'whether what stands in the database is what its definitions give',
    load: () => import('./command/verify.ts'),
  },
  {
    name: 'status',
    summary: 'what is applied, pending, drifted, unfinished',
    load: () => import('./command/status.ts'),
  },
  {
    name: 'gate',
    summary: 'the six gates that block merge and run, for CI',
    load: () => import('./command/gate.ts'),
  },
  {
    name: 'recover',
    summary: 'settle runs that were killed',
    load: () => import('./command/recover.ts'),
  },
  {
    name: 'document',
    summary: 'JSON documents of any version: check, plan, migrate, coverage, compat, history',
    load: () => import('./command/document.ts'),
  },
  {
    name: 'receipts',
    summary: 'the record of each run: list, show, verify',
    load: () => import('./command/receipts.ts'),
  },
];
