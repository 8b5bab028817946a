import { gzipSync } from 'node:zlib';
import { refusal, type Finding } from '../../base/index.ts';
import { countItem, migrateItem, quarantineLine, type BatchCounts } from '../batch.ts';
import { openAppendFile } from './append-file.ts';
import { isStopped, type FileRun, type RunEnd } from './file-run.ts';
import { lineText } from './line-text.ts';
import { readUnits } from './read-units.ts';
import type { Unit } from './unit.ts';

const BATCH_BYTES = 1024 * 1024;

/** Migrates a file of documents: by line where its name says so, by element where it is an array, else as one document. */
export async function migrateLines(run: FileRun): Promise<RunEnd> {
  const isZipped = run.input.endsWith('.gz');
  await using output = await openAppendFile(run.part, run.start.lengths.output);
  const most = run.options.batchBytes ?? BATCH_BYTES;
  let { counts, place } = run.start;
  let pending: Uint8Array[] = [];
  let since = 0;
  const flush = async (): Promise<void> => {
    const bytes = Buffer.concat(pending);
    if (bytes.length > 0) await output.append(isZipped ? gzipSync(bytes) : bytes);
    await output.sync();
    await run.checkpoint(place, output.length(), counts);
    [pending, since] = [[], 0];
  };
  for await (const line of readUnits(run.input, run.model.limits.sizeBytes, run.start.place)) {
    if (line.isVerbatim === true && line.bytes !== undefined) {
      pending.push(line.bytes, lineText(line.lineBreak));
    } else counts = await addUnit(run, line, counts, pending);
    place += line.length;
    since += line.length;
    if (since < most) continue;
    await flush();
    if (isStopped(run)) return { counts, isDone: false };
  }
  await flush();
  return { counts, isDone: true };
}

async function addUnit(
  run: FileRun,
  line: Unit,
  counts: BatchCounts,
  pending: Uint8Array[],
): Promise<BatchCounts> {
  if (line.head !== undefined) pending.push(line.head);
  const options = { ...run.options, now: run.start.now };
  const fault = faultOf(run, line);
  const item =
    fault !== undefined || line.bytes === undefined
      ? { status: 'quarantined' as const, findings: fault === undefined ? [] : [fault] }
      : migrateItem(run.model, line.bytes, run.to, options);
  if (item.status === 'quarantined') {
    await run.quarantine.append(lineText(quarantineLine(line.place, item.findings, line.bytes)));
  } else {
    const isFirst = counts.documents === counts.quarantined;
    if (line.lead !== undefined && !isFirst) pending.push(line.lead);
    pending.push(item.bytes, lineText(line.lineBreak));
  }
  if (line.foot !== undefined) pending.push(line.foot);
  if (item.status === 'migrated' && item.beside !== undefined) {
    await run.beside.append(lineText({ place: line.place, ...item.beside }));
  }
  return countItem(counts, item);
}

function faultOf(run: FileRun, line: Unit): Finding | undefined {
  const hint = 'Correct the document where it was written.';
  if (line.bytes === undefined) {
    const reason = `more than ${run.model.limits.sizeBytes} bytes`;
    return refusal('document_too_large', run.model.name, { detail: { reason }, hint });
  }
  return line.isCut === true
    ? refusal('json_invalid', run.model.name, {
        detail: { reason: 'the input ends here, or should have' },
        hint,
      })
    : undefined;
}
