import { canonicalJson, VarveError, type Json, type JsonObject } from '../base/index.ts';
import { digestOf, type Digest } from './digest.ts';

/**
 * Lines chained by digest. Each line is a JSON object with `seq` from 1, `prev` (the digest of the line before) and
 * `digest` (that of the line itself without this member), so a line that is changed, lost in the middle or moved shows.
 * A lost tail does not: heads kept elsewhere expose it.
 */
export interface ChainLine extends JsonObject {
  readonly seq: number;
  readonly prev: Digest;
  readonly digest: Digest;
}

/** Where a chain stands. */
export interface ChainHead {
  readonly seq: number;
  readonly digest: Digest;
}

/** The head of a chain without lines. */
export const EMPTY_CHAIN: ChainHead = { seq: 0, digest: `sha256:${'0'.repeat(64)}` };

/** The next line of a chain. The three names of the chain are its own: a body that has one of them is a bug. */
export function chainLine<T extends JsonObject>(head: ChainHead, body: T): T & ChainLine {
  const taken = ['seq', 'prev', 'digest'].filter((name) => name in body);
  if (taken.length > 0) throw new VarveError('internal', { detail: { taken }, hint: 'Rename these members.' });
  const line = { ...body, seq: head.seq + 1, prev: head.digest };
  return { ...line, digest: digestOf(line) };
}

/** What `readChain` found: the lines that hold together, and where the first one that does not stands. */
export interface ChainReading {
  readonly lines: readonly ChainLine[];
  readonly head: ChainHead;
  /** Undefined where all lines hold. `line` counts from 1. */
  readonly broken?: {
    readonly line: number;
    readonly reason: 'not_json' | 'digest' | 'prev' | 'seq' | 'not_canonical' | 'cut_short';
  };
}

/**
 * Reads the text of a chain file, one canonical line each, ended by a newline.
 *
 * The first line may continue another chain: its own `seq` and `prev` are taken as given. A last line without its
 * newline is `cut_short`, what a kill in the middle of a write leaves behind: it announces nothing.
 */
export function readChain(text: string): ChainReading {
  const rows = text.split('\n');
  const tail = rows.pop() ?? '';
  const lines: ChainLine[] = [];
  for (const [index, row] of rows.entries()) {
    const reason = judgeLine(row, lines.at(-1));
    if (typeof reason === 'string') return { ...reading(lines), broken: { line: index + 1, reason } };
    lines.push(reason);
  }
  if (tail === '') return reading(lines);
  return { ...reading(lines), broken: { line: rows.length + 1, reason: 'cut_short' } };
}

function reading(lines: readonly ChainLine[]): ChainReading {
  const last = lines.at(-1);
  return { lines, head: last === undefined ? EMPTY_CHAIN : { seq: last.seq, digest: last.digest } };
}

function judgeLine(
  row: string,
  before: ChainLine | undefined,
): ChainLine | 'not_json' | 'digest' | 'prev' | 'seq' | 'not_canonical' {
  const value = parse(row);
  if (value === undefined) return 'not_json';
  if (canonicalText(value) !== row) return 'not_canonical';
  if (!isChainLine(value)) return 'not_json';
  const { digest, ...body } = value;
  if (digestOf(body) !== digest) return 'digest';
  if (before !== undefined && value.prev !== before.digest) return 'prev';
  if (before !== undefined && value.seq !== before.seq + 1) return 'seq';
  return value;
}

function parse(row: string): Json | undefined {
  try {
    return JSON.parse(row) as Json;
  } catch {
    return undefined;
  }
}

function canonicalText(value: Json): string | undefined {
  try {
    return canonicalJson(value);
  } catch {
    return undefined;
  }
}

function isChainLine(value: Json): value is ChainLine {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { seq, prev, digest } = value as JsonObject;
  return typeof seq === 'number' && typeof prev === 'string' && typeof digest === 'string';
}
