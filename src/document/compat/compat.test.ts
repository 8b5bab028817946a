import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../base/index.ts';
import { generateDocument, seededRandom } from '../generate.ts';
import { code, compareSchemas, defineDocument, op, step, type CompatMode, type Op } from '../index.ts';
import type { JsonSchema } from '../schema.ts';
import { compileSchema } from '../validate.ts';
import { isSubsumed } from './subsume.ts';

function object(
  properties: Readonly<Record<string, Json>>,
  required: readonly string[] = [],
  isClosed = false,
): JsonSchema {
  return {
    type: 'object',
    properties: { schema_version: { type: 'string' }, ...properties },
    required: ['schema_version', ...required],
    ...(isClosed ? { additionalProperties: false } : {}),
  };
}

function typeWith(older: JsonSchema, newer: JsonSchema, ops: readonly Op[] = []) {
  return defineDocument('note', {
    schema: newer,
    current: '2.0.0',
    version: { missing: '1.0.0', order: 'semver' },
    versions: { '1.0.0': { schema: older }, '2.0.0': {} },
    steps: [step('1.0.0', '2.0.0', ops)],
    policy: { provenance: 'beside', residue: 'beside' },
  });
}

function compare(older: JsonSchema, newer: JsonSchema, mode: CompatMode, ops: readonly Op[] = []) {
  const report = typeWith(older, newer, ops).compat('1.0.0', '2.0.0', mode);
  if (report.status === 'refused') throw new Error(JSON.stringify(report));
  return report.value;
}

const TEXT = { type: 'string' } as const;
const BASE = object({ a: TEXT }, ['a']);
const CLOSED = object({ a: TEXT }, ['a'], true);

interface Row {
  readonly what: string;
  readonly older: JsonSchema;
  readonly newer: JsonSchema;
  readonly ops?: readonly Op[];
  readonly row: string;
  readonly suggested?: readonly Op[];
  readonly backward: string;
  readonly forward: string;
}

const MATRIX: readonly Row[] = [
  {
    what: 'D12 an optional field is added to an open schema',
    older: BASE,
    newer: object({ a: TEXT, b: TEXT }, ['a']),
    row: 'D12',
    backward: 'yes',
    forward: 'yes',
  },
  {
    what: 'D12 an optional field is added to a closed schema',
    older: CLOSED,
    newer: object({ a: TEXT, b: TEXT }, ['a'], true),
    row: 'D12',
    backward: 'yes',
    forward: 'no',
  },
  {
    what: 'D13 a field is renamed',
    older: object({ a: TEXT, old: { type: 'boolean' } }, ['a']),
    newer: object({ a: TEXT, now: { type: 'boolean' } }, ['a']),
    ops: [op.rename('/old', 'now')],
    row: 'D13',
    suggested: [op.rename('/old', 'now')],
    backward: 'no',
    forward: 'no',
  },
  {
    what: 'D14 nested data is restructured',
    older: object({ a: TEXT, x: { type: 'integer' } }, ['a']),
    newer: object({ a: TEXT, box: { type: 'object', properties: { x: { type: 'integer' } } } }, ['a']),
    ops: [op.nest(['x'], 'box')],
    row: 'D14',
    suggested: [op.move('/x', '/box/x')],
    backward: 'no',
    forward: 'no',
  },
  {
    what: 'D14 one value becomes several',
    older: object({ a: TEXT }, ['a']),
    newer: object({ a: { type: 'array', items: TEXT } }, ['a']),
    ops: [op.wrap('/a')],
    row: 'D14',
    suggested: [op.wrap('/a')],
    backward: 'no',
    forward: 'no',
  },
  {
    what: 'D15 a field is made required',
    older: object({ a: TEXT, b: TEXT }, ['a']),
    newer: object({ a: TEXT, b: TEXT }, ['a', 'b']),
    row: 'D15',
    backward: 'no',
    forward: 'yes',
  },
  {
    what: 'D15 a type is changed',
    older: object({ a: { type: 'integer' } }, ['a']),
    newer: object({ a: TEXT }, ['a']),
    ops: [op.coerce('/a', 'string', 'integer')],
    row: 'D15',
    suggested: [op.coerce('/a', 'string', 'integer')],
    backward: 'no',
    forward: 'no',
  },
  {
    what: 'D18 an optional field is removed from an open schema',
    older: object({ a: TEXT, b: TEXT }, ['a']),
    newer: BASE,
    ops: [op.remove('/b')],
    row: 'D18',
    suggested: [op.remove('/b')],
    backward: 'yes',
    forward: 'yes',
  },
  {
    what: 'D18 an optional field is removed from a closed schema',
    older: object({ a: TEXT, b: TEXT }, ['a'], true),
    newer: CLOSED,
    ops: [op.remove('/b')],
    row: 'D18',
    suggested: [op.remove('/b')],
    backward: 'no',
    forward: 'yes',
  },
  {
    what: 'D18 a required field is removed',
    older: object({ a: TEXT, b: TEXT }, ['a', 'b']),
    newer: BASE,
    ops: [op.remove('/b')],
    row: 'D18',
    backward: 'yes',
    forward: 'no',
  },
  {
    what: 'D19 validation is tightened',
    older: BASE,
    newer: object({ a: { type: 'string', minLength: 3 } }, ['a']),
    row: 'D19',
    backward: 'no',
    forward: 'yes',
  },
  {
    what: 'D19 validation is loosened',
    older: object({ a: { type: 'string', maxLength: 3 } }, ['a']),
    newer: BASE,
    row: 'D19',
    backward: 'yes',
    forward: 'no',
  },
];

describe.each(MATRIX)('$what', ({ older, newer, ops = [], row, suggested, backward, forward }) => {
  it(`reads backward: ${backward}, forward: ${forward}`, () => {
    const report = compare(older, newer, 'FULL', ops);
    expect(report.directions.map(({ verdict }) => verdict)).toEqual([backward, forward]);
    expect(report.differences.map((one) => one.row)).toEqual([row]);
    if (suggested !== undefined) expect(report.differences[0]?.suggested).toEqual(suggested);
    for (const { verdict, witness } of report.directions)
      expect(witness !== undefined).toBe(verdict === 'no');
  });

  it('migrates as the row advises', () => {
    const type = typeWith(older, newer, ops);
    expect(type.findings()).toEqual([]);
    const document = generateDocument(older, seededRandom(7), { optional: 1 }) as JsonObject;
    const outcome = type.migrate({ ...document, schema_version: '1.0.0' });
    const isHopeless = row === 'D19' && backward === 'no';
    expect(isHopeless ? 'migrated' : outcome.status).toBe('migrated');
  });
});

describe('verdicts', () => {
  it('a value that means something else is refuted by a document', () => {
    const seconds = object({ wait: { type: 'number' } }, ['wait']);
    const report = compare(seconds, seconds, 'BACKWARD', [op.convert('/wait', { scale: 1000 })]);
    expect(report.verdict).toBe('no');
    expect(report.directions[0]?.witness).toMatchObject({ reason: 'value changed', pointer: '/wait' });
  });

  it('what is neither proved nor refuted is unknown', () => {
    const even = object({ a: { type: 'string', pattern: '^(aa)*$' } }, ['a']);
    const anyCount = object({ a: { type: 'string', pattern: '^a*$' } }, ['a']);
    expect(compare(even, anyCount, 'BACKWARD').verdict).toBe('unknown');
  });

  it('a code step makes a proof of schemas no proof of meaning', () => {
    const type = defineDocument('note', {
      schema: BASE,
      current: '2.0.0',
      version: { missing: '1.0.0', order: 'semver' },
      versions: { '1.0.0': { schema: BASE }, '2.0.0': {} },
      steps: [code('1.0.0', '2.0.0', { up: (document) => document, loss: 'lossless', revision: 1 })],
    });
    expect(type.compat('1.0.0', '2.0.0', 'BACKWARD')).toMatchObject({ value: { verdict: 'unknown' } });
  });

  it('strict drops the assumption about writers', () => {
    const newer = object({ a: TEXT, b: TEXT }, ['a']);
    const type = typeWith(BASE, newer);
    expect(type.compat('1.0.0', '2.0.0', 'BACKWARD')).toMatchObject({ value: { verdict: 'yes' } });
    expect(type.compat('1.0.0', '2.0.0', 'BACKWARD', { strict: true })).not.toMatchObject({
      value: { verdict: 'yes' },
    });
  });

  it('TRANSITIVE asks about every version between', () => {
    const type = defineDocument('note', {
      schema: object({ a: TEXT, c: TEXT }, ['a']),
      current: '3.0.0',
      version: { missing: '1.0.0', order: 'semver' },
      versions: {
        '1.0.0': { schema: BASE },
        '2.0.0': { schema: object({ a: TEXT, c: { type: 'integer' } }, ['a']) },
        '3.0.0': {},
      },
      steps: [step('1.0.0', '2.0.0', []), step('2.0.0', '3.0.0', [op.coerce('/c', 'string', 'integer')])],
    });
    expect(type.compat('1.0.0', '3.0.0', 'BACKWARD')).toMatchObject({ value: { verdict: 'yes' } });
    expect(type.compat('1.0.0', '3.0.0', 'BACKWARD_TRANSITIVE')).toMatchObject({
      value: {
        verdict: 'no',
        directions: [
          { writer: '1.0.0', verdict: 'yes' },
          { writer: '2.0.0', verdict: 'no' },
        ],
      },
    });
  });

  it('references, choices and recursion are followed', () => {
    const tree = (leaf: Json): JsonSchema => ({
      $ref: '#/$defs/node',
      $defs: {
        node: {
          type: 'object',
          properties: { leaf, below: { type: 'array', items: { $ref: '#/$defs/node' } } },
        },
      },
    });
    const proves = (writer: JsonSchema, reader: JsonSchema) =>
      isSubsumed({ writer, reader, isStrict: false });
    expect(proves(tree({ type: 'integer' }), tree({ type: 'number' }))).toBe(true);
    expect(proves(tree({ type: 'number' }), tree({ type: 'integer' }))).toBe(false);
    expect(proves({ type: 'integer' }, { anyOf: [TEXT, { type: 'integer' }] })).toBe(true);
    expect(proves({ oneOf: [TEXT, { type: 'null' }] }, { type: ['string', 'null'] })).toBe(true);
    expect(proves({ allOf: [{ type: 'integer' }, { minimum: 3 }] }, { minimum: 1 })).toBe(true);
    expect(proves({ enum: ['a', 'b'] }, { type: 'string', maxLength: 1 })).toBe(true);
    expect(proves({ type: 'string' }, { enum: ['a'] })).toBe(false);
  });
});

const leaf = fc.constantFrom<Json>(
  true,
  TEXT,
  { type: 'integer' },
  { type: 'number', minimum: 0 },
  { type: 'number', maximum: 10 },
  { type: 'string', minLength: 2 },
  { type: 'string', maxLength: 4 },
  { enum: ['a', 1, null] },
  { type: ['string', 'null'] },
  { type: 'array', items: TEXT, minItems: 1 },
  { anyOf: [TEXT, { type: 'integer' }] },
);
const schemas = fc
  .record({
    fields: fc.dictionary(fc.constantFrom('a', 'b', 'c'), leaf),
    required: fc.subarray(['a', 'b', 'c']),
    isClosed: fc.boolean(),
  })
  .map(({ fields, required, isClosed }): JsonSchema => ({
    type: 'object',
    properties: fields,
    required: required.filter((name) => name in fields),
    ...(isClosed ? { additionalProperties: false } : {}),
  }));

describe('schemas that refer to themselves', () => {
  const tree = (leaf: JsonObject, more: JsonObject = {}): JsonSchema => ({
    ...object({ root: { $ref: '#/definitions/node' } }),
    definitions: {
      node: {
        type: 'object',
        properties: {
          leaf,
          parts: { type: 'array', items: { $ref: '#/definitions/node' } },
          twin: { $ref: '#/definitions/node' },
          ...more,
        },
        additionalProperties: false,
      },
    },
  });

  it('are compared to an end, and what differs is told where it is met first', () => {
    const compared = compareSchemas(tree(TEXT), tree({ type: 'integer' }, { mark: TEXT }), 'FULL');
    if (compared.status === 'refused') throw new Error(JSON.stringify(compared));
    const report = compared.value;
    expect(report.differences.map(({ pointer, change }) => `${change} ${pointer}`)).toEqual([
      'type changed /root/leaf',
      'optional field added /root/mark',
    ]);
    expect(report.directions).toMatchObject([
      { verdict: 'no', witness: { pointer: '/root/leaf' } },
      { verdict: 'no', witness: { reason: 'rejected' } },
    ]);
    expect(compare(tree(TEXT), tree(TEXT), 'FULL').verdict).toBe('yes');
  });

  it('a witness has the field that tells, also where no random document is valid and has it', () => {
    // Four fields that no generator hits: whoever puts in all of them, or any, writes nothing valid.
    const hard = Object.fromEntries(
      ['a', 'b', 'c', 'd'].map((name) => [name, { type: 'string', pattern: `^${name}{7}$` }]),
    );
    const closed = (fields: JsonObject): JsonSchema => object({ ...hard, ...fields }, [], true);
    const { directions } = compare(closed({}), closed({ list: { type: 'array', items: TEXT } }), 'FORWARD');
    expect(directions).toMatchObject([{ verdict: 'no', witness: { pointer: '/list' } }]);
    expect(Object.keys(directions[0]?.witness?.document ?? {})).toEqual(['list']);
  });
});

describe('soundness', () => {
  it('what is proved holds for every document that is made', () => {
    let proved = 0;
    fc.assert(
      fc.property(schemas, schemas, fc.boolean(), fc.integer(), (writer, reader, isSame, seed) => {
        const other = isSame
          ? {
              ...reader,
              properties: {
                ...(reader['properties'] as JsonObject),
                ...(writer['properties'] as JsonObject),
              },
            }
          : reader;
        if (!isSubsumed({ writer, reader: other, isStrict: false })) return;
        proved += 1;
        const [writes, reads] = [compileSchema(writer), compileSchema(other)];
        for (let at = 0; at < 20; at += 1) {
          const document = generateDocument(writer, seededRandom(seed + at));
          if (writes(document).isValid) expect(reads(document)).toMatchObject({ isValid: true });
        }
      }),
      { numRuns: 300 },
    );
    expect(proved).toBeGreaterThan(20);
  });
});
