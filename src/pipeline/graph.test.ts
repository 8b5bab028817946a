import { expect, test } from 'vitest';
import { definitionsOf } from './definition-set.ts';
import { graphOf } from './graph.ts';
import { pipeline } from './pipeline.ts';
import { t } from './column.ts';

const audit = pipeline('audit');
const Package = audit.manual('package', { key: { name: t.text() }, columns: { license: t.text() } });
const Policy = audit.manual('policy', { key: { license: t.text() }, columns: { allowed: t.boolean() } });
const policy = Policy.optional()
  .as({ license: 'policy' })
  .from({ license: Package.column('license') });
const Verdict = audit.computed('verdict', {
  parents: [Package],
  references: { policy },
  columns: { allowed: t.boolean() },
  reads: { package: Package, policy },
  make: ({ policy: read }) => ({ allowed: read?.allowed ?? false }),
});
audit.computed('report', {
  parents: [Policy],
  columns: { verdicts: t.integer() },
  reads: { verdicts: Verdict.matching({ policy: 'license' }), policies: Policy.all() },
  make: ({ verdicts }) => ({ verdicts: verdicts.length }),
});

function edgesFrom(table: string): readonly (readonly [string, string, unknown])[] {
  const defined = definitionsOf([audit]);
  if (defined.status === 'refused') return [];
  return graphOf(defined.definitions)
    .edges.filter(({ from }) => from === table)
    .map(({ kind, to, columns }) => [kind, to, columns] as const);
}

test('a read that a foreign key says is no edge of its own', () => {
  expect(edgesFrom('audit.verdict')).toEqual([
    ['primary', 'audit.package', { name: 'name' }],
    ['secondary', 'audit.policy', { policy: 'license' }],
  ]);
});

test('a read by match is an edge by its columns, and a read of the whole table one without', () => {
  expect(edgesFrom('audit.report')).toEqual([
    ['primary', 'audit.policy', { license: 'license' }],
    ['read', 'audit.verdict', { license: 'policy' }],
    ['read', 'audit.policy', {}],
  ]);
});
