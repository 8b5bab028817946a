/** A table as a statement names it. */
export interface Relation {
  readonly schema: string | undefined;
  readonly name: string;
}

/**
 * The tables that an SQL text names, its own `with` names left out; none where it is no SQL.
 *
 * A fragment such as `exists (select 1 from policy)` is read as an expression.
 */
export async function relationsOf(text: string): Promise<readonly Relation[]> {
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
  return [];
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
