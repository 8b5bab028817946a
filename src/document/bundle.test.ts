import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

const MOST_BYTES = 40 * 1024;

it('the library bundles for a browser, without a validator, in less than 40 KB gzipped', async () => {
  const { outputFiles, warnings } = await build({
    entryPoints: ['src/document/index.ts'],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['@varve/source'],
    external: ['ajv', 'ajv/*'],
    write: false,
    logLevel: 'silent',
  });
  expect(warnings).toEqual([]);
  const [bundle] = outputFiles;
  const size = gzipSync(bundle?.contents ?? '').length;
  expect(size).toBeGreaterThan(1024);
  expect(size).toBeLessThan(MOST_BYTES);
});
