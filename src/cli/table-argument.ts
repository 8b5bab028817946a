import { nearestName, refusal, type Finding } from '../base/index.ts';
import { unknownTable, type Definitions, type TableSpec } from '../pipeline/index.ts';
import { unquotedName } from '../provenance/index.ts';
import { usageFinding } from './failure.ts';

/** The definition of a table that a person named: `schema.table`, or the bare name where one schema has it. */
export function findSpec(definitions: Definitions, name: string): TableSpec | Finding {
  const { tables } = definitions.set;
  const found = findIn(
    tables.map((spec) => spec.name),
    name,
  );
  if (typeof found !== 'string') return found;
  return tables.find((spec) => spec.name === found) ?? unknownTable(name, []);
}

/** The one of these names that a person meant. */
export function findIn(names: readonly string[], asked: string): string | Finding {
  if (names.includes(asked)) return asked;
  const name = unquotedName(asked);
  if (names.includes(name)) return name;
  const [only, ...others] = names.filter((known) => bareName(known) === name).toSorted();
  if (only !== undefined && others.length === 0) return only;
  if (only !== undefined) {
    return refusal('unknown_table', name, {
      detail: { reason: 'several schemas have a table of this name', tables: [only, ...others] },
      hint: `Name the schema too: ${[only, ...others].join(' or ')}.`,
    });
  }
  const nearest = name.includes('.') ? undefined : nearestName(name, names.map(bareName));
  return unknownTable(name, nearest === undefined ? names : [nearest]);
}

function bareName(name: string): string {
  return name.slice(name.indexOf('.') + 1);
}

/** Several of them: all definitions, or the findings of those that are none. */
export function findSpecs(
  definitions: Definitions,
  names: readonly string[],
): { readonly specs: readonly TableSpec[]; readonly findings: readonly Finding[] } {
  const found = names.map((name) => findSpec(definitions, name));
  return {
    specs: found.flatMap((each) => (isFinding(each) ? [] : [each])),
    findings: found.filter((each) => isFinding(each)),
  };
}

/** Tells a finding from what was looked for. */
export function isFinding(value: object): value is Finding {
  return 'severity' in value && 'hint' in value;
}

/** A key as `--key` gives it. */
export type KeyArgument = Readonly<Record<string, string | number | boolean | null>>;

/**
 * Reads the JSON of `--key`: an object with a plain value for every one of these columns and no others.
 *
 * Shape: `readKey('{"mouse":7}', 'lab.grade', ['mouse'])`
 */
export function readKey(text: string, table: string, columns: readonly string[]): KeyArgument | Finding {
  const example = `Write --key '${JSON.stringify(Object.fromEntries(columns.map((column) => [column, '...'])))}'.`;
  const value = parseJson(text);
  if (value === undefined) return usageFinding('--key is no JSON', example);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return usageFinding('--key is no JSON object', example);
  }
  const unknown = Object.keys(value).find((column) => !columns.includes(column));
  if (unknown !== undefined) return unknownKeyColumn(table, unknown, columns);
  const missing = columns.filter((column) => !(column in value));
  if (missing.length > 0) return usageFinding(`--key misses ${missing.join(', ')} of ${table}`, example);
  const nested = Object.entries(value).find(([, member]) => typeof member === 'object' && member !== null);
  if (nested !== undefined) return usageFinding(`--key has no plain value for ${nested[0]}`, example);
  return value as KeyArgument;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function unknownKeyColumn(table: string, column: string, columns: readonly string[]): Finding {
  const nearest = nearestName(column, columns);
  return refusal('unknown_column', `${table}.${column}`, {
    detail: nearest === undefined ? {} : { nearest },
    hint: nearest === undefined ? `The key of ${table} is: ${columns.join(', ')}.` : `Write ${nearest}.`,
  });
}
