import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const detachNotConcurrent: LintRule = {
  code: 'lint_detach_not_concurrent',
  severity: 'warning',
  finds: `\`detach partition\` without CONCURRENTLY`,
  why: `It waits for every statement on the parent and lets none begin meanwhile, readers included.`,
  remedy: `Detach it CONCURRENTLY, outside a transaction.`,
  example: {
    instead: `alter table geo.track detach partition geo.track_2020;`,
    write: `alter table geo.track detach partition geo.track_2020 concurrently;`,
  },
  find: (view) => hitsOf(view, ['detach partition']),
};
