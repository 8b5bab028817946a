import { existing, hitOf } from '../hits.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const indexMayBeInvalid: LintRule = {
  code: 'lint_index_may_be_invalid',
  severity: 'warning',
  finds: `\`create index concurrently if not exists\` that no \`drop index ... if exists\` of the same name comes before`,
  why: `A build that was interrupted leaves an invalid index of that name; IF NOT EXISTS takes it for the real one, and nothing uses it.`,
  remedy: `Drop what a failed build may have left, CONCURRENTLY IF EXISTS, then build without IF NOT EXISTS.`,
  example: {
    instead: `create index concurrently if not exists place_name on geo.place (name);`,
    write: `drop index concurrently if exists geo.place_name;
create index concurrently place_name on geo.place (name);`,
  },
  find,
};

function find(view: LintView): readonly Hit[] {
  const { node } = view.statement;
  if (!('IndexStmt' in node) || node.IndexStmt.if_not_exists !== true) return [];
  const { schemaname } = node.IndexStmt.relation ?? {};
  return existing(view, ['create index concurrently'])
    .filter(
      ({ what = '' }) =>
        !view.history.isIndexDropped(schemaname === undefined ? what : `${schemaname}.${what}`),
    )
    .map((effect) => hitOf(effect, 'an invalid index of this name would count as built'));
}
