import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const partitionScanned: LintRule = {
  code: 'lint_partition_scanned',
  severity: 'warning',
  finds: `\`attach partition\` of a table that is there`,
  why: `Every row of it is checked under ACCESS EXCLUSIVE, and so is every row of a default partition, unless a validated check says already that they fit.`,
  remedy: `Add a check that says the same as the bounds, NOT VALID, and validate it beforehand; then allow this with that as the reason. A table of the same bundle needs none.`,
  example: {
    instead: `alter table geo.track attach partition geo.track_2027 for values from (2027) to (2028);`,
    write: `create table geo.track_2027 (year integer not null);
alter table geo.track attach partition geo.track_2027 for values from (2027) to (2028);`,
  },
  find: (view) => hitsOf(view, ['attach partition (other)']),
};
