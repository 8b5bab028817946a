/** A small project: mice that people weigh, and a grade of each that fails for a weight below zero. */
export const LAB: Readonly<Record<string, string>> = {
  'varve.config.ts': `
import { defineConfig } from 'varve/pipeline';
import { lab } from './pipeline/lab.ts';
export default defineConfig({ stores: { main: { postgres: { urlFrom: 'DATABASE_URL' } } }, pipelines: [lab] });
`,
  'pipeline/lab.ts': `
import { pipeline, t } from 'varve/pipeline';
export const lab = pipeline('lab');
export const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.double() } });
export const Grade = lab.computed('grade', {
  parents: [Mouse],
  columns: { heavy: t.boolean() },
  reads: { mouse: Mouse },
  make: ({ mouse }) => {
    if (mouse.weight < 0) throw new RangeError('a weight below zero');
    return { heavy: mouse.weight > 30 };
  },
});
`,
};
