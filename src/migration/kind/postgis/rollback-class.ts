/**
 * What the way back of a bundle can promise, by its text alone (M108). Decision: docs/decisions/0029-rollback-class.md.
 *
 * `lossless` only where nothing in the text makes a place for new values, destroys or overwrites one, or is not understood;
 * for a class that promises too much is worse than one that promises too little. A way back that asks for captured rows is
 * `restore_from_capture` (docs/decisions/0037-captured-rows.md).
 */
import { asNode, fieldsOf, listOf, namesOf, nodesBelow, textOf } from '../../../store/index.ts';
import type { KindPlan } from '../../kind.ts';
import type { Statement } from './script.ts';

type Parsed = Pick<Statement, 'kind' | 'node'>;

/** The class of these statements there and back. */
export function rollbackClassOf(
  forward: readonly Parsed[],
  rollback: readonly Parsed[],
): KindPlan['rollbackClass'] {
  if (rollback.some(readsCaptured)) return 'restore_from_capture';
  const added = new Set(forward.flatMap((statement) => addedNames(statement)));
  const isLossless =
    rollback.length > 0 &&
    forward.every((statement) => addsBesideRows(statement)) &&
    rollback.every((statement) => takesAwayOnly(statement, added));
  return isLossless ? 'lossless' : 'lossy_on_new_writes';
}

/** Whether a script asks for what the way there overwrote. */
function readsCaptured({ kind, node }: Parsed): boolean {
  return [...nodesBelow({ [kind]: node.fields })].some(({ type, fields }) => {
    const [schema, name] = type === 'FuncCall' ? namesOf(fields['funcname']).slice(-2) : [];
    return schema === 'varve' && name === 'captured';
  });
}

/** They hold no values, and none of a row. */
const HARMLESS: readonly string[] = ['CommentStmt', 'CreateStatsStmt', 'ReindexStmt', 'LockStmt'];
/** Every row that these allow, the old shape allows too. */
const NARROWING: readonly string[] = ['AT_AddConstraint', 'AT_ValidateConstraint', 'AT_SetNotNull'];
const WIDENING_BACK: readonly string[] = ['AT_DropConstraint', 'AT_DropNotNull'];

function addsBesideRows({ kind, node }: Parsed): boolean {
  if (HARMLESS.includes(kind) || kind === 'IndexStmt') return true;
  if (kind === 'ViewStmt') return node.fields['replace'] !== true;
  return kind === 'AlterTableStmt' && commandsOf(node.fields).every((command) => NARROWING.includes(command));
}

function takesAwayOnly({ kind, node }: Parsed, added: ReadonlySet<string>): boolean {
  if (HARMLESS.includes(kind)) return true;
  if (kind === 'AlterTableStmt')
    return commandsOf(node.fields).every((command) => WIDENING_BACK.includes(command));
  if (kind !== 'DropStmt' || node.fields['behavior'] === 'DROP_CASCADE') return false;
  if (!['OBJECT_INDEX', 'OBJECT_VIEW', 'OBJECT_STATISTIC_EXT'].includes(textOf(node.fields['removeType'])))
    return false;
  return listOf(node.fields['objects']).every((object) => {
    const name = namesOf(asNode(object)?.fields['items'] ?? object).at(-1);
    return name !== undefined && added.has(name);
  });
}

function commandsOf(fields: Statement['node']['fields']): readonly string[] {
  return listOf(fields['cmds']).map((each) => textOf(fieldsOf(each, 'AlterTableCmd')?.['subtype']));
}

function addedNames({ kind, node: { fields } }: Parsed): readonly string[] {
  if (kind === 'IndexStmt') return [textOf(fields['idxname'])];
  if (kind === 'CreateStatsStmt') return namesOf(fields['defnames']).slice(-1);
  if (kind !== 'ViewStmt') return [];
  const view = asNode(fields['view'])?.fields ?? (fields['view'] as Statement['node']['fields'] | undefined);
  return [textOf(view?.['relname'])];
}
