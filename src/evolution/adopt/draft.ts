/**
 * Definitions drafted from tables that stand in a database: which table is of which tier, which foreign keys are parents
 * and which references, in an order in which each can be defined. What definitions cannot say is a finding, never a guess
 * and never silence.
 */
import type { Finding } from '../../base/index.ts';
import { isOwnOfDataJoint, partName, prefixedName } from './adopted-name.ts';
import { columnText } from './column-text.ts';
import { drafted } from './draft-key.ts';
import { inexpressible, nameOf, type DraftTable } from './draft-table.ts';
import { orderUnits } from './draft-order.ts';
import type { StandingCheck, StandingColumn, StandingTable } from './standing-table.ts';

/** What was drafted, in the order of definition, parts after their masters. */
export interface Draft {
  readonly tables: readonly DraftTable[];
  /** Tables that DataJoint keeps for itself. */
  readonly skipped: readonly string[];
  readonly findings: readonly Finding[];
}

/** How names are read. */
export interface DraftOptions {
  /** Whether prefixes tell tiers, and `master__part` a part. */
  readonly conventions: boolean;
}

/** Drafts the definitions of these tables. */
export function draftDefinitions(standing: readonly StandingTable[], options: DraftOptions): Draft {
  const findings: Finding[] = [];
  const whole = standing.filter(({ kind }) => kind !== 'partition');
  const own = options.conventions ? whole.filter(({ name }) => isOwnOfDataJoint(name)) : [];
  const usable = whole.filter((table) => {
    const faults = own.includes(table) ? [] : tableFaults(table);
    findings.push(...faults);
    return faults.length === 0 && !own.includes(table);
  });
  const tables = usable.map(newTable);
  if (options.conventions) readNames(tables, findings);
  const keyed = drafted(tables, new Set(standing.map(nameOf)));
  findings.push(...keyed.findings);
  if (options.conventions) demoteLonely(tables, findings);
  const ordered = orderUnits(tables);
  findings.push(...ordered.findings, ...tables.flatMap(columnFaults));
  return { tables: ordered.tables, skipped: own.map(nameOf).toSorted(), findings };
}

function newTable(standing: StandingTable): DraftTable {
  return {
    standing,
    schema: standing.schema,
    name: standing.name,
    tier: 'manual',
    master: undefined,
    label: '',
    within: undefined,
    parents: [],
    references: [],
  };
}

const LEFT_OUT = 'It is left out, and so are foreign keys to it.';

function tableFaults(table: StandingTable): readonly Finding[] {
  const subject = nameOf(table);
  const bad = table.columns.find(
    ({ name }) => name === 'parts' || name === '__proto__' || name.startsWith('#'),
  );
  return [
    ...(table.kind === 'partitioned' ? [inexpressible(subject, 'it is partitioned', LEFT_OUT)] : []),
    ...(table.primaryKey.length === 0
      ? [inexpressible(subject, 'it has no primary key', `Give it one. ${LEFT_OUT}`)]
      : []),
    ...(table.primaryKey.length > 32 ? [inexpressible(subject, 'its key is too wide', LEFT_OUT)] : []),
    ...(bad === undefined
      ? []
      : [inexpressible(`${subject}.${bad.name}`, 'no column of a definition has this name', LEFT_OUT)]),
    ...(/\./u.test(table.name) || /\./u.test(table.schema)
      ? [inexpressible(subject, 'its name has a dot', LEFT_OUT)]
      : []),
  ];
}

/** Gives tables the names and tiers that their prefixes tell. */
function readNames(tables: readonly DraftTable[], findings: Finding[]): void {
  const byStanding = new Map(tables.map((table) => [nameOf(table.standing), table]));
  for (const table of tables) {
    const part = partName(table.standing.name);
    const master = part === undefined ? undefined : byStanding.get(`${table.schema}.${part.master}`);
    if (part === undefined || master === undefined || !holdsKeyOf(table, master)) {
      Object.assign(table, prefixedName(table.standing.name));
    } else {
      Object.assign(table, { tier: 'part', master, label: part.label });
    }
  }
  keepNamesApart(tables, findings);
  for (const table of tables) {
    if (table.master !== undefined) table.name = `${table.master.name}__${table.label}`;
  }
}

/** Whether a foreign key leads to the key of the master, under the same names. */
function holdsKeyOf(table: DraftTable, master: DraftTable): boolean {
  const key = master.standing.primaryKey;
  return table.standing.foreignKeys.some(
    ({ to, columns }) =>
      nameOf(to) === nameOf(master.standing) &&
      Object.keys(columns).length === key.length &&
      key.every((column) => columns[column] === column && table.standing.primaryKey.includes(column)),
  );
}

/** Two tables whose names differ by their prefixes alone: the second one keeps its own. */
function keepNamesApart(tables: readonly DraftTable[], findings: Finding[]): void {
  const taken = new Set<string>();
  const masters = tables.filter(({ master }) => master === undefined);
  // Names without prefix first: they are nobody else's.
  for (const table of masters.toSorted((left, right) => prefixLength(left) - prefixLength(right))) {
    const name = `${table.schema}.${table.name}`;
    if (taken.has(name)) {
      table.name = table.standing.name;
      const what = `without its prefix it would be called ${name}, as another table is`;
      const hint = 'Rename it by an evolution, if you like.';
      findings.push({ ...inexpressible(nameOf(table.standing), what, hint), severity: 'info' });
    }
    taken.add(`${table.schema}.${table.name}`);
  }
}

function prefixLength({ name, standing }: DraftTable): number {
  return standing.name.length - name.length;
}

/** A table that is computed has parents: without one there is no key that a make could be called for. */
function demoteLonely(tables: readonly DraftTable[], findings: Finding[]): void {
  for (const table of tables) {
    if (!['computed', 'imported'].includes(table.tier) || table.parents.length > 0) continue;
    const what = `its name says ${table.tier}, but no foreign key is part of its primary key`;
    const hint = 'It is defined as manual. Give it a parent by an evolution if it is computed.';
    findings.push(inexpressible(nameOf(table.standing), what, hint));
    table.tier = 'manual';
  }
}

/** Columns and checks of which definitions say less than what stands there. */
function columnFaults(table: DraftTable): readonly Finding[] {
  const { standing } = table;
  const own = ownColumns(table);
  const faults = standing.columns.flatMap((column) => {
    const isOwn = own.includes(column);
    const all = columnText(column, [], false).faults;
    const kept = isOwn || column.default === null ? all : ['its default, beside a foreign key'];
    return kept.map((fault) => inexpressible(`${nameOf(standing)}.${column.name}`, fault, STAYS));
  });
  const checks = standing.checks
    .filter((check) => checkedColumn(table, check) === undefined)
    .map(({ name }) =>
      inexpressible(`${nameOf(standing)} (${name})`, 'a check of columns that foreign keys bring', STAYS),
    );
  return [...faults, ...checks];
}

const STAYS =
  'It stays as it stands. A table that an evolution builds anew is without it: give the value where rows are written.';

/** The columns that no foreign key brings. */
export function ownColumns(table: DraftTable): readonly StandingColumn[] {
  const brought = new Set([
    ...(table.master?.standing.primaryKey ?? []),
    ...(table.within?.standing.primaryKey ?? []),
    ...[...table.parents, ...table.references].flatMap(({ columns }) => Object.keys(columns)),
  ]);
  return table.standing.columns.filter(({ name }) => !brought.has(name));
}

/** The column that a check is written at: the first of its own. */
export function checkedColumn(table: DraftTable, { columns }: StandingCheck): string | undefined {
  return ownColumns(table).find(({ name }) => columns.includes(name))?.name;
}
