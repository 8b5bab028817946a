/**
 * What a statement reads and does, from its tree alone.
 *
 * Everything is refused that is not known to be harmless: a node type that is not in the list below, such as one that a
 * later release of PostgreSQL brings, is a fault. A common table expression hides a relation of its name only where
 * PostgreSQL lets it: `with x as (select * from x) select * from x` reads the table x in its inner place.
 */
import { isCallable, type FunctionCatalog } from './function-rule.ts';
import {
  asNode,
  fieldsOf,
  isTree,
  listOf,
  namesOf,
  stringConstant,
  textOf,
  type Node,
  type Tree,
} from './parse-tree.ts';

/** What a statement reads, and what is wrong with it. */
export interface StatementFacts {
  /** The fields of the outermost SELECT. */
  readonly select: Tree;
  readonly relations: readonly ReadRelation[];
  /** In the order of the text as far as the tree keeps it; empty for a statement that only reads. */
  readonly faults: readonly Fault[];
}

/** One place where a statement names a relation that is no common table expression. */
export interface ReadRelation {
  /** Undefined where it is not qualified. */
  readonly schema: string | undefined;
  readonly name: string;
  /** By which its columns are named: the alias, or the name. */
  readonly alias: string;
  /** Whether its alias renames columns. */
  readonly renamesColumns: boolean;
  readonly byteOffset: number;
  /** The node itself, as it stands in the tree. */
  readonly node: Tree;
  /** The innermost SELECT in whose FROM it stands. */
  readonly owner: Tree;
  /** The common table expressions that its owner sees, outermost first. */
  readonly scope: Scope;
}

/** The common table expressions in sight. */
export interface Scope {
  readonly ctes: readonly { readonly name: string; readonly node: unknown }[];
  readonly isRecursive: boolean;
}

/** Something that a strict statement may not do. */
export interface Fault {
  readonly kind:
    'statement' | 'several' | 'write' | 'lock' | 'function' | 'operator' | 'type' | 'clock' | 'syntax';
  /** The function, type or construct by name; never a value. */
  readonly found: string;
  readonly byteOffset: number | undefined;
}

const NOTHING: Scope = { ctes: [], isRecursive: false };

/** Collects the facts of a parsed text. */
export function readStatement(statements: readonly Tree[], functions: FunctionCatalog): StatementFacts {
  const [statement, another] = statements;
  const only = asNode(statement);
  if (only === undefined || another !== undefined) return faulty('several', String(statements.length));
  if (only.type !== 'SelectStmt') return faulty('statement', only.type);
  const reader = createReader(functions);
  reader.readSelect(only.fields, NOTHING);
  return { select: only.fields, relations: reader.relations, faults: reader.faults };
}

function faulty(kind: Fault['kind'], found: string): StatementFacts {
  return { select: {}, relations: [], faults: [{ kind, found, byteOffset: undefined }] };
}

interface Reader {
  readonly relations: ReadRelation[];
  readonly faults: Fault[];
  readonly readSelect: (select: Tree, scope: Scope) => void;
}

/** Where the walk is. */
interface Place {
  readonly owner: Tree;
  readonly scope: Scope;
}

function createReader(functions: FunctionCatalog): Reader {
  const relations: ReadRelation[] = [];
  const faults: Fault[] = [];

  function fault(kind: Fault['kind'], found: string, fields: Tree): void {
    const location = fields['location'];
    faults.push({
      kind,
      found,
      byteOffset: typeof location === 'number' && location >= 0 ? location : undefined,
    });
  }

  function readSelect(select: Tree, outer: Scope): void {
    const { withClause, larg, rarg, intoClause, lockingClause, op: _op, ...rest } = select;
    if (intoClause !== undefined) fault('write', 'SELECT INTO', {});
    if (lockingClause !== undefined) fault('lock', 'FOR UPDATE', {});
    const scope = isTree(withClause) ? readWith(withClause, select, outer) : outer;
    for (const arm of [larg, rarg]) if (isTree(arm)) readSelect(arm, scope);
    read(rest, { owner: select, scope });
  }

  function readWith(withClause: Tree, owner: Tree, outer: Scope): Scope {
    const own = listOf(withClause['ctes']).map((cte) => ({
      name: textOf(fieldsOf(cte, 'CommonTableExpr')?.['ctename']),
      node: cte,
    }));
    const isRecursive = withClause['recursive'] === true;
    const all = { ctes: [...outer.ctes, ...own], isRecursive: outer.isRecursive || isRecursive };
    own.forEach((cte, index) => {
      const seen = { ...all, ctes: [...outer.ctes, ...own.slice(0, index)] };
      read(cte.node, { owner, scope: isRecursive ? all : seen });
    });
    return all;
  }

  function read(value: unknown, place: Place): void {
    if (Array.isArray(value)) {
      for (const item of value as readonly unknown[]) read(item, place);
      return;
    }
    if (!isTree(value)) return;
    const known = asNode(value);
    if (known === undefined) readMembers(value, place);
    else readNode(known, place);
  }

  function readMembers(fields: Tree, place: Place): void {
    for (const [member, value] of Object.entries(fields)) {
      if (member === 'typeName' && isTree(value)) readType(value, place);
      else read(value, place);
    }
  }

  function readNode(found: Node, place: Place): void {
    const { type, fields } = found;
    if (type === 'SelectStmt') return readSelect(fields, place.scope);
    if (type === 'RangeVar') return readRelation(fields, place);
    if (WRITES.has(type)) return fault('write', type, fields);
    if (type === 'SQLValueFunction') return fault('clock', textOf(fields['op']), fields);
    if (!HARMLESS.has(type) && !type.startsWith('Json')) return fault('syntax', type, fields);
    if (type === 'TypeName') return readType(fields, place);
    if (type === 'FuncCall') readCall(fields);
    if (type === 'A_Expr' || type === 'SubLink' || type === 'SortBy') readOperator(fields);
    if (type === 'TypeCast') return readCast(fields, place);
    if (type === 'A_Const' && isTimeWord(stringConstant({ A_Const: fields })))
      fault('clock', 'time word', fields);
    readMembers(fields, place);
  }

  function readRelation(fields: Tree, { owner, scope }: Place): void {
    const schema = typeof fields['schemaname'] === 'string' ? fields['schemaname'] : undefined;
    const name = textOf(fields['relname']);
    if (schema === undefined && scope.ctes.some((cte) => cte.name === name)) return;
    if (fields['catalogname'] !== undefined) fault('syntax', 'a database in a name', fields);
    const alias = isTree(fields['alias']) ? fields['alias'] : {};
    relations.push({
      schema,
      name,
      alias: textOf(alias['aliasname']) || name,
      renamesColumns: alias['colnames'] !== undefined,
      byteOffset: typeof fields['location'] === 'number' ? fields['location'] : 0,
      node: fields,
      owner,
      scope,
    });
  }

  function readCall(fields: Tree): void {
    const name = namesOf(fields['funcname']);
    if (!isCallable(functions, name, listOf(fields['args']).length))
      fault('function', name.join('.'), fields);
  }

  function readOperator(fields: Tree): void {
    const name = namesOf(fields['name'] ?? fields['operName'] ?? fields['useOp']);
    if (name.length > 1 && name[0] !== 'pg_catalog') fault('operator', name.join('.'), fields);
  }

  function readType(fields: Tree, place: Place): void {
    const name = namesOf(fields['names']);
    const bare = name.at(-1) ?? '';
    const isBuiltIn = name.length === 1 || name[0] === 'pg_catalog';
    // Casting to a reg* type looks into the catalog; casting to a user's type may call a user's function.
    if (isBuiltIn ? /^_?reg[a-z]+$/.test(bare) : !functions.enums.has(name.join('.'))) {
      fault('type', name.join('.'), fields);
    }
    read(fields['typmods'], place);
  }

  function readCast(fields: Tree, place: Place): void {
    const type = isTree(fields['typeName']) ? fields['typeName'] : {};
    readType(type, place);
    const constant = stringConstant(fields['arg']);
    if (constant === undefined) return read(fields['arg'], place);
    const isTime = /^(date|time|timetz|timestamp|timestamptz)$/.test(namesOf(type['names']).at(-1) ?? '');
    if (isTime && TIME_WORD.test(constant)) fault('clock', 'time word', fields);
  }

  return { relations, faults, readSelect };
}

const TIME_WORD = /\b(now|today|tomorrow|yesterday)\b/i;

/** A constant that a comparison with a time would silently turn into the present one. */
function isTimeWord(text: string | undefined): boolean {
  return text !== undefined && /^\s*(now|today|tomorrow|yesterday)\s*$/i.test(text);
}

const WRITES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);

// Without RangeTableSample, whose rows depend on where they lie, and XmlExpr and RangeTableFunc, whose results depend on
// how the server was built.
const HARMLESS = new Set(
  `A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star Alias BoolExpr Boolean BooleanTest CTECycleClause
  CTESearchClause CaseExpr CaseWhen CoalesceExpr CollateClause ColumnDef ColumnRef CommonTableExpr Float FuncCall
  GroupingFunc GroupingSet Integer JoinExpr List MinMaxExpr NamedArgExpr NullTest ParamRef RangeFunction RangeSubselect
  ResTarget RowExpr SortBy String SubLink TypeCast TypeName WindowDef WithClause`.split(/\s+/),
);
