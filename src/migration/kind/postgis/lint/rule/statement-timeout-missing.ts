import { hitOf } from '../hits.ts';
import { lockOf } from '../effect.ts';
import { blocksWriters } from '../ddl-effect.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const statementTimeoutMissing: LintRule = {
  code: 'lint_statement_timeout_missing',
  severity: 'warning',
  finds: `the first DDL statement of a script, where neither the script nor its runner has set \`statement_timeout\`; not one that works CONCURRENTLY`,
  why: `A statement that turns out to be slow holds its locks for as long as it takes.`,
  remedy: `Set a statement timeout first, such as \`set statement_timeout = '1min'\`.`,
  example: {
    instead: `set lock_timeout = '2s';
alter table geo.place add column area double precision;`,
    write: `set lock_timeout = '2s';
set statement_timeout = '1min';
alter table geo.place add column area double precision;`,
  },
  find,
};

function find({ statement: { effects }, history, setting }: LintView): readonly Hit[] {
  if (setting.hasTimeouts || history.isSet('statement_timeout')) return [];
  const slow = effects.find((effect) => !effect.isNew && blocksWriters(lockOf(effect)));
  if (slow === undefined || history.hasLocked) return [];
  return [hitOf(slow, `holds ${lockOf(slow)} on ${slow.relation} for as long as it takes`)];
}
