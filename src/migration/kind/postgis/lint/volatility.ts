import { namesOf, nodesBelow } from '../../../../store/index.ts';

/**
 * Functions of PostgreSQL that give one value for all rows of a statement, so that a column with such a default is added
 * without a rewrite. A function that is not listed counts as volatile: unknown means affected. A test asks real servers
 * whether one of these is volatile.
 */
export const STEADY_FUNCTIONS: readonly string[] = `
  abs array_fill ceil concat concat_ws current_database current_schema current_setting date_part
  date_trunc decode encode floor format greatest int4range int8range json_build_array
  json_build_object jsonb_build_array jsonb_build_object least left length lower lpad make_date
  make_interval make_timestamp make_timestamptz md5 now numrange regexp_replace repeat replace
  right round rpad sha256 statement_timestamp string_to_array substring timezone to_char to_date
  to_json to_jsonb to_number to_timestamp to_tsvector transaction_timestamp trim trunc tsrange
  tstzrange upper version
`
  .trim()
  .split(/\s+/);

const STEADY: ReadonlySet<string> = new Set(STEADY_FUNCTIONS);

/** The first function of an expression that may give another value for each row, or undefined. */
export function volatileFunction(expression: unknown): string | undefined {
  for (const { type, fields } of nodesBelow(expression)) {
    if (type !== 'FuncCall') continue;
    const names = namesOf(fields['funcname']);
    const isBuiltIn = names.length === 1 || names[0] === 'pg_catalog';
    if (!isBuiltIn || !STEADY.has(names.at(-1) ?? '')) return names.join('.');
  }
  return undefined;
}
