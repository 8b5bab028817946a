import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../base/index.ts';
import { code, defineDocument, op, step, type DocumentStore, type Step } from './index.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

const OLD = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string' }, old: {} },
} as const;
const NEW = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', minLength: 2 }, extra: { type: 'string', default: 'none' } },
} as const;

function typeOf(middle: Step) {
  return defineDocument('note', {
    schema: NEW,
    current: '3',
    version: { missing: '1', order: 'integer' },
    versions: { '1': { schema: OLD }, '2': {}, '3': {} },
    steps: [step('1', '2', [op.remove('/old')]), middle],
  });
}

const plain = typeOf(step('2', '3', []));

describe('coverage', () => {
  const corpus = [
    { id: 'a', document: { name: 'ab', old: 1, free: true } },
    { id: 'b', document: { name: 'x' } },
    { id: 'c', document: { schema_version: 3, name: 'ab' } },
    { id: 'd', document: { schema_version: 'three', name: 'ab' } },
    { id: 'e', bytes: bytes('{"name":"ab","n":1.0}') },
    { id: 'f', bytes: bytes('{"name":') },
  ];

  it('D19 lists the documents that would fail before anything changes', async () => {
    const before = JSON.stringify(corpus.slice(0, 4));
    const result = await plain.coverage(corpus, '3', { now: '2026-01-01T00:00:00.000Z' });
    expect(JSON.stringify(corpus.slice(0, 4))).toBe(before);
    expect(result).toEqual({
      status: 'refused',
      findings: [
        expect.objectContaining({
          code: 'coverage_exceeded',
          detail: { what: 'failures', found: 1, most: 0 },
        }),
        expect.objectContaining({
          code: 'coverage_exceeded',
          detail: { what: 'quarantined', found: 2, most: 0 },
        }),
      ],
      report: {
        target: '3',
        documents: 6,
        byVersion: { '1': 3, '3': 1, undetectable: 2 },
        byPath: { '1 -> 2 -> 3': 2 },
        failures: [{ pointer: '/name', keyword: 'minLength', count: 1, samples: ['b'] }],
        lossy: 0,
        assumed: 0,
        quarantined: { bad_version: 1, json_invalid: 1 },
        byStep: { '1>2': 2, '2>3': 2 },
        neverHit: [],
        droppedFields: {},
        unknownFields: { '/free': 1, '/n': 1 },
        roundTrip: { equal: 2, different: 0, noWayBack: 0 },
        impure: {},
        undeclared: {},
        exactNumbers: 1,
        reordered: 0,
        ambiguous: 0,
      },
    });
  });

  it('thresholds allow what is known', async () => {
    const result = await plain.coverage(corpus, '3', { thresholds: { failures: 1, quarantined: 2 } });
    expect(result).toMatchObject({ status: 'ok', findings: [] });
  });

  it('D20 a field that a code step drops is named', async () => {
    const dropping = typeOf(
      code('2', '3', { up: ({ name }) => ({ name: name ?? '' }), loss: 'lossy', revision: 1 }),
    );
    const result = await dropping.coverage([{ id: 'a', document: { name: 'ab', kept: 'no', old: 'yes' } }]);
    expect(result).toMatchObject({
      status: 'refused',
      findings: [{ detail: { what: 'droppedFields' } }],
      report: { lossy: 1, droppedFields: { '/kept': 1 }, roundTrip: { noWayBack: 1 } },
    });
  });

  it.each<readonly [string, (document: JsonObject) => JsonObject]>([
    ['clock', (document) => ({ ...document, at: new Date().toISOString() })],
    ['clock', (document) => ({ ...document, at: Date.now() })],
    ['clock', (document) => ({ ...document, at: performance.now() })],
    ['randomness', (document) => ({ ...document, id: Math.random() })],
    ['randomness', (document) => ({ ...document, id: crypto.randomUUID() })],
    ['time zone', (document) => ({ ...document, hour: new Date(0).getHours() })],
  ])('F6 a step that asks for the %s is impure', async (what, up) => {
    const impure = typeOf(code('2', '3', { up, down: (document) => document, loss: 'residue', revision: 1 }));
    const result = await impure.coverage([{ id: 'a', document: { name: 'ab' } }]);
    if (!('report' in result)) throw new Error(JSON.stringify(result));
    const [finding] = result.findings.filter(({ code }) => code === 'impure_step');
    expect(Object.keys(result.report.impure)[0]).toMatch(/^2>3: /u);
    expect(JSON.stringify(finding?.detail)).toContain(what);
    expect(new Date().getFullYear()).toBeGreaterThan(2025);
  });

  it.each<readonly [string, Step, readonly string[]]>([
    ['an op', step('2', '3', [op.add('/made', 1), op.add('/place', {})]), ['/made']],
    [
      'an op within others',
      step('2', '3', [op.mapValues('/things', [op.add('/made', 1)])]),
      ['/things/*/made'],
    ],
    ['an op that says so', step('2', '3', [op.add('/made', 1, { assumed: 'nobody counted' })]), []],
    ['a default of the schema', step('2', '3', [op.add('/extra', 'none')]), []],
    ['another value than the default', step('2', '3', [op.add('/extra', 'some')]), ['/extra']],
    [
      'code',
      code('2', '3', {
        up: (document, { assume }) => ({ ...document, made: 1, copy: 'ab', told: assume('/told', 2, 'so') }),
        down: ({ made: _made, copy: _copy, told: _told, ...rest }) => rest,
        loss: 'generates',
        revision: 1,
      }),
      ['/made'],
    ],
  ])('undeclared_assumption: %s', async (_what, step, pointers) => {
    const result = await typeOf(step).coverage([{ id: 'a', document: { name: 'ab' } }]);
    if (!('report' in result)) throw new Error(JSON.stringify(result));
    expect(Object.keys(result.report.undeclared)).toEqual(pointers);
    const found = result.findings.filter(({ code }) => code === 'undeclared_assumption');
    expect(found).toMatchObject(pointers.length === 0 ? [] : [{ severity: 'warning', detail: { pointers } }]);
    const strict = await typeOf(step).coverage([{ id: 'a', document: { name: 'ab' } }], '3', {
      thresholds: { undeclared: 0 },
    });
    expect(strict.status).toBe(pointers.length === 0 ? 'ok' : 'refused');
  });

  it('F10 names that would change their order are counted, and quarantined where order is kept', async () => {
    const documents = ['{"name":"ab","10":1,"2":1}', '{"schema_version":3,"name":"ab","10":1,"2":1}'].map(
      bytes,
    );
    const corpus = documents.map((one, at) => ({ id: String(at), bytes: one }));
    expect(await plain.coverage(corpus)).toMatchObject({ report: { reordered: 2, quarantined: {} } });
    expect(documents.map((one) => plain.migrateText(one, '3', { keepOrder: true }).status)).toEqual([
      'refused',
      // What needs no step leaves as it came, in its order.
      'current',
    ]);
  });

  it('a step of values alone is pure', async () => {
    const pure = typeOf(
      code('2', '3', {
        up: (document, { id, now }) => ({
          ...document,
          at: new Date(5).toISOString(),
          id: id('note', document),
          now,
        }),
        down: ({ at: _at, id: _id, now: _now, ...rest }) => rest,
        loss: 'generates',
        revision: 1,
      }),
    );
    expect(await pure.coverage([{ id: 'a', document: { name: 'ab' } }])).toMatchObject({
      status: 'ok',
      report: { impure: {} },
    });
  });
});

it('D16 an added optional field with a default needs no migration to be read', () => {
  const withDefault = {
    ...OLD,
    properties: { ...OLD.properties, extra: { type: 'string', default: 'none' } },
  } as const;
  const type = defineDocument('note', {
    schema: withDefault,
    current: '2',
    version: { missing: '1', order: 'integer' },
    versions: { '1': { schema: OLD }, '2': {} },
    steps: [step('1', '2', [])],
  });
  expect(type.compat('1', '2', 'BACKWARD')).toMatchObject({
    value: { verdict: 'yes', differences: [{ row: 'D12' }] },
  });
  expect(type.validateWithMigration({ schema_version: 2, name: 'ab' })).toMatchObject({ status: 'current' });
});

describe('lazy reads', () => {
  function storeOf(texts: Readonly<Record<string, string>>) {
    const rows = new Map(Object.entries(texts).map(([id, text]) => [id, { text, revision: 1 }]));
    const written: string[] = [];
    const store: DocumentStore = {
      read: async (id) => {
        const row = rows.get(id);
        return row === undefined ? undefined : { bytes: bytes(row.text), revision: String(row.revision) };
      },
      write: async (id, found, revision) => {
        const row = rows.get(id);
        if (row === undefined || String(row.revision) !== revision) return false;
        rows.set(id, { text: new TextDecoder().decode(found), revision: row.revision + 1 });
        written.push(id);
        return true;
      },
    };
    return { rows, written, store };
  }
  const OLD_TEXT = '{"name":"ab","old":1}';

  it('D10 the stored bytes stay until write-back is on', async () => {
    const { store, rows } = storeOf({ a: OLD_TEXT });
    expect(await plain.read(store, 'a')).toMatchObject({ outcome: { status: 'migrated' }, isWritten: false });
    expect(rows.get('a')).toEqual({ text: OLD_TEXT, revision: 1 });
  });

  it('D24 only documents that are read are migrated', async () => {
    const { store, rows, written } = storeOf({ a: OLD_TEXT, b: OLD_TEXT });
    expect(await plain.read(store, 'a', { writeBack: true })).toMatchObject({ isWritten: true });
    expect(await plain.read(store, 'a', { writeBack: true })).toMatchObject({
      outcome: { status: 'current' },
    });
    expect(await plain.read(store, 'none', { writeBack: true })).toBeUndefined();
    expect(written).toEqual(['a']);
    expect(rows.get('b')?.text).toBe(OLD_TEXT);
  });

  it('F12 a row that changes between read and write is read again, three times at most', async () => {
    const { store, rows } = storeOf({ a: OLD_TEXT });
    let changes = 2;
    const busy: DocumentStore = {
      ...store,
      read: async (id) => {
        const found = await store.read(id);
        if (changes > 0) rows.set('a', { text: `{"name":"ab${changes}"}`, revision: 10 + changes });
        changes -= 1;
        return found;
      },
    };
    expect(await plain.read(busy, 'a', { writeBack: true })).toMatchObject({ isWritten: true });
    expect(rows.get('a')?.text).toContain('"name":"ab1"');
    changes = 99;
    rows.set('a', { text: OLD_TEXT, revision: 1 });
    expect(await plain.read(busy, 'a', { writeBack: true })).toMatchObject({
      outcome: { status: 'migrated' },
      isWritten: false,
    });
  });
});
