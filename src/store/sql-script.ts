/**
 * A script of SQL statements, read by PostgreSQL's own parser, with the place of each statement and node.
 *
 * The parser stops at the first thing it does not know and then gives no tree at all. What it stopped at is told as a
 * fault, blanked (byte by byte, so that all places stay), and the text is parsed again: the statements around it are
 * read as if it were not there.
 *
 * | it stops at | blanked |
 * |---|---|
 * | a command of psql, such as `\connect lab` | to the end of its line; one that also sends what stands before it, such as `\gset`, leaves a semicolon |
 * | rows that follow `copy ... from stdin;` | to the line `\.` |
 * | anything else | the statement that holds it, up to its semicolon |
 */
import type { Node, ParseResult } from 'libpg-query';
import { indexText, type TextPlace } from './text-place.ts';

/** One statement of a script. */
export interface ScriptStatement {
  readonly node: Node;
  /** UTF-16 offset of its first word: comments before it do not count. */
  readonly start: number;
  /** UTF-16 offset after its last character, the semicolon left out. */
  readonly end: number;
}

/** What could not be read. */
export interface ScriptFault {
  readonly kind: 'syntax' | 'psql' | 'copy_rows' | 'nul' | 'too_many';
  readonly offset: number;
  /** What the parser says, without texts and numbers of the script. */
  readonly reason: string;
}

/** A comment or another word of a script, as it stands there. */
export interface ScriptToken {
  readonly kind: 'comment' | 'other';
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A script that was read. */
export interface Script {
  readonly statements: readonly ScriptStatement[];
  readonly faults: readonly ScriptFault[];
  /** UTF-16 offset of a node's `location`. */
  readonly offsetOf: (location: number) => number;
  readonly placeOf: (offset: number) => TextPlace;
  /** All words, comments among them, told apart at the first call; none where they cannot be. */
  readonly tokens: () => readonly ScriptToken[];
}

/** Each fault costs another reading of the whole. */
const MAX_FAULTS = 20;

/** Reads a script; the parser is loaded at the first call. */
export async function readScript(text: string): Promise<Script> {
  // WebAssembly of 1.7 MB: loaded by the first script, not by those who import this folder.
  const parser = await import('libpg-query');
  await parser.loadModule();
  const { offsetOfByte, placeOf } = indexText(text);
  const { parsed, readable, faults } = parseAround(parser, text);
  let scanned: readonly ScriptToken[] | undefined;
  return {
    statements: statementsOf(parsed, offsetOfByte, text.length),
    faults: faults.map(({ byteOffset, ...fault }) => ({ ...fault, offset: offsetOfByte(byteOffset) })),
    offsetOf: offsetOfByte,
    placeOf,
    tokens: () => (scanned ??= tokensOf(parser, readable, offsetOfByte)),
  };
}

type Parser = typeof import('libpg-query');

/** Blanking keeps bytes, not characters, so that a fault found after it is told by its byte. */
type ByteFault = Omit<ScriptFault, 'offset'> & { readonly byteOffset: number };

interface Reading {
  readonly parsed: ParseResult;
  /** What was parsed in the end: the text with its faults blanked. */
  readonly readable: string;
  readonly faults: readonly ByteFault[];
}

function parseAround(parser: Parser, text: string): Reading {
  const { readable: whole, faults } = withoutNul(text);
  let readable = whole;
  for (;;) {
    const parsed = parse(parser, readable);
    if (!('offset' in parsed)) return { parsed, readable, faults };
    const { fault, blankedText } = aroundFault(parser, readable, parsed);
    const byteOffset = byteLength(readable.slice(0, fault.offset));
    faults.push({ kind: fault.kind, reason: fault.reason, byteOffset });
    readable = blankedText;
    if (faults.length < MAX_FAULTS) continue;
    faults.push({ kind: 'too_many', byteOffset, reason: 'what follows was not read' });
    readable = readable.slice(0, fault.offset);
  }
}

interface Stop {
  readonly offset: number;
  readonly reason: string;
}

function parse(parser: Parser, text: string): ParseResult | Stop {
  // The parser refuses a text without any character that counts.
  if (isBlank(text)) return { version: 0, stmts: [] };
  try {
    return parser.parseSync(text);
  } catch (error) {
    if (!parser.hasSqlDetails(error) || error.sqlDetails === undefined) throw error;
    const { message, cursorPosition } = error.sqlDetails;
    return {
      offset: indexText(text).offsetOfCharacter(Math.max(0, cursorPosition)),
      reason: withoutValues(message),
    };
  }
}

/** The parser quotes the word it stopped at. A keyword or a sign may be told on; a text or a number is a value. */
function withoutValues(message: string): string {
  const [, told = message, word = ''] = /^(.*?) at or near "(.*)"$/s.exec(message) ?? [];
  return /^(?:[A-Za-z_]\w*|[^\w'"$\s]+)$/.test(word) ? message : told;
}

/** By PostgreSQL's own list of white space, which is shorter than JavaScript's. */
function isBlank(text: string): boolean {
  return !/[^ \t\r\n\f\v]/.test(text);
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** None where the words cannot be told apart, as in a text that never ends. */
function tokensOf(
  parser: Parser,
  text: string,
  offsetOfByte: (byte: number) => number,
): readonly ScriptToken[] {
  if (isBlank(text)) return [];
  try {
    return parser.scanSync(text).tokens.map(({ start, end, text: word, tokenType }) => ({
      kind: COMMENTS.has(tokenType) ? 'comment' : 'other',
      text: word,
      start: offsetOfByte(start),
      end: offsetOfByte(end),
    }));
  } catch {
    // It throws bare errors, and answers some texts with what is no JSON.
    return [];
  }
}

/** `--` and those between slash and star; the parser gives no names to its kinds of words. */
const COMMENTS: ReadonlySet<number> = new Set([275, 276]);

/** The parser takes a NUL for the end and would be silent about what follows it. */
function withoutNul(text: string): { readonly readable: string; readonly faults: ByteFault[] } {
  const offset = text.indexOf('\0');
  if (offset < 0) return { readable: text, faults: [] };
  const readable = text.slice(0, offset);
  const reason = 'a character NUL; what follows was not read';
  return { readable, faults: [{ kind: 'nul', byteOffset: byteLength(readable), reason }] };
}

function statementsOf(
  { stmts = [] }: ParseResult,
  offsetOfByte: (byte: number) => number,
  length: number,
): readonly ScriptStatement[] {
  return stmts.flatMap(({ stmt, stmt_location = 0, stmt_len }) => {
    if (stmt === undefined) return [];
    // The last statement has no length where no semicolon ends it.
    const end = stmt_len === undefined ? length : offsetOfByte(stmt_location + stmt_len);
    return [{ node: stmt, start: offsetOfByte(stmt_location), end }];
  });
}

interface Recovery {
  readonly fault: ScriptFault;
  readonly blankedText: string;
}

function aroundFault(parser: Parser, text: string, { offset, reason }: Stop): Recovery {
  const before = wordsIn(parser, text.slice(0, offset));
  const start = startOfStatement(before, text);
  if (text[offset] === '\\') {
    const end = endOfLine(text, offset);
    const sends = start < offset && SENDING.test(text.slice(offset, end));
    const fault: ScriptFault = { kind: 'psql', offset, reason: 'a command of psql' };
    return { fault, blankedText: blank(text, offset, end, sends ? ';' : '') };
  }
  const copyEnd = endOfCopyRows(before, text, start);
  if (copyEnd !== undefined) {
    const fault: ScriptFault = { kind: 'copy_rows', offset: start, reason: 'rows of COPY in a script' };
    return { fault, blankedText: blank(text, start, copyEnd, '') };
  }
  const end = endOfStatement(parser, text, offset);
  return { fault: { kind: 'syntax', offset, reason }, blankedText: blank(text, start, end, '') };
}

/** Where the words cannot be told apart, as before a text that never ends, the next semicolon has to do. */
function endOfStatement(parser: Parser, text: string, offset: number): number {
  const words = wordsIn(parser, text.slice(offset));
  const found =
    words.length === 0
      ? text.slice(offset).indexOf(';')
      : (words.find((token) => token.text === ';')?.start ?? -1);
  return found < 0 ? text.length : offset + found;
}

function wordsIn(parser: Parser, text: string): readonly ScriptToken[] {
  return tokensOf(parser, text, indexText(text).offsetOfByte).filter(({ kind }) => kind === 'other');
}

/** These commands of psql end the statement before them as a semicolon does. */
const SENDING = /^\\(?:g|gx|gset|gexec|gdesc|crosstabview|watch)\b/;

function startOfStatement(before: readonly ScriptToken[], text: string): number {
  const semicolon = before.findLastIndex((token) => token.text === ';');
  const first = before[semicolon + 1];
  if (first !== undefined) return first.start;
  const end = before[semicolon]?.end ?? 0;
  return end + text.slice(end).search(/[^ \t\r\n\f\v]|$/);
}

/** Where rows stand in the script, which `copy ... from stdin;` before them says: the end of the line `\.`. */
function endOfCopyRows(before: readonly ScriptToken[], text: string, start: number): number | undefined {
  const statements = before.filter((token) => token.end <= start);
  const last = statements.findLastIndex((token, at) => token.text === ';' && at < statements.length - 1);
  const words = statements.slice(last + 1).map((token) => token.text.toLowerCase());
  const stdin = words.indexOf('stdin');
  if (words[0] !== 'copy' || words[stdin - 1] !== 'from') return undefined;
  const found = /^\\\.\r?$/m.exec(text.slice(start));
  return found === null ? text.length : start + found.index + 2;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

/** The same bytes without meaning: each byte a space, line feeds kept. */
function blank(text: string, start: number, end: number, instead: '' | ';'): string {
  const blanked = Array.from(text.slice(start, end), (character) =>
    character === '\n' ? '\n' : ' '.repeat(byteLength(character)),
  ).join('');
  return text.slice(0, start) + instead + blanked.slice(instead.length) + text.slice(end);
}
