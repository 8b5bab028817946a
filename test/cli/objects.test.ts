import { readdirSync, statSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { embeddedStore } from '../../src/store/postgres/index.ts';
import { createCliProject, definitionsIn, deploy, type CliProject } from './cli-project.ts';

const CONFIG = `
import { defineConfig, pipeline, t } from 'varve/pipeline';

const lab = pipeline('lab');
const Tone = lab.lookup('tone', {
  key: { tone: t.integer() },
  columns: { text: t.text() },
  contents: [{ tone: 1, text: 'low' }, { tone: 2, text: 'high' }],
});
lab.imported('wave', {
  parents: [Tone],
  columns: { signal: t.object() },
  reads: { tone: Tone },
  make: async ({ tone }, { files }) => {
    await files.put(new TextEncoder().encode('scratch of ' + tone.text));
    return { signal: await files.put(new TextEncoder().encode('wave of ' + tone.text)) };
  },
});
export default defineConfig({
  stores: { main: { embedded: '.varve/db' } },
  pipelines: [lab],
  objects: { folder: '.varve/objects' },
});
`;

let project: CliProject;
beforeAll(async () => {
  project = await createCliProject({ 'varve.config.ts': CONFIG });
  await using store = await embeddedStore({ folder: join(project.dir, '.varve/db') });
  await deploy(store, await definitionsIn(project));
});
afterAll(() => project[Symbol.asyncDispose]());

function objectFiles(): readonly string[] {
  const folder = join(project.dir, '.varve/objects');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

it('lists, collects after a question, and verifies', async () => {
  expect((await project.run(['objects'])).stdout).toBe('There are no objects yet.\n');
  expect((await project.run(['populate', '--yes'])).exit).toBe(0);
  expect((await project.run(['objects', '--json'])).json()).toMatchObject({
    status: 'ok',
    objects: expect.arrayContaining([
      expect.objectContaining({ sizeBytes: 11, state: 'named' }),
      expect.objectContaining({ sizeBytes: 14, state: 'young' }),
    ]),
  });
  const early = await project.run(['objects', 'gc', '--dry-run']);
  expect(early.stdout).toMatch(/put or named lately +2 +29 B/u);
  for (const path of objectFiles()) await utimes(path, new Date('2020-01-01'), new Date('2020-01-01'));
  const shown = await project.run(['objects', 'gc', '--dry-run', '--json']);
  expect(shown.json()).toMatchObject({
    named: { objects: 2, sizeBytes: 23 },
    young: { objects: 0 },
    garbage: { objects: 2, sizeBytes: 29 },
    removed: { objects: 0 },
  });
  expect(objectFiles()).toHaveLength(4);
  const asked = await project.run(['objects', 'gc']);
  expect({ exit: asked.exit, text: asked.stderr }).toMatchObject({
    exit: 2,
    text: expect.stringContaining('--yes'),
  });
  const done = await project.run(['objects', 'gc', '--yes']);
  expect({ exit: done.exit, text: done.stdout }).toEqual({ exit: 0, text: '2 objects deleted, 29 B\n' });
  expect((await project.run(['objects', 'verify', '--content'])).stdout).toBe(
    'Looked at 2 objects, 23 B: all are there.\n',
  );
});

it('finds what is missing, and says who needs it', async () => {
  const [path] = objectFiles();
  const { rm } = await import('node:fs/promises');
  await rm(path ?? '');
  const verified = await project.run(['objects', 'verify', '--json']);
  expect(verified.exit).toBe(3);
  expect(verified.json()).toMatchObject({
    status: 'refused',
    findings: [{ code: 'object_missing', detail: { namedBy: ['lab.wave.signal'] } }],
  });
});

it('adopts nothing that is its own already', async () => {
  const adopted = await project.run(['objects', 'adopt', '--yes', '--json']);
  expect(adopted.json()).toMatchObject({ status: 'ok', adopted: false });
});

it.each<[config: string, wanted: string]>([
  ['objects: {}', 'objects is neither a folder nor s3'],
  ["objects: 'folder'", 'objects is neither a folder nor s3'],
  ["objects: { folder: 'a', s3: { bucket: 'b' } }", 'objects is neither a folder nor s3'],
  ['objects: { s3: {} }', 'objects.s3 names no bucket'],
  ["objects: { s3: { buckets: 'b', bucket: 'b' } }", 'buckets is not a member of objects.s3'],
  [
    "objects: { s3: { bucket: 'b', secretAccessKey: 'hush-7f3a' } }",
    'objects.s3.secretAccessKey would hold a secret',
  ],
  [
    "objects: { s3: { bucket: 'b', endpoint: 'https://me:hush-7f3a@host' } }",
    'objects.s3.endpoint holds credentials',
  ],
  [
    "objects: { s3: { bucket: 'b', endpoint: 'host:9000' } }",
    'objects.s3.endpoint is no address of a server',
  ],
  [
    "objects: { s3: { bucket: 'b', credentialsFrom: ['hush-7f3a', 'X'] } }",
    'objects.s3.credentialsFrom does not name',
  ],
  ["objects: { s3: { bucket: 'b', prefix: '/x' } }", 'objects.s3.prefix is no prefix'],
  ["object: { folder: 'a' }", 'object is not a member of a configuration'],
])('refuses %s, and shows no secret', async (config, wanted) => {
  await using wrong = await createCliProject({
    'varve.config.ts': `export default { stores: { main: { embedded: 'db' } }, ${config} };`,
  });
  const { exit, stdout, stderr } = await wrong.run(['objects', '--json']);
  expect(exit).toBe(3);
  expect(stdout).toContain(wanted);
  expect(stdout + stderr).not.toContain('hush-7f3a');
});

it('says which variable is not set, and what to write where there is no place for objects', async () => {
  await using unset = await createCliProject({
    'varve.config.ts': `export default { stores: { main: { embedded: 'db' } },
      objects: { s3: { bucket: 'b', credentialsFrom: ['VARVE_NO_KEY', 'VARVE_NO_SECRET'] } } };`,
  });
  expect((await unset.run(['objects', 'gc', '--json'])).json()).toMatchObject({
    findings: [{ code: 'objects_unavailable', detail: { reason: expect.stringContaining('VARVE_NO_KEY') } }],
  });
  await using none = await createCliProject({
    'varve.config.ts': `export default { stores: { main: { embedded: 'db' } } };`,
  });
  expect((await none.run(['objects', 'gc', '--json'])).json()).toMatchObject({
    findings: [{ code: 'objects_unavailable', hint: expect.stringContaining("folder: '.varve/objects'") }],
  });
});
