import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readScript } from './sql-script.ts';
import { indexText } from './text-place.ts';

/** Each statement with its line, column and text; each fault with its kind, line and column. */
async function read(text: string): Promise<readonly (readonly (string | number)[])[]> {
  const { statements, faults, placeOf } = await readScript(text);
  const at = (offset: number): readonly number[] => {
    const { line, column } = placeOf(offset);
    return [line, column];
  };
  return [
    ...statements.map(({ start, end }) => [...at(start), text.slice(start, end)]),
    ...faults.map(({ kind, offset }) => [...at(offset), `! ${kind}`]),
  ];
}

describe('a script', () => {
  test('is told apart into statements at their first word, comments and empty ones left out', async () => {
    expect(await read('/* é */ -- 𝒳;\n  select 1;; ;\r\n\tselect $$;é$$, \'a;\'"b;" ; -- end')).toEqual([
      [2, 3, 'select 1'],
      [3, 2, 'select $$;é$$, \'a;\'"b;" '],
    ]);
    expect(await read('')).toEqual([]);
    expect(await read('-- nothing\n;')).toEqual([]);
    expect(
      await read("create function f() returns int begin atomic select 1; select 2; end; select 'é'"),
    ).toEqual([
      [1, 1, 'create function f() returns int begin atomic select 1; select 2; end'],
      [1, 71, "select 'é'"],
    ]);
  });

  test('counts columns in UTF-16 code units after what has more bytes', async () => {
    expect(await read("select 'é𝒳'; select 2")).toEqual([
      [1, 1, "select 'é𝒳'"],
      [1, 15, 'select 2'],
    ]);
  });

  test('is read on around what the parser does not know', async () => {
    expect(await read("select 'é'; creaté tabl 'ü'; select 2;\nselect (;select 3")).toEqual([
      [1, 1, "select 'é'"],
      [1, 30, 'select 2'],
      [2, 10, 'select 3'],
      [1, 13, '! syntax'],
      [2, 9, '! syntax'],
    ]);
    expect(await read("select 1;\nselect 'never ends; select 2;")).toEqual([
      [1, 1, 'select 1'],
      [2, 21, 'select 2'],
      [2, 8, '! syntax'],
    ]);
    expect(await read('create table t (a int')).toEqual([[1, 22, '! syntax']]);
    expect(await read('\uFEFFselect 1; select 2')).toEqual([
      [1, 12, 'select 2'],
      [1, 1, '! syntax'],
    ]);
  });

  test('is read on around commands of psql and rows of COPY', async () => {
    expect(await read("\\set é it's\r\nselect 1 \\gset x_\nselect 2;\n\\connect lab\nselect 3;\n")).toEqual([
      [2, 1, 'select 1 '],
      [3, 1, 'select 2'],
      [5, 1, 'select 3'],
      [1, 1, '! psql'],
      [2, 10, '! psql'],
      [4, 1, '! psql'],
    ]);
    expect(
      await read("select 1; copy t (a) from stdin with (format csv);\né; it's\n2\n\\.\nselect 2;"),
    ).toEqual([
      [1, 1, 'select 1'],
      [1, 11, 'copy t (a) from stdin with (format csv)'],
      [5, 1, 'select 2'],
      [2, 1, '! copy_rows'],
    ]);
  });

  test('says that nothing was read after a NUL, which the parser takes for the end', async () => {
    expect(await read('select 1; \0drop table t')).toEqual([
      [1, 1, 'select 1'],
      [1, 11, '! nul'],
    ]);
  });

  test('has faults that tell words of the language on, and no values', async () => {
    const reasons = async (text: string): Promise<readonly string[]> =>
      (await readScript(text)).faults.map(({ reason }) => reason);
    expect(await reasons("create tabl t; alter role a passwort 'secret'; select 'never ends")).toEqual([
      'syntax error at or near "tabl"',
      'unrecognized role option "passwort"',
      'unterminated quoted string',
    ]);
    expect(await reasons("select 1 'secret'; select 1 12345 7; select );")).toEqual([
      'syntax error',
      'syntax error',
      'syntax error at or near ")"',
    ]);
  });

  test('is given up after 20 faults, and says so', async () => {
    const found = await read('selec 1;\n'.repeat(30) + 'select 1;');
    expect(found).toHaveLength(21);
    expect(found.at(-1)).toEqual([20, 1, '! too_many']);
  });

  test('gives its words with their places, comments told apart', async () => {
    const { tokens } = await readScript("select 'é' -- ü\r\n/* a */ ;");
    expect(tokens().map(({ kind, text, start, end }) => [kind, text, start, end])).toEqual([
      ['other', 'select', 0, 6],
      ['other', "'é'", 7, 10],
      ['comment', '-- ü', 11, 15],
      ['comment', '/* a */', 17, 24],
      ['other', ';', 25, 26],
    ]);
  });
});

test('the place of a byte and of a character is that of the text before it', () => {
  const anything = fc.array(
    fc.oneof(fc.constantFrom('\n', '\r\n', 'é', '𝒳', 'a'), fc.string({ unit: 'grapheme' })),
  );
  fc.assert(
    fc.property(anything, fc.nat({ max: 600 }), (pieces, wanted) => {
      const characters = Array.from(pieces.join('').repeat(40));
      const before = characters.slice(0, wanted).join('');
      const index = indexText(characters.join(''));
      const offset = index.offsetOfByte(new TextEncoder().encode(before).length);
      expect(offset).toBe(before.length);
      expect(index.offsetOfCharacter(Math.min(wanted, characters.length))).toBe(before.length);
      const lines = before.split('\n');
      expect(index.placeOf(offset)).toEqual({ line: lines.length, column: (lines.at(-1) ?? '').length + 1 });
    }),
  );
});
