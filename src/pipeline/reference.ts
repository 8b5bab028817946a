import { definitionError } from './definition-error.ts';
import type { AnyReference, AnyTable, ColumnReference, Read, Table } from './table.ts';

/** The parts of a reference that its methods change. */
interface ReferenceFields {
  readonly table: AnyTable;
  readonly names: Readonly<Record<string, string>>;
  readonly formerNames: Readonly<Record<string, string>>;
  readonly isOptional: boolean;
  readonly isUnique: boolean;
  readonly fills: Readonly<Record<string, ColumnReference>> | undefined;
}

/** The methods that a table has as the start of a reference or a read. */
export type TableMethods = Pick<
  Table<Record<string, unknown>, Record<string, unknown>, unknown>,
  'as' | 'renamedFrom' | 'optional' | 'unique' | 'from' | 'column' | 'columns' | 'all' | 'matching'
>;

/** The methods of a defined table. `table` is asked for late, since the table is made of them. */
export function tableMethods(table: () => AnyTable): TableMethods {
  const start = (): ReferenceFields => ({
    table: table(),
    names: {},
    formerNames: {},
    isOptional: false,
    isUnique: false,
    fills: undefined,
  });
  const methods = {
    as: (names: Readonly<Record<string, string>>) =>
      reference({ ...start(), names: knownNames(table(), 'as', names) }),
    renamedFrom: (names: Readonly<Record<string, string>>) =>
      reference({ ...start(), formerNames: knownNames(table(), 'renamedFrom', names) }),
    optional: () => reference({ ...start(), isOptional: true }),
    unique: () => reference({ ...start(), isUnique: true }),
    from: (fills: Readonly<Record<string, ColumnReference>>) => reference({ ...start(), fills }),
    column: (name: string) => columnReference(table(), name),
    columns: (...names: readonly string[]) => columnsRead(table(), names),
    all: () => read(table(), undefined, {}),
    matching: (match: Readonly<Record<string, string | ColumnReference>>) => read(table(), undefined, match),
  };
  // The compiler's view of these methods depends on the table's types; at run time names are just names.
  return methods as unknown as TableMethods;
}

function reference(fields: ReferenceFields): AnyReference {
  const methods = {
    as: (names: Readonly<Record<string, string>>) =>
      reference({ ...fields, names: { ...fields.names, ...knownNames(fields.table, 'as', names) } }),
    renamedFrom: (names: Readonly<Record<string, string>>) =>
      reference({ ...fields, formerNames: knownNames(fields.table, 'renamedFrom', names) }),
    optional: () => reference({ ...fields, isOptional: true }),
    unique: () => reference({ ...fields, isUnique: true }),
    from: (fills: Readonly<Record<string, ColumnReference>>) => reference({ ...fields, fills }),
  };
  return Object.freeze({ kind: 'reference' as const, ...fields, ...methods });
}

/** A plain table as a reference: not renamed, not optional. */
export function asReference(parent: AnyTable | AnyReference): AnyReference {
  return parent.kind === 'reference'
    ? parent
    : reference({
        table: parent,
        names: {},
        formerNames: {},
        isOptional: false,
        isUnique: false,
        fills: undefined,
      });
}

function columnReference(table: AnyTable, name: string): ColumnReference {
  assertColumn(table, name);
  return Object.freeze({ kind: 'column-reference' as const, table: table.spec.name, column: name });
}

function columnsRead(table: AnyTable, names: readonly string[]): Read {
  names.forEach((name) => assertColumn(table, name));
  const single = read(table, names, undefined);
  return Object.freeze({
    ...single,
    all: () => read(table, names, {}),
    matching: (match: Readonly<Record<string, string | ColumnReference>>) => read(table, names, match),
  });
}

function read(
  table: AnyTable,
  names: readonly string[] | undefined,
  match: Readonly<Record<string, string | ColumnReference>> | undefined,
): Read {
  Object.keys(match ?? {}).forEach((name) => assertColumn(table, name));
  return Object.freeze({ kind: 'read' as const, table, names, match });
}

function knownNames(
  table: AnyTable,
  method: 'as' | 'renamedFrom',
  names: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  for (const name of Object.keys(names)) {
    if (!table.spec.primaryKey.includes(name)) {
      throw definitionError(
        `${table.spec.name}.${method}`,
        `"${name}" is no column of its primary key`,
        `${method === 'as' ? 'Rename' : 'Say it of'} one of: ${table.spec.primaryKey.join(', ')}.`,
      );
    }
  }
  return names;
}

function assertColumn(table: AnyTable, name: string): void {
  const known = table.spec.columns.map((column) => column.name);
  if (known.includes(name)) return;
  throw definitionError(
    table.spec.name,
    `it has no column "${name}"`,
    `Name one of its columns: ${known.join(', ')}.`,
  );
}
