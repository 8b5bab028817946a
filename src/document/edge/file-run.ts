import type { Finding } from '../../base/index.ts';
import type { BatchCounts } from '../batch.ts';
import type { Model } from '../model.ts';
import type { Version } from '../version.ts';
import type { AppendFile } from './append-file.ts';
import type { AllowedPaths } from './changed-pointer.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { UnitWork } from './migrate-unit.ts';

/** How many threads, and where they find the document type. */
export interface WorkerOptions {
  readonly count: number;
  /** URL of a module that exports it. */
  readonly module: string;
}

/** How a file or folder is migrated. */
export interface MigrateFileOptions {
  /** Default: the current version. */
  readonly to?: Version;
  /** Goes on where a stopped run had come to. */
  readonly resume?: boolean;
  /** The time of the run. Default: the clock, read once. */
  readonly now?: string;
  readonly run?: string;
  /** How many documents may be quarantined. Default 0. */
  readonly maxQuarantined?: number;
  readonly allowLossy?: boolean;
  readonly keepOrder?: boolean;
  /** Where documents may change; one that changes elsewhere is quarantined. Default: anywhere. */
  readonly allowedPaths?: AllowedPaths;
  /** Threads that move the lines of a file. Default: this one does. */
  readonly workers?: WorkerOptions;
  /** Bytes of input between two checkpoints, which is what a killed run does again. Default 8 MiB. */
  readonly batchBytes?: number;
  /** Stops the run at its next checkpoint. */
  readonly signal?: AbortSignal;
  /** Called after each checkpoint. */
  readonly onBatch?: (counts: BatchCounts, place: number) => void | Promise<void>;
}

/** What the readers of the different inputs work with. */
export interface FileRun {
  readonly model: Model;
  readonly input: string;
  readonly part: string;
  readonly to: Version;
  readonly start: Checkpoint;
  readonly quarantine: AppendFile;
  readonly beside: AppendFile;
  readonly options: MigrateFileOptions;
  /** Vouches for all that was synced: call it after the output was. */
  readonly checkpoint: (place: number, outputLength: number, counts: BatchCounts) => Promise<void>;
}

/** How far a run came. */
export interface RunEnd {
  readonly counts: BatchCounts;
  /** Whether all is done; else it was stopped on request. */
  readonly isDone: boolean;
  /** Why it did not begin. */
  readonly findings?: readonly Finding[];
}

const BLOCK_BYTES = 1024 * 1024;
const CHECKPOINT_BYTES = 8 * BLOCK_BYTES;

/** Bytes of input that are written at once, a member of a compressed output; and those between two checkpoints. */
export function sizesOf({ options }: FileRun): {
  readonly blockBytes: number;
  readonly checkpointBytes: number;
} {
  const checkpointBytes = options.batchBytes ?? CHECKPOINT_BYTES;
  return { blockBytes: Math.min(BLOCK_BYTES, checkpointBytes), checkpointBytes };
}

/** What is done with each document. */
export function workOf({ model, to, start, options }: FileRun): UnitWork {
  const { run, allowLossy, keepOrder, allowedPaths } = options;
  return {
    model,
    to,
    options: {
      now: start.now,
      ...(run === undefined ? {} : { run }),
      ...(allowLossy === undefined ? {} : { allowLossy }),
      ...(keepOrder === undefined ? {} : { keepOrder }),
      ...(allowedPaths === undefined ? {} : { allowedPaths }),
    },
  };
}

/** Whether the run was asked to stop. */
export function isStopped({ options }: FileRun): boolean {
  return options.signal?.aborted === true;
}
