import { describe, expect, it } from 'vitest';
import { code, defineDocument, op, step, type DocumentOptions, type Step } from './index.ts';

const OPEN = {} as const;

function typeOf(steps: readonly Step[], options: Partial<DocumentOptions<typeof OPEN>> = {}) {
  return defineDocument('note', {
    schema: OPEN,
    current: '3',
    version: { missing: '1', order: 'integer' },
    versions: { '1': {}, '2': {}, '3': {} },
    steps,
    ...options,
  });
}

const UP = [step('1', '2', []), step('2', '3', [])];

describe('F3 sealing refuses', () => {
  it.each([
    ['a step registered twice', [...UP, UP[0]!], 'it is registered twice'],
    [
      'two steps between the same versions',
      [...UP, step('1', '2', [op.remove('/a')])],
      'it is registered twice',
    ],
    ['a step onto itself', [...UP, step('2', '2', [])], 'it leads onto itself'],
    ['steps that go round', [...UP, step('3', '1', [])], 'steps go round in a circle'],
    ['a step to an older version', [UP[1]!, step('2', '1', [])], 'it leads to an older version'],
    ['a step from a version that is unknown', [...UP, step('0', '1', [])], 'version 0 is unknown'],
    ['a pattern for a pointer', [UP[0]!, step('2', '3', [op.remove('a.*')])], 'a.* is no pointer'],
    [
      'an op on the version',
      [UP[0]!, step('2', '3', [op.remove('/schema_version')])],
      'it writes the version, which the engine does',
    ],
  ])('%s', (_what, steps, reason) => {
    const type = typeOf(steps);
    expect(type.findings()[0]).toMatchObject({ code: 'step_invalid', detail: { reason } });
    expect(type.migrate({})).toEqual({ status: 'refused', findings: type.findings() });
  });

  it('a version that cannot reach the current one', () => {
    expect(typeOf([UP[1]!]).findings()).toMatchObject([{ code: 'path_missing', subject: 'note 1 -> 3' }]);
  });

  it('a snapshot that is no schema', () => {
    const type = typeOf(UP, { versions: { '1': { schema: { type: 'nothing' } }, '2': {}, '3': {} } });
    expect(type.findings()).toMatchObject([{ code: 'snapshot_invalid', subject: 'note 1' }]);
  });

  it.each([
    ['left over', [], { type: 'object', properties: { b: {} }, additionalProperties: false }, '/a'],
    ['missing', [], { type: 'object', properties: { a: {}, b: {} }, required: ['b'] }, '/b'],
    ['of another type', [], { type: 'object', properties: { a: { type: 'integer' } } }, '/a'],
    [
      'left over',
      [op.rename('/a', 'c')],
      { type: 'object', properties: { a: {} }, additionalProperties: false },
      '/c',
    ],
  ])('a snapshot that contradicts its step: %s', (reason, ops, schema, pointer) => {
    const type = typeOf([step('1', '2', ops), UP[1]!], {
      versions: {
        '1': { schema: { type: 'object', properties: { a: { type: 'string' } } } },
        '2': { schema },
        '3': {},
      },
    });
    expect(type.findings()).toMatchObject([
      { code: 'snapshot_contradicts', detail: { at: [{ pointer, reason }] } },
    ]);
  });

  it('a declared place that the schema forbids, while the default one gives way', () => {
    const closed = {
      type: 'object',
      properties: { schema_version: {} },
      additionalProperties: false,
    } as const;
    const options = {
      current: '3',
      version: { missing: '1', order: 'integer' },
      versions: { '1': {}, '2': {}, '3': {} },
      steps: UP,
    } as const;
    const declared = defineDocument('note', {
      ...options,
      schema: closed,
      policy: { provenance: '/origin' },
    });
    expect(declared.findings()).toMatchObject([{ code: 'place_forbidden', detail: { what: 'provenance' } }]);
    const silent = defineDocument('note', { ...options, schema: closed });
    expect(silent.migrate({})).toMatchObject({
      status: 'migrated',
      document: { schema_version: 3 },
      provenance: { migrated_from: '1' },
      findings: [{ code: 'kept_beside' }],
    });
  });
});

describe('paths', () => {
  const versions = { '1': {}, '2': {}, '3': {}, '4': {} };
  const diamond = (...more: readonly Step[]) => [
    step('1', '2', []),
    step('1', '3', []),
    step('2', '4', []),
    step('3', '4', []),
    ...more,
  ];
  const of = (steps: readonly Step[], options: Partial<DocumentOptions<typeof OPEN>> = {}) =>
    typeOf(steps, { versions, current: '4', ...options });

  it('several best ways are ambiguous', () => {
    expect(of(diamond()).findings()).toMatchObject([
      { code: 'path_ambiguous', detail: { paths: ['1 -> 2 -> 4', '1 -> 3 -> 4'] } },
    ]);
  });

  it('ways that are declared equivalent are settled by the order of steps', () => {
    const type = of(diamond(), {
      equivalent: [
        [
          ['1', '3', '4'],
          ['1', '2', '4'],
        ],
      ],
    });
    expect(type.path('1', '4')).toMatchObject({ value: [{ to: '2' }, { to: '4' }] });
    expect(type.path('4', '1')).toMatchObject({ value: [{ to: '2' }, { to: '1' }] });
  });

  it('loss weighs more than cost, cost more than hops', () => {
    const lossy = code('1', '4', { up: (document) => document, loss: 'lossy', revision: 1 });
    const chain = [step('1', '2', []), step('2', '3', []), step('3', '4', [])];
    expect(of([...chain, lossy]).path('1', '4')).toMatchObject({ value: [{}, {}, {}] });
    expect(of([...chain, step('1', '4', [], { cost: 2 })]).path('1', '4')).toMatchObject({
      value: [{ to: '4' }],
    });
    expect(of([...chain, step('1', '4', [], { cost: 9 })]).path('1', '4')).toMatchObject({
      value: [{}, {}, {}],
    });
    expect(of([...chain, step('1', '4', [], { cost: 3 })]).path('1', '4')).toMatchObject({
      value: [{ to: '4' }],
    });
  });

  it('a lossy way down wants to be asked for', () => {
    const lossy = code('1', '2', {
      up: (document) => document,
      down: () => ({}),
      loss: 'lossy',
      revision: 1,
    });
    const type = of([lossy, step('2', '3', []), step('3', '4', [])]);
    expect(type.migrate({ schema_version: 4, a: 1 }, '1')).toMatchObject({
      findings: [{ code: 'path_lossy', detail: { steps: ['2>1'] } }],
    });
    expect(type.migrate({ schema_version: 4, a: 1 }, '1', { allowLossy: true }).status).toBe('migrated');
    const { value: plan } = type.plan('1', '4') as { readonly value: { readonly loss: string } };
    expect(plan.loss).toBe('lossy');
  });
});

describe('F5 a step that misbehaves', () => {
  it.each<readonly [string, () => unknown]>([
    [
      'it threw TypeError',
      () => {
        throw new TypeError('secret value');
      },
    ],
    ['it returned no object', () => undefined],
    ['it returned no object', () => [1]],
    ['it returned a promise', async () => ({})],
    [
      'it returned a promise',
      async () => {
        throw new TypeError('late');
      },
    ],
    ['it wrote another version', () => ({ schema_version: 9 })],
    ['it returned number at /a', () => ({ a: Number.NaN })],
    ['it returned no plain object at /a', () => ({ a: new Date(0) })],
  ])('%s', (reason, up) => {
    const document = { a: 1 };
    const outcome = typeOf([
      step('1', '2', []),
      code('2', '3', { up: up as () => { a: 1 }, loss: 'lossless', revision: 1 }),
    ]).migrate(document);
    expect(outcome).toMatchObject({
      status: 'refused',
      findings: [{ code: 'document_step_failed', subject: 'note 2 -> 3', detail: { reason } }],
    });
    expect(JSON.stringify(outcome)).not.toContain('secret');
    expect(document).toEqual({ a: 1 });
  });
});
