// docs/reference/checks.md, generated from the rules of the check of sources: `npm run generate` writes it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ERROR_CODES } from '../src/base/index.ts';
import { CHECK_RULES, type CheckRule } from '../src/pipeline/index.ts';

export const CHECK_REFERENCE = 'docs/reference/checks.md';

const HEAD = `<!-- Generated from src/pipeline/check/rule.ts by "npm run generate". -->

# What \`varve check\` looks for in source

A make is read before it runs, and so is every function of the project that it reaches. What it uses from outside is
told with file, line and what to do: as an error where the table enforces its reads (the default), as a warning where it
observes.

A comment allows what a rule finds, on the line of the finding or on the one above, and must say why:

\`\`\`text
// varve-allow clock: only the log line carries it
\`\`\`

What is allowed is still told, as \`info\` with the reason; in SARIF it is suppressed. In \`imported\` tables, which
read outside the database, files need no allowance.

A value whose origin the text does not tell (a parameter, an element picked at run time) is not followed. A client of a
database or of the network that no list knows is not found; \`isolate: true\` stops it when it runs.
`;

if (import.meta.main) {
  mkdirSync(dirname(CHECK_REFERENCE), { recursive: true });
  writeFileSync(CHECK_REFERENCE, checkReference());
}

/** The reference page of all rules, in the order of their codes. */
export function checkReference(): string {
  return [HEAD, ...CHECK_RULES.map((rule) => section(rule))].join('\n');
}

function section({ code, allow, finds, why, remedy }: CheckRule): string {
  const allowed =
    allow === undefined ? 'Nothing allows it.' : `Allowed by \`// varve-allow ${allow}: REASON\`.`;
  return `## ${code}

${capital(ERROR_CODES[code].summary)}.

- Finds: ${finds}.
- Why: ${why}
- Instead: ${remedy}
- ${allowed}
`;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
