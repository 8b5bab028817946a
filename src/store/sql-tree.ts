/**
 * The shape of what PostgreSQL's own parser gives, and ways to read it without knowing each type.
 *
 * A node stands as `{ RangeVar: { relname: 'mouse' } }`; where the grammar allows one type only (`alias`, `withClause`,
 * `larg`, `rarg`, `typeName`) its fields stand there without that wrapper. Members that hold a default are left out:
 * an empty string is `{ String: {} }`. Locations are offsets into the text's UTF-8 bytes.
 */

/** The fields of a node, or a wrapped node. */
export interface Tree {
  readonly [member: string]: unknown;
}

/** A node with its type. */
export interface Node {
  readonly type: string;
  readonly fields: Tree;
}

/** A wrapped node taken apart; undefined for anything else. */
export function asNode(value: unknown): Node | undefined {
  if (!isTree(value)) return undefined;
  const [type, another] = Object.keys(value);
  if (type === undefined || another !== undefined || !/^[A-Z]/.test(type)) return undefined;
  const fields = value[type];
  return isTree(fields) ? { type, fields } : undefined;
}

/** The fields of a wrapped node of this type; undefined for any other. */
export function fieldsOf(value: unknown, type: string): Tree | undefined {
  const node = asNode(value);
  return node?.type === type ? node.fields : undefined;
}

/** A member that is a list; empty where it is absent. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The strings of a list of `String` nodes, such as a qualified name; `*` for a star. */
export function namesOf(value: unknown): readonly string[] {
  return listOf(value).map((item) => {
    const text = fieldsOf(item, 'String');
    if (text !== undefined) return textOf(text['sval']);
    return asNode(item)?.type === 'A_Star' ? '*' : '';
  });
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The text of a string constant; undefined for any other expression. */
export function stringConstant(value: unknown): string | undefined {
  const constant = fieldsOf(value, 'A_Const')?.['sval'];
  return isTree(constant) ? textOf(constant['sval']) : undefined;
}

/** Every node below a value, itself included, parents first. */
export function* nodesBelow(value: unknown): Generator<Node> {
  if (Array.isArray(value)) {
    for (const item of value as readonly unknown[]) yield* nodesBelow(item);
  } else if (isTree(value)) {
    const node = asNode(value);
    if (node !== undefined) yield node;
    for (const member of Object.values(node?.fields ?? value)) yield* nodesBelow(member);
  }
}
