import type { Node } from 'libpg-query';
import { effectText } from '../effect.ts';
import { DDL_EFFECTS, type DdlAction } from '../ddl-effect.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const lockHeld: LintRule = {
  code: 'lint_lock_held',
  severity: 'error',
  finds: `\`update\`, \`delete\`, \`insert ... select\`, \`create index\` or another long statement in a transaction that has locked a table by DDL before`,
  why: `The lock is held until the transaction ends, so the table stays closed for as long as the later statement works.`,
  remedy: `End the transaction right after the DDL, and do the long work in another.`,
  example: {
    instead: `begin;
alter table geo.place add column area double precision;
update geo.place set area = st_area(shape) where area is null;
commit;`,
    write: `begin;
alter table geo.place add column area double precision;
commit;
update geo.place set area = st_area(shape) where area is null and place_id between 1 and 5000;`,
  },
  find,
};

function find({ statement: { node, effects }, history }: LintView): readonly Hit[] {
  const [first] = history.held;
  if (!history.inTransaction || first === undefined) return [];
  const long = effects.find(
    ({ action, isNew, relation, what }) =>
      !isNew &&
      !FAILING.includes(action) &&
      (DDL_EFFECTS[action].work !== 'none' || (action === 'write rows' && writesMany(node))) &&
      // That has a rule of its own.
      !(action === 'validate constraint' && isSameTransaction(history, relation, what ?? '')),
  );
  if (long === undefined) return [];
  const does = long.action === 'write rows' ? `writes rows of ${long.relation}` : effectText(long);
  return [
    {
      subject: first.relation,
      reason: `${does} while ${first.lock} on ${first.relation} of line ${first.line} is held`,
    },
  ];
}

function isSameTransaction(history: LintView['history'], table: string, constraint: string): boolean {
  return history.constraint(table, constraint)?.transaction === history.transaction;
}

/** An INSERT of rows that stand in the script is short. */
function writesMany(node: Node): boolean {
  if (!('InsertStmt' in node)) return !('LockStmt' in node);
  const { selectStmt } = node.InsertStmt;
  return (
    selectStmt !== undefined && 'SelectStmt' in selectStmt && selectStmt.SelectStmt.fromClause !== undefined
  );
}

/** These fail in a transaction, which is another rule's affair. */
const FAILING: readonly DdlAction[] = [
  'create index concurrently',
  'reindex concurrently',
  'vacuum',
  'vacuum full',
];
