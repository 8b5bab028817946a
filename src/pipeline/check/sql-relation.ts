/** A table as a statement names it. */
export interface Relation {
  readonly schema: string | undefined;
  readonly name: string;
}

/**
 * The tables that an SQL text names, its own `with` names left out; none where it is no SQL.
 *
 * A fragment such as `exists (select 1 from policy)` is read as an expression; of one that is neither, such as
 * `join policy using (license)`, the names after `from` and `join` are taken where `isSql` says that it is one.
 */
export async function relationsOf(text: string, isSql = false): Promise<readonly Relation[]> {
  if (!/\b(?:from|join|into|update|table|using)\b/i.test(text)) return [];
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  for (const attempt of [text, `select ${text}`]) {
    try {
      return collect(parseSync(attempt));
    } catch {
      // Most strings are no SQL; what does not parse names no table.
      continue;
    }
  }
  return isSql ? namesAfterKeywords(text) : [];
}

const NAMED =
  /\b(?:from|join|into|update|using)\s+(?:only\s+|lateral\s+)?(?<name>(?:"[^"]+"|[a-z_]\w*)(?:\.(?:"[^"]+"|[a-z_]\w*))?)(?!\s*[(.])/gi;

function namesAfterKeywords(text: string): readonly Relation[] {
  const plain = text.replace(/'(?:[^']|'')*'|--.*$|\/\*.*?\*\//gms, ' ');
  return [...plain.matchAll(NAMED)].flatMap(({ groups }) => {
    const parts = (groups?.['name'] ?? '').match(/"[^"]+"|\w+/g) ?? [];
    const [first, second] = parts.map((part) =>
      part.startsWith('"') ? part.slice(1, -1) : part.toLowerCase(),
    );
    if (first === undefined) return [];
    return [second === undefined ? { schema: undefined, name: first } : { schema: first, name: second }];
  });
}

function collect(tree: unknown): readonly Relation[] {
  const relations: Relation[] = [];
  const own = new Set<string>();
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (typeof node !== 'object' || node === null) return;
    for (const [kind, value] of Object.entries(node)) {
      if (kind === 'RangeVar' || kind === 'relation') addRelation(relations, value);
      if (kind === 'CommonTableExpr') own.add((value as { readonly ctename: string }).ctename);
      visit(value);
    }
  };
  visit(tree);
  return relations.filter(({ schema, name }) => schema !== undefined || !own.has(name));
}

function addRelation(relations: Relation[], value: unknown): void {
  if (typeof value !== 'object' || value === null || !('relname' in value)) return;
  const { relname, schemaname } = value as { readonly relname: string; readonly schemaname?: string };
  relations.push({ schema: schemaname === '' ? undefined : schemaname, name: relname });
}
