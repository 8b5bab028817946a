/**
 * What each statement names, as far as its text tells (layer L0): the tables it writes, makes, changes and drops, and other
 * objects. What triggers, rules and functions do besides is seen when it runs.
 */
import {
  asNode,
  fieldsOf,
  isTree,
  listOf,
  namesOf,
  nodesBelow,
  textOf,
  type Node,
} from '../../../store/index.ts';
import type { Statement } from './script.ts';

/** A name in a statement, and what is done to it. */
export interface NamedObject {
  readonly statement: Statement;
  /** `relation` is a table, view, index or sequence: the catalog says which. */
  readonly kind: 'relation' | 'function' | 'type' | 'schema' | 'extension' | 'other';
  /** As written; undefined where it was left out. */
  readonly schema: string | undefined;
  readonly name: string;
  readonly use: 'writes' | 'creates' | 'changes' | 'drops';
}

type Found = Omit<NamedObject, 'statement'>;

/** All that these statements change by name. */
export function namedObjects(statements: readonly Statement[]): readonly NamedObject[] {
  return statements.flatMap((statement) =>
    [...nodesBelow({ [statement.kind]: statement.node.fields })]
      .flatMap((node) => READERS[node.type]?.(node.fields) ?? [])
      .map((found) => ({ ...found, statement })),
  );
}

type Fields = Node['fields'];
type Reader = (fields: Fields) => readonly Found[];

const writes: Reader = ({ relation }) => relationOf(relation, 'writes');
const changes: Reader = ({ relation }) => relationOf(relation, 'changes');

const READERS: Readonly<Record<string, Reader>> = {
  InsertStmt: writes,
  UpdateStmt: writes,
  DeleteStmt: writes,
  MergeStmt: writes,
  TruncateStmt: ({ relations }) => listOf(relations).flatMap((each) => relationOf(each, 'writes')),
  LockStmt: ({ relations }) => listOf(relations).flatMap((each) => relationOf(each, 'changes')),
  CreateStmt: ({ relation, inhRelations, constraints, tableElts }) => [
    ...relationOf(relation, 'creates'),
    ...listOf(inhRelations).flatMap((each) => relationOf(each, 'changes')),
    ...referred([constraints, tableElts]),
  ],
  CreateTableAsStmt: ({ into }) => (isTree(into) ? relationOf(into['rel'], 'creates') : []),
  ViewStmt: ({ view }) => relationOf(view, 'creates'),
  CreateSeqStmt: ({ sequence }) => relationOf(sequence, 'creates'),
  AlterSeqStmt: ({ sequence }) => relationOf(sequence, 'changes'),
  AlterTableStmt: ({ relation, cmds, objtype }) =>
    objtype === 'OBJECT_TYPE'
      ? typeOf(relation, 'changes')
      : [...relationOf(relation, 'changes'), ...referred(cmds), ...attached(cmds)],
  IndexStmt: changes,
  CreateTrigStmt: ({ relation, constrrel }) => [
    ...relationOf(relation, 'changes'),
    ...relationOf(constrrel, 'changes'),
  ],
  RuleStmt: changes,
  CreatePolicyStmt: ({ table }) => relationOf(table, 'changes'),
  AlterPolicyStmt: ({ table }) => relationOf(table, 'changes'),
  RefreshMatViewStmt: writes,
  ReindexStmt: ({ relation, kind, name }) =>
    kind === 'REINDEX_OBJECT_SCHEMA'
      ? [{ kind: 'schema', schema: undefined, name: textOf(name), use: 'changes' }]
      : relationOf(relation, 'changes'),
  ClusterStmt: changes,
  CreateStatsStmt: ({ relations }) => listOf(relations).flatMap((each) => relationOf(each, 'changes')),
  RenameStmt: ({ renameType, relation, object }) =>
    isTree(relation) ? relationOf(relation, 'changes') : objectOf(textOf(renameType), object, 'changes'),
  AlterObjectSchemaStmt: ({ objectType, relation, object, newschema }) =>
    [undefined, textOf(newschema)].flatMap((schema) =>
      (isTree(relation)
        ? relationOf(relation, 'changes')
        : objectOf(textOf(objectType), object, 'changes')
      ).map((found) => (schema === undefined ? found : { ...found, schema, use: 'creates' as const })),
    ),
  AlterOwnerStmt: ({ objectType, relation, object }) =>
    isTree(relation) ? relationOf(relation, 'changes') : objectOf(textOf(objectType), object, 'changes'),
  CommentStmt: ({ objtype, object }) => objectOf(textOf(objtype), object, 'changes'),
  GrantStmt: ({ objtype, objects, targtype }) =>
    listOf(objects).flatMap((each) =>
      targtype === 'ACL_TARGET_ALL_IN_SCHEMA'
        ? [
            {
              kind: 'schema',
              schema: undefined,
              name: textOf(fieldsOf(each, 'String')?.['sval']),
              use: 'changes',
            },
          ]
        : objectOf(textOf(objtype), each, 'changes'),
    ),
  DropStmt: ({ removeType, objects }) =>
    listOf(objects).flatMap((each) => objectOf(textOf(removeType), each, 'drops')),
  CreateFunctionStmt: ({ funcname }) => named('function', namesOf(funcname), 'creates'),
  AlterFunctionStmt: ({ func }) =>
    named(
      'function',
      namesOf(isTree(func) ? (func['objname'] ?? fieldsOf(func, 'ObjectWithArgs')?.['objname']) : []),
      'changes',
    ),
  CreateEnumStmt: ({ typeName }) => named('type', namesOf(typeName), 'creates'),
  AlterEnumStmt: ({ typeName }) => named('type', namesOf(typeName), 'changes'),
  CreateRangeStmt: ({ typeName }) => named('type', namesOf(typeName), 'creates'),
  CompositeTypeStmt: ({ typevar }) => typeOf(typevar, 'creates'),
  CreateDomainStmt: ({ domainname }) => named('type', namesOf(domainname), 'creates'),
  AlterDomainStmt: ({ typeName }) => named('type', namesOf(typeName), 'changes'),
  CreateSchemaStmt: ({ schemaname }) => [
    { kind: 'schema', schema: undefined, name: textOf(schemaname), use: 'creates' },
  ],
  CreateExtensionStmt: ({ extname }) => [
    { kind: 'extension', schema: undefined, name: textOf(extname), use: 'creates' },
  ],
  AlterExtensionStmt: ({ extname }) => [
    { kind: 'extension', schema: undefined, name: textOf(extname), use: 'changes' },
  ],
};

function relationOf(value: unknown, use: NamedObject['use']): readonly Found[] {
  const fields = asNode(value)?.fields ?? (isTree(value) ? value : undefined);
  const name = textOf(fields?.['relname']);
  if (fields === undefined || name === '' || fields['relpersistence'] === 't') return [];
  const schema = textOf(fields['schemaname']);
  return [{ kind: 'relation', schema: schema === '' ? undefined : schema, name, use }];
}

function typeOf(value: unknown, use: NamedObject['use']): readonly Found[] {
  return relationOf(value, use).map((found) => ({ ...found, kind: 'type' }));
}

function named(
  kind: NamedObject['kind'],
  names: readonly string[],
  use: NamedObject['use'],
): readonly Found[] {
  const name = names.at(-1) ?? '';
  return name === '' ? [] : [{ kind, schema: names.at(-2), name, use }];
}

/** A table that a foreign key refers to gets triggers of it, and so is touched. */
function referred(value: unknown): readonly Found[] {
  return [...nodesBelow(value)].flatMap(({ type, fields }) =>
    type === 'Constraint' && isTree(fields['pktable']) ? relationOf(fields['pktable'], 'changes') : [],
  );
}

/** A partition that is attached or detached, a parent that is inherited from. */
function attached(value: unknown): readonly Found[] {
  return [...nodesBelow(value)].flatMap(({ type, fields }) => {
    if (type === 'PartitionCmd') return relationOf(fields['name'], 'changes');
    if (type !== 'AlterTableCmd' || !['AT_AddInherit', 'AT_DropInherit'].includes(textOf(fields['subtype'])))
      return [];
    return relationOf(fields['def'], 'changes');
  });
}

const RELATION_WORDS = ['TABLE', 'VIEW', 'MATVIEW', 'SEQUENCE', 'INDEX', 'FOREIGN_TABLE'].map(
  (word) => `OBJECT_${word}`,
);
/** Named by the table and then their own name. */
const PART_WORDS = ['COLUMN', 'TRIGGER', 'RULE', 'POLICY', 'TABCONSTRAINT'].map((word) => `OBJECT_${word}`);

function objectOf(word: string, object: unknown, use: NamedObject['use']): readonly Found[] {
  const names = nameParts(object);
  if (RELATION_WORDS.includes(word)) {
    const relation = fieldsOf(object, 'RangeVar');
    return relation === undefined ? named('relation', names, use) : relationOf(relation, use);
  }
  if (PART_WORDS.includes(word)) return named('relation', names.slice(0, -1), 'changes');
  if (['OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE', 'OBJECT_AGGREGATE'].includes(word))
    return named('function', names, use);
  if (['OBJECT_TYPE', 'OBJECT_DOMAIN', 'OBJECT_DOMCONSTRAINT'].includes(word))
    return named('type', names, use);
  if (word === 'OBJECT_SCHEMA') return [{ kind: 'schema', schema: undefined, name: names.at(-1) ?? '', use }];
  if (word === 'OBJECT_EXTENSION')
    return [{ kind: 'extension', schema: undefined, name: names.at(-1) ?? '', use }];
  return named('other', names, use);
}

function nameParts(object: unknown): readonly string[] {
  const text = fieldsOf(object, 'String');
  if (text !== undefined) return [textOf(text['sval'])];
  const list = fieldsOf(object, 'List');
  if (list !== undefined) return namesOf(list['items']);
  const called = fieldsOf(object, 'ObjectWithArgs');
  if (called !== undefined) return namesOf(called['objname']);
  return namesOf(fieldsOf(object, 'TypeName')?.['names']);
}
