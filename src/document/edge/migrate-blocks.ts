import { gzipSync } from 'node:zlib';
import type { BatchCounts } from '../batch.ts';
import { NO_COUNTS } from '../batch.ts';
import { openAppendFile } from './append-file.ts';
import { isStopped, sizesOf, workOf, type FileRun, type RunEnd } from './file-run.ts';
import { migrateUnit, nothingWritten } from './migrate-unit.ts';
import { readBlocks, type Block } from './read-blocks.ts';
import { fileBytes } from './read-units.ts';
import type { BlockAnswer } from './worker-message.ts';
import type { WorkerPool } from './worker-pool.ts';

/** A block on its way. */
interface Waiting {
  readonly block: Block;
  readonly isZipped: boolean;
  readonly answer: Promise<BlockAnswer>;
}

/**
 * Migrates the lines of a file on several threads.
 *
 * Invariant: the files are byte for byte those of a run on one thread, wherever either writes a checkpoint. Blocks end where
 * that one writes, and what comes of them is put in order.
 */
export async function migrateBlocks(run: FileRun, pool: WorkerPool): Promise<RunEnd> {
  await using output = await openAppendFile(run.part, run.start.lengths.output);
  const isZipped = run.input.endsWith('.gz');
  const state = { isCut: false };
  const { blockBytes, checkpointBytes } = sizesOf(run);
  const chunks = fileBytes(run.input, run.start.place, state, blockBytes);
  const blocks = readBlocks(chunks, blockBytes, run.model.limits.sizeBytes, run.start.place);
  const waiting: Waiting[] = [];
  let { place, counts } = run.start;
  let pending: Uint8Array[] = [];
  let isFresh = true;
  let sinceCheckpoint = 0;
  let writing: Promise<void> = Promise.resolve();
  // What is written meanwhile hinders neither the reading nor the threads; one answer is written after the other.
  const settleFirst = async (): Promise<void> => {
    const first = waiting.shift();
    if (first === undefined) return;
    const answer = await first.answer;
    await writing;
    writing = write(first, answer);
    // Whoever waits for it next learns of a fault.
    writing.catch(() => undefined);
  };
  const write = async (first: Waiting, answer: BlockAnswer): Promise<void> => {
    await run.quarantine.append(answer.quarantine);
    await run.beside.append(answer.beside);
    counts = sumOf(counts, answer.counts);
    place += first.block.length;
    sinceCheckpoint += first.block.length;
    if (first.isZipped) await output.append(answer.output);
    else pending.push(answer.output);
    if (!first.block.isEnd) return;
    await flush();
    if (isStopped(run) || sinceCheckpoint >= checkpointBytes) await checkpoint();
  };
  const flush = async (): Promise<void> => {
    const [only] = pending;
    const bytes = pending.length === 1 && only !== undefined ? only : Buffer.concat(pending);
    if (bytes.length > 0) await output.append(isZipped ? gzipSync(bytes) : bytes);
    pending = [];
  };
  const checkpoint = async (): Promise<void> => {
    await output.sync();
    await run.checkpoint(place, output.length(), counts);
    sinceCheckpoint = 0;
  };
  for await (const block of blocks) {
    // A batch of one block is packed by its thread.
    const isWhole = isZipped && isFresh && block.isEnd && block.bytes !== undefined;
    isFresh = block.isEnd;
    const answer = answerOf(run, pool, block, isWhole, state.isCut);
    // Whoever waits learns of a fault; one that nobody waits for any more is no news.
    answer.catch(() => undefined);
    waiting.push({ block, isZipped: isWhole, answer });
    while (waiting.length >= pool.mostInFlight) await settleFirst();
    if (isStopped(run)) break;
  }
  const isDone = !isStopped(run);
  // One that stops ends where something is written and vouched for.
  const isNeeded = (): boolean => waiting.length > 0 && (isDone || sinceCheckpoint > 0);
  await writing;
  while (isNeeded()) {
    await settleFirst();
    await writing;
  }
  if (!isDone) return { counts, isDone };
  await flush();
  await checkpoint();
  return { counts, isDone };
}

async function answerOf(
  run: FileRun,
  pool: WorkerPool,
  { place, bytes, unit }: Block,
  isZipped: boolean,
  isCut: boolean,
): Promise<BlockAnswer> {
  if (bytes !== undefined) return pool.migrate({ place, bytes, isCut, isZipped });
  const written = nothingWritten(NO_COUNTS);
  if (unit !== undefined) migrateUnit(workOf(run), unit, written);
  const [output, quarantine, beside] = [written.output, written.quarantine, written.beside].map(
    (parts) => new Uint8Array(Buffer.concat(parts)),
  );
  const nothing = new Uint8Array();
  return {
    output: output ?? nothing,
    quarantine: quarantine ?? nothing,
    beside: beside ?? nothing,
    counts: written.counts,
  };
}

function sumOf(left: BatchCounts, right: BatchCounts): BatchCounts {
  const byPath = { ...left.byPath };
  for (const [path, count] of Object.entries(right.byPath)) byPath[path] = (byPath[path] ?? 0) + count;
  return {
    documents: left.documents + right.documents,
    migrated: left.migrated + right.migrated,
    current: left.current + right.current,
    passed: left.passed + right.passed,
    quarantined: left.quarantined + right.quarantined,
    lossy: left.lossy + right.lossy,
    assumed: left.assumed + right.assumed,
    byPath,
  };
}
