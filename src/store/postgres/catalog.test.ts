import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withStores } from '../../../test/harness/index.ts';
import { sql } from '../index.ts';
import { installCatalog, postgresStore, readCatalogFiles, type CatalogFile } from './index.ts';

const first: CatalogFile = {
  number: 1,
  name: '0001_one.sql',
  text: 'create table varve.one (id integer primary key); create table varve.two (id integer)',
};
const second: CatalogFile = { number: 2, name: '0002_two.sql', text: 'alter table varve.one add note text' };

withStores('catalog', (given) => {
  beforeEach(async () => {
    await given.store.script('set client_min_messages = warning; drop schema if exists varve cascade');
  });

  it('applies every file once and then nothing', async () => {
    const files = [first, second];
    expect(await installCatalog(given.store, { files })).toEqual({ applied: [first.name, second.name] });
    expect(await installCatalog(given.store, { files })).toEqual({ applied: [] });
    expect(await given.store.query(sql`select number, name from varve.catalog_file order by 1`)).toEqual([
      { number: 1, name: first.name },
      { number: 2, name: second.name },
    ]);
  });

  it('goes on from an older release', async () => {
    await installCatalog(given.store, { files: [first] });
    expect(await installCatalog(given.store, { files: [first, second] })).toEqual({ applied: [second.name] });
  });

  it.each([
    ['changed', [{ ...first, text: `${first.text} ` }, second], '0001_one.sql'],
    ['changed', [{ ...first, name: '0001_other.sql' }, second], '0001_one.sql'],
    ['missing', [second], '0001_one.sql'],
    ['newer', [first], '0002_two.sql'],
    ['newer', [], '0001_one.sql'],
  ] as const)('refuses an applied file that is %s', async (problem, files, file) => {
    await installCatalog(given.store, { files: [first, second] });
    await expect(installCatalog(given.store, { files })).rejects.toMatchObject({
      code: 'catalog_mismatch',
      detail: { problem, file },
    });
  });

  it('refuses a file that comes in between', async () => {
    const third = { ...second, number: 3, name: '0003_three.sql' };
    await installCatalog(given.store, { files: [first, third] });
    await expect(installCatalog(given.store, { files: [first, second, third] })).rejects.toMatchObject({
      code: 'catalog_mismatch',
      detail: { problem: 'out_of_order', file: '0002_two.sql' },
    });
  });

  it('keeps nothing of a file that fails, and the files before it', async () => {
    const broken = { ...second, text: 'create table varve.three (id integer); select 1/0' };
    await expect(installCatalog(given.store, { files: [first, broken] })).rejects.toMatchObject({
      fields: { sqlstate: '22012' },
    });
    expect(await given.store.query(sql`select to_regclass('varve.three')::text as there`)).toEqual([
      { there: null },
    ]);
    expect(await installCatalog(given.store, { files: [first, second] })).toEqual({ applied: [second.name] });
  });

  it('lets one of several installers at once do the work', async () => {
    const others = await Promise.all(
      (given.store.capabilities.sharedByProcesses ? [1, 2, 3] : []).map(() =>
        postgresStore({ url: given.url() }),
      ),
    );
    const installations = await Promise.all(
      [given.store, given.store, ...others].map((store) => installCatalog(store, { files: [first, second] })),
    );
    expect(installations.flatMap(({ applied }) => applied).toSorted()).toEqual([first.name, second.name]);
    await Promise.all(others.map((store) => store[Symbol.asyncDispose]()));
  });

  it("installs the package's own files", async () => {
    const files = await readCatalogFiles();
    expect(files.map(({ number }) => number)).toEqual(files.map((_, index) => index + 1));
    const { applied } = await installCatalog(given.store, { files });
    expect(applied).toEqual(files.map(({ name }) => name));
  });
});

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-catalog-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('reads numbered files in order, whatever their line ends, and no others', async () => {
  await writeFile(join(folder, '0010_ten.sql'), 'select 10;\r\n');
  await writeFile(join(folder, '0002_two.sql'), 'select 2;\n');
  await writeFile(join(folder, 'notes.md'), 'no');
  expect(await readCatalogFiles(pathToFileURL(`${folder}/`))).toEqual([
    { number: 2, name: '0002_two.sql', text: 'select 2;\n' },
    { number: 10, name: '0010_ten.sql', text: 'select 10;\n' },
  ]);
});
