import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readGrant } from './read-grant.ts';

let base = '';
beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'varve-grant-')));
  for (const folder of ['app/lib', 'app/node_modules/@scope', 'app/data', 'linked']) {
    await mkdir(join(base, folder), { recursive: true });
  }
  const files = {
    'app/varve.config.ts':
      "import { a } from './lib/a.ts'; import 'some-package'; import 'data:text/javascript,'; export default a;",
    'app/lib/a.ts': "import b from './b.json' with { type: 'json' }; export const a = b;",
    'app/lib/b.json': '{}',
    'app/lib/unused.ts': 'export {};',
    'app/.env': 'SECRET=1',
    'app/data/a.txt': 'hello',
    'app/package.json': '{"type":"module"}',
  };
  for (const [path, text] of Object.entries(files)) await writeFile(join(base, path), text);
  await symlink(join(base, 'linked'), join(base, 'app/node_modules/@scope/linked'));
});
afterAll(async () => rm(base, { recursive: true }));

describe('what an isolated process may read', () => {
  it('is the module, the files that it imports and the packages, and nothing else of the project', async () => {
    const granted = await readGrant(pathToFileURL(join(base, 'app/varve.config.ts')).href);
    const own = granted.filter((path) => path.startsWith(base)).map((path) => path.slice(base.length));
    expect(own.toSorted()).toEqual([
      '/app/lib/a.ts',
      '/app/lib/b.json',
      '/app/node_modules',
      '/app/node_modules/@scope/linked',
      '/app/package.json',
      '/app/varve.config.ts',
      '/linked',
    ]);
  });

  it('is never a folder above the project', async () => {
    const granted = await readGrant(pathToFileURL(join(base, 'app/varve.config.ts')).href);
    expect(granted.filter((path) => `${base}/app`.startsWith(`${path}/`) || path === '/')).toEqual([]);
  });
});
