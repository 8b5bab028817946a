import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { refusal } from '../../base/index.ts';
import { countItem, quarantineLine, type BatchItem } from '../batch.ts';
import { documentPaths } from './document-paths.ts';
import { lineText } from './line-text.ts';
import { isStopped, workOf, type FileRun, type RunEnd } from './file-run.ts';
import { migrateWithin } from './migrate-within.ts';

const BATCH_BYTES = 16 * 1024 * 1024;

/** Migrates the documents of a folder, in the order of their paths. */
export async function migrateFolder(run: FileRun): Promise<RunEnd> {
  const paths = await documentPaths(run.input);
  const most = run.options.batchBytes ?? BATCH_BYTES;
  let { counts } = run.start;
  let since = 0;
  await mkdir(run.part, { recursive: true });
  for (const [at, path] of paths.entries()) {
    if (at < run.start.place) continue;
    const { item, size } = await addFile(run, path);
    counts = countItem(counts, item);
    since += size;
    if (since < most && at < paths.length - 1) continue;
    await run.checkpoint(at + 1, 0, counts);
    since = 0;
    if (isStopped(run) && at < paths.length - 1) return { counts, isDone: false };
  }
  return { counts, isDone: true };
}

async function addFile(
  run: FileRun,
  path: string,
): Promise<{ readonly item: BatchItem; readonly size: number }> {
  const from = join(run.input, path);
  const { size } = await stat(from);
  if (size > run.model.limits.sizeBytes) {
    const finding = refusal('document_too_large', run.model.name, {
      detail: { reason: `more than ${run.model.limits.sizeBytes} bytes` },
      hint: 'Raise the limit of the type, or take the document apart.',
    });
    await run.quarantine.append(lineText(quarantineLine(path, [finding], undefined)));
    return { item: { status: 'quarantined', findings: [finding] }, size };
  }
  const bytes = await readFile(from);
  const { model, to, options } = workOf(run);
  const item = migrateWithin(model, bytes, to, options);
  if (item.status === 'quarantined') {
    await run.quarantine.append(lineText(quarantineLine(path, item.findings, bytes)));
    return { item, size };
  }
  await writeSynced(join(run.part, path), item.bytes);
  if (item.status === 'migrated' && item.beside !== undefined) {
    await run.beside.append(lineText({ place: path, ...item.beside }));
  }
  return { item, size };
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'w');
  try {
    await file.writeFile(bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
}
