import { nearestName, refusal, type Finding } from '../base/index.ts';
import { sql, type Sql, type StoreErrorFields } from '../store/index.ts';
import type { GraphTable } from './graph.ts';

/**
 * A person's SQL condition as part of a statement, or the finding that says why it is none.
 *
 * The text is parsed by PostgreSQL's own parser, without parentheses around it: what is then one WHERE clause and
 * nothing else cannot leave the parentheses it is put in. Whether its names exist, the database says when it runs.
 */
export async function readCondition(table: GraphTable, text: string): Promise<Sql | Finding> {
  // The parser is WebAssembly of 1.7 MB: loaded by the first condition, not by those who import this folder.
  const { parse, hasSqlDetails } = await import('libpg-query');
  try {
    const { stmts } = await parse(`${PREFIX}${text}\n`);
    const reason = whyNoCondition(stmts ?? []);
    if (reason !== undefined)
      return invalid(table, { reason }, 'Write one condition on the columns of the table.');
  } catch (error) {
    if (!hasSqlDetails(error) || error.sqlDetails === undefined) throw error;
    const position = Math.max(
      1,
      Math.min(error.sqlDetails.cursorPosition + 1 - PREFIX.length, characters(text) + 1),
    );
    // The parser's message quotes the person's own text and nothing else.
    return invalid(
      table,
      { reason: error.sqlDetails.message, position },
      'Correct the condition at this position.',
    );
  }
  // A line of its own, so that a comment at the end of the text ends there.
  return sql.raw(`${OPEN}${text}\n`);
}

const PREFIX = 'select where ';
const OPEN = '\n';

function whyNoCondition(statements: readonly { readonly stmt?: unknown }[]): string | undefined {
  const [first, second] = statements;
  if (first === undefined || second !== undefined) return 'more than one statement';
  const select = member(first.stmt, 'SelectStmt');
  if (select === undefined) return 'not a condition';
  // `limitOption` and `op` are there in every SELECT.
  const beside = Object.keys(select).filter((name) => !['whereClause', 'limitOption', 'op'].includes(name));
  if (!('whereClause' in select) || beside.length > 0 || select['op'] !== 'SETOP_NONE') {
    return 'more than a condition';
  }
  return holdsParameter(select['whereClause']) ? 'a parameter that nobody gives a value' : undefined;
}

function member(node: unknown, name: string): Readonly<Record<string, unknown>> | undefined {
  if (typeof node !== 'object' || node === null) return undefined;
  const found = (node as Readonly<Record<string, unknown>>)[name];
  return typeof found === 'object' && found !== null
    ? (found as Readonly<Record<string, unknown>>)
    : undefined;
}

function holdsParameter(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false;
  return Object.entries(node).some(([name, value]) => name === 'ParamRef' || holdsParameter(value));
}

/** What the database had against a condition, with the position counted from the start of the person's own text. */
export function conditionFault(
  table: GraphTable,
  text: string,
  statementText: string,
  fields: StoreErrorFields,
): Finding {
  const before = statementText.indexOf(`(${OPEN}${text}\n)`);
  const at = (fields.position ?? 0) - characters(statementText.slice(0, before)) - OPEN.length - 1;
  const position = before >= 0 && at >= 1 && at <= characters(text) ? { position: at } : {};
  const detail = {
    reason: REASONS[fields.sqlstate] ?? 'the database does not accept it',
    sqlstate: fields.sqlstate,
  };
  return invalid(table, { ...detail, ...position }, hintFor(table, text, fields, at));
}

const REASONS: Readonly<Partial<Record<string, string>>> = {
  '22012': 'division by zero',
  '22P02': 'a constant does not fit the type it is compared with',
  '22007': 'a constant is no date or time',
  '25001': 'it would change the transaction it runs in',
  '25006': 'it would write, and a walk only reads',
  '42501': 'the database user may not read what it names',
  '42703': 'no such column',
  '42725': 'an operator or function that could be several',
  '42804': 'not a condition: its type is not boolean',
  '42883': 'no such operator or function for these types',
  '42P01': 'no such table',
};

function hintFor(table: GraphTable, text: string, { sqlstate }: StoreErrorFields, at: number): string {
  if (sqlstate === '25006') return 'Leave out what writes.';
  if (sqlstate !== '42703') return 'Correct the condition.';
  const name = /^"?(?<name>[\p{L}_][\p{L}\p{N}_$]*)/u.exec(
    Array.from(text)
      .slice(Math.max(0, at - 1))
      .join(''),
  )?.groups?.['name'];
  const nearest = name === undefined ? undefined : nearestName(name, table.columns);
  return nearest === undefined ? `The columns are: ${table.columns.join(', ')}.` : `Write ${nearest}.`;
}

/** PostgreSQL counts characters, JavaScript halves of some. */
function characters(text: string): number {
  return Array.from(text).length;
}

function invalid(table: GraphTable, detail: Finding['detail'], hint: string): Finding {
  return refusal('where_invalid', table.table, { detail, hint });
}
