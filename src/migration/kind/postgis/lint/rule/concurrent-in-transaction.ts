import { isOn } from '../read-effects.ts';
import type { Node } from 'libpg-query';

import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const concurrentInTransaction: LintRule = {
  code: 'lint_concurrent_in_transaction',
  severity: 'error',
  finds: `CONCURRENTLY, VACUUM, CREATE DATABASE and others that PostgreSQL refuses inside a transaction`,
  why: `The statement fails, and the transaction with it.`,
  remedy: `Run it outside a transaction: in a phase of mode \`nontransactional\`, or after COMMIT.`,
  example: {
    instead: `begin;
create index concurrently place_name on geo.place (name);
commit;`,
    write: `create index concurrently place_name on geo.place (name);`,
  },
  find,
};

function find({ statement: { node, effects }, history }: LintView): readonly Hit[] {
  if (!history.inTransaction) return [];
  const name = refusedInside(node);
  if (name === undefined) return [];
  return [
    { subject: effects[0]?.relation ?? 'statement', reason: `${name} cannot run inside a transaction` },
  ];
}

/** What a statement is called that PostgreSQL refuses inside a transaction, or undefined. */
function refusedInside(node: Node): string | undefined {
  if ('IndexStmt' in node && node.IndexStmt.concurrent === true) return 'CREATE INDEX CONCURRENTLY';
  if ('DropStmt' in node && node.DropStmt.concurrent === true) return 'DROP INDEX CONCURRENTLY';
  if ('ReindexStmt' in node) {
    if (isOn(node.ReindexStmt.params, 'concurrently')) return 'REINDEX CONCURRENTLY';
    // Of a schema or the database, each index is built in a transaction of its own.
    return node.ReindexStmt.relation === undefined ? 'REINDEX of more than one table' : undefined;
  }
  if ('AlterTableStmt' in node && (node.AlterTableStmt.cmds ?? []).some(isConcurrentDetach))
    return 'DETACH PARTITION CONCURRENTLY';
  if ('VacuumStmt' in node && node.VacuumStmt.is_vacuumcmd === true) return 'VACUUM';
  if ('ClusterStmt' in node && node.ClusterStmt.relation === undefined) return 'CLUSTER of every table';
  if ('CreatedbStmt' in node) return 'CREATE DATABASE';
  if ('DropdbStmt' in node) return 'DROP DATABASE';
  if ('AlterSystemStmt' in node) return 'ALTER SYSTEM';
  if ('CreateTableSpaceStmt' in node) return 'CREATE TABLESPACE';
  return 'DropTableSpaceStmt' in node ? 'DROP TABLESPACE' : undefined;
}

function isConcurrentDetach(cmd: Node): boolean {
  const def = 'AlterTableCmd' in cmd ? cmd.AlterTableCmd.def : undefined;
  return def !== undefined && 'PartitionCmd' in def && def.PartitionCmd.concurrent === true;
}
