import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, type Json } from './index.ts';

describe('M113 canonical JSON', () => {
  it('has the bytes of the published examples', () => {
    const value = {
      numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    };
    // 1e30 is a whole number beyond 2^53-1, and refused here; the rest is as the standard has it.
    const { numbers, ...rest } = value;
    expect(canonicalJson({ ...rest, numbers: numbers.filter((number) => number !== 1e30) })).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    // Names are ordered by their UTF-16 units, not by their code points.
    expect(canonicalJson({ '\u{1F600}': 1, '\uFB33': 2, a: 3 })).toBe('{"a":3,"\u{1F600}":1,"\uFB33":2}');
    expect(canonicalJson(-0)).toBe('0');
  });

  it('round-trips: what was written reads back as the same bytes', () => {
    const safe = fc.jsonValue({ noUnicodeString: false }).filter(isSafe);
    fc.assert(
      fc.property(safe, (value) => {
        const text = canonicalJson(value as Json);
        expect(canonicalJson(JSON.parse(text) as Json)).toBe(text);
      }),
    );
  });

  const hole: unknown[] = [1];
  hole[2] = 3;
  const attacks: readonly (readonly [string, unknown, string])[] = [
    ['a lone high surrogate', { a: 'x\ud800' }, '/a'],
    ['a lone low surrogate', ['\udc00x'], '/0'],
    ['a lone surrogate in a name', { '\ud800': 1 }, ''],
    ['not a number', { a: Number.NaN }, '/a'],
    ['infinity', [Infinity], '/0'],
    ['minus infinity', [[-Infinity]], '/0/0'],
    ['2^53', { a: 2 ** 53 }, '/a'],
    ['-2^53', { a: -(2 ** 53) }, '/a'],
    ['1e300', { 'a/b~c': 1e300 }, '/a~1b~0c'],
    ['a member that is undefined', { a: undefined }, '/a'],
    ['an item that is undefined', [undefined], '/0'],
    ['undefined itself', undefined, ''],
    ['a hole in an array', { a: hole }, '/a/1'],
    ['a date', { a: new Date(0) }, '/a'],
    ['a map', { a: new Map() }, '/a'],
    ['bytes', { a: new Uint8Array(1) }, '/a'],
    ['a class', { a: new URL('https://example.org') }, '/a'],
    ['a function', { a: () => 1 }, '/a'],
    ['a symbol', { a: Symbol('x') }, '/a'],
    ['a big integer', { a: 1n }, '/a'],
    ['a text object', { a: Object('x') as unknown }, '/a'],
    ['something with its own JSON', { a: { toJSON: () => 1 } }, '/a/toJSON'],
  ];

  it.each(attacks)('refuses %s', (_what, value, pointer) => {
    expect(() => canonicalJson(value as Json)).toThrow(
      expect.objectContaining({
        code: 'not_canonical',
        detail: expect.objectContaining({ pointer }) as unknown,
      }),
    );
  });

  it('takes the largest whole numbers that are safe', () => {
    expect(canonicalJson([2 ** 53 - 1, -(2 ** 53 - 1)])).toBe('[9007199254740991,-9007199254740991]');
  });
});

function isSafe(value: unknown): boolean {
  try {
    canonicalJson(value as Json);
    return true;
  } catch {
    return false;
  }
}
