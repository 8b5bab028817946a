import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** The best of several runs: other work on the machine adds time and never takes any away. */
const RUNS = 15;
const LIMIT_MS = 100;

test.for([['--help'], ['--version']])('varve %s starts in less than 100 ms', (args) => {
  const times = Array.from({ length: RUNS }, () => {
    const startedAt = performance.now();
    const { status } = spawnSync(process.execPath, ['bin/varve.js', ...args]);
    expect(status).toBe(0);
    return performance.now() - startedAt;
  });
  expect(Math.min(...times)).toBeLessThan(LIMIT_MS);
});
