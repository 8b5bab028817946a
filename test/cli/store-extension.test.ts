import { expect, it } from 'vitest';
import { checkConfig } from '../../src/cli/config.ts';
import { createCliProject } from './cli-project.ts';

const reasons = (store: unknown): readonly unknown[] =>
  checkConfig({ stores: { main: store } }, 'varve.config.ts').map(({ detail }) => detail['reason']);

it('a store of a configuration names the extensions that it is opened with', () => {
  expect(reasons({ embedded: '.varve/db', extensions: ['postgis', 'uuid-ossp'] })).toEqual([]);
  for (const extensions of ['postgis', [1], ['../postgis'], null])
    expect(reasons({ embedded: '.varve/db', extensions })).toEqual([
      'store main has extensions that are no list of names',
    ]);
  expect(reasons({ postgres: { urlFrom: 'URL' }, extensions: ['postgis'] })).toHaveLength(1);
  expect(reasons({ embedded: '.varve/db', extension: ['postgis'] })).toEqual([
    'store main is neither embedded nor postgres',
  ]);
});

it('an extension that nobody brings is told by name', async () => {
  await using project = await createCliProject({
    'varve.config.ts': `export default { stores: { main: { embedded: 'db', extensions: ['nobody'] } } };`,
  });
  const { exit, stderr } = await project.run(['plan']);
  expect(stderr).toContain('nobody');
  expect(stderr).toContain('npm install');
  expect(exit).not.toBe(0);
});
