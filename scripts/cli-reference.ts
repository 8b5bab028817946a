// docs/reference/cli.md, generated from what the commands say of themselves: `npm run generate` writes it.
import { writeFileSync } from 'node:fs';
import { COMMANDS } from '../src/cli/command-table.ts';
import { processIo } from '../src/cli/io.ts';
import { main } from '../src/cli/main.ts';

export const CLI_REFERENCE = 'docs/reference/cli.md';

const HEAD = `<!-- Generated from src/cli/command/ by "npm run generate". -->

# Command line

Standard output carries the result, standard error everything else. \`--json\` prints exactly one object:
\`{ "status": "ok" | "refused" | "failed" | "rolled_back" | "indeterminate", "findings": [...], ... }\`.

| exit status | means |
| --- | --- |
| 0 | done |
| 1 | a fault in varve |
| 2 | a call that is not understood |
| 3 | refused: the findings say why, and nothing was changed |
| 4 | failed, and rolled back |
| 5 | not known: run \`varve recover\` |

`;

if (import.meta.main) writeFileSync(CLI_REFERENCE, await cliReference());

/** The reference page of all commands, in the order of `varve --help`. */
export async function cliReference(): Promise<string> {
  const pages = [section('varve', await help([]))];
  for (const { name } of COMMANDS) {
    const text = await help([name]);
    pages.push(section(`varve ${name}`, withoutGlobalOptions(text)));
    for (const sub of subcommands(text)) {
      pages.push(section(`varve ${name} ${sub}`, withoutGlobalOptions(await help([name, sub]))));
    }
  }
  return `${HEAD}${pages.join('\n')}`;
}

function section(title: string, text: string): string {
  return `## ${title}\n\n\`\`\`text\n${text.trim()}\n\`\`\`\n`;
}

async function help(command: readonly string[]): Promise<string> {
  let text = '';
  const write = (piece: string): void => void (text += piece);
  await main([...command, '--help'], { ...processIo(), stdout: write, stderr: write, columns: 100, env: {} });
  return text;
}

/** They stand once, under `varve`. */
function withoutGlobalOptions(text: string): string {
  return text.replace(/Global Options:\n(?: .+\n)+\n?/, '');
}

function subcommands(text: string): readonly string[] {
  const [, list = ''] = /^Commands:\n((?: .+\n)+)/m.exec(text) ?? [];
  return [...list.matchAll(/^ {2}(\w+)/gm)].map(([, name = '']) => name).filter((name) => name !== 'help');
}
