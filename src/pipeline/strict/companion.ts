/**
 * Which rows of a relation a statement read, asked by a second statement made from the first.
 *
 * | in the SELECT whose FROM names the relation | in the companion |
 * |---|---|
 * | target list | the relation's primary key |
 * | FROM, WHERE, common table expressions in sight | kept |
 * | GROUP BY, HAVING, DISTINCT, aggregates, windows | dropped: all rows under them were read |
 * | ORDER BY with LIMIT n OFFSET m | kept as the first n + m rows with ties, where nothing of the above stands between |
 * | LIMIT without ORDER BY | dropped: which rows come first is not said |
 *
 * `select grade from policy order by since desc limit 1` becomes
 * `select policy.id from policy order by since desc fetch first 1 row with ties`.
 *
 * A subselect is taken out of its place. Where it refers to a row around it, its companion has no meaning and the
 * database says so; a name that can be resolved without its surroundings means the same there. So it is tried, once.
 */
import type { FunctionCatalog } from './function-rule.ts';
import {
  asNode,
  fieldsOf,
  isTree,
  listOf,
  namesOf,
  node,
  nodesBelow,
  textOf,
  type Tree,
} from './parse-tree.ts';
import type { Placement } from './read-view.ts';
import type { ReadRelation } from './statement.ts';

/** Under which name the companion returns the key's n-th column; no table has a column of this name. */
export function keyColumn(index: number): string {
  return `varve key ${index}`;
}

/** A statement that returns the keys of the rows read. */
export interface Companion {
  /** Wrapped. It returns a row more than once where a join does, and a row of nulls where an outer join found none. */
  readonly statement: Tree;
  /** `select n`, with how many of its rows count, those that tie with the last one too. */
  readonly first: Tree | undefined;
}

/** The companion of a read; undefined where the statement's form gives no keys. */
export function companionOf(
  read: ReadRelation,
  primaryKey: readonly string[],
  functions: FunctionCatalog,
): Companion | undefined {
  const { owner, scope, alias } = read;
  const names = scope.ctes.map(({ name }) => name);
  if (primaryKey.length === 0 || read.renamesColumns || new Set(names).size < names.length) return undefined;
  const withClause =
    names.length === 0
      ? {}
      : {
          withClause: {
            ctes: scope.ctes.map((cte) => cte.node),
            ...(scope.isRecursive ? { recursive: true } : {}),
          },
        };
  const limit = limitOf(owner, functions);
  const statement = selectOf({
    targetList: primaryKey.map((column, index) =>
      node('ResTarget', { name: keyColumn(index), val: columnRef(alias, column) }),
    ),
    fromClause: owner['fromClause'],
    ...(owner['whereClause'] === undefined ? {} : { whereClause: owner['whereClause'] }),
    ...withClause,
    ...(limit === undefined ? {} : { sortClause: limit.sortClause }),
  });
  const first =
    limit === undefined ? undefined : selectOf({ targetList: [node('ResTarget', { val: limit.count })] });
  return { statement, first };
}

function selectOf(fields: Tree): Tree {
  return node('SelectStmt', { ...fields, limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' });
}

/** The tree with these relations at their places, and names that mention their old schemas shortened. */
export function placeRelations(tree: Tree, placementByNode: ReadonlyMap<Tree, Placement>): Tree {
  const schemas = new Set([...placementByNode.keys()].map((fields) => textOf(fields['schemaname'])));
  const copy = (value: unknown): unknown => {
    if (Array.isArray(value)) return (value as readonly unknown[]).map(copy);
    if (!isTree(value)) return value;
    const column = fieldsOf(value, 'ColumnRef');
    const parts = listOf(column?.['fields']);
    if (column !== undefined && parts.length === 3 && schemas.has(namesOf(parts)[0] ?? '')) {
      return node('ColumnRef', { ...column, fields: parts.slice(1) });
    }
    const copied = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, copy(member)]));
    const placed = placementByNode.get(value);
    if (placed === undefined) return copied;
    const aliased = copied['alias'] === undefined ? { alias: { aliasname: value['relname'] } } : {};
    return { ...copied, schemaname: placed.schema, relname: placed.table, ...aliased };
  };
  return copy(tree) as Tree;
}

/**
 * The columns of a relation that a statement can have read: named with its alias, or without any and among its columns.
 * A star, the row as a whole, a natural join and renamed columns mean all of them.
 */
export function columnsNamed(
  select: Tree,
  read: ReadRelation,
  columns: readonly string[],
): readonly string[] {
  if (read.renamesColumns) return columns;
  const stars = listOf(read.owner['targetList']).map((target) => fieldsOf(target, 'ResTarget')?.['val']);
  if (stars.some((star) => namesOf(fieldsOf(star, 'ColumnRef')?.['fields'])[0] === '*')) return columns;
  const named = new Set<string>();
  for (const { type, fields } of nodesBelow({ SelectStmt: select })) {
    if (type === 'JoinExpr') {
      if (fields['isNatural'] === true) return columns;
      for (const name of namesOf(fields['usingClause'])) named.add(name);
    }
    if (type !== 'ColumnRef') continue;
    const parts = namesOf(fields['fields']);
    const last = parts.at(-1) ?? '';
    const qualifier = parts.at(-2);
    const isMine = qualifier === undefined || qualifier === read.alias;
    if ((qualifier === read.alias && last === '*') || (qualifier === undefined && last === read.alias))
      return columns;
    // `schema.relation` alone is the whole row.
    if (parts.length === 2 && last === read.alias) return columns;
    if (isMine) named.add(last);
  }
  return columns.filter((column) => named.has(column));
}

function columnRef(alias: string, column: string): Tree {
  return node('ColumnRef', { fields: [stringNode(alias), stringNode(column)] });
}

function stringNode(text: string): Tree {
  return node('String', { sval: text });
}

/** ORDER BY and LIMIT as far as they say which rows were read; undefined: all rows that WHERE leaves. */
function limitOf(
  owner: Tree,
  functions: FunctionCatalog,
): { readonly sortClause: readonly unknown[]; readonly count: Tree } | undefined {
  const { sortClause, limitCount, limitOffset } = owner;
  const isUnlimited = limitCount === undefined || fieldsOf(limitCount, 'A_Const')?.['isnull'] === true;
  if (isUnlimited || listOf(sortClause).length === 0 || reshapes(owner, functions)) return undefined;
  const sorted = listOf(sortClause).map((item) => sortedByExpression(item, listOf(owner['targetList'])));
  if (sorted.includes(undefined)) return undefined;
  const count = limitOffset === undefined ? asBigint(limitCount) : sumOf(limitCount, limitOffset);
  return { sortClause: sorted, count };
}

/** Whether rows of the result are other than rows of the FROM clause. */
function reshapes(owner: Tree, functions: FunctionCatalog): boolean {
  const { groupClause, havingClause, distinctClause, windowClause, targetList, sortClause } = owner;
  if ([groupClause, havingClause, distinctClause, windowClause].some((clause) => clause !== undefined))
    return true;
  for (const { type, fields } of nodesBelow([targetList, sortClause])) {
    if (/^Json.*Agg/.test(type)) return true;
    if (type === 'FuncCall' && functions.reshaping.has(namesOf(fields['funcname']).at(-1) ?? '')) return true;
  }
  return false;
}

/** `order by 2` and `order by label` mean items of a target list that the companion no longer has. */
function sortedByExpression(item: unknown, targets: readonly unknown[]): Tree | undefined {
  const sort = fieldsOf(item, 'SortBy');
  if (sort === undefined) return undefined;
  const constant = fieldsOf(sort['node'], 'A_Const');
  const column = namesOf(fieldsOf(sort['node'], 'ColumnRef')?.['fields']);
  const place = isTree(constant?.['ival']) ? Number(constant['ival']['ival'] ?? 0) : undefined;
  if (place !== undefined) {
    const before = targets.slice(0, place).map((target) => fieldsOf(target, 'ResTarget')?.['val']);
    const value = before.at(place - 1);
    const hasStar = before.some((each) => namesOf(fieldsOf(each, 'ColumnRef')?.['fields']).includes('*'));
    return value === undefined || hasStar ? undefined : node('SortBy', { ...sort, node: value });
  }
  if (column.length !== 1) return { ...(item as Tree) };
  const target = targets
    .map((each) => fieldsOf(each, 'ResTarget'))
    .find((each) => each?.['name'] === column[0]);
  return target === undefined ? { ...(item as Tree) } : node('SortBy', { ...sort, node: target['val'] });
}

function sumOf(left: unknown, right: unknown): Tree {
  return node('A_Expr', {
    kind: 'AEXPR_OP',
    name: [stringNode('+')],
    lexpr: asBigint(left),
    rexpr: asBigint(right),
  });
}

function asBigint(value: unknown): Tree {
  const type = { names: [stringNode('pg_catalog'), stringNode('int8')], typemod: -1 };
  return node('TypeCast', {
    arg: asNode(value) === undefined ? node('A_Const', { isnull: true }) : value,
    typeName: type,
  });
}
