import type { Constraint, Node } from 'libpg-query';
import { constraintsOf, isSerial } from '../alter-table.ts';
import { definedColumns, type DefinedColumn } from '../columns.ts';
import { namesOf } from '../../../../../store/index.ts';
import { typeName } from '../relation-name.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const keyTooSmall: LintRule = {
  code: 'lint_key_too_small',
  severity: 'warning',
  finds: `a column of four or two bytes (\`integer\`, \`smallint\`, \`serial\`) that is a key, an identity, or refers to one`,
  why: `It ends at 2,147,483,647, and to widen it then rewrites the table and all that refers to it.`,
  remedy: `Use bigint for what counts up and for what refers to it.`,
  example: {
    instead: `create table geo.note (note_id integer primary key);`,
    write: `create table geo.note (note_id bigint primary key);`,
  },
  find,
};

function find(view: LintView): readonly Hit[] {
  const keys = new Set(keyColumns(view.statement.node));
  return definedColumns(view)
    .filter(({ column, isTypeChange }) => !isTypeChange && SMALL.includes(typeName(column.typeName?.names)))
    .filter((each) => isKey(each) || keys.has(each.name))
    .map(({ table, name, at }) => ({
      subject: `${table}.${name}`,
      reason: 'a key of four bytes or fewer',
      at,
    }));
}

const SMALL: readonly string[] = ['int4', 'int2', 'serial', 'serial4', 'serial2', 'smallserial'];
const KEYS: readonly Constraint['contype'][] = ['CONSTR_PRIMARY', 'CONSTR_IDENTITY', 'CONSTR_FOREIGN'];

function isKey({ column }: DefinedColumn): boolean {
  return isSerial(column) || constraintsOf(column).some(({ contype }) => KEYS.includes(contype));
}

/** The columns of a primary or foreign key that stands as a line of its own; one of several columns is a count within another. */
function keyColumns(node: Node): readonly string[] {
  if (!('CreateStmt' in node)) return [];
  return (node.CreateStmt.tableElts ?? []).flatMap((element) => {
    const { contype, keys, fk_attrs } = 'Constraint' in element ? element.Constraint : {};
    const names =
      contype === 'CONSTR_PRIMARY' ? namesOf(keys) : contype === 'CONSTR_FOREIGN' ? namesOf(fk_attrs) : [];
    return names.length === 1 ? names : [];
  });
}
