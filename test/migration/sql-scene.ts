import { afterAll, beforeAll } from 'vitest';
import type { RunnerOptions } from '../../src/migration/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import type { StoreUnderTest } from '../harness/index.ts';
import { migrationsFolder } from './fixture.ts';
import { sqlOptions } from './sql-bundle.ts';

/** A store with varve's catalog and a folder of migrations, for all tests of a suite; to be asked inside a test or a hook. */
export interface SqlScene {
  readonly options: RunnerOptions;
  readonly root: string;
}

/** Opens it before the tests of a suite, and takes the folder away after them. */
export function sqlScene(given: StoreUnderTest): SqlScene {
  let folder: Awaited<ReturnType<typeof migrationsFolder>> | undefined;
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    folder = await migrationsFolder();
  }, 60_000);
  afterAll(() => folder?.[Symbol.asyncDispose]());
  const root = (): string => {
    if (folder === undefined) throw new Error('ask for the scene inside a test or hook');
    return folder.root;
  };
  return {
    get options() {
      return sqlOptions(given.store, root());
    },
    get root() {
      return root();
    },
  };
}
