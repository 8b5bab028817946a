import { expect, it } from 'vitest';
import type { Bundle } from './bundle.ts';
import { lintBundle } from './lint-bundle.ts';

function bundleOf(phases: Bundle['declaration']['phases']): Pick<Bundle, 'declaration' | 'files'> {
  const files = {
    'index.sql': 'create index concurrently plot_area on lab.plot (area);',
    'rollback.sql': 'drop index lab.plot_area;',
  };
  const declaration: Partial<Bundle['declaration']> = {
    type: 'postgis',
    artifacts: { forward: ['index.sql'], rollback: ['rollback.sql'] },
    ...(phases === undefined ? {} : { phases }),
  };
  return {
    declaration: declaration as Bundle['declaration'],
    files: Object.entries(files).map(([path, text]) => {
      const bytes = new TextEncoder().encode(text);
      return { path, bytes, size: bytes.length, digest: `sha256:${'0'.repeat(64)}` };
    }),
  };
}

it('M91 an index built concurrently is an error of the lint inside the transaction, and none in a phase outside of it', async () => {
  const outside = await lintBundle(bundleOf([{ file: 'index.sql', mode: 'nontransactional' }]));
  expect(outside.filter(({ severity }) => severity === 'error')).toEqual([]);
  const inside = await lintBundle(bundleOf(undefined));
  expect(inside).toContainEqual(
    expect.objectContaining({ severity: 'error', code: 'lint_concurrent_in_transaction' }),
  );
});
