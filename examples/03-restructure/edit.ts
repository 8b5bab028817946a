// The edits that the stories make to definitions which another example has too, so that only what is different is told.
import { readFile, writeFile } from 'node:fs/promises';
import { styleText } from 'node:util';

/** Text that stands in a file once, and what takes its place. */
export interface Edit {
  readonly before: string;
  readonly after: string;
}

/** Makes the edits and shows them. Throws where a text stands in the file no more: the other example moved on. */
export async function edit(filePath: string, edits: readonly Edit[]): Promise<void> {
  let text = await readFile(filePath, 'utf8');
  for (const { before, after } of edits) {
    if (text.split(before).length !== 2) throw new TypeError(`not once in ${filePath}: ${before}`);
    text = text.replace(before, () => after);
    show(before, after);
  }
  await writeFile(filePath, text);
}

/** The lines that go and come; what both have at their ends is left out. */
function show(before: string, after: string): void {
  const [old, now] = [before.split('\n'), after.split('\n')];
  const kept = new Set(old.filter((line) => now.includes(line)));
  for (const line of old) if (!kept.has(line)) console.log(paint('red', `- ${line}`));
  for (const line of now) if (!kept.has(line)) console.log(paint('green', `+ ${line}`));
}

function paint(style: 'red' | 'green', text: string): string {
  return styleText(style, text, { stream: process.stdout });
}
