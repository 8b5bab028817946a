/**
 * A run of a column in the pieces that a governed migration is made of: it decides over limits, the ledger and the end, and
 * this builds, puts in place, counts, and goes back.
 */
import { refusal, type Finding, type JsonObject } from '../../../base/index.ts';
import type { BatchCounts } from '../../batch.ts';
import { typeDigest } from '../../digest.ts';
import type { Model } from '../../model.ts';
import { refused, type Refused, type Result } from '../../result.ts';
import type { Version } from '../../version.ts';
import { buildBack, buildDocument } from './build-document.ts';
import { coverForRun, type RunCoverage } from '../cover-for-run.ts';
import type { BuiltDocument, GovernedTable, RowKey, UnsettledDocument } from './document-table.ts';
import {
  buildTable,
  cutOverTable,
  openTableRun,
  settleTable,
  type MigrateTableOptions,
  type TableRun,
} from './migrate-table.ts';
import { readTable } from './read-table.ts';
import type { SqlSession } from './sql-session.ts';

/** What a way back would do. */
export interface BackCoverage {
  readonly restored: number;
  /** Edited since, and brought back by the steps. */
  readonly stepped: number;
  /** Names those that no lossless way brings back. */
  readonly findings: readonly Finding[];
}

/** A column whose documents one run moves. */
export interface TableWork {
  readonly run: string;
  readonly typeDigest: string;
  readonly cover: () => Promise<RunCoverage>;
  readonly coverBack: (of: string) => Promise<BackCoverage>;
  /** Lets readers write back, or no more; says whether that was new. */
  readonly setReaders: (isOpen: boolean) => Promise<Result<boolean>>;
  /** Builds all. */
  readonly build: () => Promise<Result<null>>;
  /** Builds the way back from a run; refuses with the keys of what no lossless way brings back. */
  readonly buildBack: (of: string) => Promise<Result<null>>;
  /** Puts all that was built in place. */
  readonly cutOver: () => Promise<Result<null>>;
  /** Builds and puts in place what others changed meanwhile; with `of`, on the way back from that run. */
  readonly settle: (of?: string) => Promise<Result<null>>;
  readonly isSettled: (session: SqlSession, of?: string) => Promise<boolean>;
  readonly counts: (session?: SqlSession) => Promise<BatchCounts>;
}

const MOST_KEYS = 20;
const PAGE = 1_000;

/** The work of one run on a column. */
export function tableWork(
  model: Model,
  table: GovernedTable,
  options: MigrateTableOptions & { readonly to: Version; readonly run: string; readonly holder: string },
): TableWork {
  const opened = (): ReturnType<typeof openTableRun> => openTableRun(model, table, options);
  const begun = async <T>(work: (run: TableRun) => Promise<T>): Promise<T | Refused> => {
    const start = await opened();
    return start.status === 'refused' ? start : work(start.value.run);
  };
  return {
    run: options.run,
    typeDigest: typeDigest(model),
    cover: () => {
      const { to, limits = {}, allowedPaths } = options;
      const isLossy = (limits.lossy ?? 0) > 0;
      return coverForRun(model, readTable(table), { to, isLossy, allowedPaths });
    },
    coverBack: (of) => coverBack(model, table, of, options),
    setReaders: (isOpen) =>
      begun(async ({ run }) => ({ status: 'ok', value: await table.setReaders(run, isOpen) })),
    build: async () => {
      const start = await opened();
      if (start.status === 'refused') return start;
      const { run, state } = start.value;
      const isBuilt = state.isBuilt || (await buildTable(run, state));
      return isBuilt ? { status: 'ok', value: null } : refused(interrupted(table.place));
    },
    buildBack: (of) => begun((run) => buildAllBack(run, table, of)),
    cutOver: () => begun((run) => cutOverTable(run, { isSettling: false })),
    settle: (of) => begun((run) => settleTable(run, of === undefined ? {} : { of, build: backBuilder(run) })),
    isSettled: async (session, of) => (await table.unsettled(options.run, 1, { session, of })).length === 0,
    counts: (session) => table.counts(options.run, session),
  };
}

async function coverBack(
  model: Model,
  table: GovernedTable,
  of: string,
  options: { readonly to: Version; readonly run: string },
): Promise<BackCoverage> {
  const build = { model, to: options.to, run: '', now: '1970-01-01T00:00:00.000Z', allowLossy: false };
  const keys: RowKey[] = [];
  let [stepped, count, edited] = [0, 0, 0];
  for (let after: RowKey | undefined; ;) {
    const page = await table.edited(of, after, PAGE);
    for (const document of page) {
      const built = buildBack(document, document, build);
      if (built.status === 'quarantined') count += 1;
      else stepped += 1;
      if (built.status === 'quarantined' && keys.length < MOST_KEYS) keys.push(document.key);
    }
    edited += page.length;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) break;
    after = last.key;
  }
  const kept = (await table.keptDocuments(of)) ?? 0;
  return {
    restored: kept - edited,
    stepped,
    findings: count === 0 ? [] : [noWayBack(table.place, { keys, count })],
  };
}

function backBuilder(run: TableRun): (document: UnsettledDocument) => BuiltDocument {
  return (document) =>
    document.kept === undefined ? buildDocument(document, run) : buildBack(document, document.kept, run);
}

/** Originals where what stands there is what the run wrote, and the rest by the steps. */
async function buildAllBack(run: TableRun, table: GovernedTable, of: string): Promise<Result<null>> {
  await table.keepOriginals(run.run, of);
  const build = backBuilder(run);
  for (;;) {
    if (run.signal?.aborted === true) return refused(interrupted(table.place));
    const found = await table.unsettled(run.run, PAGE, { of, isStale: true });
    if (found.length === 0) break;
    await table.keep(run.run, found.map(build));
    await run.onBatch('build', found.length);
  }
  const { quarantined } = await table.counts(run.run);
  if (quarantined === 0) return { status: 'ok', value: null };
  const held = await table.quarantined(run.run, MOST_KEYS);
  return refused(noWayBack(table.place, { keys: held.map(({ key }) => key), count: quarantined }));
}

/** Documents that were edited since, and that no lossless way brings back. */
function noWayBack(
  place: string,
  { keys, count }: { readonly keys: readonly RowKey[]; readonly count: number },
): Finding {
  return refusal('document_edited', place, {
    detail: { documents: count, keys } satisfies JsonObject,
    hint: 'These were edited since, and their steps down lose something: bring them back by hand, or leave the migration in place.',
  });
}

function interrupted(place: string): Finding {
  return refusal('interrupted', place, { hint: 'Run it again to go on where it stopped.' });
}
