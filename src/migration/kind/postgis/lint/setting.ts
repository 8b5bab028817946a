import type { Node } from 'libpg-query';
import { fieldsOf, namesOf, nodesBelow, stringConstant, textOf } from '../../../../store/index.ts';

/** The settings of a session that rules ask for. */
export type SettingName = 'lock_timeout' | 'statement_timeout' | 'search_path';

/** A setting that a statement changes, and until when it holds. */
export interface SettingChange {
  readonly name: SettingName;
  readonly until: 'session' | 'transaction' | 'never';
}

const NAMES: readonly SettingName[] = ['lock_timeout', 'statement_timeout', 'search_path'];

/** What SET, RESET and `select set_config(...)` change; 0 and DEFAULT switch a timeout off. */
export function settingsIn(node: Node, inTransaction: boolean): readonly SettingChange[] {
  if ('SelectStmt' in node) return setConfigs(node, inTransaction);
  if (!('VariableSetStmt' in node)) return [];
  const { kind, name, args = [], is_local } = node.VariableSetStmt;
  if (kind === 'VAR_RESET_ALL') return NAMES.map((each) => ({ name: each, until: 'never' }));
  const known = settingName(name);
  if (known === undefined) return [];
  if (kind !== 'VAR_SET_VALUE' || args.some(isZero)) return [{ name: known, until: 'never' }];
  return changed(known, is_local === true, inTransaction);
}

function settingName(name: string | undefined): SettingName | undefined {
  return NAMES.find((each) => each === name?.toLowerCase());
}

/** SET LOCAL outside a transaction does nothing. */
function changed(name: SettingName, isLocal: boolean, inTransaction: boolean): readonly SettingChange[] {
  if (isLocal) return inTransaction ? [{ name, until: 'transaction' }] : [];
  return [{ name, until: 'session' }];
}

function isZero(value: unknown): boolean {
  const text = stringConstant(value);
  if (text !== undefined) return /^\s*0+\s*(?:us|ms|s|min|h|d)?\s*$/.test(text);
  const number = fieldsOf(value, 'A_Const')?.['ival'];
  // A member that holds its default, here 0, is left out.
  return number !== undefined && JSON.stringify(number) === '{}';
}

function setConfigs(node: Node, inTransaction: boolean): readonly SettingChange[] {
  const changes: SettingChange[] = [];
  for (const { type, fields } of nodesBelow(node)) {
    if (type !== 'FuncCall' || namesOf(fields['funcname']).at(-1) !== 'set_config') continue;
    const [name, value, local] = Array.isArray(fields['args']) ? (fields['args'] as readonly unknown[]) : [];
    const known = settingName(textOf(stringConstant(name)));
    if (known === undefined) continue;
    if (isZero(value)) changes.push({ name: known, until: 'never' });
    else changes.push(...changed(known, JSON.stringify(local).includes('"boolval":true'), inTransaction));
  }
  return changes;
}
