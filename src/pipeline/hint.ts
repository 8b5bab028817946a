/**
 * What an author says of where rows and columns come from: `renamedFrom`, `movedFrom`, `splitFrom`, `mergedFrom`.
 *
 * A hint is read once, when the set before is compared with this one, and is no part of the normal form: a hint that
 * stays in the code after its evolution changes no digest. What contradicts itself inside one table is refused where the
 * table is defined; what two tables say of one table before, where they are collected into a set.
 */
import { refusal, type Finding } from '../base/index.ts';
import type { Columns } from './column.ts';
import { definitionError } from './definition-error.ts';
import { splitName, type TableSpec } from './spec.ts';

/**
 * Where the rows of a table come from, said to an evolution that compares the set before with this one.
 *
 * At most one of them; `renamedFrom` and `movedFrom` may stand together. Names are `table` or `schema.table`.
 */
export interface HintOptions {
  /** The table of the set before that this one was. */
  readonly renamedFrom?: string;
  /** The schema, or the whole name, that it had before. */
  readonly movedFrom?: string;
  /** The table whose columns this one takes a part of; others that take the rest say the same. */
  readonly splitFrom?: string;
  /** The tables that were joined on their key into this one. */
  readonly mergedFrom?: readonly string[];
}

/** What the author says of where a table's rows come from; no part of the set and its digest. */
export interface TableHint {
  /** Tables of the set before, `schema.table`; the table's own name where only columns are renamed. */
  readonly from: readonly string[];
  readonly how: 'renamed' | 'split' | 'merged' | 'same';
  /** New column to the old one. */
  readonly columns: Readonly<Record<string, string>>;
}

/** By the new name of the table; only tables that say something. */
export type Hints = Readonly<Record<string, TableHint>>;

/**
 * The hint of one table, undefined where it says nothing.
 *
 * `former` is the name before of the master of a part: a part follows it without saying so.
 * Errors: throws `definition_invalid` for one that contradicts itself.
 */
export function hintOf(
  table: string,
  options: HintOptions,
  columns: Columns,
  former?: string,
): TableHint | undefined {
  const renamed = renamedColumns(table, columns);
  const said = originOf(table, options) ?? followed(table, former);
  if (said !== undefined) return { ...said, columns: renamed };
  return Object.keys(renamed).length === 0 ? undefined : { from: [table], how: 'same', columns: renamed };
}

/** A table with its hint. */
interface Hinting {
  readonly spec: TableSpec;
  readonly definition: { readonly hint: TableHint | undefined };
}

/** What the tables say, or why it cannot all be so. */
export function hintsOf(tables: readonly Hinting[]): {
  readonly hints: Hints;
  readonly findings: readonly Finding[];
} {
  const said = tables.flatMap(({ spec, definition }) =>
    definition.hint === undefined ? [] : [[spec.name, definition.hint] as const],
  );
  const hints: Hints = Object.fromEntries(said);
  const claims = tables.flatMap(({ spec: { name } }): readonly Claim[] => {
    const { from, how } = hints[name] ?? { from: [name], how: 'same' as const };
    return from.map((before) => ({ before, name, how }));
  });
  return { hints, findings: contradictions(claims) };
}

type Said = Pick<TableHint, 'from' | 'how'>;

function originOf(table: string, options: HintOptions): Said | undefined {
  const { renamedFrom, movedFrom, splitFrom, mergedFrom } = options;
  const isRenamed = renamedFrom !== undefined || movedFrom !== undefined;
  if ([isRenamed, splitFrom !== undefined, mergedFrom !== undefined].filter(Boolean).length > 1) {
    throw definitionError(
      table,
      'it says in several ways where its rows come from',
      'Keep one of renamedFrom (with movedFrom, if it moved too), splitFrom and mergedFrom.',
    );
  }
  if (isRenamed) return { from: [nameBefore(table, renamedFrom, movedFrom)], how: 'renamed' };
  if (splitFrom !== undefined) return { from: [qualified(table, 'splitFrom', splitFrom)], how: 'split' };
  return mergedFrom === undefined ? undefined : { from: mergedNames(table, mergedFrom), how: 'merged' };
}

function nameBefore(table: string, renamedFrom: string | undefined, movedFrom: string | undefined): string {
  const before =
    movedFrom === undefined
      ? qualified(table, 'renamedFrom', renamedFrom)
      : movedName(table, renamedFrom, movedFrom);
  if (before !== table) return before;
  throw definitionError(table, 'it is renamed from its own name', 'Take the hint away.');
}

/** A schema with the name now or the name before, or the whole name before. */
function movedName(table: string, renamedFrom: string | undefined, movedFrom: string): string {
  assertText(table, 'movedFrom', movedFrom);
  if (renamedFrom === undefined) {
    return movedFrom.includes('.')
      ? qualified(table, 'movedFrom', movedFrom)
      : `${movedFrom}.${splitName(table).table}`;
  }
  assertText(table, 'renamedFrom', renamedFrom);
  if (renamedFrom.includes('.') || movedFrom.includes('.')) {
    throw definitionError(
      table,
      'renamedFrom and movedFrom both name a whole table',
      "Beside each other write the table's name before in renamedFrom and the schema's in movedFrom.",
    );
  }
  return `${movedFrom}.${renamedFrom}`;
}

function mergedNames(table: string, mergedFrom: readonly string[]): readonly string[] {
  const names = Array.isArray(mergedFrom)
    ? mergedFrom.map((name: string) => qualified(table, 'mergedFrom', name))
    : [];
  if (names.length >= 2 && new Set(names).size === names.length) return names;
  throw definitionError(
    table,
    'mergedFrom names fewer than two tables, or one of them twice',
    'Name each table that goes into it once; for one table write renamedFrom.',
  );
}

/** A name before as `schema.table`: without a schema, the one of the table now. */
function qualified(table: string, option: string, name: string | undefined): string {
  assertText(table, option, name);
  const parts = name.split('.');
  if (parts.length <= 2 && parts.every((each) => each !== '')) {
    return parts.length === 2 ? name : `${splitName(table).schema}.${name}`;
  }
  throw malformed(table, option);
}

function assertText(table: string, option: string, name: unknown): asserts name is string {
  if (typeof name === 'string' && name !== '') return;
  throw malformed(table, option);
}

function malformed(table: string, option: string): Error {
  return definitionError(
    table,
    `its ${option} is no name of a table`,
    "Write 'table', or 'schema.table' where it stood in another schema.",
  );
}

function followed(table: string, former: string | undefined): Said | undefined {
  return former === undefined || former === table ? undefined : { from: [former], how: 'renamed' };
}

/** New column to the one before, of those that say so. */
function renamedColumns(table: string, columns: Columns): Readonly<Record<string, string>> {
  const entries = Object.entries(columns).flatMap(([name, { formerName }]) =>
    formerName === undefined ? [] : [[name, formerName] as const],
  );
  const taken = new Set<string>();
  for (const [name, before] of entries) {
    const reason = columnFault(name, before, columns, taken);
    taken.add(before);
    if (reason === undefined) continue;
    throw definitionError(`${table}.${name}`, reason, 'Name the column that its values stood in before.');
  }
  return Object.fromEntries(entries);
}

function columnFault(
  name: string,
  before: unknown,
  columns: Columns,
  taken: ReadonlySet<string>,
): string | undefined {
  if (typeof before !== 'string' || before === '') return 'its renamedFrom is no name of a column';
  if (before === name) return 'it is renamed from its own name';
  if (taken.has(before)) return `another column is renamed from "${before}" too`;
  // Two columns may change their names with each other; one that stays cannot also have become another.
  const stays = Object.hasOwn(columns, before) && columns[before]?.formerName === undefined;
  return stays ? `it is renamed from "${before}", which is still a column of this table` : undefined;
}

/** One table now that takes rows of one table before. */
interface Claim extends Pick<TableHint, 'how'> {
  readonly before: string;
  readonly name: string;
}

/** Several tables may share the rows of one only where it is split; the table itself may be one of them. */
function contradictions(claims: readonly Claim[]): readonly Finding[] {
  const byTable = Map.groupBy(claims, ({ before }) => before);
  return [...byTable].flatMap(([before, claimed]) => {
    const [first, ...others] = claimed.filter(({ how }) => how === 'renamed' || how === 'merged');
    if (first === undefined || claimed.length === 1) return [];
    const other = others[0] ?? claimed.find((claim) => claim !== first);
    const stays = other?.how === 'same' && other.name === before;
    return [
      refusal('definition_invalid', first.name, {
        detail: { found: `rows of ${before} go to ${first.name} and to ${other?.name ?? ''}` },
        hint: stays
          ? `Remove ${before}; where that renaming was applied long ago and ${before} is new, take the hint away.`
          : 'Write splitFrom where the rows of one table are divided among several.',
      }),
    ];
  });
}
