/** Documents as the migration kind takes them: types from the project, columns from its store. */
import { hostname } from 'node:os';
import type { Finding } from '../base/index.ts';
import type { Result } from '../document/index.ts';
import type { GovernedTable, SqlStore, TableWork } from '../document/edge/index.ts';
import type { Allowed, DocumentEngine, Documents, Reach } from '../migration/kind/document/index.ts';
import { sql, sumRows } from '../store/index.ts';
import { sqlSessionOf, sqlStoreOf } from './document-store.ts';
import { documentTypeIn } from './document-type-file.ts';

/** The engine for a project. */
export function documentEngine(projectDir: string): DocumentEngine {
  return {
    open: async (forward, allowed, reach) => {
      const type = await documentTypeIn(projectDir, forward);
      if (!('model' in type)) return { status: 'refused', findings: type.findings };
      const model = type.model();
      if (model.status === 'refused') return model;
      const { postgresTable, tableWork } = await import('../document/edge/index.ts');
      const [schema = '', table = ''] = forward.source.table.split('.');
      const place = { schema, table, column: forward.source.column };
      const column = await postgresTable(storeOf(reach), place);
      if (column.status === 'refused') return column;
      const work = tableWork(model.value, column.value, {
        to: forward.to,
        run: reach.context?.runId ?? '',
        holder: `process ${process.pid} on ${hostname()}`,
        ...optionsOf(allowed, reach),
      });
      const bound = { ...forward, type_digest: work.typeDigest, column: column.value.shape };
      return { status: 'ok', documents: documentsOf(column.value, work, bound) };
    },
  };
}

/** What is done in an open transaction stays in it; a run of its own writes in transactions that are fenced. */
function storeOf(reach: Reach): SqlStore {
  if (reach.transaction === undefined) return sqlStoreOf(reach.context.store, reach.context.fence);
  const session = sqlSessionOf(reach.transaction);
  return {
    location: '',
    transaction: (_begin, work) => work(session),
    tryLock: () => Promise.resolve(undefined),
    isBadValue: () => false,
  };
}

function optionsOf({ isLossy, paths }: Allowed, reach: Reach): object {
  const shared = {
    // Counts are held to the bundle's limits by the lifecycle; here only whether a lossy way may be taken.
    limits: { quarantined: Infinity, assumed: Infinity, lossy: isLossy ? Infinity : 0 },
    ...(paths === undefined ? {} : { allowedPaths: paths }),
  };
  if (reach.context === undefined) return shared;
  const { signal, fault, progress, isRehearsal, bundle } = reach.context;
  const done = { build: 0, 'cut over': 0, settle: 0 };
  return {
    ...shared,
    // A rehearsal goes forward twice, and both ends have to be the same.
    ...(isRehearsal === true ? { now: '1970-01-01T00:00:00.000Z', named: bundle.id } : {}),
    signal,
    onBatch: async (phase: keyof typeof done, documents: number) => {
      done[phase] += documents;
      progress({ step: phase, done: done[phase], total: undefined });
      await fault(phase === 'build' ? 'D01_page_built' : 'D03_batch_in_place');
    },
  };
}

function documentsOf(table: GovernedTable, work: TableWork, bound: Documents['bound']): Documents {
  const { run } = work;
  return {
    place: table.place,
    typeDigest: work.typeDigest,
    bound,
    cover: async () => {
      const { report, counts, pointers, findings } = await work.cover();
      // These two are limits of the bundle.
      const others = findings.filter(
        ({ detail }) => detail['what'] !== 'failures' && detail['what'] !== 'quarantined',
      );
      return {
        report: { ...report, failures: report.failures.map((each) => ({ ...each })) },
        counts,
        pointers,
        findings: others,
      };
    },
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
    readSum: (transaction) => {
      const { query, columns } = table.readBy(run);
      return sumRows(transaction, { from: sql.raw(`(${query})`), columns });
    },
    writtenSince: (transaction, of) => table.writtenSince(of, run, sqlSessionOf(transaction)),
    restore: async (transaction) => (await table.restore(run, sqlSessionOf(transaction))).changed,
    tidy: (isCommitted) => table.tidy(run, isCommitted),
    keptBy: (transaction, of) => table.keptDocuments(of, sqlSessionOf(transaction)),
    forget: (transaction, of) => table.forget(of, sqlSessionOf(transaction)),
  };
}

function findingsOf(result: Result<unknown>): readonly Finding[] {
  return result.status === 'ok' ? [] : result.findings;
}
