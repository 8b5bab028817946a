import { createReadStream } from 'node:fs';
import { createGunzip, gzipSync } from 'node:zlib';
import { refusal, type Finding } from '../../base/index.ts';
import { countItem, migrateItem, quarantineLine, type BatchCounts } from '../batch.ts';
import { openAppendFile } from './append-file.ts';
import type { FileRun } from './file-run.ts';
import { readLines, type Line } from './read-lines.ts';
import { lineText } from './line-text.ts';

const BATCH_BYTES = 1024 * 1024;

/** Migrates a file of documents: by line where its name says so, else as one document. */
export async function migrateLines(run: FileRun): Promise<BatchCounts> {
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
  for await (const line of unitsOf(run)) {
    if (line.bytes !== undefined && isBlank(line.bytes)) {
      pending.push(line.bytes, lineText(line.lineBreak));
    } else counts = await addUnit(run, line, counts, pending);
    place += line.length;
    since += line.length;
    if (since >= most) await flush();
  }
  await flush();
  return counts;
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

async function addUnit(
  run: FileRun,
  line: Line & { readonly isCut?: boolean },
  counts: BatchCounts,
  pending: Uint8Array[],
): Promise<BatchCounts> {
  const options = { ...run.options, now: run.start.now };
  const fault = faultOf(run, line);
  const item =
    fault !== undefined || line.bytes === undefined
      ? { status: 'quarantined' as const, findings: fault === undefined ? [] : [fault] }
      : migrateItem(run.model, line.bytes, run.to, options);
  if (item.status === 'quarantined') {
    await run.quarantine.append(lineText(quarantineLine(line.place, item.findings, line.bytes)));
  } else pending.push(item.bytes, lineText(line.lineBreak));
  if (item.status === 'migrated' && item.beside !== undefined) {
    await run.beside.append(lineText({ place: line.place, ...item.beside }));
  }
  return countItem(counts, item);
}

function faultOf(run: FileRun, line: Line & { readonly isCut?: boolean }): Finding | undefined {
  const hint = 'Correct the document where it was written.';
  if (line.bytes === undefined) {
    const reason = `more than ${run.model.limits.sizeBytes} bytes`;
    return refusal('document_too_large', run.model.name, { detail: { reason }, hint });
  }
  return line.isCut === true
    ? refusal('json_invalid', run.model.name, { detail: { reason: 'the compressed input ends here' }, hint })
    : undefined;
}

/** The units of a file behind its place; one that a broken compression cuts off is marked. */
async function* unitsOf(run: FileRun): AsyncGenerator<Line & { readonly isCut?: boolean }> {
  const state = { isCut: false };
  const chunks = bytesOf(run, state);
  const { sizeBytes } = run.model.limits;
  if (/\.(jsonl|ndjson)(\.gz)?$/u.test(run.input)) {
    for await (const line of readLines(chunks, sizeBytes, run.start.place)) {
      yield state.isCut && line.lineBreak === '' ? { ...line, isCut: true } : line;
    }
    return;
  }
  if (run.start.place > 0) return;
  yield await wholeFile(chunks, sizeBytes);
}

async function wholeFile(chunks: AsyncIterable<Uint8Array>, mostBytes: number): Promise<Line> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length <= mostBytes) parts.push(chunk);
  }
  return { place: 0, bytes: length > mostBytes ? undefined : Buffer.concat(parts), lineBreak: '', length };
}

async function* bytesOf(run: FileRun, state: { isCut: boolean }): AsyncGenerator<Uint8Array> {
  const { place } = run.start;
  if (!run.input.endsWith('.gz')) {
    yield* createReadStream(run.input, { start: place }) as AsyncIterable<Uint8Array>;
    return;
  }
  const file = createReadStream(run.input);
  const unzipped = createGunzip();
  file.on('error', (error) => unzipped.destroy(error));
  let at = 0;
  try {
    for await (const chunk of file.pipe(unzipped) as AsyncIterable<Uint8Array>) {
      const skipped = Math.min(Math.max(place - at, 0), chunk.length);
      at += chunk.length;
      if (skipped < chunk.length) yield chunk.subarray(skipped);
    }
  } catch (error) {
    // What was read before the damage is good; the line it ends in is not.
    if (!String((error as NodeJS.ErrnoException).code).startsWith('Z_')) throw error;
    state.isCut = true;
    yield new Uint8Array([0]);
  }
}
