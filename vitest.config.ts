import { defineConfig, type ViteUserConfig } from 'vitest/config';

const config: ViteUserConfig = defineConfig({
  resolve: { conditions: ['@varve/source'] },
  ssr: { resolve: { conditions: ['@varve/source'] } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    globalSetup: ['test/harness/global-setup.ts'],
    hookTimeout: 60_000,
    testTimeout: 20_000,
  },
});

export default config;
