import { gzipSync } from 'node:zlib';
import { openAppendFile } from './append-file.ts';
import { batchBytes, isStopped, workOf, type FileRun, type RunEnd } from './file-run.ts';
import { migrateUnit, nothingWritten } from './migrate-unit.ts';
import { readUnits } from './read-units.ts';

/** Migrates a file of documents: by line where its name says so, by element where it is an array, else as one document. */
export async function migrateLines(run: FileRun): Promise<RunEnd> {
  const isZipped = run.input.endsWith('.gz');
  await using output = await openAppendFile(run.part, run.start.lengths.output);
  const work = workOf(run);
  const most = batchBytes(run);
  let { place } = run.start;
  let written = nothingWritten(run.start.counts);
  let since = 0;
  const flush = async (): Promise<void> => {
    const { counts } = written;
    const bytes = Buffer.concat(written.output);
    if (bytes.length > 0) await output.append(isZipped ? gzipSync(bytes) : bytes);
    await run.quarantine.append(Buffer.concat(written.quarantine));
    await run.beside.append(Buffer.concat(written.beside));
    await output.sync();
    await run.checkpoint(place, output.length(), counts);
    [written, since] = [nothingWritten(counts), 0];
  };
  for await (const unit of readUnits(run.input, run.model.limits.sizeBytes, run.start.place)) {
    migrateUnit(work, unit, written);
    place += unit.length;
    since += unit.length;
    if (since < most) continue;
    await flush();
    if (isStopped(run)) return { counts: written.counts, isDone: false };
  }
  await flush();
  return { counts: written.counts, isDone: true };
}
