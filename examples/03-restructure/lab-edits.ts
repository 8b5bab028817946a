// Example 02's nineteen tables with a twentieth, and what becomes of them when it joins a key.
import type { Edit } from './edit.ts';

/** How it was: a parameter lies in a table of its own, and curation reads it without saying so. */
export const UNDECLARED: readonly Edit[] = [
  {
    before: `import { sql } from 'varve/store';\n`,
    after: `import { sql } from 'varve/store';\nimport { sql as text, type Kysely } from 'kysely';\n`,
  },
  {
    before: `/** The units that stand after curation, each`,
    after: `/** Spikes of a unit that are nearer than this are one spike, seen twice. */
export const Cleaning = ephys.manual('cleaning', {
  key: { cleaning: t.text() },
  columns: { apart: t.integer() },
});

function clean<U extends { readonly spike_train: readonly number[] }>(units: readonly U[], apart: number) {
  return units.map((unit) => ({
    ...unit,
    spike_train: unit.spike_train.filter((at, index, all) => at - (all[index - 1] ?? -apart) >= apart),
  }));
}

/** The units that stand after curation, each`,
  },
  {
    before: `  make: (inputs) => {
    const { units, pieces, dropped } = curate(inputs);
    return { units: units.length, dropped, parts: { unit: units, piece: pieces } };
  },
`,
    after: `  strict: 'observe',
  makeWith: async (db) => {
    const { units, pieces, dropped } = curate({
      sorting: await db.selectFrom('sorting').selectAll().executeTakeFirstOrThrow(),
      decisions: await db.selectFrom('decisions').selectAll().execute(),
      units: await db.selectFrom('units').selectAll().execute(),
      spikes: await db.selectFrom('spikes').selectAll().execute(),
    });
    const cleaned = clean(units, await usualDistance(db));
    return { units: units.length, dropped, parts: { unit: cleaned, piece: pieces } };
  },
`,
  },
  {
    before: `/** The same after curation. */`,
    after: `async function usualDistance<D>(db: Kysely<D>): Promise<number> {
  const { rows } = await text<{ apart: number }>\`select apart from ephys.cleaning where cleaning = 'usual'\`.execute(db);
  return rows[0]?.apart ?? 0;
}

/** The same after curation. */`,
  },
];

/** How it ought to be: the parameter is a part of the key, and every result says by which one it came about. */
export const DECLARED: readonly Edit[] = [
  { before: `  parents: [Curation],\n`, after: `  parents: [Curation, Cleaning],\n` },
  {
    before: `    spikes: Sorting.parts.spike.matching(SAME_SORTING),
  },
  strict: 'observe',
  makeWith: async (db) => {
    const { units, pieces, dropped } = curate({
      sorting: await db.selectFrom('sorting').selectAll().executeTakeFirstOrThrow(),
      decisions: await db.selectFrom('decisions').selectAll().execute(),
      units: await db.selectFrom('units').selectAll().execute(),
      spikes: await db.selectFrom('spikes').selectAll().execute(),
    });
    const cleaned = clean(units, await usualDistance(db));
`,
    after: `    spikes: Sorting.parts.spike.matching(SAME_SORTING),
    cleaning: Cleaning,
  },
  make: (inputs) => {
    const { units, pieces, dropped } = curate(inputs);
    const cleaned = clean(units, inputs.cleaning.apart);
`,
  },
  // What lies below follows by itself. Where it reads by columns, they say of which cleaning.
  {
    before: `    units: Curated.parts.unit.columns('spike_train').matching(SAME_SORTING),`,
    after: `    units: Curated.parts.unit.columns('spike_train').matching({ ...SAME_SORTING, cleaning: 'cleaning' }),`,
  },
  {
    before: `QualityMetrics.columns('subject', 'session', 'metric_params', 'firing_rate', 'snr')`,
    after: `QualityMetrics.columns('subject', 'session', 'cleaning', 'metric_params', 'firing_rate', 'snr')`,
  },
  {
    before: `m.metric_params = 'strict'\n`,
    after: `m.metric_params = 'strict' and m.cleaning = 'usual'\n`,
  },
];
