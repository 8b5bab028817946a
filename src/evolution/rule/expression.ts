/**
 * An SQL expression of a bundle, judged by its text: one expression over the columns of the old row and nothing else.
 *
 * | may stand in it | may not |
 * |---|---|
 * | constants, columns by their name or as `old.column` | other rows, whole rows, parameters |
 * | operators, CASE, COALESCE, GREATEST, casts, arrays | subqueries, aggregates, windows, what names the time or the user |
 * | functions that give the same for the same | functions that do more, or that give sets; see `check-rules.ts` |
 *
 * The text is parsed by PostgreSQL's own parser, without parentheses around it: what is then one expression cannot leave
 * the parentheses it is put in. Everything that is not named here as allowed is refused.
 */
import { nearestName } from '../../base/index.ts';
import { sql, type Sql } from '../../store/index.ts';

/** What an expression names, to be looked up in the database; or why it is none. */
export type ExpressionReading =
  | { readonly status: 'ok'; readonly names: ExpressionNames }
  | {
      readonly status: 'refused';
      readonly reason: string;
      /** Counted in characters from 1. */
      readonly position?: number;
      readonly hint: string;
    };

/** Functions, operators and types by their names as written, schema first where one is written. */
export interface ExpressionNames {
  readonly functions: readonly { readonly name: readonly string[]; readonly argumentCount: number }[];
  readonly operators: readonly (readonly string[])[];
  readonly types: readonly (readonly string[])[];
}

/** The longest text that is looked at, in characters. */
const MAX_LENGTH = 10_000;
const PREFIX = 'select ';

/** Reads an expression over these columns. */
export async function readExpression(text: string, columns: readonly string[]): Promise<ExpressionReading> {
  if (text.trim() === '') return refused('no expression', 'Write an SQL expression after =.');
  if (Array.from(text).length > MAX_LENGTH)
    return refused('too long', `Write at most ${MAX_LENGTH.toLocaleString('en')} characters.`);
  // The parser is WebAssembly of 1.7 MB: loaded by the first rule, not by those who import this folder.
  const { parse, hasSqlDetails } = await import('libpg-query');
  try {
    const { stmts } = await parse(`${PREFIX}${text}\n`);
    const value = onlyValue(stmts ?? []);
    if (value === undefined)
      return refused('more than one expression', 'Write one SQL expression over the columns of the old row.');
    return judge(value, text, columns);
  } catch (error) {
    if (!hasSqlDetails(error) || error.sqlDetails === undefined) throw error;
    const position = error.sqlDetails.cursorPosition + 1 - PREFIX.length;
    // The parser's message quotes the rule's own text and nothing else.
    return {
      ...refused(error.sqlDetails.message, 'Correct the expression at this position.'),
      position: Math.min(Math.max(1, position), Array.from(text).length + 1),
    };
  }
}

/** The value of a rule that was read, of this type, where the old row goes by the name `old`. */
export function ruleValue(rule: string, type: string): Sql {
  // A line of its own, so that a comment at the end of the text ends there.
  return sql`(${sql.raw(rule)}\n)::${sql.raw(type)}`;
}

type Node = Readonly<Record<string, unknown>>;

function refused(reason: string, hint: string): Extract<ExpressionReading, { readonly status: 'refused' }> {
  return { status: 'refused', reason, hint };
}

/** The one value of a SELECT that has nothing else. */
function onlyValue(statements: readonly { readonly stmt?: unknown }[]): Node | undefined {
  const [first, second] = statements;
  const select = memberOf(first?.stmt, 'SelectStmt');
  if (select === undefined || second !== undefined) return undefined;
  // `limitOption` and `op` are there in every SELECT.
  const beside = Object.keys(select).filter((name) => !['targetList', 'limitOption', 'op'].includes(name));
  const targets = select['targetList'];
  if (beside.length > 0 || select['op'] !== 'SETOP_NONE' || !Array.isArray(targets)) return undefined;
  const target = memberOf(targets[0], 'ResTarget');
  if (targets.length !== 1 || target === undefined || 'name' in target || 'indirection' in target)
    return undefined;
  return isNode(target['val']) ? target['val'] : undefined;
}

interface Walk {
  readonly columns: readonly string[];
  readonly functions: ExpressionNames['functions'][number][];
  readonly operators: (readonly string[])[];
  readonly types: (readonly string[])[];
}

function judge(value: Node, text: string, columns: readonly string[]): ExpressionReading {
  const walk: Walk = { columns, functions: [], operators: [], types: [] };
  try {
    visit(value, walk);
  } catch (error) {
    if (!(error instanceof Offence)) throw error;
    const { at, reason, hint } = error;
    const position = at === undefined ? undefined : characterOf(text, at - PREFIX.length);
    return { ...refused(reason, hint), ...(position === undefined ? {} : { position }) };
  }
  const { functions, operators, types } = walk;
  return { status: 'ok', names: { functions, operators, types } };
}

/** The parser counts bytes. */
function characterOf(text: string, byte: number): number {
  return Array.from(new TextDecoder().decode(new TextEncoder().encode(text).slice(0, byte))).length + 1;
}

/** Ends a walk; never leaves this file. */
class Offence extends TypeError {
  override readonly name = 'Offence';
  readonly reason: string;
  readonly hint: string;
  readonly at: number | undefined;

  constructor(reason: string, hint: string, at: number | undefined) {
    super(reason);
    this.reason = reason;
    this.hint = hint;
    this.at = at;
  }
}

const OVER_THE_ROW = 'Write an expression over the columns of the old row alone.';

/** The kinds of nodes that are allowed; those that only hold others are walked through. */
const VISITORS: Readonly<Record<string, (node: Node, walk: Walk) => void>> = {
  A_Const: () => undefined,
  ColumnRef: visitColumn,
  A_Expr: visitOperator,
  BoolExpr: through,
  NullTest: through,
  BooleanTest: through,
  CaseExpr: through,
  CaseWhen: through,
  CoalesceExpr: through,
  MinMaxExpr: through,
  A_ArrayExpr: through,
  A_Indirection: through,
  A_Indices: through,
  List: through,
  TypeCast: through,
  CollateClause: (node, walk) => visitAll(node['arg'], walk),
  FuncCall: visitFunction,
  TypeName: visitType,
};

/** `value` is `{ Kind: { ... } }`. */
function visit(value: Node, walk: Walk): void {
  for (const [kind, node] of Object.entries(value)) {
    const visitor = VISITORS[kind];
    if (!isNode(node)) continue;
    if (visitor === undefined) throw new Offence(wordFor(kind), OVER_THE_ROW, placeIn(node));
    visitor(node, walk);
  }
}

const WORDS: Readonly<Record<string, string>> = {
  SubLink: 'a subquery',
  ParamRef: 'a parameter that nobody gives a value',
  SQLValueFunction: 'the time or the user, which are not of the row',
  RowExpr: 'a row',
  A_Star: 'all columns at once',
  GroupingFunc: 'a grouping',
};

function wordFor(kind: string): string {
  return WORDS[kind] ?? 'a form that a rule may not have';
}

function through(node: Node, walk: Walk): void {
  for (const [name, member] of Object.entries(node)) {
    // Members of a node that are nodes of one kind stand without that kind's name.
    if (name === 'typeName' && isNode(member)) visitType(member, walk);
    else visitAll(member, walk);
  }
}

function visitAll(member: unknown, walk: Walk): void {
  if (Array.isArray(member)) for (const each of member) visitAll(each, walk);
  else if (isNode(member)) visit(member, walk);
}

function visitColumn(node: Node, { columns }: Walk): void {
  const at = placeIn(node);
  const fields = stringsIn(node['fields']);
  const isOfOld = fields?.length === 2 && fields[0] === 'old';
  const name = isOfOld ? fields[1] : fields?.length === 1 ? fields[0] : undefined;
  if (name === undefined) throw new Offence('more than the old row', OVER_THE_ROW, at);
  if (columns.includes(name)) return;
  const nearest = nearestName(name, columns);
  const hint = nearest === undefined ? `The columns are: ${columns.join(', ')}.` : `Write ${nearest}.`;
  throw new Offence('no such column in the old row', hint, at);
}

function visitOperator(node: Node, walk: Walk): void {
  const name = stringsIn(node['name']);
  // BETWEEN, IN, NULLIF and their like name the operator, or the word itself.
  if (name !== undefined && !/BETWEEN/u.test(String(node['kind']))) walk.operators.push(name);
  visitAll(node['lexpr'], walk);
  visitAll(node['rexpr'], walk);
}

const CALL_MEMBERS = ['funcname', 'args', 'funcformat', 'location'];

function visitFunction(node: Node, walk: Walk): void {
  const name = stringsIn(node['funcname']);
  const args = Array.isArray(node['args']) ? node['args'] : [];
  const beside = Object.keys(node).find((member) => !CALL_MEMBERS.includes(member));
  if (name === undefined || beside !== undefined)
    throw new Offence('an aggregate or a window', OVER_THE_ROW, placeIn(node));
  walk.functions.push({ name, argumentCount: args.length });
  visitAll(args, walk);
}

function visitType(node: Node, walk: Walk): void {
  const name = stringsIn(node['names']);
  if (name === undefined || node['setof'] === true || node['pct_type'] === true)
    throw new Offence('no type of a value', 'Name a type as in a table.', placeIn(node));
  walk.types.push(name);
  visitAll(node['typmods'], walk);
}

function stringsIn(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const names = value.map((each) => memberOf(each, 'String')?.['sval']);
  return names.every((name) => typeof name === 'string') ? names : undefined;
}

function placeIn(node: Node): number | undefined {
  // The parser leaves out a place of 0, which no expression has here, and says -1 where there is none.
  const at = node['location'];
  return typeof at === 'number' && at >= 0 ? at : undefined;
}

function memberOf(node: unknown, name: string): Node | undefined {
  const found = isNode(node) ? node[name] : undefined;
  return isNode(found) ? found : undefined;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
