/**
 * A file or folder of documents. The output takes its name before the decision, since a name and a ledger have no
 * transaction in common; until then, and after a way back, it is not there.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { refusal, type Finding } from '../base/index.ts';
import type { FilePlace } from '../document/edge/index.ts';
import type { DocumentState, FileSource } from '../migration/kind/document/index.ts';
import {
  boundOf,
  coverageOf,
  fenced,
  findingsOf,
  tell,
  workOptions,
  type Opened,
  type Opening,
  type Within,
} from './document-work.ts';

/** Where they are read and written: in a rehearsal to a folder that is thrown away. */
export function filesOf({ projectDir, copies }: Within, { from, to }: FileSource): FilePlace {
  const input = resolve(projectDir, from);
  const out = resolve(projectDir, to);
  const names = { input: from, out: to };
  if (copies === undefined) return { input, out, names };
  // Files of one name in several folders are told apart; the ending says what is in them.
  const short = createHash('sha256').update(out).digest('hex').slice(0, 16);
  return { input, out: join(copies, `${short}-${basename(out)}`), names };
}

/** Opens them. */
export async function openFiles(opening: Opening, source: FileSource): Promise<Opened> {
  const { contentDigest, fileWork } = await import('../document/edge/index.ts');
  const place = filesOf(opening.within, source);
  // What a run left is taken back without its input.
  if (!existsSync(place.input) && !existsSync(place.out))
    return { status: 'refused', findings: [noInput(source)] };
  const work = fileWork(opening.model, place, {
    ...workOptions(opening),
    allowLossy: opening.allowed.isLossy,
    onBatch: async ({ documents }) => {
      await fenced(opening, () => Promise.resolve());
      await tell(opening, 'build', documents);
    },
  });
  const of = opening.reach.context?.forward?.runId;
  return {
    status: 'ok',
    documents: {
      place: place.names.out,
      typeDigest: work.typeDigest,
      bound: boundOf(opening, work.typeDigest),
      cover: async () => coverageOf(await work.cover()),
      coverBack: async (run) => ({
        restored: (await work.keptBy(run)) ?? 0,
        stepped: 0,
        findings: await work.editedFindings(run),
      }),
      // Files are written once and whole: there is nothing that a reader could write back.
      setReaders: () => Promise.resolve(false),
      build: async () => findingsOf(await work.build()),
      buildBack: (run) => work.editedFindings(run),
      cutOver: async () => {
        const placed = await fenced(opening, () => (of === undefined ? work.cutOver() : work.takeBack(of)));
        await tell(opening, 'cut over', (await work.counts(of)).documents);
        return findingsOf(placed);
      },
      settle: async () => (of === undefined ? findingsOf(await work.settle()) : []),
      isSettled: () => (of === undefined ? work.isSettled() : work.isTakenBack()),
      counts: () => work.counts(of),
      writtenMeanwhile: () => Promise.resolve(0),
      readDigest: async () => (await contentDigest(place.input))?.digest ?? '',
      triggers: () => Promise.resolve([]),
      writtenSince: () => Promise.resolve({ rows: 0, gone: 0 }),
      restoreBeside: () => Promise.resolve(),
      restore: async () => {
        if (of === undefined) return work.undo();
        await work.undoTakeBack();
        return 0;
      },
      tidy: (isCommitted) =>
        fenced(opening, async () => {
          if (of === undefined) await work.tidy(isCommitted);
          else if (await work.isTakenBack()) await work.letGo(of);
        }),
      keptBy: (_transaction, run) => work.keptBy(run),
      forget: (_transaction, run) => work.forget(run),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
  };
}

function noInput({ from }: FileSource): Finding {
  return refusal('document_store_unusable', from, {
    detail: { reason: 'no_such_file' },
    hint: 'Name a file or folder of documents that is there, from the folder of the project.',
  });
}

/** Measures input and output; what is not there is not listed. */
export async function measureFiles(
  { input, out }: FilePlace,
  { from, to }: FileSource,
): Promise<DocumentState> {
  const { contentDigest } = await import('../document/edge/index.ts');
  const found = [
    [from, await contentDigest(input)],
    [to, await contentDigest(out)],
  ] as const;
  return {
    shape: { from, to },
    tables: found.flatMap(([table, content]) =>
      content === undefined ? [] : [{ table, rows: content.files, digest: content.digest }],
    ),
  };
}
