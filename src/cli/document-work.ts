/** What the sources of documents have in common, as the migration kind takes them. */
import { hostname } from 'node:os';
import type { Finding, JsonObject } from '../base/index.ts';
import type { Model, Result } from '../document/index.ts';
import type { GovernedTable, TableWork } from '../document/edge/index.ts';
import type { Allowed, Documents, ForwardDocument, Reach } from '../migration/kind/document/index.ts';
import { sqlSessionOf } from './document-store.ts';

/** Where paths of a bundle begin, and where a rehearsal keeps its copies. */
export interface Within {
  readonly projectDir: string;
  readonly copies: string | undefined;
}

/** What documents are opened with. */
export interface Opening {
  readonly within: Within;
  readonly model: Model;
  readonly forward: ForwardDocument;
  readonly allowed: Allowed;
  readonly reach: Reach;
}

/** Documents, or why they cannot be opened. */
export type Opened =
  | { readonly status: 'ok'; readonly documents: Documents }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** What a run says of all its documents. */
export interface WorkOptions {
  readonly to: string;
  readonly run: string;
  readonly named?: string;
  readonly now?: string;
  readonly signal?: AbortSignal;
  readonly allowedPaths?: NonNullable<Allowed['paths']>;
}

/** The options of a run of a bundle. */
export function workOptions({ forward, allowed, reach }: Opening): WorkOptions {
  const shared = {
    to: forward.to,
    run: reach.context?.runId ?? '',
    ...(allowed.paths === undefined ? {} : { allowedPaths: allowed.paths }),
  };
  if (reach.context === undefined) return shared;
  const { signal, isRehearsal, bundle } = reach.context;
  // A rehearsal goes forward twice, and both ends have to be the same.
  const fixed = isRehearsal === true ? { now: '1970-01-01T00:00:00.000Z', named: bundle.id } : {};
  return { ...shared, ...fixed, signal };
}

/** Tells of progress, and is where crash tests kill. */
export async function tell(
  { reach }: Opening,
  phase: 'build' | 'cut over' | 'settle',
  done: number,
): Promise<void> {
  if (reach.context === undefined) return;
  reach.context.progress({ step: phase, done, total: undefined });
  await reach.context.fault(phase === 'build' ? 'D01_page_built' : 'D03_batch_in_place');
}

/** The options of a column's run. */
export function tableOptions(opening: Opening): WorkOptions & {
  readonly holder: string;
  readonly connections: number;
  readonly limits: { readonly quarantined: number; readonly assumed: number; readonly lossy: number };
  readonly onBatch: (phase: 'build' | 'cut over' | 'settle', documents: number) => Promise<void>;
} {
  const done = { build: 0, 'cut over': 0, settle: 0 };
  return {
    ...workOptions(opening),
    holder: `process ${process.pid} on ${hostname()}`,
    connections: opening.forward.connections ?? 1,
    // Counts are held to the bundle's limits by the lifecycle; here only whether a lossy way may be taken.
    limits: { quarantined: Infinity, assumed: Infinity, lossy: opening.allowed.isLossy ? Infinity : 0 },
    onBatch: (phase, documents) => {
      done[phase] += documents;
      return tell(opening, phase, done[phase]);
    },
  };
}

/** What a run is bound to, beside what its kind of source adds. */
export function boundOf({ forward }: Opening, typeDigest: string, added: JsonObject = {}): JsonObject {
  return { ...forward, type_digest: typeDigest, ...added };
}

type OfColumns = Omit<Documents, 'bound' | 'readDigest' | typeof Symbol.asyncDispose>;

/** The documents of a column, whatever it is in. */
export function tableDocuments(table: GovernedTable, work: TableWork): OfColumns {
  const { run } = work;
  return {
    place: table.place,
    typeDigest: work.typeDigest,
    cover: async () => coverageOf(await work.cover()),
    coverBack: (of) => work.coverBack(of),
    setReaders: async (isOpen) => {
      const set = await work.setReaders(isOpen);
      return set.status === 'ok' && set.value;
    },
    build: async () => findingsOf(await work.build()),
    buildBack: async (of) => findingsOf(await work.buildBack(of)),
    cutOver: async () => findingsOf(await work.cutOver()),
    settle: async (of) => findingsOf(await work.settle(of)),
    isSettled: (transaction, of) => work.isSettled(sqlSessionOf(transaction), of),
    counts: (transaction) => work.counts(transaction === undefined ? undefined : sqlSessionOf(transaction)),
    writtenMeanwhile: (transaction) => table.writtenMeanwhile(run, sqlSessionOf(transaction)),
    triggers: (transaction) => table.triggers(sqlSessionOf(transaction)),
    writtenSince: (transaction, of) => table.writtenSince(of, run, sqlSessionOf(transaction)),
    restoreBeside: () => table.restoreBeside(run),
    restore: async (transaction) => (await table.restore(run, sqlSessionOf(transaction))).changed,
    tidy: (isCommitted) => table.tidy(run, isCommitted),
    keptBy: (transaction, of) => table.keptDocuments(of, sqlSessionOf(transaction)),
    forget: (transaction, of) => table.forget(of, sqlSessionOf(transaction)),
  };
}

/** A coverage as the kind shows it; two of what it finds are limits of the bundle. */
export function coverageOf({
  report,
  counts,
  pointers,
  findings,
}: Awaited<ReturnType<TableWork['cover']>>): Awaited<ReturnType<Documents['cover']>> {
  return {
    report: { ...report, failures: report.failures.map((each) => ({ ...each })) },
    counts,
    pointers,
    findings: findings.filter(
      ({ detail }) => detail['what'] !== 'failures' && detail['what'] !== 'quarantined',
    ),
  };
}

/** What a piece of a run was refused for. */
export function findingsOf(result: Result<unknown>): readonly Finding[] {
  return result.status === 'ok' ? [] : result.findings;
}

/** Runs what writes outside of the store while nobody can settle the run: the fence holds until it is done. */
export async function fenced<T>({ reach }: Opening, work: () => Promise<T>): Promise<T> {
  const { context } = reach;
  if (context === undefined || reach.transaction !== undefined) return work();
  return context.store.transaction({ isolation: 'read committed' }, async (transaction) => {
    await context.fence(transaction);
    return work();
  });
}
