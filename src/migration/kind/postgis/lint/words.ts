import type { Script, ScriptToken } from '../../../../store/index.ts';

/** Gives the words between two offsets, comments left out; the script is told apart into words at the first call. */
export function openWords({ tokens }: Script): (start: number, end: number) => readonly ScriptToken[] {
  let all: readonly ScriptToken[] | undefined;
  return (start, end) => {
    all ??= tokens().filter(({ kind }) => kind === 'other');
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((all[middle]?.start ?? 0) < start) low = middle + 1;
      else high = middle;
    }
    let after = low;
    while ((all[after]?.start ?? end) < end) after += 1;
    return all.slice(low, after);
  };
}

/** Where the commands of an ALTER TABLE begin: the first with the statement, the others behind a comma outside of brackets. */
export function commandStarts(words: readonly ScriptToken[]): readonly number[] {
  const starts = words.slice(0, 1).map(({ start }) => start);
  let depth = 0;
  for (const [index, { text }] of words.entries()) {
    if (text === '(' || text === '[') depth += 1;
    else if (text === ')' || text === ']') depth -= 1;
    const next = words[index + 1];
    if (text === ',' && depth === 0 && next !== undefined) starts.push(next.start);
  }
  return starts;
}

/** PostgreSQL cuts a name after 63 bytes, with a notice. */
const MAX_NAME_BYTES = 63;
const MAY_BE_A_NAME = /"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*/gu;

/** The names in a statement that PostgreSQL cuts. The parser has cut them already, so the words are looked at. */
export function longNames(
  text: string,
  words: () => readonly ScriptToken[],
): readonly { readonly name: string; readonly start: number }[] {
  if (!(text.match(MAY_BE_A_NAME) ?? []).some(isTooLong)) return [];
  return words().flatMap(({ text: word, start }) =>
    /^(?:"|[\p{L}_][^']*$)/u.test(word) && isTooLong(word) ? [{ name: unquoted(word), start }] : [],
  );
}

function isTooLong(word: string): boolean {
  // A character has at most four bytes, two code units for those.
  if (word.length <= MAX_NAME_BYTES / 3) return false;
  return new TextEncoder().encode(unquoted(word)).length > MAX_NAME_BYTES;
}

function unquoted(word: string): string {
  return word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word;
}
