/** Rows of a file for a table: JSON Lines, a JSON array, or CSV with a header. What is read is never held whole, save a JSON array. */
import { Readable } from 'node:stream';
import { nearestName, refusal, type Finding } from '../../base/index.ts';
import type { Columns } from '../column.ts';
import type { NumberedRow } from '../insert-rows.ts';
import type { AnyTable } from '../table.ts';
import { fromJson, fromText, isExact, parseExactly } from './input-value.ts';
import { inputFault, splitLines } from './split-lines.ts';

/** How rows are written down. */
export type RowFormat = 'jsonl' | 'json' | 'csv' | 'tsv';

const FORMATS: Readonly<Record<string, RowFormat>> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'json',
  csv: 'csv',
  tsv: 'tsv',
};

/** The format that a file's name tells, `.gz` left out; undefined where it tells none. */
export function formatOfName(name: string): RowFormat | undefined {
  const ending = /\.(?<ending>[a-z]+)(?:\.gz)?$/iu.exec(name)?.groups?.['ending'];
  return ending === undefined ? undefined : FORMATS[ending.toLowerCase()];
}

/** What findings about rows of this format count: lines of the text, or rows of the array. */
export function placeOf(format: RowFormat): 'row' | 'line' {
  return format === 'json' ? 'row' : 'line';
}

/**
 * The rows of an input, each with its place, ready for `insertNumberedRows`. A fault stands in the place of its row, and
 * reading goes on where it can.
 *
 * Units: a row of CSV counts by the line it ends on. A JSON array of more than 256 MB is refused: it would be held whole.
 */
export function readRows(
  table: AnyTable,
  input: AsyncIterable<Uint8Array>,
  format: RowFormat,
): AsyncIterable<NumberedRow> {
  switch (format) {
    case 'jsonl':
      return readJsonLines(table, input);
    case 'json':
      return readJsonArray(table, input);
    case 'csv':
      return readCsv(table, input, ',');
    case 'tsv':
      return readCsv(table, input, '\t');
  }
}

async function* readJsonLines(
  { definition: { columns } }: AnyTable,
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<NumberedRow, void, undefined> {
  const parse = parserOf(columns);
  for await (const line of splitLines(input)) {
    if ('fault' in line) yield line;
    else if (line.text.trim() !== '')
      yield jsonRow(columns, line.number, () => parse(line.text), line.number);
  }
}

/** Keeping every digit takes three times as long, so it is done where a column needs it. */
function parserOf(columns: Columns): (text: string) => unknown {
  return Object.values(columns).some(isExact) ? parseExactly : (text) => JSON.parse(text) as unknown;
}

function jsonRow(columns: Columns, number: number, parse: () => unknown, line?: number): NumberedRow {
  let value: unknown;
  try {
    value = parse();
  } catch {
    return { number, fault: inputFault('not JSON', line) };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const fault = inputFault('not a JSON object', line);
    return {
      number,
      fault: line === undefined ? { ...fault, detail: { ...fault.detail, row: number } } : fault,
    };
  }
  const row = Object.entries(value).map(([name, member]: [string, unknown]) => {
    const column = Object.hasOwn(columns, name) ? columns[name] : undefined;
    return [name, column === undefined ? member : fromJson(column, member)] as const;
  });
  return { number, row: Object.fromEntries(row) };
}

const MOST_ARRAY_BYTES = 256 * 1024 * 1024;

async function* readJsonArray(
  { definition: { columns } }: AnyTable,
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<NumberedRow, void, undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    bytes += chunk.length;
    if (bytes > MOST_ARRAY_BYTES) {
      const reason = 'a JSON array of more than 256 MB; write JSON Lines instead, a row on each line';
      return yield { number: 0, fault: inputFault(reason, undefined) };
    }
    chunks.push(chunk);
  }
  const rows = parseArray(chunks, parserOf(columns));
  if (typeof rows === 'string') return yield { number: 0, fault: inputFault(rows, undefined) };
  for (const [index, row] of rows.entries()) yield jsonRow(columns, index + 1, () => row);
}

function parseArray(
  chunks: readonly Uint8Array[],
  parse: (text: string) => unknown,
): readonly unknown[] | string {
  try {
    const value = parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
    return Array.isArray(value) ? value : 'not a JSON array of rows';
  } catch (error) {
    return error instanceof SyntaxError ? 'not JSON' : 'not UTF-8';
  }
}

interface CsvRecord {
  readonly record: readonly (string | null)[];
  readonly info: { readonly lines: number };
}

/** By the library csv-parse: quotes, line feeds within fields and their like are its business. */
async function* readCsv(
  table: AnyTable,
  input: AsyncIterable<Uint8Array>,
  delimiter: string,
): AsyncGenerator<NumberedRow, void, undefined> {
  const { CsvError, parse } = await import('csv-parse');
  const parser = parse({
    bom: true,
    cast: (value, { quoting }) => (quoting || value !== '' ? value : null),
    delimiter,
    info: true,
    max_record_size: 64 * 1024 * 1024,
    relax_column_count: true,
    skip_empty_lines: true,
  });
  const source = Readable.from(input);
  // `pipe` hands no errors on: without this a file that breaks off would leave the parser waiting.
  source.on('error', (error) => parser.destroy(error));
  let header: readonly string[] | undefined;
  let line = 1;
  try {
    for await (const { record, info } of source.pipe(parser) as AsyncIterable<CsvRecord>) {
      line = info.lines;
      if (header !== undefined) {
        yield csvRow(table, header, record, line);
        continue;
      }
      header = record.map((name) => name ?? '');
      const faults = headerFaults(table, header);
      for (const fault of faults) yield { number: line, fault };
      if (faults.length > 0) return;
    }
    if (header === undefined) yield { number: 1, fault: inputFault('no header line', 1) };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    yield { number: line, fault: inputFault(CSV_REASONS[error.code] ?? 'not CSV', csvLine(error, line)) };
  } finally {
    source.destroy();
  }
}

const CSV_REASONS: Readonly<Record<string, string>> = {
  CSV_INVALID_CLOSING_QUOTE: 'text after a closing quote',
  CSV_QUOTE_NOT_CLOSED: 'a quote that is never closed',
  INVALID_OPENING_QUOTE: 'a quote within a field without quotes',
  CSV_MAX_RECORD_SIZE: 'a row of more than 64 MB',
};

function csvLine(error: object, line: number): number {
  return 'lines' in error && typeof error.lines === 'number' ? error.lines : line;
}

function headerFaults(
  { spec, definition: { columns } }: AnyTable,
  header: readonly string[],
): readonly Finding[] {
  const known = Object.keys(columns);
  const strange = header
    .filter((name) => !Object.hasOwn(columns, name))
    .map((name) => {
      const nearest = nearestName(name, known);
      return refusal('unknown_column', `${spec.name}.${name}`, {
        detail: { line: 1, ...(nearest === undefined ? {} : { nearest }) },
        hint: nearest === undefined ? `The columns are: ${known.join(', ')}.` : `Did you mean ${nearest}?`,
      });
    });
  const twice = header.filter((name, at) => header.indexOf(name) !== at);
  const missing = Object.entries(columns)
    .filter(
      ([name, column]) => !column.isNullable && column.defaultValue === undefined && !header.includes(name),
    )
    .map(([name]) => name);
  return [
    ...strange,
    ...[...new Set(twice)].map((name) =>
      inputFault('a column that the header names twice', 1, `${spec.name}.${name}`),
    ),
    ...missing.map((name) =>
      inputFault('the header misses a column that must have a value', 1, `${spec.name}.${name}`),
    ),
  ];
}

function csvRow(
  { definition: { columns } }: AnyTable,
  header: readonly string[],
  record: readonly (string | null)[],
  line: number,
): NumberedRow {
  if (record.length !== header.length) {
    return {
      number: line,
      fault: inputFault(`${record.length} fields where the header has ${header.length}`, line),
    };
  }
  const row = header.map((name, at) => {
    const column = columns[name];
    return [name, column === undefined ? undefined : fromText(column, record[at] ?? null)] as const;
  });
  return { number: line, row: Object.fromEntries(row) };
}
