/** What the statements before one did, as far as it changes what that one means. */
import type { AlterTableStmt, Constraint, Node } from 'libpg-query';
import { namesOf } from '../../../../store/index.ts';
import { lockOf, type Effect } from './effect.ts';
import { blocksWriters, type LockMode } from './ddl-effect.ts';
import { createdTable, listName, relationName, schemaOf, typeName } from './relation-name.ts';
import { settingsIn, type SettingName } from './setting.ts';

/** A constraint that the bundle added. */
export interface KnownConstraint {
  readonly isValidated: boolean;
  /** The column that it says is never null, or undefined. */
  readonly notNull: string | undefined;
  readonly refersTo: string | undefined;
  /** The transaction that added it. */
  readonly transaction: number;
}

/** A lock that the present transaction holds on a relation that was there before. */
export interface HeldLock {
  readonly relation: string;
  readonly lock: LockMode;
  readonly line: number;
}

/** The past of a bundle. */
export interface History {
  /** Whether the bundle made this relation, or the schema it stands in. */
  readonly isNew: (relation: string) => boolean;
  /** Whether the bundle added this column. */
  readonly isNewColumn: (table: string, column: string) => boolean;
  /** Whether the bundle made another thing of this name, such as a schema, a type or a view. */
  readonly hasMade: (name: string) => boolean;
  readonly constraint: (table: string, name: string) => KnownConstraint | undefined;
  /** Whether a validated constraint of the bundle says that the column is never null. */
  readonly isNotNullProved: (table: string, column: string) => boolean;
  readonly isConstrainedDomain: (type: string) => boolean;
  readonly isIndexDropped: (index: string) => boolean;
  readonly isSet: (name: SettingName) => boolean;
  /** Whether a transaction is open, its runner's or its own; and which, counted from 0. */
  readonly inTransaction: boolean;
  readonly transaction: number;
  /** Where the script's own open transaction began, as an offset; undefined where none is open. */
  readonly openedAt: number | undefined;
  /** Locks for which writers wait, held by the open transaction on relations that were there before. */
  readonly held: readonly HeldLock[];
  /** Whether the script has wanted a lock for which writers wait. */
  readonly hasLocked: boolean;
  /** Values that the open transaction added to an enum that was there before. */
  readonly addedValues: ReadonlySet<string>;
}

/** What keeps a history. */
export interface Chronicle {
  readonly history: History;
  /** A script begins: settings and open transactions do not reach into it. */
  readonly begin: (script: { readonly inTransaction: boolean; readonly isRollback: boolean }) => void;
  readonly record: (statement: {
    readonly node: Node;
    readonly start: number;
    readonly line: number;
    readonly effects: readonly Effect[];
  }) => void;
}

/** An empty history. */
export function openChronicle(): Chronicle {
  const made = new Map<string, number>();
  const columns = new Set<string>();
  const constraints = new Map<string, KnownConstraint>();
  const proved = new Set<string>();
  const domains = new Set<string>();
  const droppedIndexes = new Set<string>();
  const settings = new Map<SettingName, 'session' | 'transaction'>();
  const held: HeldLock[] = [];
  const addedValues = new Set<string>();
  const state = {
    transaction: 0,
    runnersTransaction: false,
    openedAt: undefined as number | undefined,
    isRollback: false,
    hasLocked: false,
  };
  const inTransaction = (): boolean => state.runnersTransaction || state.openedAt !== undefined;

  const history: History = {
    isNew: (relation) => !state.isRollback && isMade(made, relation),
    isNewColumn: (table, column) => columns.has(`${table}.${column}`) || isMade(made, table),
    hasMade: (name) => isMade(made, name),
    constraint: (table, name) => constraints.get(`${table}.${name}`),
    isNotNullProved: (table, column) => proved.has(`${table}.${column}`),
    isConstrainedDomain: (type) => domains.has(type),
    isIndexDropped: (index) => droppedIndexes.has(index),
    isSet: (name) => settings.has(name),
    get inTransaction() {
      return inTransaction();
    },
    get transaction() {
      return state.transaction;
    },
    get openedAt() {
      return state.openedAt;
    },
    get hasLocked() {
      return state.hasLocked;
    },
    held,
    addedValues,
  };

  const endTransaction = (isUndone: boolean): void => {
    for (const [name, transaction] of made) {
      if (isUndone && state.openedAt !== undefined && transaction === state.transaction) made.delete(name);
    }
    for (const [name, until] of settings) if (until === 'transaction') settings.delete(name);
    state.transaction += 1;
    state.openedAt = undefined;
    held.length = 0;
    addedValues.clear();
  };

  return {
    history,
    begin: (script) => {
      endTransaction(false);
      settings.clear();
      state.runnersTransaction = script.inTransaction;
      state.isRollback = script.isRollback;
      state.hasLocked = false;
    },
    record: ({ node, start, line, effects }) => {
      if ('TransactionStmt' in node) {
        const { kind, chain } = node.TransactionStmt;
        if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') state.openedAt ??= start;
        if (kind === 'TRANS_STMT_COMMIT' || kind === 'TRANS_STMT_PREPARE') endTransaction(false);
        if (kind === 'TRANS_STMT_ROLLBACK') endTransaction(true);
        if (chain === true) state.openedAt = start;
        return;
      }
      for (const { name, until } of settingsIn(node, inTransaction())) {
        if (until === 'never') settings.delete(name);
        else settings.set(name, until);
      }
      // In a rollback, what it makes is not new to those who use what the scripts before it left.
      for (const name of namesMade(node, made)) made.set(name, state.transaction);
      if ('AlterTableStmt' in node) recordAlterations(node.AlterTableStmt);
      const domain = constrainedDomain(node);
      if (domain !== undefined) domains.add(domain);
      if ('AlterEnumStmt' in node) recordValue(node.AlterEnumStmt);
      for (const effect of effects) {
        if (effect.action === 'drop index' || effect.action === 'drop index concurrently')
          droppedIndexes.add(effect.relation);
        if (effect.isNew || !blocksWriters(lockOf(effect))) continue;
        state.hasLocked = true;
        if (inTransaction()) held.push({ relation: effect.relation, lock: lockOf(effect), line });
      }
    },
  };

  function recordAlterations({ relation, cmds = [] }: AlterTableStmt): void {
    const table = relationName(relation);
    for (const cmd of cmds) {
      const { subtype, def, name = '', missing_ok } = 'AlterTableCmd' in cmd ? cmd.AlterTableCmd : {};
      if (subtype === 'AT_AddColumn' && def !== undefined && 'ColumnDef' in def && missing_ok !== true)
        columns.add(`${table}.${def.ColumnDef.colname ?? ''}`);
      if (subtype === 'AT_AddConstraint' && def !== undefined && 'Constraint' in def)
        recordConstraint(table, def.Constraint.conname ?? '', knownOf(def.Constraint, state.transaction));
      const known = constraints.get(`${table}.${name}`);
      if (known === undefined) continue;
      if (subtype === 'AT_ValidateConstraint') recordConstraint(table, name, { ...known, isValidated: true });
      if (subtype === 'AT_DropConstraint') {
        constraints.delete(`${table}.${name}`);
        if (known.notNull !== undefined) proved.delete(`${table}.${known.notNull}`);
      }
    }
  }

  function recordConstraint(table: string, name: string, known: KnownConstraint): void {
    constraints.set(`${table}.${name}`, known);
    if (known.isValidated && known.notNull !== undefined) proved.add(`${table}.${known.notNull}`);
  }

  function recordValue({
    typeName: type,
    newVal,
    oldVal,
  }: Extract<Node, { AlterEnumStmt: unknown }>['AlterEnumStmt']): void {
    const isOwn = isMade(made, namesOf(type).join('.'));
    if (inTransaction() && newVal !== undefined && oldVal === undefined && !isOwn) addedValues.add(newVal);
  }
}

function isMade(made: ReadonlyMap<string, number>, name: string): boolean {
  if (made.has(name)) return true;
  const schema = schemaOf(name);
  return schema === 'pg_temp' || (schema !== undefined && made.has(`${schema}.`));
}

/** Relations, types and views by name; a schema with a dot behind it, since all that stands in it is new. */
function namesMade(node: Node, made: ReadonlyMap<string, number>): readonly string[] {
  // One that may have been there before is no new one.
  const table = createdTable(node);
  if (table !== undefined && table.if_not_exists !== true) return [relationName(table.relation)];
  if ('CreateTableAsStmt' in node && node.CreateTableAsStmt.if_not_exists !== true)
    return [relationName(node.CreateTableAsStmt.into?.rel)];
  if ('SelectStmt' in node && node.SelectStmt.intoClause !== undefined)
    return [relationName(node.SelectStmt.intoClause.rel)];
  if ('ViewStmt' in node && node.ViewStmt.replace !== true) return [relationName(node.ViewStmt.view)];
  if ('CreateSchemaStmt' in node && node.CreateSchemaStmt.if_not_exists !== true)
    return [node.CreateSchemaStmt.schemaname ?? '', `${node.CreateSchemaStmt.schemaname ?? ''}.`];
  if ('CreateEnumStmt' in node) return [listName(node.CreateEnumStmt.typeName)];
  if ('CreateDomainStmt' in node) return [listName(node.CreateDomainStmt.domainname)];
  if ('CompositeTypeStmt' in node) return [relationName(node.CompositeTypeStmt.typevar)];
  if ('IndexStmt' in node) {
    const { relation, idxname } = node.IndexStmt;
    if (idxname === undefined || !isMade(made, relationName(relation))) return [];
    const schema = relation?.schemaname;
    return [idxname, ...(schema === undefined ? [] : [`${schema}.${idxname}`])];
  }
  if ('RenameStmt' in node && node.RenameStmt.renameType === 'OBJECT_TABLE') {
    const { relation, newname = '' } = node.RenameStmt;
    if (!isMade(made, relationName(relation))) return [];
    return [relation?.schemaname === undefined ? newname : `${relation.schemaname}.${newname}`];
  }
  return [];
}

function knownOf(constraint: Constraint, transaction: number): KnownConstraint {
  const { skip_validation, pktable } = constraint;
  return {
    isValidated: skip_validation !== true,
    notNull: notNullColumn(constraint),
    refersTo: pktable === undefined ? undefined : relationName(pktable),
    transaction,
  };
}

/** The column of `check (column is not null)`, or of a NOT NULL that is a constraint of its own. */
function notNullColumn({ contype, raw_expr, keys }: Constraint): string | undefined {
  if (contype === 'CONSTR_NOTNULL') return namesOf(keys)[0];
  if (contype !== 'CONSTR_CHECK' || raw_expr === undefined || !('NullTest' in raw_expr)) return undefined;
  const { arg, nulltesttype } = raw_expr.NullTest;
  if (nulltesttype !== 'IS_NOT_NULL' || arg === undefined || !('ColumnRef' in arg)) return undefined;
  return namesOf(arg.ColumnRef.fields)[0];
}

function constrainedDomain(node: Node): string | undefined {
  if ('CreateDomainStmt' in node) {
    const { domainname, constraints = [] } = node.CreateDomainStmt;
    const isConstrained = constraints.some(
      (each) =>
        'Constraint' in each &&
        (each.Constraint.contype === 'CONSTR_CHECK' || each.Constraint.contype === 'CONSTR_NOTNULL'),
    );
    return isConstrained ? typeName(domainname) : undefined;
  }
  if ('AlterDomainStmt' in node && ['C', 'O'].includes(node.AlterDomainStmt.subtype ?? ''))
    return typeName(node.AlterDomainStmt.typeName);
  return undefined;
}
