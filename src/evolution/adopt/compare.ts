/**
 * Whether a table that stands in a database is what a definition says, so that it can be taken over as it is. Names of
 * constraints, the order of columns, defaults, checks and comments may differ: rows are written and read the same.
 */
import { refusal, type Finding } from '../../base/index.ts';
import type { ForeignKeySpec, Placement, TableSpec } from '../../pipeline/index.ts';
import { inexpressible, nameOf } from './draft-table.ts';
import { sameSet } from './draft-key.ts';
import type { StandingKey, StandingTable } from './standing-table.ts';

/** What keeps the table from being taken over, and as warnings what stays with it that the definition does not say. */
export function compareStanding(
  spec: TableSpec,
  standing: StandingTable,
  placementOf: (table: string) => Placement | undefined,
): readonly Finding[] {
  const differences = [
    ...(standing.kind === 'table' ? [] : ['it is partitioned']),
    ...columnDifferences(spec, standing),
    ...(sameSet(spec.primaryKey, standing.primaryKey) ? [] : ['the primary key']),
    ...keyDifferences(spec, standing, placementOf),
    ...uniqueDifferences(spec, standing),
  ];
  const unsaid = unsaidKeys(spec, standing, placementOf);
  if (differences.length === 0) return unsaid;
  return [
    refusal('adopt_differs', spec.name, {
      detail: { standsAs: nameOf(standing), differences },
      hint: 'Write the definition as the table stands, adopt it, and change it by an evolution after that.',
    }),
    ...unsaid,
  ];
}

function columnDifferences(spec: TableSpec, standing: StandingTable): readonly string[] {
  const byName = new Map(standing.columns.map((column) => [column.name, column]));
  const known = new Set(spec.columns.map(({ name }) => name));
  const extra = standing.columns.filter(({ name }) => !known.has(name));
  return [
    ...spec.columns.flatMap(({ name, type, nullable }) => {
      const column = byName.get(name);
      if (column === undefined) return [`column ${name} is not there`];
      const found = canonicalType(column.type);
      return [
        ...(canonicalType(type) === found ? [] : [`column ${name} is ${found}, not ${canonicalType(type)}`]),
        ...(nullable === column.nullable
          ? []
          : [`column ${name} ${column.nullable ? 'may' : 'must not'} be null`]),
      ];
    }),
    ...extra.map(({ name }) => `column ${name} is not defined`),
  ];
}

const SPELLINGS: Readonly<Record<string, string>> = {
  int: 'integer',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
  decimal: 'numeric',
  varchar: 'character varying',
  char: 'character',
  bpchar: 'character',
  varbit: 'bit varying',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  time: 'time without time zone',
  timetz: 'time with time zone',
};

/** A type as `format_type` spells it. */
function canonicalType(type: string): string {
  const parts = /^(?<name>[a-z][a-z0-9_ ]*?)(?<size>\([^)]*\))?(?<array>(?:\[\])*)$/u.exec(type)?.groups;
  const spelling = SPELLINGS[parts?.['name'] ?? ''];
  if (parts === undefined || spelling === undefined) return type.replaceAll(/,\s+/gu, ',');
  const size = (parts['size'] ?? '').replaceAll(/\s/gu, '');
  // The precision of a time stands in its middle: `timestamp(3) without time zone`.
  const [first = '', ...rest] = spelling.split(' ');
  const sized = spelling.startsWith('time') ? [`${first}${size}`, ...rest].join(' ') : `${spelling}${size}`;
  return `${sized}${parts['array'] ?? ''}`;
}

function keyDifferences(
  spec: TableSpec,
  standing: StandingTable,
  placementOf: (table: string) => Placement | undefined,
): readonly string[] {
  return spec.foreignKeys.flatMap((key) =>
    standing.foreignKeys.some((each) => isSameKey(key, each, placementOf(key.to)))
      ? []
      : [`no foreign key (${Object.keys(key.columns).join(', ')}) leads to ${key.to}`],
  );
}

function isSameKey(key: ForeignKeySpec, { to, columns }: StandingKey, place: Placement | undefined): boolean {
  return (
    place?.schema === to.schema &&
    place.table === to.name &&
    sameSet(Object.keys(key.columns), Object.keys(columns)) &&
    Object.entries(key.columns).every(([child, parent]) => columns[child] === parent)
  );
}

function uniqueDifferences(spec: TableSpec, standing: StandingTable): readonly string[] {
  const wanted = [
    ...spec.unique,
    ...spec.columns.filter(({ unique }) => unique === true).map(({ name }) => [name]),
    ...spec.foreignKeys.filter(({ unique }) => unique).map(({ columns }) => Object.keys(columns)),
  ];
  const found = [...standing.uniques, standing.primaryKey];
  return wanted
    .filter((columns) => !found.some((each) => sameSet(each, columns)))
    .map((columns) => `(${columns.join(', ')}) is not unique`);
}

function unsaidKeys(
  spec: TableSpec,
  standing: StandingTable,
  placementOf: (table: string) => Placement | undefined,
): readonly Finding[] {
  return standing.foreignKeys
    .filter((each) => !spec.foreignKeys.some((key) => isSameKey(key, each, placementOf(key.to))))
    .filter(({ to, columns }) => !isImplied(spec, to, columns, placementOf))
    .map(({ to, columns }) =>
      inexpressible(
        `${spec.name} (${Object.keys(columns).join(', ')})`,
        `a foreign key to ${nameOf(to)}`,
        'It stays in the database; the definition does not know it.',
      ),
    );
}

/** A part within a part holds the key of its master too, by way of the part that encloses it. */
function isImplied(
  { master }: TableSpec,
  to: StandingKey['to'],
  columns: StandingKey['columns'],
  placementOf: (table: string) => Placement | undefined,
): boolean {
  const place = master === undefined ? undefined : placementOf(master);
  return (
    place?.schema === to.schema &&
    place.table === to.name &&
    Object.entries(columns).every(([child, parent]) => child === parent)
  );
}
