import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { migrationsFolder } from '../../test/migration/fixture.ts';
import { SCHEMAS } from '../evidence/index.ts';
import { FIXTURE_KINDS, registryFileFindings, writeRegistryFiles } from './registry-files.ts';

async function scene() {
  const folder = await migrationsFolder();
  await writeRegistryFiles(folder.root);
  const path = (name: string): string => join(folder.root, 'registry', name);
  const reasons = async (): Promise<readonly unknown[]> =>
    (await registryFileFindings(folder.root)).map(({ detail }) => detail['reason']);
  return { ...folder, path, reasons };
}

it('M30 every fixture is what its name says: valid ones pass, invalid ones fail for that reason', async () => {
  await using s = await scene();
  expect(await registryFileFindings(s.root)).toEqual([]);
  const valid = await readdir(s.path('fixtures/valid'));
  for (const schema of Object.keys(SCHEMAS)) expect(valid.some((name) => name.startsWith(schema))).toBe(true);
  for (const kind of FIXTURE_KINDS) expect(valid).toContain(`migration_declaration.v1.${kind}.yml`);
});

it('M30 an empty folder fails, and so does a fixture that is not what it says', async () => {
  await using s = await scene();
  await writeFile(s.path('fixtures/valid/keys.v1.one.json'), '{}');
  expect(await s.reasons()).toEqual(['valid_refused']);
  await rm(s.path('fixtures/valid/keys.v1.one.json'));
  expect(await s.reasons()).toEqual(['no_fixture']);
  await writeFile(s.path('fixtures/valid/keys.v1.one.json'), '{"keys_version":"v1","keys":[]}');
  await writeFile(s.path('fixtures/invalid/keys.v1.type.json'), '{"keys_version":"v1"}');
  expect(await s.reasons()).toEqual(['invalid_for_another_reason']);
  await rm(s.path('fixtures/invalid'), { recursive: true });
  await mkdir(s.path('fixtures/invalid'));
  expect(await s.reasons()).toHaveLength(Object.keys(SCHEMAS).length);
});

it('M29 a published schema never changes', async () => {
  await using s = await scene();
  const file = s.path('schemas/approval.v1.schema.json');
  const schema = await readFile(file, 'utf8');
  await writeFile(file, schema.replaceAll('\n', '\r\n'));
  expect(await s.reasons()).toEqual([]);
  await writeFile(file, schema.replace('"exceptions"', '"exemptions"'));
  expect(await s.reasons()).toEqual(['schema_changed']);
  await writeRegistryFiles(s.root);
  expect(await s.reasons()).toEqual(['schema_changed']);
  await rm(file);
  expect(await s.reasons()).toEqual(['missing']);
});
