import { attestCode } from './attest-code.ts';
import { adoptTable } from './adopt-table.ts';
import { createTable } from './create-table.ts';
import type { Operation, OperationVerbs } from './operation.ts';
import { rebuild } from './rebuild.ts';
import { redefine } from './redefine.ts';
import { removeTable } from './remove-table.ts';
import { renameTable } from './rename-table.ts';
import { syncContents } from './sync-contents.ts';

const VERBS = {
  attest_code: attestCode,
  adopt_table: adoptTable,
  create_table: createTable,
  rebuild,
  redefine,
  remove_table: removeTable,
  rename_table: renameTable,
  sync_contents: syncContents,
} as const satisfies { readonly [K in Operation['kind']]: OperationVerbs<Extract<Operation, { kind: K }>> };

/** The verbs of an operation's kind. */
export function verbsOf(operation: Operation): OperationVerbs<Operation> {
  // Each entry takes exactly the operations of its own kind, which is the one it is looked up by.
  return VERBS[operation.kind] as unknown as OperationVerbs<Operation>;
}
