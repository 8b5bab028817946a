import { expect, it } from 'vitest';
import { DEFAULT_SETTINGS, minimumLevel, reachesLevel } from './settings.ts';

it('M74 asks for more the closer to production, and for observed where nothing is said', () => {
  expect(minimumLevel(DEFAULT_SETTINGS, 'postgis', 'dev')).toBe('observed');
  expect(minimumLevel(DEFAULT_SETTINGS, 'postgis', 'stage')).toBe('guarded');
  expect(minimumLevel(DEFAULT_SETTINGS, 'postgis', 'prod')).toBe('confined');
  expect(minimumLevel(DEFAULT_SETTINGS, 'pipeline', 'prod')).toBe('observed');
});

it('has each level include those before it', () => {
  expect(reachesLevel('witnessed', 'confined')).toBe(true);
  expect(reachesLevel('guarded', 'guarded')).toBe(true);
  expect(reachesLevel('observed', 'guarded')).toBe(false);
});
