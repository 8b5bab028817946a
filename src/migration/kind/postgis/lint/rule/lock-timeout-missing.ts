import { hitOf } from '../hits.ts';
import { lockOf } from '../effect.ts';
import { blocksWriters } from '../ddl-effect.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const lockTimeoutMissing: LintRule = {
  code: 'lint_lock_timeout_missing',
  severity: 'error',
  finds: `the first statement of a script that readers or writers may have to wait for, where neither the script nor its runner has set \`lock_timeout\``,
  why: `A statement that waits for its lock makes everybody behind it wait: one long query before it closes the table.`,
  remedy: `Set a lock timeout first, such as \`set lock_timeout = '2s'\`, and try again when it strikes.`,
  example: {
    instead: `alter table geo.place add column area double precision;`,
    write: `set lock_timeout = '2s';
set statement_timeout = '1min';
alter table geo.place add column area double precision;`,
  },
  find,
};

function find({ statement: { effects }, history, setting }: LintView): readonly Hit[] {
  if (setting.hasTimeouts || history.isSet('lock_timeout')) return [];
  const waiting = effects.find((effect) => !effect.isNew && blocksWriters(lockOf(effect)));
  if (waiting === undefined || history.hasLocked) return [];
  return [hitOf(waiting, `waits without end for ${lockOf(waiting)} on ${waiting.relation}`)];
}
