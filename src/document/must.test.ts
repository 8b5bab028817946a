import { describe, expect, expectTypeOf, it } from 'vitest';
import type { Json, JsonObject } from '../base/index.ts';
import { code, defineDocument, op, step, type DocumentType, type Policy, type Step } from './index.ts';

// A trace as it grew: without a version at first, then with one, a renamed field, a field that was dropped, and a
// restructured part.
const TRACE_1_0 = {
  type: 'object',
  required: ['schema_version', 'trace_id'],
  properties: {
    schema_version: { type: 'string' },
    trace_id: { type: 'string' },
    outcome: { type: 'string' },
    debug: { type: 'boolean' },
    context: { type: 'object' },
  },
} as const;
const TRACE_1_1 = {
  type: 'object',
  required: ['schema_version', 'trace_id'],
  properties: {
    schema_version: { type: 'string' },
    trace_id: { type: 'string' },
    result: { type: 'string' },
    debug: { type: 'boolean' },
  },
} as const;
const TRACE_2_0 = {
  type: 'object',
  required: ['schema_version', 'trace_id', 'timing'],
  properties: {
    schema_version: { type: 'string' },
    trace_id: { type: 'string' },
    result: { type: 'string' },
    timing: { type: 'object', required: ['seconds'], properties: { seconds: { type: 'number' } } },
  },
} as const;

const STEPS: readonly Step[] = [
  step('0.0.1', '1.0.0', []),
  step('1.0.0', '1.1.0', [op.rename('/outcome', 'result')]),
  step('1.1.0', '2.0.0', [
    op.remove('/debug'),
    op.add('/timing', { seconds: 0 }, { assumed: 'no duration was recorded' }),
  ]),
];

function traces(policy: Policy = {}, steps = STEPS) {
  return defineDocument('trace', {
    schema: TRACE_2_0,
    current: '2.0.0',
    version: { missing: '0.0.1', order: 'semver' },
    versions: {
      '0.0.1': { adds: 'traces before they had a version' },
      '1.0.0': { schema: TRACE_1_0, adds: 'the version itself' },
      '1.1.0': { schema: TRACE_1_1, adds: 'outcome is called result' },
      '2.0.0': { adds: 'timing; debug is gone' },
    },
    steps,
    policy,
    clock: { nowMs: () => Date.UTC(2026, 4, 12), monotonicMs: () => 0 },
  });
}

const LEGACY = { trace_id: 't1', outcome: 'ok', debug: true };
const ALL = ['0.0.1', '1.0.0', '1.1.0', '2.0.0'] as const;

function sampleOf(version: string): JsonObject {
  const samples: Readonly<Record<string, JsonObject>> = {
    '0.0.1': LEGACY,
    '1.0.0': { schema_version: '1.0.0', ...LEGACY },
    '1.1.0': { schema_version: '1.1.0', trace_id: 't1', result: 'ok', debug: true },
    '2.0.0': { schema_version: '2.0.0', trace_id: 't1', result: 'ok', timing: { seconds: 3 } },
  };
  return samples[version] ?? {};
}

function migrated(type: DocumentType<unknown>, document: unknown, target?: string) {
  const outcome = type.migrate(document, target);
  if (outcome.status !== 'migrated') throw new Error(JSON.stringify(outcome));
  return outcome as typeof outcome & { readonly document: JsonObject };
}

describe('versions', () => {
  it('D1 a created document carries the current version, and getVersion agrees', () => {
    const type = traces();
    const created = type.create({ trace_id: 't', timing: { seconds: 1 } });
    expect(created).toMatchObject({ status: 'current', document: { schema_version: '2.0.0' } });
    if (created.status === 'current') expect(type.getVersion(created.document)).toBe(type.current);
    expect(type.create({ trace_id: 't' })).toMatchObject({
      status: 'refused',
      findings: [{ code: 'document_invalid', detail: { faults: [{ pointer: '/timing' }] } }],
    });
  });

  it('D2 a document without the field has the declared legacy version', () => {
    expect(traces().detectVersion(LEGACY)).toEqual({ status: 'ok', value: '0.0.1' });
  });

  it('D3 a migration is needed exactly when the detected version is not the target', () => {
    const type = traces();
    for (const from of ALL) {
      for (const to of ALL) expect(type.isMigrationNeeded(sampleOf(from), to)).toBe(from !== to);
    }
    expect(type.isMigrationNeeded({ schema_version: 2 })).toBe(true);
  });

  it.each([2, null, ['1.0.0'], '', ' 1.0.0', '1.0.0 ', {}, true])(
    'F1 a version that is %j is refused and not taken for legacy',
    (schema_version) => {
      expect(traces().migrate({ ...LEGACY, schema_version })).toMatchObject({
        status: 'refused',
        findings: [{ code: 'bad_version' }],
      });
    },
  );

  it('F1 a newer version follows the policy: refused, handed on, or brought down', () => {
    const newer = { ...sampleOf('2.0.0'), schema_version: '3.0.0' };
    expect(traces().migrate(newer)).toMatchObject({ findings: [{ code: 'document_newer' }] });
    expect(traces({ newer: 'pass' }).migrate(newer)).toEqual({
      status: 'passed',
      document: newer,
      version: '3.0.0',
    });
    expect(traces({ newer: 'downgrade' }).migrate(newer)).toMatchObject({
      findings: [{ code: 'unknown_version' }],
    });
    const known = defineDocument('note', {
      schema: {},
      current: '1',
      version: { missing: '1', order: 'integer' },
      versions: { '1': {}, '2': {} },
      steps: [step('1', '2', [op.rename('/a', 'b')])],
      policy: { newer: 'downgrade' },
    });
    expect(known.migrate({ schema_version: 2, b: 1 })).toMatchObject({
      status: 'migrated',
      document: { schema_version: 1, a: 1 },
    });
  });

  it('F2 detectors that differ are refused with their answers', () => {
    const type = defineDocument('note', {
      schema: {},
      current: '2',
      version: {
        missing: '1',
        order: ['1', '2'],
        detectors: [(document) => (Object.hasOwn(document, 'body') ? '2' : undefined)],
      },
      versions: { '1': {}, '2': {} },
      steps: [step('1', '2', [])],
    });
    expect(type.detectVersion({ schema_version: '1', body: '' })).toMatchObject({
      status: 'refused',
      findings: [{ code: 'detector_conflict', detail: { answers: ['1', '2'] } }],
    });
    expect(type.detectVersion({ body: '' })).toEqual({ status: 'ok', value: '2' });
  });

  it('F4 an unknown target and a gap name what is missing', () => {
    expect(traces().migrate(LEGACY, '9.0.0')).toMatchObject({ findings: [{ code: 'unknown_version' }] });
    const gap = traces({}, [STEPS[0]!, STEPS[2]!]);
    expect(gap.findings()).toMatchObject([
      { code: 'path_missing', hint: 'Register a step from 1.0.0 to 1.1.0.' },
      { code: 'path_missing' },
    ]);
  });
});

describe('migration', () => {
  it('D4 goes to the current version by default, and gives an equal copy where it is there', () => {
    expect(migrated(traces(), LEGACY).to).toBe('2.0.0');
    const original = sampleOf('2.0.0');
    const outcome = traces().migrate(original);
    expect(outcome).toMatchObject({ status: 'current', document: original });
    if (outcome.status !== 'current') return;
    (outcome.document as { timing: { seconds: number } }).timing.seconds = 99;
    expect(original).toEqual(sampleOf('2.0.0'));
  });

  it('D5 one call detects, migrates, validates and types', () => {
    const read = traces().validateWithMigration(LEGACY);
    expect(read.status).toBe('migrated');
    if (read.status !== 'migrated') return;
    expectTypeOf(read.document.timing.seconds).toEqualTypeOf<number>();
    expectTypeOf(read.document.result).toEqualTypeOf<string | undefined>();
    expect(read.document.result).toBe('ok');
  });

  it('D6 detects, finds the path, applies in sequence and validates; an invalid result names its step', () => {
    const calls: string[] = [];
    const type = traces({}, [
      ...STEPS.slice(0, 2),
      code('1.1.0', '2.0.0', {
        up: (document) => {
          calls.push('step');
          return { ...document, timing: 'soon' };
        },
        loss: 'lossless',
        revision: 1,
      }),
    ]);
    expect(type.migrate({ ...LEGACY, schema_version: null })).toMatchObject({
      findings: [{ code: 'bad_version' }],
    });
    expect(type.migrate(LEGACY, '7.0.0')).toMatchObject({ findings: [{ code: 'unknown_version' }] });
    expect(calls).toEqual([]);
    expect(type.migrate(LEGACY)).toMatchObject({
      status: 'refused',
      findings: [
        {
          code: 'document_result_invalid',
          subject: 'trace 1.1.0 -> 2.0.0',
          detail: { faults: [{ pointer: '/timing', keyword: 'type' }] },
        },
      ],
    });
    expect(calls).not.toEqual([]);
  });

  it('D7 plain steps are enough for a rename', () => {
    expect(migrated(traces(), sampleOf('1.0.0'), '1.1.0').document).toMatchObject({ result: 'ok' });
    expect(migrated(traces(), sampleOf('1.0.0'), '1.1.0').document).not.toHaveProperty('outcome');
  });

  it('D7 plain steps are enough for a default', () => {
    expect(migrated(traces(), sampleOf('1.1.0')).document).toMatchObject({ timing: { seconds: 0 } });
  });

  it('D8 snapshots can be registered and fetched, and a step may rely on the old one', () => {
    const type = defineDocument('note', {
      schema: { type: 'object' },
      current: '2',
      version: { missing: '1', order: 'integer' },
      versions: { '1': {}, '2': {} },
    })
      .registerSnapshot('1', { type: 'object', required: ['text'] })
      .registerStep(
        code('1', '2', {
          up: ({ text, ...rest }, { snapshot }) => ({
            ...rest,
            size: typeof text === 'string' ? text.length : 0,
            known: snapshot('1') !== undefined,
          }),
          loss: 'lossy',
          revision: 1,
        }),
      );
    expect(type.getSnapshot('1')?.json).toEqual({ type: 'object', required: ['text'] });
    expect(type.migrate({ schema_version: 1 })).toMatchObject({
      findings: [
        {
          code: 'document_invalid',
          detail: { when: 'before the first step', faults: [{ pointer: '/text', keyword: 'required' }] },
        },
      ],
    });
    expect(migrated(type, { schema_version: 1, text: 'abc' }).document).toMatchObject({
      size: 3,
      known: true,
    });
    expect(() => type.registerSnapshot('1', {})).toThrow(
      expect.objectContaining({ code: 'document_sealed' }),
    );
  });

  it('D9 every value of the source is in the target or in the residue', () => {
    const outcome = migrated(traces(), { ...LEGACY, extra: { deep: [1, 'two'] }, debug: 'a value' });
    const text = JSON.stringify(outcome.document);
    for (const value of ['t1', 'ok', 'a value', 'two']) expect(text).toContain(JSON.stringify(value));
  });

  it('D10 reading changes nothing that was handed over', () => {
    const stored = JSON.stringify(LEGACY);
    const document = JSON.parse(stored) as Json;
    traces().validateWithMigration(document);
    expect(JSON.stringify(document)).toBe(stored);
  });

  const contexts: readonly (readonly [string, Json | undefined, boolean])[] = [
    ['absent', undefined, true],
    ['empty', {}, true],
    ['of other members', { user: 'a' }, true],
    ['with metadata', { metadata: { tag: 'x' } }, true],
    ['null', null, false],
    ['a text', 'free', false],
    ['with an array as metadata', { metadata: [1] }, false],
    ['with a member of the same name', { metadata: { migrated_from: 5 } }, false],
  ];
  it.each(contexts)('D11 the origin is told where the context is %s', (_what, context, isInside) => {
    const type = defineDocument('note', {
      schema: {},
      current: '2',
      version: { missing: '1', order: 'integer' },
      versions: { '1': {}, '2': {} },
      steps: [step('1', '2', [op.rename('/a', 'b')])],
    });
    const outcome = migrated(type, { a: 1, ...(context === undefined ? {} : { context }) });
    expect(outcome.provenance.migrated_from).toBe('1');
    expect(outcome.provenance.migration_history).toHaveLength(1);
    expect(outcome.findings.some(({ code }) => code === 'kept_beside')).toBe(!isInside);
    if (isInside) {
      expect(outcome.document['context']).toMatchObject({
        ...(context as JsonObject | undefined),
        metadata: { migrated_from: '1', migration_history: [{ from: '1', to: '2' }] },
      });
    } else {
      // Residue has room of its own there: that the document said no version.
      if (typeof context === 'object' && context !== null)
        expect(outcome.document['context']).toMatchObject(context);
      else expect(outcome.document['context']).toEqual(context);
    }
  });

  it('D11 the first version is kept over several moves', () => {
    const first = migrated(traces(), LEGACY, '1.0.0');
    const second = migrated(traces(), first.document);
    expect(second.document).toMatchObject({
      context: {
        metadata: {
          migrated_from: '0.0.1',
          migration_history: [
            { from: '0.0.1', to: '1.0.0' },
            {
              from: '1.0.0',
              to: '2.0.0',
              residue: ['/debug'],
              assumed: [{ pointer: '/timing', reason: 'no duration was recorded' }],
            },
          ],
        },
      },
    });
  });

  it('D18 a removed field is kept under its old name in the metadata, which is made when absent', () => {
    const up = migrated(traces(), sampleOf('1.1.0'));
    expect(up.document).toMatchObject({ context: { metadata: { legacy_debug: true } } });
    const down = migrated(traces(), up.document, '1.1.0');
    expect(down.document).toMatchObject({ debug: true });
    expect(down.document).not.toHaveProperty(['context', 'metadata', 'legacy_debug']);
  });

  it('F8 nothing is overwritten where the name of residue is taken', () => {
    const taken = { ...sampleOf('1.1.0'), context: { metadata: { legacy_debug: 'mine' } } };
    const up = migrated(traces(), taken);
    expect(up.document).toMatchObject({ context: { metadata: { legacy_debug: 'mine' } } });
    expect(up.residue).toMatchObject([{ pointer: '/debug', value: true }]);
    const down = traces().migrate(up.document, '1.1.0', { residue: up.residue });
    expect(down).toMatchObject({ document: { debug: true } });
  });

  it('D22 a path of many steps equals the composition of its steps', () => {
    const versions = Array.from({ length: 30 }, (_, index) => String(index + 1));
    const type = defineDocument('chain', {
      schema: {},
      current: '30',
      version: { missing: '1', order: 'integer' },
      versions: Object.fromEntries(versions.map((version) => [version, {}])),
      steps: versions.slice(1).map((to, at) => step(versions[at]!, to, [op.rename(`/f${at}`, `f${at + 1}`)])),
      policy: { provenance: 'beside', residue: 'beside' },
    });
    let document: Json = { f0: 'x' };
    for (const to of versions.slice(1)) document = migrated(type, document, to).document;
    expect(document).toEqual({ f29: 'x', schema_version: 30 });
    expect(migrated(type, { f0: 'x' }).document).toEqual(document);
  });

  it('D23 a broken old document is refused before its first step', () => {
    let steps = 0;
    const counted = code('1.0.0', '2.0.0', {
      up: (document) => {
        steps += 1;
        return document;
      },
      loss: 'lossless',
      revision: 1,
    });
    const type = defineDocument('trace', {
      schema: {},
      current: '2.0.0',
      version: { missing: '1.0.0', order: 'semver' },
      versions: { '1.0.0': { schema: TRACE_1_0 }, '2.0.0': {} },
      steps: [counted],
    });
    expect(type.migrate({ schema_version: '1.0.0' })).toMatchObject({
      findings: [{ code: 'document_invalid', detail: { faults: [{ pointer: '/trace_id' }] } }],
    });
    expect(steps).toBe(0);
  });

  it('D25 migrating by itself can be switched off, per type and per call', () => {
    const held = { status: 'needs_migration', from: '0.0.1', to: '2.0.0' };
    expect(traces({ auto: false }).validateWithMigration(LEGACY)).toEqual(held);
    expect(traces().migrate(LEGACY, undefined, { auto: false })).toEqual(held);
    expect(traces({ auto: false }).migrate(LEGACY, undefined, { auto: true }).status).toBe('migrated');
    expect(traces({ auto: false }).migrate(LEGACY, '2.0.0').status).toBe('migrated');
  });

  it('D21 the history says what each version added', () => {
    expect(traces().history()).toMatchObject([
      { version: '0.0.1', adds: 'traces before they had a version', hasSnapshot: false },
      { version: '1.0.0', hasSnapshot: true },
      { version: '1.1.0', adds: 'outcome is called result' },
      { version: '2.0.0', hasSnapshot: true },
    ]);
  });
});

describe('D17 the window of a rename', () => {
  const type = defineDocument('note', {
    schema: { type: 'object', required: ['name'] },
    current: '3',
    version: { missing: '1', order: 'integer' },
    versions: { '1': {}, '2': {}, '3': {} },
    steps: [step('1', '2', [op.rename('/title', 'name')]), step('2', '3', [])],
    aliases: [{ at: '/name', alias: 'title', until: '2' }],
  });
  it.each([
    ['old document, old name', { schema_version: 1, title: 'a' }, { name: 'a' }],
    ['old document, new name', { schema_version: 1, name: 'a' }, { name: 'a' }],
    ['in the window, new name', { schema_version: 2, name: 'a' }, { name: 'a' }],
    ['in the window, old name', { schema_version: 2, title: 'a' }, { name: 'a' }],
    ['in the window, both equal', { schema_version: 2, title: 'a', name: 'a' }, { name: 'a' }],
  ])('%s', (_what, given, wanted) => {
    const outcome = type.migrate(given, '2');
    expect(outcome).toMatchObject({ document: wanted });
    expect(outcome).not.toHaveProperty(['document', 'title']);
  });
  it.each([
    ['both names in an old document', { schema_version: 1, title: 'a', name: 'b' }, '2', 'step_refused'],
    ['both names in the window', { schema_version: 2, title: 'a', name: 'b' }, '2', 'alias_conflict'],
    ['the old name after the window', { schema_version: 2, title: 'a' }, '3', 'document_result_invalid'],
  ])('%s is refused', (_what, given, target, code) => {
    expect(type.migrate(given, target)).toMatchObject({ status: 'refused', findings: [{ code }] });
  });
});
