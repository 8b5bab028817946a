import type { ColumnDef } from 'libpg-query';
import type { LintView } from './lint-rule.ts';
import { createdTable, relationName } from './relation-name.ts';

/** A column that a statement defines: in CREATE TABLE, in ADD COLUMN, or the new type of one. */
export interface DefinedColumn {
  readonly table: string;
  readonly name: string;
  readonly column: ColumnDef;
  /** UTF-16 offset of its type. */
  readonly at: number;
  /** Whether an ALTER COLUMN gives a column that is there another type. */
  readonly isTypeChange: boolean;
}

/** The columns that a statement defines, in order. */
export function definedColumns({ statement: { node, start, offsetOf } }: LintView): readonly DefinedColumn[] {
  const define = (table: string, name: string, column: ColumnDef, isTypeChange: boolean): DefinedColumn => {
    const location = column.typeName?.location;
    return { table, name, column, isTypeChange, at: location === undefined ? start : offsetOf(location) };
  };
  const created = createdTable(node);
  if (created !== undefined) {
    const table = relationName(created.relation);
    return (created.tableElts ?? []).flatMap((element) =>
      'ColumnDef' in element
        ? [define(table, element.ColumnDef.colname ?? '', element.ColumnDef, false)]
        : [],
    );
  }
  if (!('AlterTableStmt' in node)) return [];
  const table = relationName(node.AlterTableStmt.relation);
  return (node.AlterTableStmt.cmds ?? []).flatMap((cmd) => {
    const { subtype, name, def } = 'AlterTableCmd' in cmd ? cmd.AlterTableCmd : {};
    if (def === undefined || !('ColumnDef' in def)) return [];
    if (subtype === 'AT_AddColumn') return [define(table, def.ColumnDef.colname ?? '', def.ColumnDef, false)];
    return subtype === 'AT_AlterColumnType' ? [define(table, name ?? '', def.ColumnDef, true)] : [];
  });
}
