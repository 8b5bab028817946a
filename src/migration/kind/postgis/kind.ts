/**
 * The migration kind `postgis`: SQL scripts on a PostgreSQL database, with or without PostGIS, held to their declaration.
 *
 * All transactional statements of a bundle run in the one deciding transaction, in which everything that they touched is
 * seen and judged before it commits; see `observe.ts` for the layers.
 */
import { isRefused, type Finding, type JsonObject } from '../../../base/index.ts';
import type { Transaction } from '../../../store/index.ts';
import type { MigrationKind, RunContext, Step } from '../../kind.ts';
import { attemptOf, beginAttempt, keepBaseline, relationsNow } from './attempt.ts';
import { measureOrThrow } from './baseline-of.ts';
import { captureBefore } from './capture.ts';
import { actAsOwner, confinementIn, lendRoles, takeRolesBack } from './confine.ts';
import { retireVerbs } from './let-go.ts';
import { besideStep, undoBeside, type BoundPhase } from './nontransactional.ts';
import { observe } from './observe.ts';
import { plan } from './plan.ts';
import { writeProbe } from './probe.ts';
import { runStatement } from './run-statement.ts';
import { readScripts, type ScriptPhase, type Statement } from './script.ts';
import { warmUp } from './warm-up.ts';

/** The kind. */
export const postgisKind: MigrationKind = {
  name: 'postgis',
  prefix: 'PG',
  limits: ['max_table_count_touched', 'max_index_count_delta', 'max_row_backfill'],
  scopeKeys: ['allowed_schemas', 'allowed_tables', 'forbidden_schemas', 'forbidden_tables'],
  isolation: 'repeatable read',
  patience: { lockTimeoutMs: 2_000, tries: 10 },
  baselineIn: 'deciding',
  foreseesRows: false,
  faultPoints: [
    'P00_lent',
    'P01_guarded',
    'P02_statement',
    'P03_observed',
    'P04_beside',
    'P05_prepared',
    'P06_witnessed',
  ],
  plan,
  apply: (bound) => stepsOf(bound),
  rollback: (bound) => stepsOf(bound),
  observe: async (context, transaction) => {
    const observation = await observe(context, transaction);
    await context.fault('P03_observed');
    return observation;
  },
  confine: {
    isDue: (bound) => confinementIn(bound) !== undefined,
    warmUp,
    lend: async (context) => {
      const confinement = confinementIn(context.bound);
      if (confinement === undefined) return;
      await lendRoles(context.store, confinement);
      await context.fault('P00_lent');
    },
    enter: (_context, transaction) => actAsOwner(transaction),
    release: async ({ store, bound }) => {
      const confinement = confinementIn(bound);
      if (confinement !== undefined) await takeRolesBack(store, confinement);
    },
  },
  isWitnessDue: (bound) => bound['witnessed'] === true,
  undo: async ({ bound }, transaction) => {
    // What ran in the deciding transaction went with it.
    await undoBeside(phasesIn(bound), transaction);
    return [];
  },
  baseline: async ({ bundle, settings }, transaction) => {
    const relations = await relationsNow(transaction);
    const baseline = await measureOrThrow(transaction, bundle.declaration.scope, settings, relations);
    keepBaseline(transaction, baseline);
    return baseline;
  },
  retire: retireVerbs,
  probe: writeProbe,
};

/** What runs beside the transaction first, then the guards, then one step a file. */
function stepsOf(bound: JsonObject): readonly Step[] {
  const phases = phasesIn(bound);
  const files = phases.filter(({ mode }) => mode === 'transactional').map(({ file }) => file);
  return [
    ...phases
      .filter(({ mode }) => mode === 'nontransactional')
      .map((phase) =>
        besideStep(phase, async (context) => {
          const scripts = await phasesOf(context);
          return scripts.find(({ file }) => file === phase.file)?.statements[0];
        }),
      ),
    {
      mode: 'decide',
      name: 'guard',
      run: async (context, transaction) => {
        await beginAttempt(context, transaction);
        await context.fault('P01_guarded');
        return { findings: [] };
      },
    },
    ...files.map((file): Step => ({
      mode: 'decide',
      name: file,
      run: async (context, transaction) => ({ findings: await runFile(context, transaction, file) }),
    })),
  ];
}

async function runFile(
  context: RunContext,
  transaction: Transaction,
  file: string,
): Promise<readonly Finding[]> {
  const phases = await phasesOf(context);
  const statementCount = phases.reduce((sum, { statements }) => sum + statements.length, 0);
  const attempt = attemptOf(transaction);
  const { transactionId, counter, capture } = attempt;
  for (const statement of phases.find((phase) => phase.file === file)?.statements ?? []) {
    context.signal.throwIfAborted();
    const mayReset = !isPlainWrite(statement);
    await captureBefore(transaction, capture, statement);
    if (mayReset) await counter.read(transaction);
    const noticesBefore = transaction.noticeCount();
    const findings = await runStatement(transaction, statement, { transactionId, statementCount });
    attempt.notices += transaction.noticeCount() - noticesBefore;
    if (isRefused(findings)) return findings;
    // Once more, for counters that were set back may grow to what they were.
    if (mayReset) await counter.read(transaction);
    await context.fault('P02_statement');
    context.progress({ step: file, done: statement.ordinal, total: statementCount });
  }
  return [];
}

/** These add to the counters of rows; every other one may set them back. */
function isPlainWrite({ kind }: Statement): boolean {
  return ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'].includes(kind);
}

function phasesIn(bound: JsonObject): readonly BoundPhase[] {
  return bound['phases'] as readonly BoundPhase[];
}

async function phasesOf({ bundle, direction }: RunContext): Promise<readonly ScriptPhase[]> {
  const scripts = await readScripts(bundle);
  return direction === 'rollback' ? scripts.rollback : scripts.forward;
}
