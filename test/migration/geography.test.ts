import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyAll } from '../../src/evidence/index.ts';
import {
  applyMigration,
  DEFAULT_SETTINGS,
  folderReader,
  rehearseMigration,
  rollbackMigration,
  type RunnerOptions,
  type RunOutcome,
} from '../../src/migration/index.ts';
import { measureBaseline, subjectOf } from '../../src/migration/kind/postgis/baseline/index.ts';
import { fingerprint, listObjects } from '../../src/provenance/index.ts';
import { readPinned, sql } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withPostgis, type StoreUnderTest } from '../harness/index.ts';
import { migrationsFolder } from './fixture.ts';
import { planSql, sqlOptions, type SqlBundle } from './sql-bundle.ts';

withPostgis('geography', (given: StoreUnderTest) => {
  let folder: Awaited<ReturnType<typeof migrationsFolder>>;
  let options: RunnerOptions;
  let count = 0;
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    folder = await migrationsFolder();
    options = sqlOptions(given.store, folder.root);
  }, 60_000);
  afterAll(() => folder[Symbol.asyncDispose]());

  /** Four harbours on a grid, and two seas as boxes. */
  async function harbours(): Promise<string> {
    const schema = await given.freshSchema();
    await given.store.script(`
      create table ${schema}.harbour (id int primary key, name text, place geometry(Point, 4326), sea text);
      insert into ${schema}.harbour select i, 'harbour ' || i, st_setsrid(st_makepoint(i, i), 4326) from generate_series(1, 4) i;
      create table ${schema}.sea (name text primary key, shape geometry(Polygon, 4326));
      insert into ${schema}.sea values ('north', st_makeenvelope(0, 2.5, 9, 9, 4326)), ('south', st_makeenvelope(0, 0, 9, 2.5, 4326));
      create table ${schema}.secret (id int primary key, place geometry(Point, 4326));
      insert into ${schema}.secret values (1, st_setsrid(st_makepoint(7, 46), 4326));`);
    return schema;
  }

  async function plan(bundle: Omit<SqlBundle, 'id'>): Promise<ReturnType<typeof planSql>> {
    count += 1;
    return planSql(options, { tables: ['harbour'], ...bundle, id: lastId() });
  }

  function lastId(): string {
    return `PG-MIG-2026-07-01-${String(count).padStart(2, '0')}`;
  }

  async function planned(bundle: Omit<SqlBundle, 'id'>): Promise<string> {
    const outcome = await plan(bundle);
    expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'planned', findings: [] });
    return lastId();
  }

  async function product(id: string, path: string): Promise<string> {
    return readFile(join(options.root, 'postgis', id, path), 'utf8');
  }

  async function verdicts(id: string): Promise<Readonly<Record<string, number>>> {
    const summary: { verdicts: readonly { limit: string; observed: number }[] } = JSON.parse(
      await product(id, 'diffs/summary.json'),
    );
    return Object.fromEntries(summary.verdicts.map(({ limit, observed }) => [limit, observed]));
  }

  it('M24 a spatial index counts as one, and its way back leaves nothing behind', async () => {
    const schema = await harbours();
    const id = await planned({
      schema,
      forward: 'create index harbour_place on harbour using gist (place);',
      rollback: 'drop index harbour_place;',
      limits: { max_table_count_touched: 1, max_index_count_delta: 1, max_row_backfill: 0 },
    });
    expect(await rehearseMigration(options, id)).toMatchObject({ status: 'rehearsed' });
    expect(await applyMigration(options, id)).toMatchObject({ status: 'applied' });
    expect(await verdicts(id)).toEqual({
      max_table_count_touched: 1,
      max_index_count_delta: 1,
      max_row_backfill: 0,
    });
    expect(await product(id, 'diffs/touched.csv')).toContain(`index,${schema},harbour_place,created,`);
    expect(await rollbackMigration(options, id)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { proof: { status: 'equal' } } },
    });
  }, 300_000);

  it('M80 functions and operators of the extension are found, wherever its schema is', async () => {
    const schema = await harbours();
    const id = await planned({
      schema,
      forward: `update harbour h set sea = s.name from sea s where s.shape && h.place and st_contains(s.shape, h.place);`,
      rollback: 'update harbour set sea = null;',
      limits: { max_table_count_touched: 1, max_index_count_delta: 0, max_row_backfill: 4 },
    });
    expect(await applyMigration(options, id)).toMatchObject({ status: 'applied' });
    expect(await verdicts(id)).toMatchObject({ max_row_backfill: 4 });
    const [row] = await given.store.query(
      sql`select string_agg(sea, ' ' order by id) as seas from ${sql.id(schema, 'harbour')}`,
    );
    expect(row?.['seas']).toBe('south south north north');
  }, 120_000);

  it('M23 a change of the reference system rewrites the table and counts all of its rows', async () => {
    const schema = await harbours();
    const change = {
      schema,
      forward:
        'alter table harbour alter column place type geometry(Point, 3857) using st_transform(place, 3857);',
      rollback:
        'alter table harbour alter column place type geometry(Point, 4326) using st_transform(place, 4326);',
    };
    const over = await planned({ ...change, limits: { max_row_backfill: 3 } });
    expect(await applyMigration(options, over)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([expect.objectContaining({ code: 'limit_exceeded' })]),
    });
    expect(await verdicts(over)).toMatchObject({ max_row_backfill: 4 });
  }, 120_000);

  it('M102 M106 a reference system changes the digest of every row, and a way back that loses it is told', async () => {
    const schema = await harbours();
    const relabel = (srid: number): string =>
      `alter table harbour alter column place type geometry(Point, ${String(srid)}) using st_setsrid(place, ${String(srid)});`;
    const id = await planned({ schema, forward: relabel(4269), rollback: relabel(4326) });
    expect(await applyMigration(options, id)).toMatchObject({ status: 'applied' });
    const [pre, post] = (
      await Promise.all(['baselines/pre.json', 'baselines/post.json'].map((path) => product(id, path)))
    ).map((text) => JSON.parse(text) as { tables: readonly { table: string; digest: string }[] });
    const digestIn = (baseline: typeof pre): string | undefined =>
      baseline?.tables.find(({ table }) => table === `${schema}.harbour`)?.digest;
    expect(digestIn(pre)).toMatch(/^sha256:/u);
    expect(digestIn(pre)).not.toBe(digestIn(post));
    expect(await rollbackMigration(options, id)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { proof: { status: 'equal' } } },
    });
  }, 120_000);

  it('M101 the reference system and the kind of shape of a column are in the fingerprint', async () => {
    const schema = await harbours();
    const scope = { schemas: [schema] };
    const before = await fingerprint(given.store, { scope });
    const changes = [
      'alter column place type geometry(Point, 3857) using st_setsrid(place, 3857)',
      'alter column place type geometry(Geometry, 3857)',
      'alter column place type geography(Point, 4326) using st_setsrid(place, 4326)::geography',
    ];
    const seen = new Set([before.digest]);
    for (const change of changes) {
      await given.store.script(`alter table ${schema}.harbour ${change}`);
      seen.add((await fingerprint(given.store, { scope })).digest);
    }
    expect(seen.size).toBe(4);
  }, 120_000);

  it('what an extension brings is no object of the scope, and its own tables are in no scope', async () => {
    const schema = await harbours();
    const objects = await listObjects(given.store, { schemas: [schema] });
    expect(objects.some(({ name }) => /spatial_ref_sys|geometry_columns|st_area/u.test(name))).toBe(false);
    const direct = await plan({
      schema,
      forward: `delete from spatial_ref_sys where srid = 4326;`,
      rollback: 'update harbour set sea = null;',
    });
    expect(direct.findings).toContainEqual(
      expect.objectContaining({ code: 'scope_violation', subject: 'public.spatial_ref_sys' }),
    );
    const view = await plan({
      schema,
      forward: `create view harbour_kind as select f_table_name, type from geometry_columns;`,
      rollback: 'drop view harbour_kind;',
      tables: ['harbour', 'harbour_kind'],
    });
    expect(view).toMatchObject({ status: 'planned', findings: [] });
    expect(await applyMigration(options, lastId())).toMatchObject({ status: 'applied' });
  }, 120_000);

  it('a function of the extension that changes tables is held to the scope like any other', async () => {
    const schema = await harbours();
    const stray = await planned({
      schema,
      forward: `select updategeometrysrid('${schema}', 'sea', 'shape', 3857);`,
      rollback: 'update harbour set sea = null;',
    });
    expect(await applyMigration(options, stray)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'scope_violation', subject: `${schema}.sea` }),
      ]),
    });
    // What it overwrites could not be kept before it ran: the same as plain SQL can (M109).
    const unseen = await planned({
      schema,
      forward: `select updategeometrysrid('${schema}', 'harbour', 'place', 3857);`,
      rollback: 'update harbour set sea = null;',
    });
    expect(await applyMigration(options, unseen)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'values_not_captured', subject: `${schema}.harbour` }),
      ]),
    });
    const allowed = await planned({
      schema,
      forward: `alter table harbour alter column place type geometry(Point, 3857) using st_setsrid(place, 3857);`,
      rollback: `alter table harbour alter column place type geometry(Point, 4326) using st_setsrid(place, 4326); analyze harbour;`,
    });
    expect(await applyMigration(options, allowed)).toMatchObject({ status: 'applied' });
    expect(await verdicts(allowed)).toMatchObject({ max_row_backfill: 4 });
    expect(await rollbackMigration(options, allowed)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { proof: { status: 'equal' } } },
    });
  }, 120_000);

  it('F2 a trigger that leads from a shape to a protected table is denied', async () => {
    const schema = await harbours();
    await given.store.script(`
      create function ${schema}.leak() returns trigger language plpgsql as
        $$ begin update ${schema}.secret set place = new.place; return new; end $$;
      create trigger leak before update on ${schema}.harbour for each row execute function ${schema}.leak();`);
    const id = await planned({
      schema,
      forward: 'update harbour set place = st_translate(place, 1, 1);',
      rollback: 'update harbour set place = st_translate(place, -1, -1);',
      forbiddenTables: ['secret'],
    });
    expect(await applyMigration(options, id)).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'protected_domain_changed', subject: `${schema}.secret` }),
      ]),
    });
    expect(await product(id, 'baselines/pre.json')).toContain('hmac-sha256:');
  }, 120_000);

  it('M125 F24 a position in a statement wants a review, and never reaches a product', async () => {
    const schema = await harbours();
    const [row] = await given.store.query<{ hex: string; json: string }>(
      sql`select place::text as hex, st_asgeojson(place) as json from ${sql.id(schema, 'secret')}`,
    );
    for (const spelt of [
      `'${row?.hex ?? ''}'`,
      `st_geomfromgeojson('${row?.json ?? ''}')`,
      'st_point(7, 46)',
    ]) {
      const outcome = await plan({
        schema,
        forward: `update harbour set place = st_setsrid(${spelt}, 4326) where id = 1;`,
        rollback: 'update harbour set place = null where id = 1;',
      });
      const wanted = { code: 'position_found', severity: 'review', subject: 'forward.sql' };
      expect(outcome, spelt).toMatchObject({ status: 'planned', findings: [wanted] });
      expect(JSON.stringify(outcome)).not.toContain(spelt);
      expect(await product(lastId(), 'plan.json')).not.toContain(spelt);
      expect(await applyMigration(options, lastId())).toMatchObject({
        status: 'refused',
        findings: expect.arrayContaining([expect.objectContaining(wanted)]),
      });
    }
  }, 120_000);

  it('M124 F24 a position that a run puts into a diff aborts it, and nothing of it is kept', async () => {
    const schema = await harbours();
    await given.store.script(`update ${schema}.secret set place = st_translate(place, 1, 1)`);
    const [row] = await given.store.query<{ hex: string }>(
      sql`select place::text as hex from ${sql.id(schema, 'secret')}`,
    );
    const name = row?.hex ?? '';
    await given.store.script(`
      create function ${schema}.dump_name() returns void language plpgsql as
        $$ begin execute format('create index %I on ${schema}.harbour (id)', (select place::text from ${schema}.secret)); end $$;`);
    const id = await planned({
      schema,
      forward: `select dump_name();`,
      rollback: 'update harbour set sea = null;',
    });
    const outcome = await applyMigration(options, id);
    expect(outcome).toMatchObject({
      status: 'rolled_back',
      findings: expect.arrayContaining([expect.objectContaining({ code: 'position_found' })]),
    });
    expect(JSON.stringify(outcome)).not.toContain(name);
    for (const file of await readdir(folder.root, { recursive: true, withFileTypes: true }))
      if (file.isFile())
        expect(await readFile(join(file.parentPath, file.name), 'utf8'), file.name).not.toContain(name);
  }, 120_000);

  it('M33 M102 equal shapes give equal bytes, and protected ones only a keyed digest', async () => {
    const schema = await harbours();
    const measure = async (): Promise<string> => {
      const subject = await readPinned(given.store, (reader) =>
        subjectOf(
          reader,
          {
            allowed_schemas: [schema],
            allowed_tables: ['harbour'],
            forbidden_schemas: [],
            forbidden_tables: ['secret'],
          },
          options.settings ?? DEFAULT_SETTINGS,
        ),
      );
      const outcome = await measureBaseline(given.store, subject);
      return JSON.stringify(outcome);
    };
    const first = await measure();
    await given.store.script(`
      create table ${schema}.kept as select * from ${schema}.harbour;
      truncate ${schema}.harbour;
      insert into ${schema}.harbour select * from ${schema}.kept order by id desc;
      drop table ${schema}.kept;`);
    expect(await measure()).toBe(first);
    expect(first).toContain('hmac-sha256:');
    await given.store.script(`update ${schema}.secret set place = st_setsrid(place, 4326)`);
    expect(await measure()).toBe(first);
    await given.store.script(`update ${schema}.secret set place = st_translate(place, 0.0000001, 0)`);
    expect(await measure()).not.toBe(first);
  }, 120_000);

  it('M130 what the project requires of a table holds after a run that touched it', async () => {
    const schema = await harbours();
    await given.store.script(`
      create index harbour_place on ${schema}.harbour using gist (place);
      alter table ${schema}.harbour add constraint named check (name is not null);`);
    const required = {
      constraints: [`${schema}.harbour.named`],
      geometries: [{ column: `${schema}.harbour.place`, srid: 4326 }],
    };
    const strict = { ...options, settings: { ...(options.settings ?? DEFAULT_SETTINGS), required } };
    const run = async (forward: string): Promise<RunOutcome> => {
      const id = await planned({ schema, forward, rollback: 'update harbour set sea = null;' });
      return applyMigration(strict, id);
    };
    const broken: readonly (readonly [string, string])[] = [
      ['drop index harbour_place', 'spatial_index_missing'],
      [
        'drop index harbour_place; create index harbour_place on harbour using gist (place) where id > 1',
        'spatial_index_missing',
      ],
      ['alter table harbour drop constraint named', 'constraint_missing'],
      [
        'alter table harbour drop constraint named, add constraint named check (name is not null) not valid',
        'constraint_not_validated',
      ],
      [
        'alter table harbour alter column place type geometry(Point, 3857) using st_transform(place, 3857)',
        'srid_differs',
      ],
      ['alter table harbour rename column place to spot', 'geometry_missing'],
    ];
    for (const [forward, reason] of broken)
      expect(await run(`${forward};`), forward).toMatchObject({
        status: 'rolled_back',
        findings: expect.arrayContaining([
          expect.objectContaining({
            code: 'requirement_broken',
            detail: expect.objectContaining({ reason }),
          }),
        ]),
      });
    expect(await run('reindex index harbour_place;')).toMatchObject({
      status: 'applied',
      receipt: {
        receipt: {
          validation: {
            checks: expect.arrayContaining([expect.objectContaining({ name: 'required', status: 'pass' })]),
          },
        },
      },
    });
  }, 180_000);

  it('every receipt of these runs verifies offline', async () => {
    expect((await verifyAll(folderReader(folder.root))).findings).toEqual([]);
  }, 120_000);
});
