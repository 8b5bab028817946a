import { describe, expect, it } from 'vitest';
import { definitionsOf } from '../definition-set.ts';
import { part, pipeline } from '../pipeline.ts';
import { t } from '../column.ts';
import { upstreamOf } from './upstream.ts';

const lab = pipeline('lab');
const Source = lab.manual('source', { key: { id: t.integer() } });
const Signal = lab.computed('signal', {
  parents: [Source],
  columns: { length: t.integer() },
  parts: { block: part({ key: { n: t.integer() } }) },
  reads: { source: Source },
  make: () => ({ length: 1, parts: { block: [] } }),
});
lab.computed('by_row', { parents: [Signal], reads: { signal: Signal }, make: () => ({}) });
lab.computed('by_part', {
  parents: [Signal.parts.block],
  reads: { block: Signal.parts.block },
  make: () => ({}),
});
lab.computed('by_all', { parents: [Source], reads: { signals: Signal.all() }, make: () => ({}) });
lab.computed('by_list', {
  parents: [Signal],
  reads: { blocks: Signal.parts.block.matching({ id: 'id' }) },
  make: () => ({}),
});
lab.computed('by_handle', {
  parents: [Signal],
  reads: { signal: Signal },
  makeWith: () => ({}),
});
lab.computed('by_reference', {
  parents: [Source],
  references: { other: Signal.as({ id: 'other' }).optional() },
  reads: { source: Source },
  make: () => ({ other: null }),
});

describe('what a table waits for', () => {
  const defined = definitionsOf([lab]);
  if (defined.status === 'refused') throw new Error('refused');
  const { set } = defined.definitions;
  const computed = set.tables.filter(({ form }) => form !== undefined);
  const upstream = upstreamOf(set, computed);

  it.each([
    ['lab.signal', [], []],
    ['lab.by_row', ['lab.signal'], []],
    ['lab.by_part', ['lab.signal'], []],
    ['lab.by_all', [], ['lab.signal']],
    ['lab.by_list', [], ['lab.signal']],
    ['lab.by_handle', [], ['lab.signal']],
    ['lab.by_reference', [], ['lab.signal']],
  ])('%s follows %j and awaits %j', (table, followed, awaited) => {
    expect(upstream.get(table)).toEqual({ followed, awaited });
  });

  it('counts only what is populated with it', () => {
    const alone = computed.filter(({ name }) => name === 'lab.by_row');
    expect(upstreamOf(set, alone).get('lab.by_row')).toEqual({ followed: [], awaited: [] });
  });
});
