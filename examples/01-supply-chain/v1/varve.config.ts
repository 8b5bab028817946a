import { defineConfig } from 'varve/pipeline';
import { audit } from './pipeline.ts';

export default defineConfig({
  stores: { main: { embedded: 'db' }, server: { postgres: { urlFrom: 'DATABASE_URL' } } },
  defaultStore: 'main',
  pipelines: [audit],
  // What is audited lies above this folder: the packages that the repository has installed.
  filesFolder: '../../..',
});
