import type { Finding } from '../base/index.ts';
import type { Bundle } from './bundle.ts';
import { lintMigration, type LintOptions, type LintScript } from './kind/postgis/lint/index.ts';

/**
 * Lints the SQL scripts of a bundle: the forward ones in their order, then those of its rollback, which may take back
 * what those made. Its runner puts each direction into one transaction, but for phases that are declared to stand
 * outside of it, and sets the timeouts.
 *
 * Invariant: `file` in a finding is the path in the bundle; a bundle without SQL has no findings.
 */
export async function lintBundle(
  { declaration, files }: Pick<Bundle, 'declaration' | 'files'>,
  options: LintOptions = {},
): Promise<readonly Finding[]> {
  const { forward, rollback } = declaration.artifacts;
  const outside = (declaration.phases ?? [])
    .filter(({ mode }) => mode === 'nontransactional')
    .map(({ file }) => file);
  const scripts = (paths: readonly string[], isRollback: boolean): readonly LintScript[] =>
    paths
      .filter((path) => isSql(path))
      .map((path) => ({
        file: path,
        text: new TextDecoder().decode(files.find((file) => file.path === path)?.bytes),
        inTransaction: !outside.includes(path),
        hasTimeouts: true,
        isRollback,
      }));
  return lintMigration([...scripts(forward, false), ...scripts(rollback, true)], options);
}

/** Whether a bundle has SQL scripts. */
export function hasSql({ declaration }: Pick<Bundle, 'declaration'>): boolean {
  const { forward, rollback } = declaration.artifacts;
  return [...forward, ...rollback].some((path) => isSql(path));
}

function isSql(path: string): boolean {
  return path.endsWith('.sql');
}
