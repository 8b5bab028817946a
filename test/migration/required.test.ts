import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  applyMigration,
  DEFAULT_SETTINGS,
  type MigrationSettings,
  type RunOutcome,
} from '../../src/migration/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withEmbedded, withPostgis, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { migrationsFolder } from './fixture.ts';
import { planSql, sqlOptions } from './sql-bundle.ts';

type Required = NonNullable<MigrationSettings['required']>;

/** Runs a script under what the project lists; `:s` is the schema of the case. */
function runnerIn(
  given: StoreUnderTest,
): (script: string, about: { given: string; required: (schema: string) => Required }) => Promise<RunOutcome> {
  let folder: Awaited<ReturnType<typeof migrationsFolder>> | undefined;
  let count = 0;
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    folder = await migrationsFolder();
  }, 60_000);
  // Absent where the store did not open.
  afterAll(() => folder?.[Symbol.asyncDispose]());
  return async (script, about) => {
    const schema = await given.freshSchema();
    const named = (text: string): string => text.replaceAll(':s', schema);
    await given.store.script(named(about.given));
    const plain = sqlOptions(given.store, folder?.root ?? '');
    const settings = { ...DEFAULT_SETTINGS, ...plain.settings, required: about.required(schema) };
    count += 1;
    const id = `PG-MIG-2026-08-01-${String(count).padStart(2, '0')}`;
    await planSql(
      { ...plain, settings },
      {
        id,
        schema,
        tables: ['site'],
        forward: named(script),
        rollback: 'drop table if exists nothing_at_all',
      },
    );
    return applyMigration({ ...plain, settings }, id);
  };
}

function reasonOf({ findings }: RunOutcome): unknown {
  return findings.find(({ code }) => code === 'invariant_failed')?.detail['reason'];
}

function constraints(given: StoreUnderTest): void {
  const run = runnerIn(given);
  it.each([
    ['alter table site drop constraint named', 'missing'],
    [
      'alter table site drop constraint named; alter table site add constraint named check (id > 1) not valid',
      'not_validated',
    ],
    ['comment on table site is $$sites$$', undefined],
  ])(
    'M130 a listed constraint is there and validated after: %s',
    async (script, reason) => {
      const outcome = await run(script, {
        given: 'create table :s.site (id int constraint named check (id > 0));',
        required: (schema) => ({ constraints: [`${schema}.site.named`] }),
      });
      expect(outcome.status, JSON.stringify(outcome.findings)).toBe(
        reason === undefined ? 'applied' : 'rolled_back',
      );
      expect(reasonOf(outcome)).toBe(reason);
    },
    60_000,
  );
}

withEmbedded('what a project requires', constraints);
withEmbedded('what a project requires without PostGIS', (given) => {
  const run = runnerIn(given);
  it('M130 a listed shape needs PostGIS', async () => {
    const outcome = await run('comment on table site is $$sites$$', {
      given: 'create table :s.site (id int);',
      required: (schema) => ({ geometries: [{ column: `${schema}.site.place`, srid: 4326 }] }),
    });
    expect(reasonOf(outcome)).toBe('postgis_missing');
  }, 60_000);
});
withPostgres('what a project requires', 18, constraints);

withPostgis('what a project requires of shapes', (given) => {
  const run = runnerIn(given);
  beforeAll(() => given.store.script('create extension if not exists postgis'), 60_000);
  it.each([
    ['drop index place_shape', 'no_spatial_index'],
    ['drop index place_shape; create index place_shape on site (place)', 'no_spatial_index'],
    [
      'drop index place_shape; create index place_shape on site using gist (place) where id > 1',
      'no_spatial_index',
    ],
    [
      'alter table site alter column place type geometry(Point, 3857) using st_transform(place, 3857)',
      'other_srid',
    ],
    ['drop index place_shape; create index place_new on site using spgist (place)', undefined],
    ['alter table site drop column place', 'missing'],
    ['alter table site alter column earth type geography(Point, 4267) using null', 'other_srid'],
    ['update site set earth = null', undefined],
  ])(
    'M130 a listed shape has its index and its SRID after: %s',
    async (script, reason) => {
      const outcome = await run(script, {
        given: `
        create table :s.site (id int, place geometry(Point, 4326), earth geography(Point, 4326));
        create index place_shape on :s.site using gist (place); create index earth_shape on :s.site using gist (earth);`,
        required: (schema) => ({
          geometries: ['place', 'earth'].map((column) => ({
            column: `${schema}.site.${column}`,
            srid: 4326,
          })),
        }),
      });
      expect(outcome.status, JSON.stringify(outcome.findings)).toBe(
        reason === undefined ? 'applied' : 'rolled_back',
      );
      expect(reasonOf(outcome)).toBe(reason);
    },
    60_000,
  );
});
