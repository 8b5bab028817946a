import { existing, hitOf } from '../hits.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const truncateCascades: LintRule = {
  code: 'lint_truncate_cascades',
  severity: 'error',
  finds: `\`truncate ... cascade\``,
  why: `Every table with a foreign key to it is emptied as well, and those that refer to them, and the script does not say which.`,
  remedy: `Name every table that is to be emptied, and leave CASCADE out.`,
  example: {
    instead: `truncate geo.place cascade;`,
    write: `-- varve-allow table_truncated: caches that fill themselves
truncate geo.tile_cache, geo.tile_index;`,
  },
  find,
};

function find(view: LintView): readonly Hit[] {
  const { node } = view.statement;
  if (!('TruncateStmt' in node) || node.TruncateStmt.behavior !== 'DROP_CASCADE') return [];
  return existing(view, ['truncate']).map((effect) =>
    hitOf(effect, `the rows of ${effect.relation} and of every table that refers to it are lost`),
  );
}
