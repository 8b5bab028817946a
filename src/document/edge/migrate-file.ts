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
import { dirname, resolve, sep } from 'node:path';
import { isoTime, refusal, VarveError, type Finding } from '../../base/index.ts';
import { NO_COUNTS, type BatchCounts } from '../batch.ts';
import { typeDigest } from '../digest.ts';
import type { Model } from '../model.ts';
import { ok, refused, type Refused, type Result } from '../result.ts';
import { valueDigest } from '../value.ts';
import type { Version } from '../version.ts';
import { openAppendFile } from './append-file.ts';
import {
  isSameSource,
  readCheckpoint,
  removeCheckpoint,
  sourceIdentity,
  writeCheckpoint,
  type Checkpoint,
} from './checkpoint.ts';
import type { FileRun, MigrateFileOptions, RunEnd, WorkerOptions } from './file-run.ts';
import { lockOutput } from './output-lock.ts';
import { migrateBlocks } from './migrate-blocks.ts';
import { migrateFolder } from './migrate-folder.ts';
import { migrateLines } from './migrate-lines.ts';
import { isLines } from './read-units.ts';
import { syncFolder } from './write-whole.ts';

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
  const locked = await lockFor(out);
  if (locked.status === 'refused') return locked;
  await using _lock = locked.value;
  const built = await buildFile(model, input, out, {
    ...options,
    onOther: options.resume === true ? 'refuse' : 'restart',
  });
  if (built.status === 'refused') return built;
  const { counts } = built.value;
  const most = options.maxQuarantined ?? 0;
  if (counts.quarantined > most) return { ...refused(tooMany(out, counts.quarantined, most)), counts };
  await placeFile(out);
  await letGoOfBuild(out);
  return { status: 'ok', counts, out, findings: [] };
}

/** The right to write an output, whose folder is made. */
export async function lockFor(out: string): Promise<Result<AsyncDisposable>> {
  await mkdir(dirname(resolve(out)), { recursive: true });
  return lockOutput(out);
}

/** How a build begins where another one was left. */
export interface BuildFileOptions extends MigrateFileOptions {
  /** What is done with the half of a run that was made from something else. */
  readonly onOther: 'refuse' | 'restart';
}

/**
 * Builds an output beside its place, or goes on building it. The caller holds its lock. Where it is built whole already,
 * nothing is done.
 */
export async function buildFile(
  model: Model,
  input: string,
  out: string,
  options: BuildFileOptions,
): Promise<Result<Checkpoint> | (Refused & { readonly counts?: BatchCounts })> {
  const to = options.to ?? model.current;
  if (!model.versions.has(to)) return refused(unknownVersion(model, to));
  const unfit = await inputFinding(input, out);
  if (unfit !== undefined) return refused(unfit);
  const start = await startOf(model, input, out, to, options);
  if (start.status === 'refused') return start;
  const {
    counts,
    isDone,
    findings = [],
  } = await tellFullDisk(out, () => build(model, input, out, to, start.value, options));
  if (findings.length > 0) return { ...refused(...findings), counts };
  return isDone ? ok({ ...start.value, counts }) : { ...refused(stopped(out)), counts };
}

function unknownVersion(model: Model, version: Version): Finding {
  return refusal('unknown_version', `${model.name} ${version}`, {
    detail: { known: [...model.versions.keys()] },
    hint: 'Name a version of this document type.',
  });
}

/** Why an input cannot be read for an output, each by its name. */
export async function inputFinding(
  input: string,
  out: string,
  names: { readonly input: string; readonly out: string } = { input, out },
): Promise<Finding | undefined> {
  const found = await stat(input).catch(() => undefined);
  if (found === undefined) return unreadable(names.input, 'there is no such file');
  // What never ends, such as a pipe, cannot be read twice.
  if (!found.isFile() && !found.isDirectory())
    return unreadable(names.input, 'it is neither a file nor a folder');
  const [from, to] = [resolve(input), resolve(out)];
  if (from !== to && !to.startsWith(`${from}${sep}`)) return undefined;
  return refusal('files_exist', names.out, {
    hint: 'Name an output that is outside of the input: an input is never written to.',
  });
}

function unreadable(input: string, reason: string): Finding {
  return refusal('file_unreadable', input, {
    detail: { reason },
    hint: 'Name a file or folder of documents that is there.',
  });
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
  options: BuildFileOptions,
): Promise<Result<Checkpoint>> {
  if (await exists(out)) return refused(outputThere(out));
  const source = await sourceIdentity(input);
  const { allowLossy = false, keepOrder = false, allowedPaths = null, run = null } = options;
  const paths = allowedPaths === null ? null : { ...allowedPaths, forbidden: allowedPaths.forbidden ?? [] };
  const plan = valueDigest({ type: typeDigest(model), to, allowLossy, keepOrder, paths, run });
  const found = options.resume === true ? await readCheckpoint(checkpointPath(out)) : undefined;
  const isPlan = found?.plan === plan;
  const isSource = found !== undefined && isSameSource(found.source, source);
  if (found !== undefined && isPlan && isSource) return ok(found);
  if (found !== undefined && options.onOther === 'refuse') return refused(otherHalf(out, isSource));
  await rm(`${out}.part`, { recursive: true, force: true });
  const lengths = { output: 0, quarantine: 0, beside: 0 };
  const now = options.now ?? isoTime(model.clock.nowMs());
  return ok({ format: 1, source, plan, place: 0, lengths, counts: NO_COUNTS, now });
}

/** An output is never written over. */
export function outputThere(out: string): Finding {
  return refusal('files_exist', out, { hint: 'Name an output that is not there yet, or remove it.' });
}

function otherHalf(out: string, isSource: boolean): Finding {
  return refusal('plan_changed', out, {
    detail: { changed: isSource ? 'the document type, its target or the options' : 'the input' },
    hint: 'Start again without --resume: the half that is done was made from something else.',
  });
}

/** Where the checkpoint of an output stands. */
export function checkpointPath(out: string): string {
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
      await options.onBatch?.(counts, place);
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

/** The output takes its name. */
export async function placeFile(out: string): Promise<void> {
  await rename(`${out}.part`, out);
  await syncFolder(dirname(resolve(out)));
}

/** What the system says where a disk, or somebody's share of it, is full. */
const FULL = ['ENOSPC', 'EDQUOT'];

async function tellFullDisk<T>(out: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!FULL.includes(String((cause as NodeJS.ErrnoException).code))) throw cause;
    throw new VarveError('disk_full', {
      detail: { subject: out },
      hint: 'Make room, then run it again with --resume, or apply again: what the checkpoint vouches for is whole.',
      cause,
    });
  }
}

/** What was needed to go on is let go, and lists in which nothing stands. */
export async function letGoOfBuild(out: string): Promise<void> {
  await removeCheckpoint(checkpointPath(out));
  for (const list of listsOf(out)) {
    const found = await stat(list).catch(() => undefined);
    if (found?.size === 0) await rm(list);
  }
}

/** What was quarantined, and what has no place in documents that were written. */
export function listsOf(out: string): readonly string[] {
  return [`${out}.quarantine.jsonl`, `${out}.beside.jsonl`];
}
