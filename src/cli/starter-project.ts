/** The files of a project that runs, by path: what `varve init` writes. */
export const STARTER_FILES: Readonly<Record<string, string>> = {
  'varve.config.ts': `import { defineConfig } from 'varve/pipeline';
import { demo } from './pipeline/demo.ts';

export default defineConfig({
  stores: {
    // A PostgreSQL of its own in this folder. For a server, write: { postgres: { urlFrom: 'DATABASE_URL' } }
    main: { embedded: '.varve/db' },
  },
  pipelines: [demo],
});
`,
  'pipeline/demo.ts': `import { pipeline, t } from 'varve/pipeline';

// Mud cores from two lakes. Each year leaves one layer, and its thickness tells how the year was.
export const demo = pipeline('demo');

/** A lookup: its rows stand here, and are versioned like code. */
export const Core = demo.lookup('core', {
  key: { core: t.text() },
  columns: { lake: t.text(), depthMetres: t.double() },
  contents: [
    { core: 'N1', lake: 'North', depthMetres: 14.2 },
    { core: 'N2', lake: 'North', depthMetres: 15.1 },
    { core: 'S1', lake: 'South', depthMetres: 8.7 },
  ],
});

export const Layer = demo.lookup('layer', {
  parents: [Core],
  key: { year: t.integer() },
  columns: { thicknessMm: t.double() },
  contents: [
    { core: 'N1', year: 2019, thicknessMm: 1.31 },
    { core: 'N1', year: 2020, thicknessMm: 0.84 },
    { core: 'N1', year: 2021, thicknessMm: 2.07 },
    { core: 'N2', year: 2020, thicknessMm: 0.91 },
    { core: 'N2', year: 2021, thicknessMm: 1.88 },
    { core: 'S1', year: 2019, thicknessMm: 3.4 },
    { core: 'S1', year: 2020, thicknessMm: 3.15 },
    { core: 'S1', year: 2021, thicknessMm: 4.62 },
  ],
});

/** A manual table: people fill it. See correct.ts. */
export const Correction = demo.manual('correction', {
  parents: [Core],
  columns: { factor: t.double(), reason: t.text() },
});

/** A computed table: for each core, what its make returns from what it declares to read. */
export const Growth = demo.computed('growth', {
  parents: [Core],
  columns: { layers: t.integer(), meanMm: t.double(), thickestYear: t.integer() },
  reads: { layers: Layer.matching({ core: 'core' }), corrections: Correction.matching({ core: 'core' }) },
  make: ({ layers, corrections }) => {
    const factor = corrections[0]?.factor ?? 1;
    const total = layers.reduce((sum, { thicknessMm }) => sum + thicknessMm * factor, 0);
    const thickest = layers.reduce((best, layer) => (layer.thicknessMm > best.thicknessMm ? layer : best));
    return { layers: layers.length, meanMm: total / layers.length, thickestYear: thickest.year };
  },
});
`,
  'correct.ts': `import { insertRows } from 'varve/pipeline';
import { embeddedStore } from 'varve/store/postgres';
import { Correction } from './pipeline/demo.ts';

// What a person knows better: run it with \`node correct.ts\`, then see \`npx varve stale\`.
await using store = await embeddedStore({ folder: '.varve/db' });
const row = { core: 'N1', factor: 1.04, reason: 'the tube pressed the mud together' };
console.log(await insertRows(store, Correction, [row], { source: 'correct.ts', actor: 'you' }));
`,
};

/** Lines that keep what a machine makes for itself out of version control. */
export const STARTER_IGNORE = `node_modules
.varve/
migrations/runs/
`;

/** A key of the computed table, to ask about first. */
export const STARTER_QUESTION = `why demo.growth --key '{"core":"N1"}'`;
