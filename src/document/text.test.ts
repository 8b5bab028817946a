import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineDocument, op, step, type TextOptions } from './index.ts';
import { isExactDouble } from './number.ts';

const type = defineDocument('note', {
  schema: { type: 'object', properties: { n: { type: 'number' }, title: { type: 'string' } } },
  current: '2',
  version: { missing: '1', order: 'integer' },
  versions: { '1': {}, '2': {} },
  steps: [step('1', '2', [op.rename('/name', 'title'), op.convert('/scaled', { scale: 2 })])],
  policy: { provenance: 'beside', residue: 'beside', limits: { sizeBytes: 2 ** 20, depth: 100 } },
});

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (found: Uint8Array) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(found);

function migrate(text: string | Uint8Array, options: TextOptions = {}) {
  return type.migrateText(typeof text === 'string' ? bytes(text) : text, '2', options);
}

function textOf(given: string, options?: TextOptions): string {
  const outcome = migrate(given, options);
  if (outcome.status !== 'migrated') throw new Error(JSON.stringify(outcome));
  return read(outcome.document);
}

describe('F10 what needs no step leaves as the bytes that came in', () => {
  it.each([
    ['numbers and their spelling', '{"schema_version":2,"a":[1.0,-0,1e400,9007199254740993,0.10]}'],
    ['blanks and escapes', ' {\n\t"schema_version" : 2 , "a":"\\u0041\\ud800\\u0000" }\r\n'],
    ['a byte order mark', '\ufeff{"schema_version":2}'],
    ['names that look like an index', '{"schema_version":2,"b":1,"10":1,"2":1}'],
  ])('%s', (_what, text) => {
    const outcome = migrate(text);
    expect(outcome.status).toBe('current');
    if (outcome.status === 'current') expect(read(outcome.document)).toBe(text);
  });
});

describe('F10 what is moved is exact', () => {
  it.each([
    '9007199254740993',
    '-0',
    '1e400',
    '1.0',
    '0.1000',
    '1E5',
    '-0.0',
    '123456789012345678901234567890',
  ])('the number %s keeps its text', (token) => {
    expect(textOf(`{"name":"a","kept":[${token},{"x":${token}}],"n":${token}}`)).toBe(
      `{"title":"a","kept":[${token},{"x":${token}}],"n":${token},"schema_version":2}`,
    );
  });

  it('every number does', () => {
    const token = fc
      .tuple(
        fc.constantFrom('', '-'),
        fc.bigInt({ min: 0n, max: 10n ** 25n }),
        fc.constantFrom('', '.0', '.5', '.123456789012345678'),
        fc.constantFrom('', 'e3', 'E-7', 'e+400'),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.array(token), (tokens) => {
        expect(textOf(`{"name":"","a":[${tokens.join(',')}]}`)).toBe(
          `{"title":"","a":[${tokens.join(',')}],"schema_version":2}`,
        );
      }),
    );
  });

  it('any JSON comes through with its meaning', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const given = `{"any":${text}}`;
        const outcome = migrate(given);
        if (outcome.status !== 'migrated') {
          expect(outcome).toMatchObject({ findings: [{ code: 'duplicate_key' }] });
          return;
        }
        expect(JSON.parse(read(outcome.document))).toEqual({
          ...(JSON.parse(given) as object),
          schema_version: 2,
        });
      }),
    );
  });

  it('what only its spelling keeps from a double is computed with, what no double holds is not', () => {
    expect(textOf('{"scaled":1.50}')).toBe('{"scaled":3,"schema_version":2}');
    expect(migrate('{"scaled":9007199254740993}')).toMatchObject({
      findings: [{ code: 'step_refused', detail: { reason: 'value_unmapped', pointer: '/scaled' } }],
    });
    expect(['1.0', '1e2', '0.5', '120', '-3'].filter((token) => !isExactDouble(token))).toEqual([]);
    expect(
      ['9007199254740993', '0.1000000000000000055511151231257827', '1e400', '-0'].filter(isExactDouble),
    ).toEqual([]);
  });

  it('a schema judges the nearest double', () => {
    expect(migrate('{"n":1e400}').status).toBe('migrated');
    expect(migrate('{"title":1e400}')).toMatchObject({ findings: [{ code: 'document_result_invalid' }] });
  });

  it('the layout stays: indentation, last line break, byte order mark', () => {
    expect(textOf('\ufeff{\n  "name": "a",\n  "b": [1.0]\n}\n')).toBe(
      '\ufeff{\n  "title": "a",\n  "b": [\n    1.0\n  ],\n  "schema_version": 2\n}\n',
    );
  });

  it('lone surrogates stay escapes, and names such as __proto__ stay names', () => {
    expect(textOf('{"a":"\\ud800","__proto__":{"b":1}}')).toBe(
      '{"a":"\\ud800","__proto__":{"b":1},"schema_version":2}',
    );
  });
});

describe('F10, F11 what cannot be taken for certain is refused', () => {
  it.each<readonly [string, string | Uint8Array, string, TextOptions]>([
    ['equal names', '{"a":1,"b":{"a":1,"a":2}}', 'duplicate_key', {}],
    ['equal names by escape', '{"a":1,"\\u0061":2}', 'duplicate_key', {}],
    ['a cut text', '{"a":[1,2', 'json_invalid', {}],
    ['invalid UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'json_invalid', {}],
    [
      'a hundred thousand levels',
      `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      'document_too_deep',
      {},
    ],
    ['more bytes than allowed', `{"a":"${'x'.repeat(2 ** 20)}"}`, 'document_too_large', {}],
    ['another order of names, if order is kept', '{"b":1,"1":1}', 'key_order', { keepOrder: true }],
  ])('%s', (_what, text, code, options) => {
    expect(migrate(text, options)).toMatchObject({ status: 'refused', findings: [{ code }] });
  });
});
