import { open, rm } from 'node:fs/promises';
import { refusal, type Finding, type Json } from '../base/index.ts';

/** A file that rows go into, a line each. */
export interface RowsFile {
  readonly write: (row: Json) => Promise<void>;
  readonly rows: () => number;
}

const FLUSH_CHARACTERS = 1_000_000;

/**
 * Writes JSON Lines into a file that is not there yet; where the work fails, no half of it is left behind.
 *
 * Errors: refuses with `files_exist`, `file_unreadable` where the path cannot be written.
 */
export async function writeRowsFile<T>(
  path: string,
  work: (file: RowsFile) => Promise<T>,
): Promise<
  { readonly status: 'ok'; readonly result: T } | { readonly status: 'refused'; readonly finding: Finding }
> {
  let handle;
  try {
    handle = await open(path, 'wx');
  } catch (error) {
    return { status: 'refused', finding: pathFault(path, error) };
  }
  let text = '';
  let rows = 0;
  let isWhole = false;
  try {
    const result = await work({
      rows: () => rows,
      write: async (row) => {
        text += `${JSON.stringify(row)}\n`;
        rows += 1;
        if (text.length < FLUSH_CHARACTERS) return;
        await handle.writeFile(text);
        text = '';
      },
    });
    await handle.writeFile(text);
    isWhole = true;
    return { status: 'ok', result };
  } finally {
    await handle.close();
    if (!isWhole) await rm(path, { force: true });
  }
}

function pathFault(path: string, error: unknown): Finding {
  const code =
    typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
  return code === 'EEXIST'
    ? refusal('files_exist', path, { hint: 'Name a file that is not there yet.' })
    : refusal('file_unreadable', path, { detail: { reason: code }, hint: 'Check the path and its rights.' });
}
