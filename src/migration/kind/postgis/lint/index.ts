export {
  DDL_EFFECTS,
  LOCK_MODES,
  type DdlAction,
  type DdlEffect,
  type LockMode,
  type Work,
} from './ddl-effect.ts';
export { lintMigration, type LintOptions } from './lint-migration.ts';
export type { LintCode, LintRule } from './lint-rule.ts';
export type { LintScript } from './lint-statement.ts';
export { LINT_RULES } from './rules.ts';
