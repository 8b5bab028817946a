/** The direction `retire`: the originals that committed runs of a bundle keep are let go. */
import { refusal, type Finding, type JsonObject } from '../../../base/index.ts';
import { digestOf, type Baseline } from '../../../evidence/index.ts';
import { sql, type Transaction } from '../../../store/index.ts';
import type { Enforcement, KindPlan, PlanContext, RetireVerbs, StepResult } from '../../kind.ts';
import { serverVersion } from './baseline.ts';
import { namesOf, objectOf, readForward } from './bundle-document.ts';
import { allowedBy, type DocumentEngine, type Documents, type Reach } from './engine.ts';
import { forwardOf } from './plan.ts';

const ENFORCEMENT: Enforcement = { level: 'observed', layers: ['catalog'], role: 'none' };

/** A committed run and how many documents it keeps originals of. */
interface KeptRun extends JsonObject {
  readonly run: string;
  readonly documents: number;
}

/** Letting go of what runs of documents keep. */
export function retireVerbs(engine: DocumentEngine): RetireVerbs {
  const open: Open = async (context, reach) => {
    const read = readForward(context.bundle);
    if (read.status === 'refused') return [read.finding];
    const opened = await engine.open(read.forward, allowedBy(context.bundle), reach);
    return opened.status === 'ok' ? opened.documents : opened.findings;
  };
  return {
    plan: async (context) => {
      const opened = await open(context, { transaction: context.transaction });
      if ('length' in opened) return planOf([], '', opened);
      await using documents = opened;
      const runs = await keptRuns(documents, context.transaction, context.bundle.id);
      return planOf(
        runs,
        objectOf(forwardOf(context.bundle)),
        runs.length === 0 ? [nothingLeft(context.bundle.id)] : [],
      );
    },
    apply: () => [
      {
        mode: 'decide',
        name: 'let go',
        run: async (context, transaction): Promise<StepResult> => {
          const opened = await open(context, { context, transaction });
          if ('length' in opened) return { findings: opened };
          await using documents = opened;
          for (const { run } of runsIn(context.bound)) await documents.forget(transaction, run);
          return { findings: [] };
        },
      },
    ],
    observe: async (context, transaction) => {
      const left = await keptIn(open, context, transaction);
      return {
        tables: [],
        objects: [objectOf(forwardOf(context.bundle))],
        witnesses: ['catalog'],
        enforcement: ENFORCEMENT,
        measures: {},
        touched: runsIn(context.bound).map(({ documents: rows }) => ({
          ...namesOf(forwardOf(context.bundle)),
          change: 'let_go',
          rows,
        })),
        newWrites: [],
        checks: [{ name: 'originals_gone', status: left?.length === 0 ? 'pass' : 'fail' }],
        findings: [],
      };
    },
    undo: () => Promise.resolve([]),
    baseline: async ({ bundle, bound }, transaction) => {
      const left = await keptIn(open, { bundle }, transaction);
      return measureRuns(transaction, runsIn(bound), left ?? []);
    },
  };
}

function runsIn(bound: JsonObject): readonly KeptRun[] {
  return bound['runs'] as readonly KeptRun[];
}

type Open = (context: Pick<PlanContext, 'bundle'>, reach: Reach) => Promise<Documents | readonly Finding[]>;

/** The runs that still keep something; undefined where the documents cannot be opened. */
async function keptIn(
  open: Open,
  context: Pick<PlanContext, 'bundle'>,
  transaction: Transaction,
): Promise<readonly KeptRun[] | undefined> {
  const opened = await open(context, { transaction });
  if ('length' in opened) return undefined;
  await using documents = opened;
  return await keptRuns(documents, transaction, context.bundle.id);
}

async function keptRuns(
  documents: Documents,
  transaction: Transaction,
  migrationId: string,
): Promise<readonly KeptRun[]> {
  const rows = await transaction.query<{ run: string }>(sql`
    select run_id as run from varve.ledger where migration_id = ${migrationId} and phase = 'committed' order by seq`);
  const kept: KeptRun[] = [];
  for (const { run } of rows) {
    const count = await documents.keptBy(transaction, run);
    if (count !== undefined) kept.push({ run, documents: count });
  }
  return kept;
}

function planOf(runs: readonly KeptRun[], table: string, findings: readonly Finding[]): KindPlan {
  const sum = runs.reduce((total, { documents }) => total + documents, 0);
  const none = { keep: 0, rekey: 0, backfill: 0, recompute: 0, ambiguous: 0, carried: 0 };
  return {
    bound: { table, runs },
    tables: runs.length === 0 ? [] : [{ table, ...none, retire: sum }],
    objects: runs.length === 0 ? [] : [table],
    enforcement: ENFORCEMENT,
    measures: {},
    shown: {},
    rollbackClass: 'lossless',
    findings,
  };
}

function nothingLeft(id: string): Finding {
  return refusal('nothing_to_retire', id, {
    hint: 'No committed run of it keeps originals, or they were let go before. Look at `varve status`.',
  });
}

/** Which runs still keep something is all that a retire changes. */
async function measureRuns(
  transaction: Transaction,
  runs: readonly KeptRun[],
  left: readonly KeptRun[],
): Promise<Baseline> {
  const fingerprint = digestOf([]);
  const there = runs.filter(({ run }) => left.some((each) => each.run === run));
  return {
    baseline_version: 'v1',
    algorithm: 'document-retire/1',
    server_version: await serverVersion(transaction),
    object_counts: { run: there.length },
    schema_fingerprint: { strict: fingerprint, logical: fingerprint },
    tables: there.map(({ run, documents }) => ({ table: run, rows: documents, digest: digestOf({ run }) })),
  };
}
