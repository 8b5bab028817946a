import { defineConfig } from 'varve/pipeline';

export default defineConfig({
  stores: {
    main: { embedded: '.varve/db', extensions: ['postgis'] },
    server: { postgres: { urlFrom: 'DATABASE_URL' } },
  },
  defaultStore: 'main',
  // What surveyors measured is theirs: no migration touches it without an approval that names it.
  migrations: { protected: { tables: ['geo.survey_mark'] } },
});
