import type { CommandEntry } from './command.ts';

/** Every command, in the order of `varve --help`. A command's file is loaded when it is called. */
export const COMMANDS: readonly CommandEntry[] = [];
