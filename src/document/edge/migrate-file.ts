/**
 * A file or folder of documents to another one, of the wanted version.
 *
 * | input | unit | output |
 * |---|---|---|
 * | `.jsonl`, `.ndjson` | line | the same lines in the same order, line breaks kept |
 * | the same with `.gz` | line | one gzip member per batch |
 * | any other file | the document | one file |
 * | folder | file that ends in `.json` | the same paths under another folder |
 *
 * The input is never touched. Everything is built beside the output, as `OUT.part`, and takes its name when all is done;
 * what cannot be moved stands in `OUT.quarantine.jsonl`, and above the allowed count nothing takes any name. After each
 * batch a checkpoint says how far it is: a run that goes on from there writes the bytes of one that was never stopped.
 */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isoTime, refusal, type Finding } from '../../base/index.ts';
import { NO_COUNTS, type BatchCounts } from '../batch.ts';
import { typeDigest } from '../digest.ts';
import type { Model } from '../model.ts';
import { ok, refused, type Refused, type Result } from '../result.ts';
import { valueDigest } from '../value.ts';
import type { Version } from '../version.ts';
import { openAppendFile } from './append-file.ts';
import {
  readCheckpoint,
  removeCheckpoint,
  sourceIdentity,
  syncFolder,
  writeCheckpoint,
  type Checkpoint,
} from './checkpoint.ts';
import type { FileRun, MigrateFileOptions, RunEnd, WorkerOptions } from './file-run.ts';
import { lockOutput } from './output-lock.ts';
import { migrateBlocks } from './migrate-blocks.ts';
import { migrateFolder } from './migrate-folder.ts';
import { migrateLines } from './migrate-lines.ts';
import { isLines } from './read-units.ts';

/** What came of it. */
export type MigrateFileResult =
  | {
      readonly status: 'ok';
      readonly counts: BatchCounts;
      readonly out: string;
      readonly findings: readonly Finding[];
    }
  | (Refused & { readonly counts?: BatchCounts });

/** Migrates a file or folder. Refuses what is in the way before anything is written. */
export async function migrateFile(
  model: Model,
  input: string,
  out: string,
  options: MigrateFileOptions = {},
): Promise<MigrateFileResult> {
  const to = options.to ?? model.current;
  if (!model.versions.has(to)) return refused(unknownVersion(model, to));
  if (resolve(input) === resolve(out)) return refused(sameFile(out));
  await mkdir(dirname(resolve(out)), { recursive: true });
  const locked = await lockOutput(out);
  if (locked.status === 'refused') return locked;
  await using _lock = locked.value;
  const start = await startOf(model, input, out, to, options);
  if (start.status === 'refused') return start;
  const { counts, isDone, findings = [] } = await build(model, input, out, to, start.value, options);
  if (findings.length > 0) return { ...refused(...findings), counts };
  if (!isDone) return { ...refused(stopped(out)), counts };
  const most = options.maxQuarantined ?? 0;
  if (counts.quarantined > most) return { ...refused(tooMany(out, counts.quarantined, most)), counts };
  await cutOver(out);
  return { status: 'ok', counts, out, findings: [] };
}

function unknownVersion(model: Model, version: Version): Finding {
  return refusal('unknown_version', `${model.name} ${version}`, {
    detail: { known: [...model.versions.keys()] },
    hint: 'Name a version of this document type.',
  });
}

function sameFile(out: string): Finding {
  return refusal('files_exist', out, { hint: 'Name another output: an input is never written to.' });
}

function stopped(out: string): Finding {
  return refusal('interrupted', out, { hint: 'Run it again with --resume to go on where it stopped.' });
}

function tooMany(out: string, found: number, most: number): Finding {
  return refusal('document_quarantined', out, {
    detail: { found, most },
    hint: `Read ${out}.quarantine.jsonl; correct the documents or the steps, or allow this many.`,
  });
}

async function startOf(
  model: Model,
  input: string,
  out: string,
  to: Version,
  options: MigrateFileOptions,
): Promise<Result<Checkpoint>> {
  if (await exists(out)) {
    return refused(
      refusal('files_exist', out, { hint: 'Name an output that is not there yet, or remove it.' }),
    );
  }
  const source = await sourceIdentity(input);
  const plan = valueDigest({ type: typeDigest(model), to });
  const found = options.resume === true ? await readCheckpoint(checkpointPath(out)) : undefined;
  if (found === undefined) {
    await rm(`${out}.part`, { recursive: true, force: true });
    const lengths = { output: 0, quarantine: 0, beside: 0 };
    const now = options.now ?? isoTime(model.clock.nowMs());
    return ok({ format: 1, source, plan, place: 0, lengths, counts: NO_COUNTS, now });
  }
  const isSame = found.source.sizeBytes === source.sizeBytes && found.source.modifiedMs === source.modifiedMs;
  if (found.plan === plan && isSame) return ok(found);
  return refused(
    refusal('plan_changed', out, {
      detail: { changed: isSame ? 'the document type or its target' : 'the input' },
      hint: 'Start again without --resume: the half that is done was made from something else.',
    }),
  );
}

function checkpointPath(out: string): string {
  return `${out}.checkpoint.json`;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function build(
  model: Model,
  input: string,
  out: string,
  to: Version,
  start: Checkpoint,
  options: MigrateFileOptions,
): Promise<RunEnd> {
  await using quarantine = await openAppendFile(`${out}.quarantine.jsonl`, start.lengths.quarantine);
  await using beside = await openAppendFile(`${out}.beside.jsonl`, start.lengths.beside);
  const run: FileRun = {
    model,
    input,
    part: `${out}.part`,
    to,
    start,
    quarantine,
    beside,
    options,
    checkpoint: async (place, output, counts) => {
      await Promise.all([quarantine.sync(), beside.sync()]);
      const lengths = { output, quarantine: quarantine.length(), beside: beside.length() };
      await writeCheckpoint(checkpointPath(out), { ...start, place, lengths, counts });
      options.onBatch?.(counts, place);
    },
  };
  const isFolder = (await stat(input)).isDirectory();
  // Awaited here, or the files would be closed before they are written.
  if (isFolder) return await migrateFolder(run);
  const { workers } = options;
  return workers !== undefined && isLines(input) ? await onThreads(run, workers) : await migrateLines(run);
}

async function onThreads(run: FileRun, workers: WorkerOptions): Promise<RunEnd> {
  // Who asks for no threads loads none.
  const { openWorkerPool } = await import('./worker-pool.ts');
  const opened = await openWorkerPool(run, workers);
  if (opened.status === 'refused')
    return { counts: run.start.counts, isDone: false, findings: opened.findings };
  await using pool = opened.value;
  return await migrateBlocks(run, pool);
}

/** The output takes its name; only then is the checkpoint let go. */
async function cutOver(out: string): Promise<void> {
  await rename(`${out}.part`, out);
  await syncFolder(dirname(resolve(out)));
  await removeCheckpoint(checkpointPath(out));
  for (const beside of [`${out}.quarantine.jsonl`, `${out}.beside.jsonl`]) {
    if ((await stat(beside)).size === 0) await rm(beside);
  }
}
