/** What the commands of an ALTER TABLE do, each to its table and to those it refers to. */
import type { AlterTableCmd, AlterTableStmt, AlterTableType, ColumnDef, Constraint } from 'libpg-query';
import { namesOf } from '../../../../store/index.ts';
import type { DdlAction } from './ddl-effect.ts';
import type { EffectReading, MakeEffect } from './effect-reading.ts';
import type { Effect } from './effect.ts';
import type { History } from './history.ts';
import { relationName, typeName } from './relation-name.ts';
import { volatileFunction } from './volatility.ts';

export function alterTableEffects(
  { relation, cmds = [], objtype }: AlterTableStmt,
  reading: EffectReading,
  make: MakeEffect,
): readonly Effect[] {
  if (objtype !== 'OBJECT_TABLE' && objtype !== 'OBJECT_MATVIEW') return [];
  const table = relationName(relation);
  return cmds.flatMap((cmd, index) => {
    if (!('AlterTableCmd' in cmd)) return [];
    const at = cmds.length > 1 ? reading.commandStart(index) : undefined;
    const place = at === undefined ? {} : { at };
    const makeHere: MakeEffect = (action, name, more) => make(action, name, { ...place, ...more });
    return commandEffects(table, cmd.AlterTableCmd, reading.history, makeHere);
  });
}

function commandEffects(
  table: string,
  cmd: AlterTableCmd,
  history: History,
  make: MakeEffect,
): readonly Effect[] {
  const { subtype = 'AT_AddColumn', name, def } = cmd;
  const what = name === undefined || ABOUT_THE_TABLE.includes(subtype) ? {} : { what: name };
  if (subtype === 'AT_AddColumn' && def !== undefined && 'ColumnDef' in def) {
    return addColumnEffects(table, def.ColumnDef, history, make);
  }
  if (subtype === 'AT_AddConstraint' && def !== undefined && 'Constraint' in def) {
    return addConstraintEffects(table, def.Constraint, make);
  }
  if (subtype === 'AT_SetNotNull') {
    const isProved = history.isNotNullProved(table, name ?? '');
    return [make(isProved ? 'set not null, proved' : 'set not null', table, what)];
  }
  if (subtype === 'AT_ValidateConstraint') {
    const other = history.constraint(table, name ?? '')?.refersTo;
    return [
      make('validate constraint', table, what),
      ...(other === undefined ? [] : [make('validate constraint (other)', other, what)]),
    ];
  }
  if (subtype === 'AT_AttachPartition' || subtype === 'AT_DetachPartition') {
    return partitionEffects(table, cmd, make);
  }
  if (subtype === 'AT_AddInherit' || subtype === 'AT_DropInherit') {
    const parent = def !== undefined && 'RangeVar' in def ? relationName(def.RangeVar) : '';
    const action = subtype === 'AT_AddInherit' ? 'add inheritance' : 'drop inheritance';
    return [make(action, table), make(`${action} (other)`, parent)];
  }
  return [make(ACTIONS[subtype] ?? 'other alter table', table, what)];
}

/** What these name is no part of the table. */
const ABOUT_THE_TABLE: readonly AlterTableType[] = ['AT_SetAccessMethod', 'AT_SetTableSpace', 'AT_ClusterOn'];

const ACTIONS: Readonly<Partial<Record<AlterTableType, DdlAction>>> = {
  AT_DropColumn: 'drop column',
  AT_ColumnDefault: 'set default',
  AT_DropNotNull: 'drop not null',
  AT_SetExpression: 'set expression',
  AT_DropExpression: 'drop expression',
  AT_AlterColumnType: 'alter column type',
  AT_AddIdentity: 'alter identity',
  AT_SetIdentity: 'alter identity',
  AT_DropIdentity: 'alter identity',
  AT_SetStatistics: 'set statistics',
  AT_SetOptions: 'set column options',
  AT_ResetOptions: 'set column options',
  AT_SetStorage: 'set storage',
  AT_SetCompression: 'set storage',
  AT_AlterConstraint: 'alter constraint',
  AT_DropConstraint: 'drop constraint',
  AT_EnableTrig: 'enable or disable trigger',
  AT_EnableAlwaysTrig: 'enable or disable trigger',
  AT_EnableReplicaTrig: 'enable or disable trigger',
  AT_DisableTrig: 'enable or disable trigger',
  AT_EnableTrigAll: 'enable or disable trigger',
  AT_DisableTrigAll: 'enable or disable trigger',
  AT_EnableTrigUser: 'enable or disable trigger',
  AT_DisableTrigUser: 'enable or disable trigger',
  AT_EnableRule: 'enable or disable rule',
  AT_EnableAlwaysRule: 'enable or disable rule',
  AT_EnableReplicaRule: 'enable or disable rule',
  AT_DisableRule: 'enable or disable rule',
  AT_ClusterOn: 'cluster on',
  AT_DropCluster: 'cluster on',
  AT_SetLogged: 'set logged or unlogged',
  AT_SetUnLogged: 'set logged or unlogged',
  AT_SetAccessMethod: 'set access method',
  AT_SetTableSpace: 'set tablespace',
  AT_SetRelOptions: 'set table options',
  AT_ResetRelOptions: 'set table options',
  AT_ReplicaIdentity: 'replica identity',
  AT_EnableRowSecurity: 'row security',
  AT_DisableRowSecurity: 'row security',
  AT_ForceRowSecurity: 'row security',
  AT_NoForceRowSecurity: 'row security',
  AT_ChangeOwner: 'change owner',
};

function addColumnEffects(
  table: string,
  column: ColumnDef,
  history: History,
  make: MakeEffect,
): readonly Effect[] {
  const what = { what: column.colname ?? '' };
  const constraints = constraintsOf(column);
  const has = (type: Constraint['contype']): boolean => constraints.some(({ contype }) => contype === type);
  // A default is what gives existing rows a value, which then has to be checked.
  const fills =
    has('CONSTR_DEFAULT') || has('CONSTR_IDENTITY') || has('CONSTR_GENERATED') || isSerial(column);
  const action: DdlAction = rewritesTable(column, history)
    ? 'add column with rewrite'
    : has('CONSTR_CHECK')
      ? 'add column with check'
      : (has('CONSTR_NOTNULL') || has('CONSTR_PRIMARY')) && !fills
        ? 'add required column'
        : 'add column';
  return [
    make(action, table, what),
    ...constraints.flatMap((constraint) => {
      if (constraint.contype === 'CONSTR_UNIQUE') return [make('add unique', table, what)];
      if (constraint.contype === 'CONSTR_PRIMARY') return [make('add primary key', table, what)];
      if (constraint.contype !== 'CONSTR_FOREIGN') return [];
      const adding = fills ? 'add foreign key' : 'add foreign key not valid';
      return [make(adding, table, what), make(`${adding} (other)`, constraint.pktable, what)];
    }),
  ];
}

/** The constraints written behind a column. */
export function constraintsOf({ constraints = [] }: ColumnDef): readonly Constraint[] {
  return constraints.flatMap((each) => ('Constraint' in each ? [each.Constraint] : []));
}

const SERIALS: readonly string[] = ['serial', 'serial2', 'serial4', 'serial8', 'bigserial', 'smallserial'];

export function isSerial({ typeName: type }: ColumnDef): boolean {
  return SERIALS.includes(typeName(type?.names));
}

/** Each row gets a value of its own, or one that is computed and stored. */
function rewritesTable(column: ColumnDef, history: History): boolean {
  if (isSerial(column) || history.isConstrainedDomain(typeName(column.typeName?.names))) return true;
  return constraintsOf(column).some(({ contype, raw_expr, generated_kind }) => {
    if (contype === 'CONSTR_IDENTITY') return true;
    if (contype === 'CONSTR_GENERATED') return generated_kind !== 'v';
    return contype === 'CONSTR_DEFAULT' && volatileFunction(raw_expr) !== undefined;
  });
}

const ADDED: Readonly<Partial<Record<NonNullable<Constraint['contype']>, DdlAction>>> = {
  CONSTR_UNIQUE: 'add unique',
  CONSTR_PRIMARY: 'add primary key',
  CONSTR_EXCLUSION: 'add exclusion',
};

function addConstraintEffects(table: string, constraint: Constraint, make: MakeEffect): readonly Effect[] {
  const { contype = 'CONSTR_CHECK', conname, skip_validation, indexname, pktable, is_enforced } = constraint;
  const what = { what: conname ?? namesOf(constraint.keys ?? constraint.fk_attrs).join(', ') };
  // What is not enforced is not checked either.
  const isChecked = skip_validation !== true && is_enforced !== false;
  if (contype === 'CONSTR_FOREIGN') {
    const adding = isChecked ? 'add foreign key' : 'add foreign key not valid';
    const isSelf = relationName(pktable) === table;
    return [make(adding, table, what), ...(isSelf ? [] : [make(`${adding} (other)`, pktable, what)])];
  }
  if (contype === 'CONSTR_CHECK') {
    return [make(isChecked ? 'add check' : 'add check not valid', table, what)];
  }
  if (contype === 'CONSTR_NOTNULL') {
    return [make(isChecked ? 'add not null constraint' : 'add not null constraint not valid', table, what)];
  }
  if (indexname !== undefined) return [make('add constraint using index', table, what)];
  return [make(ADDED[contype] ?? 'other alter table', table, what)];
}

function partitionEffects(
  table: string,
  { subtype, def }: AlterTableCmd,
  make: MakeEffect,
): readonly Effect[] {
  const command = def !== undefined && 'PartitionCmd' in def ? def.PartitionCmd : undefined;
  const partition = relationName(command?.name);
  const action =
    subtype === 'AT_AttachPartition'
      ? 'attach partition'
      : command?.concurrent === true
        ? 'detach partition concurrently'
        : 'detach partition';
  return [make(action, table), make(`${action} (other)`, partition)];
}
