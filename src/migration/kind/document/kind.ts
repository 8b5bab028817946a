/**
 * The migration kind `document`: documents in a column or in files to another version of their type.
 *
 * ```text
 * build      all documents beside the old ones, page by page
 * check      what was built against the limits: above them nothing is put in place
 * cut over   batches by compare-and-swap, originals to history in the same transaction
 * settle     what others wrote meanwhile, until a snapshot has none of it; the ledger row is in that one
 * ```
 *
 * The way back builds the originals beside what stands there, brings edited documents back by their steps where nothing is
 * lost, and is put in place alike.
 */
import { VarveError, type Finding } from '../../../base/index.ts';
import type { Baseline } from '../../../evidence/index.ts';
import type { Transaction } from '../../../store/index.ts';
import { holdToApprovals } from '../../exception.ts';
import { exactMeasures, judgeLimits, limitFindings } from '../../judge.ts';
import type { MigrationKind, NewWrites, Observation, RunContext, Step, StepResult } from '../../kind.ts';
import { readBody } from '../../ledger.ts';
import { measure } from './baseline.ts';
import { namesOf, objectOf } from './bundle-document.ts';
import type { DocumentCounts, DocumentEngine, Documents } from './engine.ts';
import {
  countsOf,
  ENFORCEMENT,
  forwardOf,
  LIMITS,
  measuresOf,
  open,
  planBack,
  planForward,
  typeFindings,
} from './plan.ts';
import { retireVerbs } from './retire.ts';

/** The kind, with the engine that moves documents. */
export function documentKind(engine: DocumentEngine): MigrationKind {
  return {
    name: 'document',
    prefix: 'DOC',
    limits: LIMITS,
    scopeKeys: ['allowed_documents', 'allowed_paths', 'forbidden_documents', 'forbidden_paths'],
    isolation: 'repeatable read',
    baselineIn: 'before',
    foreseesRows: false,
    carriesLaterWrites: true,
    faultPoints: [
      'D01_page_built',
      'D02_built',
      'D03_batch_in_place',
      'D04_in_place',
      'D05_settled',
      'D06_tidied',
    ],
    plan: (context) =>
      context.direction === 'rollback' ? planBack(engine, context) : planForward(engine, context),
    apply: (bound) => forwardSteps(engine, bound['mode'] === 'lazy'),
    rollback: () => backSteps(engine),
    observe: (context, transaction) => observe(engine, context, transaction),
    undoBeside: async (context) => {
      await using documents = await documentsOf(engine, context);
      await documents.restoreBeside();
    },
    undo: (context, transaction) => undo(engine, context, transaction),
    baseline: ({ bundle }, transaction) => measure(engine, transaction, forwardOf(bundle)),
    onCopy: (folder) => documentKind(engine.onCopy(folder)),
    retire: retireVerbs(engine),
  };
}

/** The documents of a run; it was planned with them, so that a refusal here is a fault of the project that is told as one. */
async function documentsOf(
  engine: DocumentEngine,
  context: RunContext,
  transaction?: Transaction,
): Promise<Documents> {
  const reach = transaction === undefined ? { context } : { context, transaction };
  const opened = await open(engine, context.bundle, reach);
  if (opened.status === 'ok') return opened.documents;
  const [finding] = opened.findings;
  throw new VarveError(finding?.code ?? 'internal', {
    detail: { subject: finding?.subject ?? context.bundle.id, ...finding?.detail },
    hint: finding?.hint ?? 'Report this.',
  });
}

function beside(
  engine: DocumentEngine,
  name: string,
  work: (documents: Documents, context: RunContext) => Promise<readonly Finding[]>,
  options: { readonly beforeEachTry?: boolean } = {},
): Step {
  return {
    mode: 'beside',
    name,
    ...options,
    run: async (context) => {
      await using documents = await documentsOf(engine, context);
      const findings = await work(documents, context);
      // Asked to stop: what is done stays, and the run goes on later.
      if (findings.some(({ code }) => code === 'interrupted')) context.signal.throwIfAborted();
      return { findings };
    },
  };
}

function forwardSteps(engine: DocumentEngine, isLazy: boolean): readonly Step[] {
  return [
    ...(isLazy ? [beside(engine, 'open for readers', openForReaders)] : []),
    beside(engine, 'build', async (documents, { bundle }) => {
      const findings = typeFindings(documents, forwardOf(bundle));
      return findings.length > 0 ? findings : documents.build();
    }),
    beside(engine, 'check', async (documents, context) => limitsOf(context, await documents.counts())),
    beside(engine, 'cut over', (documents) => documents.cutOver()),
    beside(engine, 'settle', (documents) => documents.settle(undefined), { beforeEachTry: true }),
    settledStep(engine),
    tidyStep(engine),
  ];
}

function backSteps(engine: DocumentEngine): readonly Step[] {
  const of = (context: RunContext): string => context.forward?.runId ?? '';
  return [
    beside(engine, 'build back', (documents, context) => documents.buildBack(of(context))),
    beside(engine, 'cut back', (documents) => documents.cutOver()),
    beside(engine, 'settle', (documents, context) => documents.settle(of(context)), { beforeEachTry: true }),
    settledStep(engine),
    tidyStep(engine),
  ];
}

/**
 * The first time, the run is left open, and readers write back what they move; the next time is the last sweep, and closes it.
 * A rehearsal has no readers to wait for.
 */
async function openForReaders(
  documents: Documents,
  { isRehearsal, runId }: RunContext,
): Promise<readonly Finding[]> {
  if (isRehearsal !== true && (await documents.setReaders(true))) {
    throw new VarveError('interrupted', {
      detail: { run: runId, reason: 'open_for_readers' },
      hint: 'Readers write back what they move from now on. Apply it again for the last sweep, which closes it.',
    });
  }
  await documents.setReaders(false);
  return [];
}

/** What was built, held to the limits before anything of it is put in place (M141). */
function limitsOf({ bundle, exceptions }: RunContext, counts: DocumentCounts): readonly Finding[] {
  const { limits } = bundle.declaration;
  const verdicts = judgeLimits(LIMITS, limits, exactMeasures(measuresOf(counts)));
  return holdToApprovals(limitFindings(bundle.id, verdicts), [{ principal: 'approval', exceptions }]);
}

/** The snapshot in which the run ends has no document that is not settled. */
function settledStep(engine: DocumentEngine): Step {
  return {
    mode: 'decide',
    name: 'settled',
    run: async (context, transaction): Promise<StepResult> => {
      await using documents = await documentsOf(engine, context, transaction);
      if (!(await documents.isSettled(transaction, context.forward?.runId))) {
        throw new VarveError('not_caught_up', {
          detail: { subject: documents.place },
          hint: 'Stop or upgrade what writes documents of the old version, then apply again.',
        });
      }
      await context.fault('D05_settled');
      return { findings: [] };
    },
  };
}

function tidyStep(engine: DocumentEngine): Step {
  return {
    mode: 'after',
    name: 'tidy up',
    alsoAfterUndo: true,
    run: async (context) => {
      await using documents = await documentsOf(engine, context);
      const isCommitted = (await readBody(context.store, context.runId, 'committed')) !== undefined;
      await documents.tidy(isCommitted && context.direction === 'forward');
      await context.fault('D06_tidied');
      return { findings: [] };
    },
  };
}

async function observe(
  engine: DocumentEngine,
  context: RunContext,
  transaction: Transaction,
): Promise<Observation> {
  await using documents = await documentsOf(engine, context, transaction);
  const forward = forwardOf(context.bundle);
  const object = objectOf(forward);
  const counts = await documents.counts(transaction);
  const newWrites = await writesOf(documents, context, transaction);
  return {
    tables: [countsOf(object, counts)],
    objects: [object],
    witnesses: ['document_scope', 'compare_and_swap'],
    enforcement: ENFORCEMENT,
    measures: exactMeasures(measuresOf(counts)),
    touched: [{ ...namesOf(forward), change: 'rows', rows: counts.migrated }],
    newWrites: newWrites === 0 ? [] : [{ table: object, rows: newWrites }],
    checks: [{ name: 'documents_settled', status: 'pass' }],
    findings: [],
  };
}

/** What others wrote: of a way back exactly, since what its run left is known; else at least so much. */
async function writesOf(
  documents: Documents,
  context: RunContext,
  transaction: Transaction,
): Promise<number> {
  if (context.forward !== undefined) {
    const { rows, gone } = await documents.writtenSince(transaction, context.forward.runId);
    return rows + gone;
  }
  const seen = await documents.writtenMeanwhile(transaction);
  if (seen > 0) return seen;
  // A document that was written after the baseline and before it was read is in no list.
  const pre = await baselineBefore(context, transaction);
  const read = await documents.readDigest(transaction);
  return pre === undefined || pre.tables.every(({ digest }) => digest === read) ? 0 : 1;
}

async function baselineBefore(context: RunContext, transaction: Transaction): Promise<Baseline | undefined> {
  const body = await readBody(transaction, context.runId, 'baselined');
  return body?.['baseline'] as unknown as Baseline | undefined;
}

/** All of it back, but for what others wrote over: each document that the run replaced is its original again, or counted. */
async function undo(
  engine: DocumentEngine,
  context: RunContext,
  transaction: Transaction,
): Promise<readonly NewWrites[]> {
  await using documents = await documentsOf(engine, context, transaction);
  const forward = forwardOf(context.bundle);
  const table = objectOf(forward);
  const changed = await documents.restore(transaction);
  // One that was written over may be among those that were seen while the run went on: at least so many.
  const rows = Math.max(changed, await documents.writtenMeanwhile(transaction));
  const pre = await baselineBefore(context, transaction);
  const now = await measure(engine, transaction, forward);
  const moved = pre === undefined ? [] : movedTables(pre, now).filter((each) => rows === 0 || each !== table);
  return [...(rows > 0 ? [{ table, rows }] : []), ...moved.map((each) => ({ table: each, rows: 1 }))];
}

/** Tables that are not as they were, however many of their rows. */
function movedTables(left: Baseline, right: Baseline): readonly string[] {
  const digestIn = ({ tables }: Baseline, name: string): string | undefined =>
    tables.find(({ table }) => table === name)?.digest;
  const names = new Set([...left.tables, ...right.tables].map(({ table }) => table));
  return [...names].filter((name) => digestIn(left, name) !== digestIn(right, name));
}
