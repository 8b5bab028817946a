import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineDocument, op, step } from './index.ts';
import { migrateDocument } from './migrate.ts';
import { parseDocument } from './text.ts';

const type = defineDocument('letter', {
  schema: {},
  current: '2',
  version: { missing: '1', order: 'integer' },
  versions: { '1': {}, '2': {} },
  steps: [step('1', '2', [op.rename('/name', 'title'), op.move('/first', '/moved'), op.add('/kind', 'a')])],
});

/** What a write of the whole document gives, with nothing copied from the text it was read from. */
function writtenWhole(text: string): string | undefined {
  const sealed = type.model();
  if (sealed.status === 'refused') throw new Error(JSON.stringify(sealed));
  const model = sealed.value;
  const parsed = parseDocument(new TextEncoder().encode(text), model.limits, model.name);
  if (parsed.status === 'refused') return undefined;
  const outcome = migrateDocument(model, parsed.value.document, '2', { now: NOW });
  return outcome.status === 'migrated' ? JSON.stringify(outcome.document) : undefined;
}

const NOW = '2026-05-12T00:00:00.000Z';

function migrated(text: string): string | undefined {
  const outcome = type.migrateText(new TextEncoder().encode(text), '2', { now: NOW });
  return outcome.status === 'migrated' ? new TextDecoder().decode(outcome.document) : undefined;
}

const FILLER = 'x'.repeat(130);

describe('what no step touched', () => {
  it('is written as a write of the whole document would, whatever its spelling', () => {
    const spelling = fc.constantFrom<(text: string) => string>(
      (text) => text,
      (text) => text.replaceAll('a', '\\u0061'),
      (text) => text.replaceAll('/', '\\/'),
      (text) => text.replaceAll(',"', ', "'),
      (text) => text.replaceAll('e', 'é\u2028😀'),
      (text) => text.replaceAll(':1', ':1.0').replaceAll('[0', '[-0'),
    );
    const value = fc.jsonValue({ noUnicodeString: false, maxDepth: 4 });
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), value, { maxKeys: 5 }),
        value,
        fc.array(value),
        spelling,
        (members, one, many, spell) => {
          const first = { [FILLER]: one };
          const document = {
            name: 'n',
            first,
            ...members,
            '0/b"': [FILLER, ...many],
            last: { FILLER, many },
          };
          const text = spell(JSON.stringify(document));
          expect(migrated(text)).toBe(writtenWhole(text));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is copied with every character, in a text of any script, beside new text of any script', () => {
    const kept = `["${'ü€😀'.repeat(50)}",{"b":[1,"\\n\\"\\\\"]}]`;
    expect(migrated(`{"name":"ß","kept":${kept},"z":1}`)).toMatch(`{"title":"ß","kept":${kept},"z":1,`);
    expect(migrated(`{"name":"n","kept":["${FILLER}"]}`)).toMatch(`{"title":"n","kept":["${FILLER}"],`);
  });

  it('keeps its layout beside a byte order mark and a last line break', () => {
    const kept = `{"a":"${FILLER}"}`;
    const outcome = type.migrateText(new TextEncoder().encode(`\ufeff{"kept":${kept},"name":"n"}\n`), '2');
    const text = outcome.status === 'migrated' ? outcome.document : new Uint8Array();
    expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(text)).toMatch(
      `\ufeff{"kept":${kept},"title":"n","kind":"a",`,
    );
    expect(text.at(-1)).toBe(0x0a);
  });
});
