/**
 * What each declared read means, as a match of columns.
 *
 * | written under `reads` | cardinality | match |
 * |---|---|---|
 * | a parent, or an ancestor that the parents' foreign keys lead to in one way | one | its key from the key of the make |
 * | a reference with `from` | one, or optional | its key from columns of other reads |
 * | `AnyTable.matching({ ... })` | many | as written |
 * | `AnyTable.all()` | many | nothing: the whole table |
 *
 * The way is always a foreign key's column map or one that is written out; equal names mean nothing.
 */
import { definitionError } from './definition-error.ts';
import type { DeclaredKey } from './declared-key.ts';
import type { ForeignKeySpec, Origin, ReadSpec } from './spec.ts';
import type { ColumnReference, Read, ReadSource, AnyTable } from './table.ts';

/** The reads in normal form, and the sources of filled foreign keys by their names. */
export interface ResolvedReads {
  readonly reads: readonly ReadSpec[];
  readonly fills: Readonly<Record<string, ForeignKeySpec['fills']>>;
}

/** Resolves all reads of one table. */
export function resolveReads(
  table: string,
  sourceKey: readonly string[],
  keys: readonly DeclaredKey[],
  sources: Readonly<Record<string, ReadSource>>,
): ResolvedReads {
  const singles = singleReads(sources);
  const originOf = (reference: ColumnReference, reader: string): Origin =>
    originOfColumn(table, reference, reader, singles);
  const fills = Object.fromEntries(keys.map((key) => [key.spec.name, fillsOf(key, originOf)]));
  const reads = Object.entries(sources).map(([name, source]) =>
    resolveRead({ table, name, source, sourceKey, keys, fills, originOf }),
  );
  return { reads, fills };
}

interface ReadQuestion {
  readonly table: string;
  readonly name: string;
  readonly source: ReadSource;
  readonly sourceKey: readonly string[];
  readonly keys: readonly DeclaredKey[];
  readonly fills: ResolvedReads['fills'];
  readonly originOf: (reference: ColumnReference, reader: string) => Origin;
}

function resolveRead(question: ReadQuestion): ReadSpec {
  const { source, name } = question;
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name)) {
    throw definitionError(
      `${question.table} reads.${name}`,
      'a read is named by a plain identifier',
      'Rename it.',
    );
  }
  const target = source.kind === 'table' ? source : source.table;
  const columns = target.spec.columns.map((column) => column.name);
  const names = source.kind === 'read' ? source.names : undefined;
  const picked = names === undefined ? columns : columns.filter((column) => names.includes(column));
  const base = { name, table: target.spec.name, columns: picked };
  if (source.kind === 'read' && source.match !== undefined) {
    return { ...base, cardinality: 'many', match: writtenMatch(question, source.match) };
  }
  return { ...base, ...singleMatch(question, source, target) };
}

function writtenMatch(
  { table, name, sourceKey, originOf }: ReadQuestion,
  match: NonNullable<Read['match']>,
): ReadSpec['match'] {
  return Object.fromEntries(
    Object.entries(match).map(([column, from]): [string, Origin] => {
      if (typeof from !== 'string') return [column, originOf(from, name)];
      if (sourceKey.includes(from)) return [column, { kind: 'key', column: from }];
      throw definitionError(
        `${table} reads.${name}`,
        `"${from}" is no column of the key that a make is called for`,
        `Name one of: ${sourceKey.join(', ')}; or a column of another read, as Other.column('x').`,
      );
    }),
  );
}

function singleMatch(
  question: ReadQuestion,
  source: ReadSource,
  target: AnyTable,
): Pick<ReadSpec, 'cardinality' | 'match'> {
  const key = declaredKeyOf(question, source, target);
  if (key === undefined) return { cardinality: 'one', match: ancestorMatch(question, target) };
  if (key.spec.kind !== 'secondary') return { cardinality: 'one', match: keyMatch(key.spec) };
  const fills = question.fills[key.spec.name];
  if (fills === undefined) {
    throw definitionError(
      `${question.table} reads.${question.name}`,
      `the make itself returns the columns of reference "${key.spec.name}", so they lead to no row before it ran`,
      'Say where they come from with `.from({ ... })`, or read `.all()` or `.matching({ ... })` and return the columns of the row you chose.',
    );
  }
  const match = Object.fromEntries(
    Object.entries(key.spec.columns).map(([child, parent]) => [parent, fills[child] as Origin]),
  );
  return { cardinality: key.spec.optional ? 'optional' : 'one', match };
}

/** The foreign key that a read names: the object itself, or the only foreign key to that table. */
function declaredKeyOf(
  question: ReadQuestion,
  source: ReadSource,
  target: AnyTable,
): DeclaredKey | undefined {
  const same = question.keys.find(({ declared }) => declared === source);
  if (same !== undefined) return same;
  const direct = question.keys.filter(({ reference }) => reference.table === target);
  if (source.kind === 'reference' || direct.length > 1) {
    throw definitionError(
      `${question.table} reads.${question.name}`,
      source.kind === 'reference'
        ? 'this reference is none of the table’s parents or references'
        : `several foreign keys lead to ${target.spec.name}`,
      'Read the very object that stands under `parents` or `references`: put it in a constant and name it in both places.',
    );
  }
  return direct[0];
}

function keyMatch(key: ForeignKeySpec): ReadSpec['match'] {
  return Object.fromEntries(
    Object.entries(key.columns).map(([child, parent]) => [parent, { kind: 'key', column: child }]),
  );
}

function ancestorMatch(question: ReadQuestion, target: AnyTable): ReadSpec['match'] {
  const start = question.keys.filter(({ spec }) => spec.kind !== 'secondary');
  const ways = new Map<string, ReadSpec['match']>();
  for (const { spec, reference } of start) {
    for (const way of waysUp(reference.table, keyMatch(spec), target)) ways.set(JSON.stringify(way), way);
  }
  const [way, another] = [...ways.values()];
  if (way !== undefined && another === undefined) return way;
  throw definitionError(
    `${question.table} reads.${question.name}`,
    way === undefined
      ? `${target.spec.name} is no ancestor: no foreign key of the primary key leads to it`
      : `${target.spec.name} is an ancestor in several ways`,
    way === undefined
      ? 'Declare a parent or reference to it, or read `.all()` or `.matching({ ... })`.'
      : 'Read `.matching({ ... })` with the columns you mean.',
  );
}

/** Every way from a parent up to the target, each as the target's key columns by columns of the make's key. */
function waysUp(table: AnyTable, match: ReadSpec['match'], target: AnyTable): readonly ReadSpec['match'][] {
  if (table === target) return [sorted(match)];
  return table.spec.foreignKeys
    .filter(({ kind }) => kind !== 'secondary')
    .flatMap((key) => {
      const parent = table.definition.parents.find(({ spec }) => spec.name === key.to);
      return parent === undefined ? [] : waysUp(parent, composed(key, match), target);
    });
}

function composed(key: ForeignKeySpec, match: ReadSpec['match']): ReadSpec['match'] {
  return Object.fromEntries(
    Object.entries(key.columns).map(([child, parent]) => [parent, match[child] as Origin]),
  );
}

function sorted(match: ReadSpec['match']): ReadSpec['match'] {
  return Object.fromEntries(Object.entries(match).toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

function fillsOf(key: DeclaredKey, originOf: ReadQuestion['originOf']): ForeignKeySpec['fills'] {
  const { fills } = key.reference;
  if (fills === undefined || key.spec.kind !== 'secondary') return undefined;
  return Object.fromEntries(
    Object.entries(key.spec.columns).map(([child, parent]) => {
      const source = fills[parent];
      if (source === undefined) {
        throw definitionError(
          `${key.spec.name} -> ${key.spec.to}`,
          `\`from\` does not say where "${parent}" comes from`,
          'Give a source for each column of the key.',
        );
      }
      return [child, originOf(source, key.spec.name)];
    }),
  );
}

/** The reads of one row, by table: what `Other.column('x')` can mean. */
function singleReads(
  sources: Readonly<Record<string, ReadSource>>,
): ReadonlyMap<string, readonly SingleRead[]> {
  const singles = new Map<string, readonly SingleRead[]>();
  for (const [name, source] of Object.entries(sources)) {
    if (source.kind === 'read' && source.match !== undefined) continue;
    const table = source.kind === 'table' ? source : source.table;
    const columns =
      (source.kind === 'read' ? source.names : undefined) ?? table.spec.columns.map((c) => c.name);
    singles.set(table.spec.name, [...(singles.get(table.spec.name) ?? []), { name, columns }]);
  }
  return singles;
}

interface SingleRead {
  readonly name: string;
  readonly columns: readonly string[];
}

function originOfColumn(
  table: string,
  reference: ColumnReference,
  reader: string,
  singles: ReadonlyMap<string, readonly SingleRead[]>,
): Origin {
  const reads = (singles.get(reference.table) ?? []).filter(({ name }) => name !== reader);
  const [read, another] = reads.filter(({ columns }) => columns.includes(reference.column));
  if (read !== undefined && another === undefined) {
    return { kind: 'read', read: read.name, column: reference.column };
  }
  throw definitionError(
    `${table} ${reader}`,
    read === undefined
      ? `${reference.table}.${reference.column} is in no declared read of one row`
      : `${reference.table}.${reference.column} is in several declared reads`,
    `Declare ${reference.table} with this column once under \`reads\`.`,
  );
}
