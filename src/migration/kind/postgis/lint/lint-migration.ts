/**
 * The lint of SQL migrations: each statement is read by PostgreSQL's own parser and looked at by every rule, in the
 * light of what the statements before it did.
 *
 * What the same bundle made (a table, or all that stands in its schema) is nobody else's yet: its locks harm nobody and
 * dropping it loses nothing. In a rollback it is there already, so its locks count, and may still be dropped.
 *
 * Nothing is asked of a database. A rule that would need to know more than the scripts say assumes the worse: a type
 * change rewrites, an unknown function is volatile.
 */
import { refusal, type Finding, type JsonObject } from '../../../../base/index.ts';
import { readScript, type Script, type ScriptFault } from '../../../../store/index.ts';
import { withAllowances, type Placed } from './allowance.ts';
import { effectText } from './effect.ts';
import { openChronicle, type Chronicle } from './history.ts';
import type { LintRule, LintView } from './lint-rule.ts';
import type { LintScript, LintStatement, ScriptSetting } from './lint-statement.ts';
import { readEffects } from './read-effects.ts';
import { psqlCommand } from './rule/psql-command.ts';
import { LINT_RULES } from './rules.ts';
import { commandStarts, longNames, openWords } from './words.ts';

/** What is known of the database. */
export interface LintOptions {
  /** Major version of the server that the scripts are for; where it is not known, all are assumed to understand them. */
  readonly serverMajor?: number;
}

/**
 * Lints the scripts of one bundle in the order in which they run; each sees what those before it made.
 *
 * Shape: `[{ code: 'lint_index_not_concurrent', severity: 'error', subject: 'geo.place.place_name', detail: { file: 'forward.sql', line: 3, column: 1, reason: 'takes SHARE on geo.place and reads all of it' }, hint: '...' }]`
 * Units: `line` and `column` count from 1, columns in UTF-16 code units.
 * Invariant: cost is linear in the number of statements; what a comment allows is `info`, with its reason as `allowed`.
 * Example:
 * ```ts
 * const [finding] = await lintMigration([{ text: 'create index on geo.place (name);', hasTimeouts: true }]);
 * console.log(finding?.code); // lint_index_not_concurrent
 * ```
 */
export async function lintMigration(
  scripts: readonly LintScript[],
  { serverMajor }: LintOptions = {},
): Promise<readonly Finding[]> {
  const chronicle = openChronicle();
  const findings: Finding[] = [];
  for (const script of scripts) {
    const { inTransaction = false, hasTimeouts = false, isRollback = false } = script;
    const setting = { inTransaction, hasTimeouts, isRollback, serverMajor };
    findings.push(...lintScript(await readScript(script.text), script, { chronicle, setting }));
  }
  return findings;
}

/** What one statement does to relations, in words. */
interface StatementLocks extends JsonObject {
  readonly file: string;
  readonly line: number;
  /** Such as `takes ACCESS EXCLUSIVE on geo.place and rewrites it`. */
  readonly effects: readonly string[];
}

/** What each statement of a bundle locks and rewrites, in the order in which they run; those without such an effect are left out. */
export async function readLocks(scripts: readonly LintScript[]): Promise<readonly StatementLocks[]> {
  const chronicle = openChronicle();
  const locks: StatementLocks[] = [];
  for (const { text, file = '', inTransaction = false, isRollback = false } of scripts) {
    const script = await readScript(text);
    chronicle.begin({ inTransaction, isRollback });
    for (const read of readStatements(script, text, chronicle)) {
      const statement = read();
      const effects = statement.effects.map((effect) => effectText(effect));
      if (effects.length > 0) locks.push({ file, line: statement.line, effects });
      chronicle.record(statement);
    }
  }
  return locks;
}

interface Lint {
  readonly chronicle: Chronicle;
  readonly setting: ScriptSetting;
}

function lintScript(
  script: Script,
  { text, file }: LintScript,
  { chronicle, setting }: Lint,
): readonly Finding[] {
  const fileDetail: JsonObject = file === undefined ? {} : { file };
  const placed = script.faults.map((fault) => faultFinding(script, fault, fileDetail));
  const statements = readStatements(script, text, chronicle);
  chronicle.begin(setting);
  for (const [index, read] of statements.entries()) {
    const statement = read();
    const view: LintView = {
      statement,
      history: chronicle.history,
      setting,
      isLast: index === statements.length - 1,
      isOnly: statements.length === 1,
    };
    for (const rule of LINT_RULES) placed.push(...ruleFindings(rule, view, script, fileDetail));
    chronicle.record(statement);
  }
  const codes = LINT_RULES.map(({ code }) => code);
  return withAllowances(script, text, placed, { codes, file: fileDetail })
    .map(({ finding }) => finding)
    .toSorted((left, right) => comparePlaces(left, right));
}

/** Each is read when those before it are recorded, for they change what it means. */
function readStatements(
  script: Script,
  text: string,
  { history }: Chronicle,
): readonly (() => LintStatement)[] {
  const words = openWords(script);
  return script.statements.map(({ node, start, end }) => () => {
    const { offsetOf } = script;
    const commandStart = (index: number): number | undefined => commandStarts(words(start, end))[index];
    return {
      node,
      start,
      line: script.placeOf(start).line,
      offsetOf,
      effects: readEffects(node, { history, offsetOf, commandStart }),
      longNames: () => longNames(text.slice(start, end), () => words(start, end)),
    };
  });
}

function ruleFindings(
  rule: LintRule,
  view: LintView,
  { placeOf }: Script,
  fileDetail: JsonObject,
): readonly Placed[] {
  return rule.find(view).map(({ at, subject, reason }) => {
    const place = placeOf(at ?? view.statement.start);
    return {
      lines: [place.line, view.statement.line],
      finding: {
        code: rule.code,
        severity: rule.severity,
        subject,
        detail: { ...fileDetail, ...place, reason },
        hint: rule.remedy,
      },
    };
  });
}

function faultFinding({ placeOf }: Script, { kind, offset, reason }: ScriptFault, file: JsonObject): Placed {
  const place = placeOf(offset);
  const detail = { ...file, ...place, reason };
  if (kind === 'psql' || kind === 'copy_rows') {
    const { code, severity, remedy } = psqlCommand;
    return { lines: [place.line], finding: { code, severity, subject: 'psql', detail, hint: remedy } };
  }
  const hint =
    'Correct the statement: the parser of PostgreSQL does not read it, so no rule has looked at it.';
  return { lines: [place.line], finding: refusal('sql_invalid', 'statement', { detail, hint }) };
}

function comparePlaces({ detail: left }: Finding, { detail: right }: Finding): number {
  return Number(left['line']) - Number(right['line']) || Number(left['column']) - Number(right['column']);
}
