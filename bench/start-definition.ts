import { VarveError } from 'varve/base';
import { definitionsOf, pipeline, t, type Definitions } from 'varve/pipeline';

/** The computed table of the benchmark. */
export const MADE = 'start.made';

/** One table of keys, and one that a trivial make fills. */
export function defineStart(): Definitions {
  const start = pipeline('start');
  const Source = start.manual('source', { key: { id: t.integer() }, columns: { value: t.integer() } });
  start.computed('made', {
    parents: [Source],
    columns: { value: t.integer() },
    reads: { source: Source },
    make: ({ source }) => ({ value: source.value + 1 }),
  });
  const defined = definitionsOf([start]);
  if (defined.status === 'ok') return defined.definitions;
  throw new VarveError('internal', { hint: 'The definitions of the benchmark are refused.' });
}
