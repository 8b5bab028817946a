// A thread that moves blocks of lines: it loads the document type by the URL of its module, says its digest, and answers
// each block with the bytes to write.
import { parentPort, workerData } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import { NO_COUNTS } from '../batch.ts';
import { typeDigest } from '../digest.ts';
import type { DocumentType } from '../index.ts';
import type { Model } from '../model.ts';
import { migrateUnit, nothingWritten, type UnitWork } from './migrate-unit.ts';
import { isBlank, linesOf } from './read-lines.ts';
import type { BlockAnswer, BlockRequest, WorkerHello, WorkerSettings } from './worker-message.ts';

const settings = workerData as WorkerSettings;
const model = await loadModel();
if (typeof model === 'string') say({ missing: model });
else {
  const work: UnitWork = { model, to: settings.to, options: settings.options };
  parentPort?.on('message', (request: BlockRequest) => answer(migrateBlock(work, request)));
  say({ digest: typeDigest(model) });
}

function say(hello: WorkerHello): void {
  parentPort?.postMessage(hello, []);
}

async function loadModel(): Promise<Model | string> {
  const loaded = (await import(settings.module)) as Readonly<Record<string, unknown>>;
  const found = Object.values(loaded).find(isMeant);
  if (found === undefined) return `it exports no document type ${settings.name}`;
  const sealed = found.model();
  return sealed.status === 'ok' ? sealed.value : 'the type does not hold together';
}

function isMeant(value: unknown): value is DocumentType<unknown> {
  if (typeof value !== 'object' || value === null || typeof Reflect.get(value, 'model') !== 'function')
    return false;
  return Reflect.get(value, 'name') === settings.name;
}

function migrateBlock(work: UnitWork, { place, bytes, isCut, isZipped }: BlockRequest): BlockAnswer {
  const written = nothingWritten(NO_COUNTS);
  for (const line of linesOf(bytes, work.model.limits.sizeBytes, place)) {
    const isVerbatim = line.bytes !== undefined && isBlank(line.bytes);
    migrateUnit(work, { ...line, isVerbatim, isCut: isCut && line.lineBreak === '' }, written);
  }
  const output = owned(written.output);
  return {
    output: isZipped && output.length > 0 ? owned([gzipSync(output)]) : output,
    quarantine: owned(written.quarantine),
    beside: owned(written.beside),
    counts: written.counts,
  };
}

/** In a buffer of its own, which can be handed over. */
function owned(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function answer(answer: BlockAnswer): void {
  const { output, quarantine, beside } = answer;
  parentPort?.postMessage(answer, [output.buffer, quarantine.buffer, beside.buffer]);
}
