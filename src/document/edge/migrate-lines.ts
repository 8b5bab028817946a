import { gzipSync } from 'node:zlib';
import { openAppendFile } from './append-file.ts';
import { isStopped, sizesOf, workOf, type FileRun, type RunEnd } from './file-run.ts';
import { migrateUnit, nothingWritten } from './migrate-unit.ts';
import { readUnits } from './read-units.ts';

/** Migrates a file of documents: by line where its name says so, by element where it is an array, else as one document. */
export async function migrateLines(run: FileRun): Promise<RunEnd> {
  const isZipped = run.input.endsWith('.gz');
  await using output = await openAppendFile(run.part, run.start.lengths.output);
  const work = workOf(run);
  const { blockBytes, checkpointBytes } = sizesOf(run);
  let { place } = run.start;
  let written = nothingWritten(run.start.counts);
  let [since, sinceCheckpoint] = [0, 0];
  const flush = async (): Promise<void> => {
    const bytes = Buffer.concat(written.output);
    if (bytes.length > 0) await output.append(isZipped ? gzipSync(bytes) : bytes);
    await run.quarantine.append(Buffer.concat(written.quarantine));
    await run.beside.append(Buffer.concat(written.beside));
    [written, since] = [nothingWritten(written.counts), 0];
  };
  const checkpoint = async (): Promise<void> => {
    await output.sync();
    await run.checkpoint(place, output.length(), written.counts);
    sinceCheckpoint = 0;
  };
  for await (const unit of readUnits(run.input, run.model.limits.sizeBytes, run.start.place)) {
    migrateUnit(work, unit, written);
    place += unit.length;
    since += unit.length;
    sinceCheckpoint += unit.length;
    if (since < blockBytes) continue;
    await flush();
    const isAsked = isStopped(run);
    if (isAsked || sinceCheckpoint >= checkpointBytes) await checkpoint();
    if (isAsked || isStopped(run)) return { counts: written.counts, isDone: false };
  }
  await flush();
  await checkpoint();
  return { counts: written.counts, isDone: true };
}
