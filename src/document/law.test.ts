import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../base/index.ts';
import { generateDocument, seededRandom } from './generate.ts';
import { code, defineDocument, op, step, type Op, type Policy, type Step } from './index.ts';
import { schemaAfter } from './op/op-schema.ts';
import type { JsonSchema } from './schema.ts';
import { compileSchema } from './validate.ts';
import { equalJson, isArray, isObject } from './value.ts';

const WORD = { type: 'string' } as const;
const ITEM = {
  type: 'object',
  required: ['id'],
  properties: {
    id: WORD,
    note: WORD,
    size: { type: 'integer' },
    inner: { type: 'object', properties: { a: WORD, b: WORD } },
  },
} as const;
const SCHEMA = {
  type: 'object',
  required: ['name', 'state'],
  properties: {
    name: WORD,
    state: { enum: ['ok', 'OK', 'failed', 'aborted'] },
    tags: { type: 'array', items: WORD },
    one: { type: 'integer', minimum: 0, maximum: 4_000_000_000 },
    flag: { type: 'boolean' },
    full: WORD,
    part: { type: 'object', properties: { x: WORD, y: { type: 'number' } } },
    items: { type: 'array', items: ITEM },
    byKey: { type: 'object', additionalProperties: ITEM },
    either: { type: ['string', 'null', 'integer'] },
  },
} as const satisfies JsonSchema;

/** Each is a step from documents of `SCHEMA`; no generated document is refused by it. */
const CASES: readonly (readonly [string, readonly Op[]])[] = [
  ['add', [op.add('/added', { a: [1] })]],
  ['add where it may stand', [op.add('/tags', ['none'], { onExisting: 'keep' })]],
  ['add in place of another', [op.add('/tags', ['none'], { onExisting: 'replace' })]],
  ['remove', [op.remove('/tags'), op.remove('/part')]],
  ['constant', [op.constant('/flag', true)]],
  ['rename', [op.rename('/name', 'title'), op.rename('/part', 'piece')]],
  ['rename over another', [op.rename('/full', 'name', { onExisting: 'replace' })]],
  ['rename beside another', [op.rename('/full', 'name', { onExisting: 'keep' })]],
  ['move', [op.add('/meta', {}), op.move('/one', '/meta/one'), op.move('/tags', '/meta/tags')]],
  ['copy', [op.copy('/name', '/label')]],
  ['copy over another', [op.copy('/name', '/full', { onExisting: 'replace' })]],
  ['nest', [op.nest(['one', 'flag', 'tags'], 'box')]],
  ['hoist', [op.hoist('/part', ['x', 'y'])]],
  ['hoist some', [op.hoist('/part', ['x'])]],
  ['wrap', [op.wrap('/name'), op.wrap('/part')]],
  ['head', [op.head('/tags'), op.head('/items')]],
  ['inside', [op.inside('/part', [op.rename('/x', 'z'), op.remove('/y')])]],
  ['map', [op.map('/items', [op.remove('/note'), op.rename('/id', 'key'), op.add('/kind', 'item')])]],
  [
    'map, deep',
    [op.map('/items', [op.inside('/inner', [op.remove('/a')]), op.convert('/size', { scale: 3 })])],
  ],
  ['mapValues', [op.mapValues('/byKey', [op.remove('/note'), op.hoist('/inner', ['a', 'b'])])]],
  ['introduce', [op.introduce('/full'), op.inside('/part', [op.introduce('/x')]), op.introduce('/none')]],
  [
    'tree',
    [
      op.tree(
        '',
        [{ at: '/items', each: 'item' }, { at: '/byKey', each: 'member' }, { at: '/inner' }, { at: '/part' }],
        [op.remove('/note'), op.rename('/a', 'c'), op.introduce('/y'), op.convert('/b', { case: 'upper' })],
      ),
    ],
  ],
  [
    'map within map',
    [
      op.wrap('/items'),
      op.map('/items', [op.map('', [op.remove('/note'), op.inside('/inner', [op.remove('/a')])])]),
    ],
  ],
  [
    'convert by table',
    [
      op.convert('/state', {
        table: [
          ['ok', 1],
          ['OK', 1],
          ['failed', 2],
          ['aborted', 3],
        ],
      }),
    ],
  ],
  ['convert by scale', [op.convert('/one', { scale: 0.1 })]],
  ['convert by case', [op.convert('/name', { case: 'upper' }), op.convert('/full', { case: 'lower' })]],
  ['convert a time', [op.convert('/one', { epoch: 's' })]],
  ['split', [op.split('/full', ['/first', '/rest'], ' ')]],
  ['combine', [op.combine(['/name', '/full'], '/text', '|')]],
  ['coerce', [op.coerce('/one', 'string', 'integer'), op.coerce('/flag', 'string', 'boolean')]],
  [
    'when',
    [op.when({ at: '/either', type: 'string' }, [op.rename('/either', 'text')], [op.remove('/either')])],
  ],
  [
    'when on a value',
    [op.when({ at: '/state', equals: 'ok' }, [op.constant('/state', 'fine'), op.wrap('/name')])],
  ],
  [
    'several',
    [op.rename('/name', 'a'), op.remove('/a'), op.rename('/full', 'a'), op.wrap('/a'), op.head('/a')],
  ],
];

const BESIDE: Policy = { provenance: 'beside', residue: 'beside' };
const NOW = { now: '2026-05-12T00:00:00.000Z' };

function typeOf(step: Step, policy: Policy) {
  return defineDocument('sample', {
    schema: {},
    current: '2',
    version: { missing: '1', order: 'integer' },
    versions: { '1': { schema: SCHEMA }, '2': {} },
    steps: [step],
    policy,
  });
}

const steps: readonly (readonly [string, Step])[] = [
  ...CASES.map(([name, ops]) => [name, step('1', '2', ops)] as const),
  [
    'code',
    code('1', '2', {
      up: ({ tags, one, ...rest }) => ({ ...rest, count: isArray(tags) ? tags.length : 0, two: one ?? null }),
      down: ({ count: _count, two, ...rest }) => ({ ...rest, ...(two === null ? {} : { one: two ?? 0 }) }),
      loss: 'residue',
      revision: 1,
    }),
  ],
];

const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const samples = seeds.map((seed) => ({
  schema_version: 1,
  ...(generateDocument(SCHEMA, seededRandom(seed)) as JsonObject),
}));
const check = (property: (document: JsonObject) => void) =>
  fc.assert(fc.property(samples, property), { numRuns: 60 });

describe.each(steps)('%s', (_name, step) => {
  const beside = typeOf(step, BESIDE);
  const inside = typeOf(step, {});

  it('holds together', () => expect(beside.findings()).toEqual([]));

  it('down(up(d)) = d, with what was kept beside', () => {
    check((document) => {
      const up = moved(beside.migrate(document, '2', NOW));
      const down = moved(beside.migrate(up.document, '1', { ...NOW, residue: up.residue, allowLossy: true }));
      expect(down.document).toEqual(document);
      expect(down.residue).toEqual([]);
    });
  });

  it('down(up(d)) = d, with what was kept in the document', () => {
    check((document) => {
      const up = moved(inside.migrate(document, '2', NOW));
      const down = moved(inside.migrate(up.document, '1', { ...NOW, allowLossy: true }));
      const { context: _context, ...rest } = down.document as JsonObject;
      expect(rest).toEqual(document);
      expect(down.residue).toEqual([]);
    });
  });

  it('up(down(up(d))) = up(d)', () => {
    check((document) => {
      const up = moved(beside.migrate(document, '2', NOW));
      const down = moved(beside.migrate(up.document, '1', { ...NOW, residue: up.residue }));
      const again = moved(beside.migrate(down.document, '2', { ...NOW, residue: down.residue }));
      expect(again.document).toEqual(up.document);
      expect(again.residue).toEqual(up.residue);
    });
  });

  it('valid in gives valid out, by the schema that the ops derive', () => {
    if (step.kind !== 'ops') return;
    const derived = schemaAfter(SCHEMA, step.ops);
    if (!derived.isExact) return;
    const validate = compileSchema(derived.schema);
    check((document) => {
      expect(validate(moved(beside.migrate(document, '2', NOW)).document)).toMatchObject({ isValid: true });
    });
  });

  it('twice equals once, and two runs give equal bytes', () => {
    check((document) => {
      const up = moved(inside.migrate(document, '2', NOW));
      expect(inside.migrate(up.document, '2', NOW)).toMatchObject({
        status: 'current',
        document: up.document,
      });
      const bytes = JSON.stringify(moved(inside.migrate(document, '2', NOW)));
      expect(JSON.stringify(up)).toBe(bytes);
    });
  });

  it('D9 no value is lost on the way, and the source is untouched', () => {
    check((document) => {
      const before = JSON.stringify(document);
      const up = moved(beside.migrate(document, '2', { ...NOW, own: true }));
      expect(JSON.stringify(document)).toBe(before);
      const there = leavesOf([up.document, ...up.residue.map(({ value }) => value ?? null)]);
      const isRewritten = step.kind === 'ops' && step.ops.some(({ kind }) => REWRITES.has(kind));
      if (!isRewritten) for (const leaf of leavesOf(document)) expect(there).toContainEqual(leaf);
    });
  });
});

/** What these make of a value stands for it; that it comes back is held by the laws above. */
const REWRITES = new Set(['convert', 'split', 'combine', 'coerce', 'map', 'tree']);

function moved<O extends { readonly status: string }>(outcome: O) {
  if (outcome.status !== 'migrated') throw new Error(JSON.stringify(outcome));
  return outcome as Extract<O, { readonly status: 'migrated' }>;
}

function leavesOf(value: Json): readonly Json[] {
  if (isArray(value)) return value.flatMap(leavesOf);
  if (isObject(value))
    return Object.entries(value).flatMap(([name, member]) =>
      name === 'schema_version' ? [] : leavesOf(member),
    );
  return [value];
}

describe('edits after a move', () => {
  const type = typeOf(
    step('1', '2', [op.map('/items', [op.remove('/note')]), op.convert('/name', { case: 'upper' })]),
    BESIDE,
  );
  const document = {
    schema_version: 1,
    name: 'a',
    state: 'ok',
    items: [
      { id: '1', note: 'n' },
      { id: '2', note: 'm' },
    ],
  };
  const up = moved(type.migrate(document, '2', NOW));

  it('an edited value wins, and what was kept of it is told as stale and kept on', () => {
    const edited = { ...(up.document as JsonObject), name: 'B' };
    const down = moved(type.migrate(edited, '1', { ...NOW, residue: up.residue }));
    expect(down.document).toMatchObject({ name: 'B', items: document.items });
    expect(down.findings).toMatchObject([{ code: 'residue_stale', detail: { pointers: ['/name'] } }]);
    expect(down.residue.filter(({ isStale }) => isStale)).toMatchObject([{ pointer: '/name', value: 'a' }]);
  });

  it('what was kept of an element is never put into another one', () => {
    const { items } = up.document as { readonly items: readonly Json[] };
    const edited = { ...(up.document as JsonObject), items: [{ id: '0' }, ...items] };
    const down = moved(type.migrate(edited, '1', { ...NOW, residue: up.residue }));
    const { items: back } = down.document as { readonly items: readonly JsonObject[] };
    expect(back.map(({ note }) => note)).toEqual([undefined, undefined, undefined]);
    expect(down.residue.map(({ value }) => value)).toEqual(expect.arrayContaining(['n', 'm']));
  });

  it('the tail of an array comes back behind an edited head', () => {
    const heads = typeOf(step('1', '2', [op.head('/tags')]), BESIDE);
    const first = moved(
      heads.migrate({ schema_version: 1, name: '', state: 'ok', tags: ['a', 'b', 'c'] }, '2', NOW),
    );
    const edited = { ...(first.document as JsonObject), tags: 'A' };
    expect(heads.migrate(edited, '1', { ...NOW, residue: first.residue })).toMatchObject({
      document: { tags: ['A', 'b', 'c'] },
    });
  });

  it('going down first, the tail of an array is kept, and comes back', () => {
    const wraps = typeOf(step('1', '2', [op.rename('/one', 'many'), op.wrap('/many')]), BESIDE);
    const native = { schema_version: 2, name: '', state: 'ok', many: [1, 2, 3] };
    const down = moved(wraps.migrate(native, '1', NOW));
    expect(down.document).toEqual({ schema_version: 1, name: '', state: 'ok', one: 1 });
    expect(down.residue).toMatchObject([{ value: [1, 2, 3] }]);
    expect(moved(wraps.migrate(down.document, '2', { ...NOW, residue: down.residue })).document).toEqual(
      native,
    );
    const edited = { ...(down.document as JsonObject), one: 7 };
    expect(wraps.migrate(edited, '2', { ...NOW, residue: down.residue })).toMatchObject({
      document: { many: [7, 2, 3] },
    });
  });

  it('F9 a value outside a table is refused', () => {
    const table = typeOf(step('1', '2', [op.convert('/state', { table: [['ok', 1]] })]), BESIDE);
    expect(table.migrate({ schema_version: 1, name: '', state: 'failed' }, '2')).toMatchObject({
      findings: [{ code: 'step_refused', detail: { reason: 'value_unmapped', pointer: '/state' } }],
    });
  });

  it('no key reaches a prototype', () => {
    const hostile = JSON.parse(
      '{"schema_version":1,"name":"a","state":"ok","__proto__":{"polluted":1},"byKey":{"__proto__":{"id":"1","note":"n"}}}',
    ) as Json;
    const types = typeOf(
      step('1', '2', [op.mapValues('/byKey', [op.remove('/note')]), op.remove('/__proto__')]),
      BESIDE,
    );
    const away = moved(types.migrate(hostile, '2', NOW));
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    const back = moved(types.migrate(away.document, '1', { ...NOW, residue: away.residue }));
    expect(equalJson(back.document, hostile)).toBe(true);
  });
});
