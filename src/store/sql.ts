/**
 * SQL as a value: text with parameters, composed from pieces, never from strings.
 *
 * | written | becomes |
 * |---|---|
 * | `${value}` | a parameter `$n` |
 * | `${sql.id('lab', 'mouse')}` | `"lab"."mouse"`, quoted |
 * | `${sql.join([a, b], sql`, `)}` | the pieces with the separator between |
 * | `${anotherStatement}` | its text and parameters in place |
 * | `${sql.raw(text)}` | the text itself: only for text that varve wrote |
 * | `sql.kept(statement)` | the same statement, whose plan a session may keep |
 *
 * Why not the query builder that makes use (Kysely): it costs 110 ms to import, and most commands never need one.
 */
export interface Sql {
  readonly kind: 'sql';
  readonly parts: readonly SqlPart[];
  /** See `sql.kept`; lost where the statement becomes a piece of another. */
  readonly isKept?: true;
}

type SqlPart =
  { readonly kind: 'text'; readonly text: string } | { readonly kind: 'value'; readonly value: SqlValue };

/** What a parameter may be. A JSON document is passed as its text; an absent value as null, never undefined. */
export type SqlValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly (string | number | bigint | boolean | null)[];

/** What a driver sends. */
export interface CompiledSql {
  readonly text: string;
  readonly values: readonly SqlValue[];
}

function build(strings: TemplateStringsArray, ...values: readonly (Sql | SqlValue)[]): Sql {
  const parts: SqlPart[] = [];
  strings.forEach((text, index) => {
    if (text !== '') parts.push({ kind: 'text', text });
    if (index >= values.length) return;
    const value = values[index] ?? null;
    if (isSql(value)) parts.push(...value.parts);
    else parts.push({ kind: 'value', value });
  });
  return { kind: 'sql', parts };
}

function isSql(value: Sql | SqlValue): value is Sql {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'sql';
}

function raw(text: string): Sql {
  return { kind: 'sql', parts: [{ kind: 'text', text }] };
}

function id(...names: readonly string[]): Sql {
  return raw(names.map(quoteIdentifier).join('.'));
}

function join(pieces: readonly Sql[], separator: Sql = raw(', ')): Sql {
  return {
    kind: 'sql',
    parts: pieces.flatMap((piece, index) =>
      index === 0 ? piece.parts : [...separator.parts, ...piece.parts],
    ),
  };
}

/**
 * A statement that is sent again and again with the same text: a session may keep its plan.
 *
 * Only for one that returns columns of the same names and types whatever becomes of the tables it names: otherwise it
 * fails with `0A000` after a change of their shape. Other changes of the tables are seen.
 */
function kept(statement: Sql): Sql {
  return { ...statement, isKept: true };
}

/** An identifier in double quotes, inner quotes doubled. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string constant; for places where a parameter is impossible, such as a comment or a function body. */
export function quoteLiteral(text: string): string {
  return text.includes('\\')
    ? `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`;
}

/** The statement's text with `$1 ...` and its values in order. */
export function compileSql(statement: Sql): CompiledSql {
  const values: SqlValue[] = [];
  const text = statement.parts
    .map((part) => (part.kind === 'text' ? part.text : `$${String(values.push(part.value))}`))
    .join('');
  return { text, values };
}

/** The tag, with its helpers. */
export const sql: typeof build & {
  readonly raw: typeof raw;
  readonly id: typeof id;
  readonly join: typeof join;
  readonly kept: typeof kept;
} = Object.assign(build, { raw, id, join, kept });
