/** The direction `retire`: the originals that committed runs of a bundle keep are let go. */
import { refusal, type Finding, type JsonObject } from '../../../base/index.ts';
import { digestOf, type Baseline } from '../../../evidence/index.ts';
import { sql, type Transaction } from '../../../store/index.ts';
import type { Enforcement, KindPlan, PlanContext, RetireVerbs, RunContext, StepResult } from '../../kind.ts';
import { readForward } from './bundle-document.ts';
import { allowedBy, type DocumentEngine, type Documents, type Reach } from './engine.ts';

const ENFORCEMENT: Enforcement = { level: 'observed', layers: ['catalog'], role: 'none' };

/** A committed run and how many documents it keeps originals of. */
interface KeptRun extends JsonObject {
  readonly run: string;
  readonly documents: number;
}

/** Letting go of what runs of documents keep. */
export function retireVerbs(engine: DocumentEngine): RetireVerbs {
  const open = async (
    context: Pick<PlanContext, 'bundle'>,
    reach: Reach,
  ): Promise<Documents | readonly Finding[]> => {
    const read = readForward(context.bundle);
    if (read.status === 'refused') return [read.finding];
    const opened = await engine.open(read.forward, allowedBy(context.bundle), reach);
    return opened.status === 'ok' ? opened.documents : opened.findings;
  };
  return {
    plan: async (context) => {
      const documents = await open(context, { transaction: context.transaction });
      if ('length' in documents) return planOf([], '', documents);
      const runs = await keptRuns(documents, context.transaction, context.bundle.id);
      return planOf(runs, documents.place, runs.length === 0 ? [nothingLeft(context.bundle.id)] : []);
    },
    apply: () => [
      {
        mode: 'decide',
        name: 'let go',
        run: async (context, transaction): Promise<StepResult> => {
          const documents = await open(context, { context, transaction });
          if ('length' in documents) return { findings: documents };
          for (const { run } of runsIn(context.bound)) await documents.forget(transaction, run);
          return { findings: [] };
        },
      },
    ],
    observe: async (context, transaction) => {
      const documents = await open(context, { context, transaction });
      const left =
        'length' in documents ? undefined : await keptRuns(documents, transaction, context.bundle.id);
      const [schema = '', name = ''] = tableOf(context).split('.');
      return {
        tables: [],
        objects: [tableOf(context)],
        witnesses: ['catalog'],
        enforcement: ENFORCEMENT,
        measures: {},
        touched: runsIn(context.bound).map(({ documents: rows }) => ({
          kind: 'table',
          schema,
          name,
          change: 'let_go',
          rows,
        })),
        newWrites: [],
        checks: [{ name: 'originals_gone', status: left?.length === 0 ? 'pass' : 'fail' }],
        findings: [],
      };
    },
    undo: () => Promise.resolve([]),
    baseline: ({ bound }, transaction) => measureRuns(transaction, runsIn(bound)),
  };
}

function tableOf({ bound }: Pick<RunContext, 'bound'>): string {
  return bound['table'] as string;
}

function runsIn(bound: JsonObject): readonly KeptRun[] {
  return bound['runs'] as readonly KeptRun[];
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

function planOf(runs: readonly KeptRun[], place: string, findings: readonly Finding[]): KindPlan {
  const table = place.split('.').slice(0, 2).join('.');
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
function measureRuns(transaction: Transaction, runs: readonly KeptRun[]): Promise<Baseline> {
  return transaction
    .query<{ run: string; major: string }>(
      sql`
      select w.run, (current_setting('server_version_num')::int / 10000)::text as major
      from varve_history.document_work w where w.run = any(${runs.map(({ run }) => run)}::text[]) order by 1`,
    )
    .then((rows) => {
      const fingerprint = digestOf([]);
      return {
        baseline_version: 'v1',
        algorithm: 'document-retire/1',
        server_version: rows[0]?.major ?? '',
        object_counts: { run: rows.length },
        schema_fingerprint: { strict: fingerprint, logical: fingerprint },
        tables: rows.map(({ run }) => ({
          table: run,
          rows: runs.find((each) => each.run === run)?.documents ?? 0,
          digest: digestOf({ run }),
        })),
      };
    });
}
