import { open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, isoTime, VarveError, type Clock, type JsonObject } from '../base/index.ts';
import { chainLine, EMPTY_CHAIN, readChain, type ChainHead, type ChainLine } from '../evidence/index.ts';
import { hasCode, makeFolder, syncFolder } from './durable.ts';
import { readIfThere } from './evidence-store.ts';

/**
 * The intent log of one run on this machine: what the runner is about to do, each line on disk before the act that it
 * announces (M61). The database's ledger decides what became of a run; the intent log knows of a run before the
 * database does, and which receipt was about to be written.
 *
 * Format: `runs/<run>/intent.jsonl`, one canonical line each, chained by digest; a line that a kill cut short
 * announces nothing and is cut off when the run goes on.
 */
export interface IntentLog {
  readonly runId: string;
  readonly lines: () => readonly ChainLine[];
  /** Writes a line and waits until it is on disk. */
  readonly announce: (state: IntentState, facts?: JsonObject) => Promise<void>;
}

/** What a line announces. */
export type IntentState =
  | 'opened'
  | 'locked'
  | 'baselined'
  | 'executing'
  | 'step_started'
  | 'step_done'
  | 'deciding'
  | 'judged'
  | 'prepared'
  | 'witnessed'
  | 'committed'
  | 'after_started'
  | 'undoing'
  | 'undone'
  | 'verified'
  | 'receipted'
  | 'closed';

/** Opens the log of a run, new or as it was left. Errors: throws `evidence_changed` when its chain is broken. */
export async function openIntentLog(root: string, runId: string, clock: Clock): Promise<IntentLog> {
  const folder = runFolder(root, runId);
  const path = join(folder, 'intent.jsonl');
  await makeFolder(folder);
  const kept = await readIntents(path);
  await cutOff(path, kept);
  const lines = [...kept];
  let head: ChainHead = lines.at(-1) ?? EMPTY_CHAIN;
  return {
    runId,
    lines: () => lines,
    announce: async (state, facts = {}) => {
      const line = chainLine(head, { ...facts, state, run_id: runId, at: isoTime(clock.nowMs()) });
      await appendLine(folder, path, canonicalJson(line));
      lines.push(line);
      head = line;
    },
  };
}

/** The runs whose log on this machine is not closed, oldest first. */
export async function openRunsOnDisk(root: string): Promise<readonly (readonly ChainLine[])[]> {
  const runs: (readonly ChainLine[])[] = [];
  for (const name of await runNames(join(root, 'runs'))) {
    const lines = await readIntents(join(root, 'runs', name, 'intent.jsonl'));
    if (lines.length > 0 && lines.at(-1)?.['state'] !== 'closed') runs.push(lines);
  }
  return runs;
}

/** The folder of a run: its id without the scheme; `:` is no character of a file name everywhere. */
export function runFolder(root: string, runId: string): string {
  return join(root, 'runs', runId.slice('varve://run/'.length).replaceAll(':', ''));
}

async function runNames(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

async function readIntents(path: string): Promise<readonly ChainLine[]> {
  const bytes = await readIfThere(path);
  const { lines, broken } = readChain(new TextDecoder().decode(bytes ?? new Uint8Array()));
  if (broken === undefined || broken.reason === 'cut_short') return lines;
  throw new VarveError('evidence_changed', {
    detail: { path, line: broken.line, reason: broken.reason },
    hint: 'Somebody edited an intent log. Move the folder away: the database settles the run without it.',
  });
}

async function cutOff(path: string, lines: readonly ChainLine[]): Promise<void> {
  const bytes = await readIfThere(path);
  const text = lines.map((line) => `${canonicalJson(line)}\n`).join('');
  if (bytes === undefined || bytes.byteLength === new TextEncoder().encode(text).byteLength) return;
  const temporary = `${path}.cut`;
  const handle = await open(temporary, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncFolder(join(path, '..'));
}

async function appendLine(folder: string, path: string, line: string): Promise<void> {
  const isNew = (await readIfThere(path)) === undefined;
  const handle = await open(path, 'a');
  try {
    await handle.writeFile(`${line}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (isNew) await syncFolder(folder);
}
