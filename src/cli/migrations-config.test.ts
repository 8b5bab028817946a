import { expect, it } from 'vitest';
import { DEFAULT_SETTINGS, ENFORCEMENT_LEVELS } from '../migration/index.ts';
import { checkConfig } from './config.ts';
import { migrationSettings } from './migrations-config.ts';

const check = (migrations: unknown) =>
  checkConfig({ stores: { main: { embedded: 'db' } }, migrations }, 'varve.config.ts').map(({ detail }) =>
    JSON.stringify(detail['reason']),
  );

it('M27 M54 M59 M74 the settings of a project complete the defaults, member by member', () => {
  expect(migrationSettings(undefined, DEFAULT_SETTINGS)).toBe(DEFAULT_SETTINGS);
  const config = {
    protected: { tables: ['app.person'] },
    groups: { data: ['user:eve'] },
    required: { constraints: ['app.site.site_key'], geometries: [{ column: 'app.site.place', srid: 4326 }] },
    minimumLevel: { postgis: { prod: 'witnessed' }, pipeline: { dev: 'observed' } },
    large: { backfillRows: 10 },
  } as const;
  expect(check(config)).toEqual([]);
  expect(migrationSettings(config, DEFAULT_SETTINGS)).toEqual({
    ...DEFAULT_SETTINGS,
    protected: { schemas: [], tables: ['app.person'] },
    groups: { data: ['user:eve'] },
    required: { constraints: ['app.site.site_key'], geometries: [{ column: 'app.site.place', srid: 4326 }] },
    large: { ...DEFAULT_SETTINGS.large, backfillRows: 10 },
    minimumLevel: {
      pipeline: { dev: 'observed' },
      postgis: { dev: 'observed', stage: 'guarded', prod: 'witnessed' },
    },
  });
});

it('M130 a project lists what has to be in force after every run', () => {
  const required = {
    constraints: ['app.site.named'],
    geometries: [{ column: 'app.site.place', srid: 4326 }],
  };
  expect(check({ required })).toEqual([]);
  expect(migrationSettings({ required }, DEFAULT_SETTINGS)).toEqual({ ...DEFAULT_SETTINGS, required });
});

it.each<readonly [string, unknown, string]>([
  ['no object', 'strict', 'migrations has no members'],
  ['an unknown member', { protect: {} }, 'protect is not a member of migrations'],
  ['a wildcard', { protected: { schemas: ['*'] } }, '.schemas names something without a name'],
  ['a table without schema', { protected: { tables: ['person'] } }, 'names a table without its schema'],
  ['zones that are no list', { canonicalZones: 'RAW' }, 'is no list'],
  ['no such level', { minimumLevel: { postgis: { prod: 'off' } } }, 'is no level'],
  ['no such kind', { minimumLevel: { sql: {} } }, 'has a member sql that nothing reads'],
  ['no such environment', { minimumLevel: { postgis: { test: 'observed' } } }, 'has a member test'],
  ['a limit without end', { large: { backfillRows: Infinity } }, 'is no whole number from 1'],
  ['a limit raised', { large: { backfillRows: 100_001 } }, 'is no whole number from 1 to 100000'],
  ['a group of nobody', { groups: { data: [] } }, 'has a group of nobody'],
  ['the group of all approvers', { groups: { approvers: ['user:eve'] } }, 'defines the group approvers'],
  [
    'a constraint without its table',
    { required: { constraints: ['site_code_key'] } },
    'without its schema and',
  ],
  [
    'a geometry without srid',
    { required: { geometries: [{ column: 'a.b.c' }] } },
    'without its column and srid',
  ],
  ['an area that is no box', { restrictedAreas: [{ name: 'x', west: 1 }] }, 'is no box of degrees'],
])('the settings of a project are refused with %s', (_what, migrations, want) => {
  expect(check(migrations).join()).toContain(want);
});

it('the levels are those that there are', () => {
  expect(check({ minimumLevel: { postgis: { prod: ENFORCEMENT_LEVELS.at(-1) } } })).toEqual([]);
  expect(ENFORCEMENT_LEVELS).toHaveLength(5);
});
