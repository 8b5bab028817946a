import { createRequire } from 'node:module';
import { stripVTControlCharacters, styleText } from 'node:util';
import type { Finding } from '../base/index.ts';
import type { Io } from './io.ts';

/** How a command ended; the `status` of its JSON. */
export type Status = 'ok' | 'refused' | 'failed' | 'rolled_back' | 'indeterminate';

/** What a command hands back to be printed; it prints nothing itself. */
export interface CommandResult {
  readonly status: Status;
  /** Reasons of a refusal, warnings of a success; default none. */
  readonly findings?: readonly Finding[];
  /** The members of the JSON object beside status and findings, in camelCase; a bigint becomes a number. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** The same for people: complete text, without a line feed at its end. */
  readonly text?: (style: Style) => string;
}

type StyleName = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan';

/** Puts a text in a style where colour is wanted, and leaves it alone elsewhere. */
export type Style = (name: StyleName, text: string) => string;

/** The style of one stream: coloured on a terminal, unless NO_COLOR is set or the terminal is dumb. */
export function streamStyle(io: Io, stream: 'stdout' | 'stderr'): Style {
  const coloured = io.isTerminal[stream] && !io.env['NO_COLOR'] && io.env['TERM'] !== 'dumb';
  return coloured ? (name, text) => styleText(name, text, { validateStream: false }) : (_, text) => text;
}

/** A column of a printed table. */
export interface Column {
  readonly head: string;
  /** Numbers stand right. Default left. */
  readonly align?: 'left' | 'right';
}

/**
 * Rows under heads in aligned columns, by display width, so that wide characters and colours do not shift a column.
 *
 * Example:
 * ```ts
 * console.log(tableText((_, text) => text, [{ head: 'table' }, { head: 'rows', align: 'right' }], [['lab.mouse', '2']]));
 * ```
 */
export function tableText(
  style: Style,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const heads = columns.map(({ head }) => head);
  const widths = columns.map((_, at) =>
    [heads, ...rows].reduce((widest, cells) => Math.max(widest, displayWidth(cells[at] ?? '')), 0),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, at) => pad(cells[at] ?? '', widths[at] ?? 0, align ?? 'left'))
      .join('  ')
      .trimEnd();
  return [style('bold', line(heads)), ...rows.map(line)].join('\n');
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'left' ? text + space : space + text;
}

const PRINTABLE_ASCII = /^[ -~]*$/u;

function displayWidth(text: string): number {
  const plain = stripVTControlCharacters(text);
  return PRINTABLE_ASCII.test(plain) ? plain.length : loadStringWidth()(plain);
}

let stringWidth: ((text: string) => number) | undefined;

/** Loaded by the first text that needs it: its tables of Unicode cost 40 ms, half of what starting may take. */
function loadStringWidth(): (text: string) => number {
  const require = createRequire(import.meta.url);
  stringWidth ??= (require('string-width') as { readonly default: (text: string) => number }).default;
  return stringWidth;
}

/** A count for people: `1,234,567`. */
export function countText(count: number | bigint): string {
  return count.toLocaleString('en-US');
}

/** A count with its noun: `1 key`, `2 keys`. */
export function countOf(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? '' : 's'}`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** `1.2 MB`, in powers of a thousand. */
export function sizeText(sizeBytes: number): string {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, sizeBytes)) / 3));
  const size = sizeBytes / 1000 ** step;
  return `${step === 0 ? String(size) : size.toFixed(1)} ${UNITS[step] ?? 'B'}`;
}

/** The one JSON object of `--json`. */
export function resultJson(result: CommandResult): string {
  const object = { status: result.status, findings: result.findings ?? [], ...result.fields };
  return JSON.stringify(
    object,
    (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value),
    2,
  );
}
