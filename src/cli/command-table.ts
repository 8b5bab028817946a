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
];
