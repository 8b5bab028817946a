/**
 * Which foreign keys definitions can say, and how.
 *
 * | foreign key | said as |
 * |---|---|
 * | to the whole primary key, all its columns within the own one | a parent |
 * | to the whole primary key, its own columns all nullable, or none | a reference, optional or not |
 * | with columns of other names | the same, with `.as` |
 * | sharing columns with others that mean the same attribute | the same |
 * | to the table itself, to other columns than the primary key, to what is not adopted, of other types | not: a finding |
 */
import type { Finding } from '../../base/index.ts';
import { compareText } from '../../pipeline/index.ts';
import { inexpressible, nameOf, type DraftKey, type DraftTable } from './draft-table.ts';
import type { StandingKey } from './standing-table.ts';

/** Gives every table its parents and references; returns what could not be said. */
export function drafted(
  tables: readonly DraftTable[],
  present: ReadonlySet<string>,
): { readonly findings: readonly Finding[] } {
  const byStanding = new Map(tables.map((table) => [nameOf(table.standing), table]));
  const findings = tables.flatMap((table) => keysOf(table, byStanding, present));
  // Columns that two foreign keys share mean one attribute only as far as parents say; so those of all tables come first.
  return { findings: [...findings, ...tables.flatMap(dropForeignColumns)] };
}

function keysOf(
  table: DraftTable,
  byStanding: ReadonlyMap<string, DraftTable>,
  present: ReadonlySet<string>,
): readonly Finding[] {
  const findings: Finding[] = [];
  const { primaryKey, foreignKeys } = table.standing;
  const seen = new Set<string>();
  for (const key of foreignKeys) {
    const map = JSON.stringify([
      nameOf(key.to),
      Object.entries(key.columns)
        .map((pair) => pair.join(' '))
        .toSorted(compareText),
    ]);
    if (seen.has(map)) continue;
    seen.add(map);
    const to = byStanding.get(nameOf(key.to));
    const what = whyNot(table, key, to, present);
    if (to === undefined || what !== undefined) {
      findings.push(unsaid(table, key, what ?? ['it leads to what is not adopted', HINT]));
      continue;
    }
    if (to === table.master || isWithin(table, key, to)) continue;
    const isParent = Object.keys(key.columns).every((column) => primaryKey.includes(column));
    (isParent ? table.parents : table.references).push(draftKey(table, key, to));
    if (!['a', 'r'].includes(key.onDelete)) findings.push(deleting(table, key));
  }
  const place = ({ columns }: DraftKey): number =>
    Math.min(...Object.keys(columns).map((column) => primaryKey.indexOf(column)));
  table.parents.sort((left, right) => place(left) - place(right));
  return findings;
}

/** The first sibling part whose whole key, under the same names, is part of the own one: what it lies within. */
function isWithin(table: DraftTable, { columns }: StandingKey, to: DraftTable): boolean {
  if (table.master === undefined || to.master !== table.master) return false;
  table.within ??= to;
  return table.within === to && isSameInKey(table, columns);
}

function isSameInKey({ standing }: DraftTable, columns: StandingKey['columns']): boolean {
  return Object.entries(columns).every(
    ([child, parent]) => child === parent && standing.primaryKey.includes(child),
  );
}

function draftKey(table: DraftTable, key: StandingKey, to: DraftTable): DraftKey {
  const columns = Object.keys(key.columns);
  const own = columns.filter((column) => !table.standing.primaryKey.includes(column));
  return {
    standing: key,
    to,
    columns: key.columns,
    isOptional: own.some((column) => isNullable(table, column)),
    isUnique: table.standing.uniques.some((unique) => sameSet(unique, columns)),
  };
}

function isNullable({ standing }: DraftTable, column: string): boolean {
  return standing.columns.find(({ name }) => name === column)?.nullable === true;
}

/** Whether two lists hold the same names. */
export function sameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}

const HINT =
  'The database keeps to it as before; varve’s definitions do not know it, and a table that an evolution builds anew is without it.';

type Reason = readonly [what: string, hint: string];

function whyNot(
  table: DraftTable,
  key: StandingKey,
  to: DraftTable | undefined,
  present: ReadonlySet<string>,
): Reason | undefined {
  if (to === undefined) {
    const target = nameOf(key.to);
    return present.has(target)
      ? [`it leads to ${target}, which is left out`, HINT]
      : [
          `it leads to ${target}, whose schema is not adopted`,
          `Name that schema too: --schema ${key.to.schema}.`,
        ];
  }
  if (to === table) return ['it leads to its own table', HINT];
  if (!sameSet(Object.values(key.columns), to.standing.primaryKey)) {
    return [`it leads to other columns of ${nameOf(to.standing)} than its primary key`, HINT];
  }
  if (isOfSameMaster(table, to) && !isSameInKey(table, key.columns)) {
    return ['it leads from a part to its own master or to another part of it', HINT];
  }
  for (const [child, parent] of Object.entries(key.columns)) {
    if (typeOf(table, child) !== typeOf(to, parent))
      return [`${child} is of another type than what it names`, HINT];
  }
  const own = Object.keys(key.columns).filter((column) => !table.standing.primaryKey.includes(column));
  const nullable = own.filter((column) => isNullable(table, column));
  return nullable.length > 0 && nullable.length < own.length
    ? ['some of its columns may be null and others not', HINT]
    : undefined;
}

function isOfSameMaster({ master }: DraftTable, to: DraftTable): boolean {
  return master !== undefined && (to === master || to.master === master);
}

function typeOf({ standing }: DraftTable, column: string): string | undefined {
  return standing.columns.find(({ name }) => name === column)?.type;
}

function unsaid(table: DraftTable, key: StandingKey, [what, hint]: Reason): Finding {
  const columns = Object.keys(key.columns).join(', ');
  return inexpressible(`${nameOf(table.standing)} (${columns})`, `a foreign key: ${what}`, hint);
}

const ON_DELETE: Readonly<Record<string, string>> = {
  c: 'deletes rows here with those above',
  n: 'empties columns here when rows above go',
  d: 'puts defaults here when rows above go',
};

function deleting(table: DraftTable, key: StandingKey): Finding {
  const what = `${ON_DELETE[key.onDelete] ?? 'acts'}, past varve’s history`;
  return unsaid(table, key, [
    what,
    'It is defined without that; delete with `varve delete`, which keeps history.',
  ]);
}

/** Takes away foreign keys that share a column with another one without meaning the same attribute. */
function dropForeignColumns(table: DraftTable): readonly Finding[] {
  const findings: Finding[] = [];
  const origins = new Map<string, string>();
  if (table.master !== undefined) {
    for (const owner of [table.master, table.within ?? table.master]) {
      for (const column of owner.standing.primaryKey) origins.set(column, originOf(owner, column));
    }
  }
  const sound = (key: DraftKey, isReference: boolean): boolean => {
    const entries = Object.entries(key.columns);
    const clash = entries.some(([child, parent]) => {
      const origin = origins.get(child);
      const isOwnKey = isReference && origin === undefined && table.standing.primaryKey.includes(child);
      return isOwnKey || (origin !== undefined && origin !== originOf(key.to, parent));
    });
    if (clash) {
      const what =
        'one of its columns means another attribute in another foreign key, or is a key of its own';
      findings.push(unsaid(table, key.standing, [what, HINT]));
      return false;
    }
    for (const [child, parent] of entries) origins.set(child, originOf(key.to, parent));
    return true;
  };
  table.parents = table.parents.filter((key) => sound(key, false));
  table.references = table.references.filter((key) => sound(key, true));
  return findings;
}

/** The column at the end of the parents' foreign keys: what this one means. */
function originOf(table: DraftTable, column: string, depth = 0): string {
  const end = `${table.schema}.${table.name}.${column}`;
  if (depth > 64) return end;
  if (table.master?.standing.primaryKey.includes(column) === true) {
    return originOf(table.master, column, depth + 1);
  }
  if (table.within?.standing.primaryKey.includes(column) === true) {
    return originOf(table.within, column, depth + 1);
  }
  const key = table.parents.find(({ columns }) => Object.hasOwn(columns, column));
  const parent = key?.columns[column];
  return key === undefined || parent === undefined ? end : originOf(key.to, parent, depth + 1);
}
