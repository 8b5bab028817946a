/**
 * Comments that allow what a check would refuse, with the reason:
 *
 * ```text
 * // varve-allow clock: only the log line carries it
 * ```
 *
 * It stands on the line of the finding or on the one above, names what is allowed (`clock` of `undeclared_clock`) and
 * gives a reason; without one it allows nothing and is refused. What is allowed is still told, as `info`, with the reason.
 */
import type typescript from 'typescript';
import type { OutsideCode } from './outside.ts';
import type { SourceProgram } from './source-program.ts';

/** A comment that allows something. */
export interface Allowance {
  readonly sourceFile: typescript.SourceFile;
  /** Offset of the comment in its file. */
  readonly position: number;
  /** From 0. */
  readonly line: number;
  /** The last line of code that it speaks of: its own, or that below it. */
  readonly untilLine: number;
  /** As it is written, which may be no known one. */
  readonly what: string;
  readonly code: OutsideCode | undefined;
  /** Empty: it allows nothing. */
  readonly reason: string;
}

/** What can be allowed, by the word that allows it. */
export const ALLOWED_CODES: Readonly<Record<string, OutsideCode>> = {
  client: 'undeclared_client',
  clock: 'undeclared_clock',
  environment: 'undeclared_environment',
  files: 'undeclared_files',
  network: 'undeclared_network',
  randomness: 'undeclared_randomness',
  read: 'undeclared_read',
};

const COMMENT = /^(?:\/\/|\/\*+)\s*varve-allow\b\s*(?<what>[\w-]*)\s*:?\s*(?<reason>.*?)\s*(?:\*\/)?$/s;

/** The allowances of a file, in order. */
export function allowancesIn({ ts }: SourceProgram, sourceFile: typescript.SourceFile): readonly Allowance[] {
  const { text } = sourceFile;
  if (!text.includes('varve-allow')) return [];
  return commentsIn(ts, sourceFile).flatMap(({ pos, end }) => {
    const groups = COMMENT.exec(text.slice(pos, end))?.groups;
    if (groups === undefined) return [];
    const { what = '', reason = '' } = groups;
    const { line } = sourceFile.getLineAndCharacterOfPosition(pos);
    const untilLine = nextCodeLine(sourceFile, sourceFile.getLineAndCharacterOfPosition(end).line);
    const code = Object.hasOwn(ALLOWED_CODES, what) ? ALLOWED_CODES[what] : undefined;
    return [{ sourceFile, position: pos, line, untilLine, what, code, reason }];
  });
}

/** The first line after the comment that is no comment itself, so that several can stand above one line. */
function nextCodeLine(sourceFile: typescript.SourceFile, line: number): number {
  const lines = sourceFile.text.split('\n');
  let next = line + 1;
  while (/^\s*(?:\/\/.*)?$/.test(lines[next] ?? 'end')) next += 1;
  return next;
}

/** Asked of the tokens, so that a text which looks like a comment is none. */
function commentsIn(
  ts: SourceProgram['ts'],
  sourceFile: typescript.SourceFile,
): readonly typescript.CommentRange[] {
  const byPosition = new Map<number, typescript.CommentRange>();
  const visit = (node: typescript.Node): void => {
    const children = node.getChildren(sourceFile);
    if (children.length === 0) {
      const { text } = sourceFile;
      const ranges = [
        ...(ts.getLeadingCommentRanges(text, node.pos) ?? []),
        ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
      ];
      if (node.kind !== ts.SyntaxKind.JsxText) ranges.forEach((range) => byPosition.set(range.pos, range));
    }
    children.forEach(visit);
  };
  visit(sourceFile);
  return [...byPosition.values()].toSorted((left, right) => left.pos - right.pos);
}
