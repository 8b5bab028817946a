import type { CommandEntry } from './command.ts';

/** Every command, in the order of `varve --help`. A command's file is loaded when it is called. */
export const COMMANDS: readonly CommandEntry[] = [
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
    name: 'status',
    summary: 'what is applied, pending, drifted and unfinished',
    load: () => import('./command/status.ts'),
  },
  {
    name: 'receipts',
    summary: 'the records of runs: list, show, and verify offline',
    load: () => import('./command/receipts.ts'),
  },
  {
    name: 'fingerprint',
    summary: 'a digest of the catalog, by schema and kind of object',
    load: () => import('./command/fingerprint.ts'),
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
];
