// docs/reference/lints.md, generated from the rules of the lint of SQL migrations: `npm run generate` writes it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ERROR_CODES } from '../src/base/index.ts';
import { DDL_EFFECTS } from '../src/migration/kind/postgis/lint/ddl-effect.ts';
import { LINT_RULES, type LintRule } from '../src/migration/index.ts';

export const LINT_REFERENCE = 'docs/reference/lints.md';

const HEAD = `<!-- Generated from src/migration/kind/postgis/lint/ by "npm run generate". -->

# What \`varve lint\` looks for in SQL

Each statement of a migration is read by PostgreSQL's own parser and looked at in the light of those before it: what a
table of the same bundle locks harms nobody, a timeout that is set holds for what follows, a transaction that is open
holds its locks. A finding has the line and column of the statement, or of the part of it that does the harm.

An \`error\` refuses (exit status 3); a \`warning\` and an \`info\` only tell. A comment allows what a rule finds, on the line
of the finding, above it, or above its statement, and must say why:

\`\`\`text
-- varve-allow table_dropped: nothing has read it since May, its rows stand in geo.place
drop table geo.old_place;
\`\`\`

What is allowed is still told, as \`info\` with the reason; in SARIF it is suppressed. A comment that names no rule or gives
no reason is refused; one that nothing needs is told.

Bundles run in one transaction whose timeouts varve sets. Of other files nothing of the kind is assumed:
\`--in-transaction\` and \`--timeouts\` say that whoever runs them does so. \`--server\` names the version that will run them.

Nothing is asked of a database. Where the text does not tell, the worse is assumed: a type change rewrites, a function
that is not known is volatile. A statement that the parser does not read is refused as \`sql_invalid\`, and what stands
around it is linted; bodies of functions and of DO are not looked into.
`;

const WORK = { none: '', scan: 'the table is read', rewrite: 'it is written anew' } as const;

if (import.meta.main) {
  mkdirSync(dirname(LINT_REFERENCE), { recursive: true });
  writeFileSync(LINT_REFERENCE, lintReference());
}

/** The reference page of all rules, with what each kind of DDL locks. */
export function lintReference(): string {
  return [HEAD, overview(), ...LINT_RULES.map((rule) => section(rule)), locks()].join('\n');
}

function overview(): string {
  const lines = LINT_RULES.map(
    ({ code, severity }) => `| [${code}](#${code}) | ${severity} | ${ERROR_CODES[code].summary} |`,
  );
  return table('| rule | severity | finds |', lines);
}

function section({ code, severity, finds, why, remedy, example }: LintRule): string {
  return `## ${code}

${capital(ERROR_CODES[code].summary)} (${severity}).

- Finds: ${finds}.
- Why: ${why}
- Instead: ${remedy}
- Allowed by \`-- varve-allow ${code.slice('lint_'.length)}: REASON\`.

Instead of

\`\`\`sql
${example.instead}
\`\`\`

write

\`\`\`sql
${example.write}
\`\`\`
`;
}

function locks(): string {
  const lines = Object.entries(DDL_EFFECTS).map(
    ([action, { lock, work }]) => `| ${action} | ${lock} | ${WORK[work]} |`,
  );
  return `## What each statement locks

By what a statement, or a command of an ALTER TABLE, does to a table with rows; \`(other)\` is the second relation, such as
the table that a foreign key refers to. Readers wait for ACCESS EXCLUSIVE alone; writers wait for SHARE and everything
below it in this list of modes: ACCESS SHARE, ROW SHARE, ROW EXCLUSIVE, SHARE UPDATE EXCLUSIVE, SHARE, SHARE ROW
EXCLUSIVE, EXCLUSIVE, ACCESS EXCLUSIVE. A test runs every line on PostgreSQL 15 and 18.

${table('| does | lock | meanwhile |', lines)}`;
}

function table(head: string, lines: readonly string[]): string {
  const rule = head.replaceAll(/[^|]+/g, ' --- ');
  return `${[head, rule, ...lines].join('\n')}\n`;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
