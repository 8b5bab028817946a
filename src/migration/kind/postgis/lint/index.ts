export { lintMigration, readLocks, type LintOptions } from './lint-migration.ts';
export type { LintRule } from './lint-rule.ts';
export type { LintScript } from './lint-statement.ts';
export { LINT_RULES } from './rules.ts';
