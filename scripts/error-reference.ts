// docs/reference/errors.md, generated from the table of codes: `npm run generate` writes it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ERROR_CODES } from '../src/base/index.ts';

export const ERROR_REFERENCE = 'docs/reference/errors.md';

const HEAD = `<!-- Generated from src/base/error-code.ts by "npm run generate". -->

# Codes of errors and findings

Every exception (\`VarveError\`) and every finding carries one of these codes. A code never changes its meaning, so a
program may branch on it; the text beside it may change.

The exit status is that of the command line: 1 a fault in varve, 2 a call that is not understood, 3 refused and nothing
changed, 4 failed and rolled back, 5 unknown until \`varve recover\` has run. "Again" says whether the same call may
succeed later without a change.

| code | meaning | exit | HTTP | again |
| --- | --- | --- | --- | --- |
`;

if (import.meta.main) {
  mkdirSync(dirname(ERROR_REFERENCE), { recursive: true });
  writeFileSync(ERROR_REFERENCE, errorReference());
}

/** The reference page of all codes, in the order of the table. */
export function errorReference(): string {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { summary, exit, http, retryable }]) =>
      `| \`${code}\` | ${summary} | ${exit} | ${http} | ${retryable ? 'yes' : ''} |`,
  );
  return `${HEAD}${rows.join('\n')}\n`;
}
