/**
 * How far a run has come: written after its outputs are on disk, by a temporary name, sync and rename, so that it is
 * always whole and never ahead of them.
 */
import { readFile, rm, stat } from 'node:fs/promises';
import type { Digest } from '../../evidence/index.ts';
import type { BatchCounts } from '../batch.ts';
import { writeWhole } from './write-whole.ts';

/** What a resumed run needs to go on as if it had never been stopped. */
export interface Checkpoint {
  readonly format: 1;
  readonly source: SourceIdentity;
  /** Digest of the document type and the target: another one gives another result. */
  readonly plan: Digest;
  /** Bytes of the input that are done; of a folder, how many files are. */
  readonly place: number;
  readonly lengths: { readonly output: number; readonly quarantine: number; readonly beside: number };
  readonly counts: BatchCounts;
  readonly now: string;
}

/** What tells whether an input is still the same. */
export interface SourceIdentity {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

/** The identity of a file or folder. */
export async function sourceIdentity(path: string): Promise<SourceIdentity> {
  const { size, mtimeMs } = await stat(path);
  return { path, sizeBytes: size, modifiedMs: mtimeMs };
}

/** Whether it is still the same, as far as its size and time tell. */
export function isSameSource(left: SourceIdentity, right: SourceIdentity): boolean {
  return left.sizeBytes === right.sizeBytes && left.modifiedMs === right.modifiedMs;
}

/** The checkpoint of an output, if there is one. */
export async function readCheckpoint(path: string): Promise<Checkpoint | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Checkpoint;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a checkpoint so that a crash leaves the old one or the new one. */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  await writeWhole(path, `${JSON.stringify(checkpoint)}\n`);
}

/** Forgets a checkpoint. */
export async function removeCheckpoint(path: string): Promise<void> {
  await rm(path, { force: true });
}
