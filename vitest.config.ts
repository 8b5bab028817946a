import { globSync } from 'node:fs';
import { resolve } from 'node:path';
import { defaultServerConditions } from 'vite';
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { LongestFirst } from './scripts/longest-first.ts';
import { isSystemTest } from './scripts/system-test.ts';
import { scratchFolder } from './test/harness/scratch-folder.ts';

// Packages are loaded by Node itself, which knows no condition `module`; what some publish under it Node cannot load.
const conditions = ['@varve/source', ...defaultServerConditions.filter((name) => name !== 'module')];
const exclude = ['**/node_modules/**', '**/dist/**', '**/.cache/**'];

// Of the servers too, which this process starts, and of what vitest itself keeps there.
process.env['TMPDIR'] ??= scratchFolder();

const unitTests = globSync(['src/**/*.test.ts', 'test/**/*.test.ts']).filter(
  (filePath) => !isSystemTest(filePath),
);

/**
 * Two groups, one after the other, so that no test starves on a machine with two cores: first what opens no database
 * and starts no process (`npm run check` runs this group alone), then what does, at most two files at once. What
 * measures time is no test: it stands in bench/.
 */
const config: ViteUserConfig = defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    globalSetup: ['test/harness/global-setup.ts'],
    maxWorkers: 2,
    // Hundreds of processes that tests start read the same sources: compiled once, each is there in a third of the time.
    env: { NODE_COMPILE_CACHE: resolve('.cache/compiled') },
    hookTimeout: 60_000,
    testTimeout: 60_000,
    // What is waited for comes when it comes; nothing here says how fast.
    expect: { poll: { timeout: 20_000 } },
    reporters: ['default', ['json', { outputFile: '.cache/vitest.json' }]],
    coverage: { provider: 'v8', include: ['src/**/*.ts'], exclude: ['**/*.test.ts'] },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: unitTests,
          exclude,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: [...exclude, ...unitTests],
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});

export default config;
