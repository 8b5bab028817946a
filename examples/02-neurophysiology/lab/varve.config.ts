import { defineConfig } from 'varve/pipeline';
import { ephys } from './pipeline.ts';

export default defineConfig({
  stores: { main: { embedded: 'db' }, server: { postgres: { urlFrom: 'DATABASE_URL' } } },
  defaultStore: 'main',
  pipelines: [ephys],
});
