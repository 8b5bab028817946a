import { expect, it } from 'vitest';
import { withStaticRefs } from './dynamic-ref.ts';
import type { JsonSchema } from './schema.ts';
import { compileSchema } from './validate.ts';

const PARAMETER: JsonSchema = {
  $defs: {
    parameter: {
      type: 'object',
      required: ['in'],
      properties: { in: { type: 'string' }, schema: { $dynamicRef: '#meta' } },
      unevaluatedProperties: false,
    },
    schema: { $dynamicAnchor: 'meta', type: ['object', 'boolean'] },
  },
  $ref: '#/$defs/parameter',
};

it('a dynamic reference with one anchor to lead to leads there', () => {
  const validate = compileSchema(PARAMETER);
  expect(validate({ in: 'path', schema: { type: 'string' } })).toMatchObject({ isValid: true });
  expect(validate({ in: 'path', schema: true })).toMatchObject({ isValid: true });
  expect(validate({ in: 'path', schema: 'text' })).toMatchObject({
    faults: [{ pointer: '/schema', keyword: 'type' }],
  });
});

it('beside another reference both hold', () => {
  const schema: JsonSchema = {
    $defs: { a: { $dynamicAnchor: 'a', required: ['a'] }, b: { required: ['b'] } },
    properties: { x: { $ref: '#/$defs/b', $dynamicRef: '#a', allOf: [{ required: ['c'] }] } },
  };
  const validate = compileSchema(schema);
  expect(validate({ x: { a: 1, b: 1, c: 1 } })).toMatchObject({ isValid: true });
  for (const name of ['a', 'b', 'c']) {
    const { [name]: _left, ...rest }: Record<string, number> = { a: 1, b: 1, c: 1 };
    expect(validate({ x: rest })).toMatchObject({ faults: [{ pointer: `/x/${name}`, keyword: 'required' }] });
  }
});

it.each<readonly [string, JsonSchema]>([
  [
    'an anchor twice',
    { $defs: { a: { $dynamicAnchor: 'a' }, b: { $dynamicAnchor: 'a' } }, $dynamicRef: '#a' },
  ],
  [
    'another resource',
    { $defs: { a: { $id: 'https://example.org/a', $dynamicAnchor: 'a' } }, $dynamicRef: '#a' },
  ],
  ['an anchor at the root', { $dynamicAnchor: 'node', properties: { child: { $dynamicRef: '#node' } } }],
  ['data that only look like one', { default: { $dynamicAnchor: 'a' }, const: { $dynamicRef: '#a' } }],
])('%s is left as it is', (_what, schema) => {
  expect(withStaticRefs(schema)).toBe(schema);
});
