import type { Json } from '../base/index.ts';

/**
 * Reads a JSON text in which no object names a member twice: `JSON.parse` would keep the last one in silence, and two
 * readers could see two documents. Returns the reason where the text is not acceptable.
 */
export function parseStrictJson(text: string): { readonly value: Json } | { readonly reason: string } {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return { reason: 'not_json' };
  }
  return repeatsMember(text) ? { reason: 'duplicate_member' } : { value };
}

/** Walks the tokens of a text that is known to be JSON. */
function repeatsMember(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/gu)) {
    const token = match[0];
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (match[1] !== undefined) {
      const name = JSON.parse(token.slice(0, token.length - match[1].length)) as string;
      const members = open.at(-1);
      if (members?.has(name) === true) return true;
      members?.add(name);
    }
  }
  return false;
}
