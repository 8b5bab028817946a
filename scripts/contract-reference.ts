// docs/reference/contract.md: every MUST of governed migrations with the tests that name it and the code that says so.
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { MUSTS } from './contract-must.ts';

export const CONTRACT_REFERENCE = 'docs/reference/contract.md';

const HEAD = `<!-- Generated from scripts/contract-must.ts and what tests and code name by "npm run generate". -->

# The contract of migrations

Each MUST with the tests that name its number and the code that names it in a comment. What has no test, or no code, is open.

`;

if (import.meta.main) writeFileSync(CONTRACT_REFERENCE, contractReference());

/** The page, from the files of this checkout. */
export function contractReference(): string {
  const sources = globSync(['src/**/*.ts', 'test/**/*.ts', 'sql/*.sql']).toSorted();
  const texts = sources.map((path) => ({
    path: path.replaceAll('\\', '/'),
    text: readFileSync(path, 'utf8'),
  }));
  // Tables of test cases stand beside the tests that run them.
  const tests = filesByMust(
    texts.filter(({ path }) => path.startsWith('test/') || path.endsWith('.test.ts')),
  );
  const code = filesByMust(
    texts.filter(({ path }) => /^(?:src|sql)\//u.test(path) && !path.endsWith('.test.ts')),
  );
  const rows = MUSTS.map((must, at) => {
    const number = at + 1;
    const cells = [`M${number}`, must, links(tests.get(number)), links(code.get(number))];
    return `| ${cells.join(' | ')} |`;
  });
  const open = MUSTS.flatMap((_must, at) => (tests.has(at + 1) && code.has(at + 1) ? [] : [`M${at + 1}`]));
  const table = ['| MUST | says | tests | code |', '| --- | --- | --- | --- |', ...rows].join('\n');
  return `${HEAD}${table}\n\n## Open\n\n${open.length === 0 ? 'Nothing.' : open.join(', ')}\n`;
}

/** The files that name a MUST, by its number; a range such as `M1 to M5` names each. */
function filesByMust(
  texts: readonly { readonly path: string; readonly text: string }[],
): ReadonlyMap<number, readonly string[]> {
  const files = new Map<number, Set<string>>();
  for (const { path, text } of texts) {
    for (const number of namedIn(text)) files.set(number, (files.get(number) ?? new Set()).add(path));
  }
  return new Map([...files].map(([number, paths]) => [number, [...paths]]));
}

function namedIn(text: string): readonly number[] {
  const single = [...text.matchAll(/\bM(\d{1,3})\b/gu)].map(([, number]) => Number(number));
  const ranges = [...text.matchAll(/\bM(\d{1,3}) to M(\d{1,3})\b/gu)].flatMap(([, from, to]) =>
    Array.from({ length: Number(to) - Number(from) + 1 }, (_, at) => Number(from) + at),
  );
  return [...new Set([...single, ...ranges])].filter((number) => number >= 1 && number <= MUSTS.length);
}

function links(paths: readonly string[] = []): string {
  return paths.length === 0 ? '**none**' : paths.map((path) => `\`${path}\``).join('<br>');
}
