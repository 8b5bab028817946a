import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineDocument, step } from './index.ts';
import { quickVersion } from './quick-version.ts';

const encoder = new TextEncoder();
const NAME = encoder.encode('v');
const quick = (text: string | Uint8Array, depth = 100) =>
  quickVersion(typeof text === 'string' ? encoder.encode(text) : text, NAME, depth);

describe('the version by one pass', () => {
  it.each([
    ['{"v":"1.0"}', '1.0'],
    [' \n{ "a" : [ ] , "v" :\t2 , "b":{}}\r\n', '2'],
    ['{"a":{"v":3},"v":2,"c":[{"v":4}]}', '2'],
    ['{"v":"é is no version here","x":1}', undefined],
    ['{"x":"é","v":"2"}', '2'],
    ['{"a":[-0,1e5,0.5,-1.25E-7,true,false,null,"\\u00e9\\n\\"",[],{}],"v":7}', '7'],
  ])('%s', (text, version) => {
    expect(quick(text)?.text).toBe(version);
  });

  it.each([
    '{}',
    '[]',
    '{"a":1}',
    '{"v":1,"v":2}',
    '{"v":"1","\\u0076":2}',
    '{"\\u0076":2}',
    '{"v":"\\u0031"}',
    '{"v":null}',
    '{"v":{}}',
    '{"v":1.0}',
    '{"v":-1}',
    '{"v":12345678901234567890}',
  ])('says nothing of %s, which a parse decides', (text) => {
    expect(quick(text)).toBeUndefined();
  });

  it.each([
    '',
    '{',
    '{"v":2',
    '{"v":2,}',
    '{"v":2}}',
    '{"v":2} x',
    '{"v":2,"a":[1,]}',
    '{"v":2,"a":[1 2]}',
    '{"v":2,"a":01}',
    '{"v":2,"a":1.}',
    '{"v":2,"a":.5}',
    '{"v":2,"a":1e}',
    '{"v":2,"a":+1}',
    '{"v":2,"a":-}',
    '{"v":2,"a":nul}',
    '{"v":2,"a":truE}',
    '{"v":2,"a":"\n"}',
    '{"v":2,"a":"\\x"}',
    '{"v":2,"a":"\\u12g4"}',
    '{"v":2,"a":"}',
    '{"v":2,a:1}',
    '{"v":2,"a"}',
    '{"v":2,"a":[}',
    '{"v":2,"a":{]}',
    '\ufeff{"v":2}',
  ])('answers for no text that is no JSON: %j', (text) => {
    expect(quick(text)).toBeUndefined();
  });

  it('nor for one that is no UTF-8, or too deep', () => {
    expect(quick(new Uint8Array([...encoder.encode('{"v":2,"a":"'), 0xff, 0x22, 0x7d]))).toBeUndefined();
    expect(
      quick(new Uint8Array([...encoder.encode('{"v":2,"'), 0xff, ...encoder.encode('":1}')])),
    ).toBeUndefined();
    expect(quick('{"v":2,"a":[[]]}', 3)).toBeDefined();
    expect(quick('{"v":2,"a":[[]]}', 2)).toBeUndefined();
  });

  it('what it answers for is JSON, and says that version', () => {
    const edit = fc.record({
      at: fc.nat(200),
      cut: fc.nat(3),
      put: fc.constantFrom(
        '',
        '"',
        ',',
        ':',
        '{',
        '}',
        '[',
        ']',
        '\\',
        '0',
        '.',
        'e',
        '-',
        'null',
        ' ',
        '\u00e9',
        '"v":',
      ),
    });
    const texts = fc
      .tuple(fc.json(), fc.json(), fc.nat(9), fc.array(edit, { maxLength: 2 }))
      .map(([before, after, version, edits]) =>
        edits.reduce(
          (text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut),
          `{"a":${before},"v":${version},"b":${after}}`,
        ),
      );
    let answered = 0;
    fc.assert(
      fc.property(texts, (text) => {
        const answer = quick(text);
        if (answer === undefined) return;
        answered += 1;
        const parsed = JSON.parse(text) as { readonly v: unknown };
        expect(String(parsed.v)).toBe(answer.text);
        expect(typeof parsed.v === 'string').toBe(answer.isText);
      }),
      { numRuns: 3_000 },
    );
    expect(answered).toBeGreaterThan(500);
  });

  it('whatever is valid and says its version once is answered for', () => {
    fc.assert(
      fc.property(fc.json(), (value) => {
        expect(quick(`{"v":3,"a":${value}}`)?.text).toBe('3');
      }),
    );
  });
});

describe('a current document', () => {
  const type = defineDocument('note', {
    schema: {},
    current: '2',
    version: { missing: '1', order: 'integer' },
    versions: { '1': {}, '2': {} },
    steps: [step('1', '2', [])],
    policy: { provenance: 'beside', residue: 'beside' },
  });

  it.each([
    ['equal names, which nobody has to choose between', '{"schema_version":2,"a":1,"a":2}', 'current'],
    ['equal names of the version', '{"schema_version":2,"schema_version":2}', 'refused'],
    ['a cut text', '{"schema_version":2,"a":[1,2', 'refused'],
    ['a version as text', '{"schema_version":"2"}', 'current'],
  ])('%s', (_what, text, status) => {
    for (let old = 0; old < 100; old += 1) {
      const outcome = type.migrateText(encoder.encode(text), '2');
      expect(outcome.status).toBe(status);
      if (outcome.status === 'current') expect(new TextDecoder().decode(outcome.document)).toBe(text);
      // After many old documents not every one is tried, and what comes out is the same.
      for (let more = 0; more < old; more += 1) type.migrateText(encoder.encode('{"a":1}'), '2');
    }
  });
});
