/**
 * A file or folder in the pieces that a governed migration is made of.
 *
 * ```text
 * build      OUT.part beside OUT, with its checkpoint
 * cut over   OUT.run.json says what is about to be there, then OUT takes its name
 * tidy       the checkpoint goes; OUT.run.json stays until the run is taken back or retired
 *
 * take back  OUT, if it is still what the run wrote, becomes OUT.taken-back; gone once that is decided
 * ```
 *
 * The input is never written to: it is the original of every document.
 */
import { existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { refusal, VarveError, type Finding } from '../../base/index.ts';
import type { Digest } from '../../evidence/index.ts';
import { NO_COUNTS, type BatchCounts } from '../batch.ts';
import { typeDigest } from '../digest.ts';
import type { Model } from '../model.ts';
import { ok, refused, type Result } from '../result.ts';
import { isSameSource, readCheckpoint, sourceIdentity, type SourceIdentity } from './checkpoint.ts';
import { coverForRun, type RunCoverage } from './cover-for-run.ts';
import { contentDigest } from './file-digest.ts';
import type { MigrateFileOptions } from './file-run.ts';
import {
  buildFile,
  checkpointPath,
  inputFinding,
  letGoOfBuild,
  listsOf,
  lockFor,
  outputThere,
  placeFile,
} from './migrate-file.ts';
import { readCorpus } from './read-corpus.ts';
import { syncFolder, writeWhole } from './write-whole.ts';

/** Where documents are read and written, and how these are called in findings. */
export interface FilePlace {
  readonly input: string;
  readonly out: string;
  readonly names: { readonly input: string; readonly out: string };
}

/** A run of a file or folder. */
export interface FileWork {
  readonly run: string;
  readonly typeDigest: Digest;
  readonly cover: () => Promise<RunCoverage>;
  readonly build: () => Promise<Result<null>>;
  /** What was built takes its name; harmless where it has. */
  readonly cutOver: () => Promise<Result<null>>;
  /** Refuses where the input is another one than was built from. */
  readonly settle: () => Promise<Result<null>>;
  readonly isSettled: () => Promise<boolean>;
  /** Of this run, or of one that it takes back. */
  readonly counts: (of?: string) => Promise<BatchCounts>;
  /** Takes away what this run built or put in place; gives 1 where somebody changed it since, which stays. */
  readonly undo: () => Promise<number>;
  readonly tidy: (isCommitted: boolean) => Promise<void>;
  /** How many documents a run wrote that can still be taken back; undefined where it left nothing. */
  readonly keptBy: (of: string) => Promise<number | undefined>;
  /** Takes the output of a run away, unless somebody has edited it. */
  readonly takeBack: (of: string) => Promise<Result<null>>;
  /** What a way back would be refused for. */
  readonly editedFindings: (of: string) => Promise<readonly Finding[]>;
  readonly isTakenBack: () => Promise<boolean>;
  /** The output of a run is put back where it was taken away. */
  readonly undoTakeBack: () => Promise<void>;
  /** After a way back that was decided: what was taken away goes for good, with all that stood beside it. */
  readonly letGo: (of: string) => Promise<void>;
  /** The output of a run can no longer be taken back; it stays, and so does what stands beside it. */
  readonly forget: (of: string) => Promise<void>;
}

/** What a run has written, and what from. */
interface RunRecord {
  readonly format: 1;
  readonly run: string;
  readonly source: SourceIdentity;
  readonly written: Digest;
  readonly counts: BatchCounts;
}

/** The work of one run on a file or folder. */
export function fileWork(
  model: Model,
  { input, out, names }: FilePlace,
  options: MigrateFileOptions & { readonly to: string; readonly run: string; readonly named?: string },
): FileWork {
  const { run, named = run } = options;
  const name = names.out;
  const recordPath = `${out}.run.json`;
  const takenPath = `${out}.taken-back`;
  const recordOf = async (of: string): Promise<RunRecord | undefined> => {
    const record = await readRecord(recordPath);
    return record?.run === of ? record : undefined;
  };
  const locked = async <T>(work: () => Promise<T>): Promise<T> => {
    const lock = await lockFor(out);
    if (lock.status === 'refused') throw lockTaken(lock.findings);
    await using _lock = lock.value;
    return await work();
  };
  const editedFindings = async (of: string): Promise<readonly Finding[]> => {
    const [record, found] = [await recordOf(of), await contentDigest(out)];
    return found === undefined || found.digest === record?.written ? [] : [edited(name, record)];
  };
  const sourceFindings = async (source: SourceIdentity | undefined): Promise<readonly Finding[]> => {
    const found = await sourceIdentity(input).catch(() => undefined);
    const isSame = source !== undefined && found !== undefined && isSameSource(source, found);
    return isSame ? [] : [inputChanged(name)];
  };
  return {
    run,
    typeDigest: typeDigest(model),
    cover: async () => {
      const { to, allowLossy: isLossy = false, allowedPaths } = options;
      const unfit = await inputFinding(input, out, names);
      const corpus = unfit === undefined ? readCorpus(input, model.limits.sizeBytes) : [];
      const covered = await coverForRun(model, corpus, { to, isLossy, allowedPaths });
      const inTheWay = [
        ...(unfit === undefined ? [] : [unfit]),
        ...(existsSync(out) ? [outputThere(name)] : []),
      ];
      return { ...covered, findings: [...covered.findings, ...inTheWay] };
    },
    build: () =>
      locked(async () => {
        if ((await recordOf(run)) !== undefined) return ok(null);
        const plan = { ...options, run: named, resume: true, onOther: 'restart' } as const;
        const built = await buildFile(model, input, out, plan);
        return built.status === 'ok' ? ok(null) : refused(...built.findings);
      }),
    cutOver: () =>
      locked(async () => {
        const part = await contentDigest(`${out}.part`);
        if (part === undefined) return ok(null);
        const checkpoint = await readCheckpoint(checkpointPath(out));
        if (checkpoint === undefined) throw lostBuild();
        const { source, counts } = checkpoint;
        const record = { format: 1, run, source, written: part.digest, counts } satisfies RunRecord;
        await writeWhole(recordPath, `${JSON.stringify(record)}\n`);
        await placeFile(out);
        return ok(null);
      }),
    settle: async () => {
      const findings = await sourceFindings((await recordOf(run))?.source);
      return findings.length === 0 ? ok(null) : refused(...findings);
    },
    isSettled: async () => {
      const record = await recordOf(run);
      if ((await sourceFindings(record?.source)).length > 0) return false;
      return (await contentDigest(out))?.digest === record?.written;
    },
    counts: async (of = run) => {
      const record = await recordOf(of);
      if (record !== undefined) return record.counts;
      return (await readCheckpoint(checkpointPath(out)))?.counts ?? NO_COUNTS;
    },
    undo: () =>
      locked(async () => {
        const record = await recordOf(run);
        if (record === undefined) return 0;
        const found = await contentDigest(out);
        if (found === undefined) return 0;
        if (found.digest !== record.written) return 1;
        await rm(out, { recursive: true, force: true });
        return 0;
      }),
    tidy: (isCommitted) =>
      locked(async () => {
        if (isCommitted) return letGoOfBuild(out);
        await rm(`${out}.part`, { recursive: true, force: true });
        if ((await recordOf(run)) !== undefined) await rm(recordPath, { force: true });
        await letGoOfBuild(out);
        if ((await readRecord(recordPath)) === undefined) await removeAll(listsOf(out));
      }),
    keptBy: async (of) => (await recordOf(of))?.counts.documents,
    editedFindings,
    takeBack: (of) =>
      locked(async () => {
        const findings = await editedFindings(of);
        if (findings.length > 0) return refused(...findings);
        if ((await contentDigest(out)) === undefined) return ok(null);
        await rm(takenPath, { recursive: true, force: true });
        await rename(out, takenPath);
        await syncFolder(dirname(resolve(out)));
        return ok(null);
      }),
    isTakenBack: async () => (await contentDigest(out)) === undefined,
    undoTakeBack: () =>
      locked(async () => {
        const isAway =
          (await contentDigest(takenPath)) !== undefined && (await contentDigest(out)) === undefined;
        if (isAway) await rename(takenPath, out);
      }),
    letGo: (of) =>
      locked(async () => {
        if ((await recordOf(of)) !== undefined) await removeAll([takenPath, ...listsOf(out), recordPath]);
      }),
    forget: (of) =>
      locked(async () => {
        if ((await recordOf(of)) !== undefined) await removeAll([recordPath]);
      }),
  };
}

async function readRecord(path: string): Promise<RunRecord | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as RunRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { recursive: true, force: true });
}

function edited(name: string, record: RunRecord | undefined): Finding {
  return refusal('document_edited', name, {
    detail: { documents: record?.counts.documents ?? 0 },
    hint: 'The output was changed since: move it away to keep what was written to it, or leave the migration in place.',
  });
}

function inputChanged(name: string): Finding {
  return refusal('plan_changed', name, {
    detail: { changed: 'the input' },
    hint: 'The input was written to since the run began. Apply it again: all of it is built anew.',
  });
}

/** Another process writes the output: what was asked for is tried again later. */
function lockTaken([finding]: readonly Finding[]): VarveError {
  return new VarveError('output_locked', {
    detail: { subject: finding?.subject ?? '', ...finding?.detail },
    hint: finding?.hint ?? '',
  });
}

function lostBuild(): VarveError {
  return new VarveError('internal', { hint: 'Report this: an output was built and has no checkpoint.' });
}
