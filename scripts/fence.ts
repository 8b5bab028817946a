import { globSync, readFileSync } from 'node:fs';

/** A fenced block of a page or of a TSDoc comment. */
export interface Fence {
  readonly filePath: string;
  /** Of the opening line, from 1. */
  readonly line: number;
  /** The word after the backticks, such as `ts`; empty where there is none. */
  readonly language: string;
  readonly body: string;
}

/** Every fence of the Markdown pages, the changesets and the TSDoc comments in src. */
export function allFences(): readonly Fence[] {
  const pages = markdownPages().flatMap((filePath) => fencesOf(filePath, readFileSync(filePath, 'utf8')));
  const comments = globSync('src/**/*.ts').flatMap((filePath) =>
    fencesOf(filePath, onlyComments(readFileSync(filePath, 'utf8'))),
  );
  return [...pages, ...comments];
}

/** The pages a reader finds; a changeset is one, it becomes the change log. */
export function markdownPages(): readonly string[] {
  const patterns = ['*.md', 'docs/**/*.md', 'examples/**/*.md', '.changeset/*.md'];
  return globSync(patterns, { exclude: ['**/node_modules/**'] }).toSorted();
}

/** The fences of a text; a longer row of backticks may hold shorter ones. */
export function fencesOf(filePath: string, text: string): readonly Fence[] {
  const found = text.matchAll(/^([ \t]*)(`{3,})([^\s`]*)[^\n]*\n([\s\S]*?)^[ \t]*\2[ \t]*$/gm);
  return [...found].map((match) => {
    const [, indent = '', , language = '', body = ''] = match;
    return { filePath, line: lineAt(text, match.index), language, body: undent(body, indent) };
  });
}

/** A source with everything but the text of its TSDoc comments blanked, line by line, so that line numbers hold. */
export function onlyComments(source: string): string {
  let inside = false;
  const lines = source.split('\n').map((line) => {
    const opens = /^\s*\/\*\*/.test(line);
    const closes = line.includes('*/');
    const text = inside && !closes ? line.replace(/^\s*\* ?/, '') : '';
    inside = (inside || opens) && !closes;
    return text;
  });
  return lines.join('\n');
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

function undent(body: string, indent: string): string {
  if (indent === '') return body;
  return body.replaceAll(new RegExp(`^[ \\t]{1,${indent.length}}`, 'gm'), '');
}
