import { defineConfig } from 'varve/pipeline';
import { audit } from './pipeline.ts';

export default defineConfig({
  stores: { main: { embedded: 'db' }, server: { postgres: { urlFrom: 'DATABASE_URL' } } },
  defaultStore: 'main',
  pipelines: [audit],
  // The packages that the repository has installed lie above this folder.
  filesFolder: '../../../..',
});
