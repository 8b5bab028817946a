/**
 * The migration kind `other` (M13), of which varve brings one: history of another tool, taken over as applied. A run changes nothing of
 * the database; what it records is its own ledger entry and receipt, with the list of the migrations as an input. The tool's
 * table is read again in the deciding transaction, and that this transaction has written nothing is asked of the server.
 */
import { dirname, join } from 'node:path';
import { refusal, type Finding, type JsonObject } from '../../../base/index.ts';
import { digestOf, type Baseline } from '../../../evidence/index.ts';
import { sql, type Queryable, type Transaction } from '../../../store/index.ts';
import type { Bundle } from '../../bundle.ts';
import {
  ADOPTED_HISTORY,
  driftFinding,
  fileState,
  historyIn,
  type AdoptedHistory,
  type HistoryReading,
} from '../../import/adopted-history.ts';
import { findToolTable, readToolHistory } from '../../import/tool-history.ts';
import type {
  Enforcement,
  KindPlan,
  MigrationKind,
  Observation,
  PlanContext,
  RunContext,
  Step,
} from '../../kind.ts';

/** The kind. */
export const importedKind: MigrationKind = {
  name: 'other',
  prefix: 'OTHER',
  limits: ['max_object_count_touched', 'max_migration_count_adopted'],
  scopeKeys: ['allowed_objects', 'forbidden_objects'],
  isolation: 'repeatable read',
  baselineIn: 'before',
  foreseesRows: true,
  faultPoints: [],
  plan,
  apply: () => [checkStep()],
  rollback: () => [],
  observe,
  undo: () => Promise.resolve([]),
  baseline,
};

const ENFORCEMENT: Enforcement = { level: 'observed', layers: ['no_transaction_id'], role: 'none' };

async function plan({ bundle, direction, transaction }: PlanContext): Promise<KindPlan> {
  const read = await historyOf(bundle);
  if (read.status === 'refused') return planOf({}, 0, read.findings);
  const { history } = read;
  const findings =
    direction === 'forward'
      ? [...(await fileFindings(bundle, history)), ...(await tableFindings(transaction, history))]
      : [];
  const { tool, folder, table, migrations } = history;
  const bound = { tool, folder, table, migrations: migrations.length, history: digestOf(history) };
  return planOf(bound, migrations.length, findings);
}

function planOf(bound: JsonObject, count: number, findings: readonly Finding[]): KindPlan {
  return {
    bound,
    tables: [],
    objects: [],
    enforcement: ENFORCEMENT,
    measures: { max_object_count_touched: 0, max_migration_count_adopted: count },
    shown: {},
    rollbackClass: 'lossless',
    findings,
  };
}

/** Between plan and commit the tool may have run: what is recorded holds in the transaction that records it. */
function checkStep(): Step {
  return {
    mode: 'decide',
    name: 'compare with the table of the tool',
    run: async ({ bundle }, transaction) => {
      const read = await historyOf(bundle);
      return read.status === 'ok' ? { findings: await tableFindings(transaction, read.history) } : read;
    },
  };
}

async function observe({ bound }: RunContext, transaction: Transaction): Promise<Observation> {
  const [row] = await transaction.query<{ readonly untouched: boolean }>(
    sql`select pg_current_xact_id_if_assigned() is null as untouched`,
  );
  const count = typeof bound['migrations'] === 'number' ? bound['migrations'] : 0;
  const isUntouched = row?.untouched === true;
  return {
    tables: [],
    objects: [],
    witnesses: ENFORCEMENT.layers,
    enforcement: ENFORCEMENT,
    measures: {
      ...(isUntouched ? { max_object_count_touched: { value: 0, isUpperBound: false } } : {}),
      max_migration_count_adopted: { value: count, isUpperBound: false },
    },
    touched: [],
    newWrites: [],
    checks: [{ name: 'nothing_written', status: isUntouched ? 'pass' : 'fail' }],
    findings: [],
  };
}

/** Nothing may be touched, so there is nothing to measure: the state before and after is the empty one. */
async function baseline(_context: unknown, transaction: Transaction): Promise<Baseline> {
  const [server] = await transaction.query<{ readonly version: string }>(
    sql`select current_setting('server_version_num')::integer / 10000 || '' as version`,
  );
  const nothing = digestOf([]);
  return {
    baseline_version: 'v1',
    algorithm: 'imported/1',
    server_version: server?.version ?? '',
    object_counts: {},
    schema_fingerprint: { strict: nothing, logical: nothing },
    tables: [],
  };
}

async function historyOf(bundle: Bundle): Promise<Exclude<HistoryReading, { readonly status: 'none' }>> {
  const read = await historyIn(bundle);
  if (read.status !== 'none') return read;
  const hint = `A bundle of kind other takes over history: write ${ADOPTED_HISTORY} with \`varve adopt --migrations\`.`;
  return { status: 'refused', findings: [refusal('kind_unavailable', bundle.id, { hint })] };
}

async function fileFindings(bundle: Bundle, history: AdoptedHistory): Promise<readonly Finding[]> {
  // PROJECT/migrations/other/ID
  const project = dirname(dirname(dirname(bundle.folder)));
  const findings: Finding[] = [];
  for (const item of history.migrations) {
    const state = await fileState(join(project, history.folder), item);
    if (state !== 'same') findings.push(driftFinding(history, item, state));
  }
  return findings;
}

/** What the tool's table says otherwise than the bundle. */
async function tableFindings(queryable: Queryable, history: AdoptedHistory): Promise<readonly Finding[]> {
  const { tool, table, migrations } = history;
  if (table === null) return [];
  const found = await findToolTable(queryable, tool, table);
  if (found === undefined || typeof found === 'object') {
    const hint = 'Apply this where the tool has applied them: its table is not in this database.';
    return [refusal('import_unproved', table, { detail: { tool, files: migrations.length }, hint })];
  }
  const { entries } = await readToolHistory(queryable, tool, table);
  const entryById = new Map(entries.map((entry) => [entry.id, entry]));
  return migrations.flatMap((item) => {
    const entry = entryById.get(item.id);
    const isApplied =
      entry?.state === 'applied' &&
      entry.checksum !== null &&
      [item.checksum, ...item.equal_checksums].includes(entry.checksum);
    if (isApplied) return [];
    const hint = 'Settle it with its tool, then run `varve adopt --migrations` again.';
    const detail = { id: item.id, table, state: entry?.state ?? 'not_applied', adopted: item.checksum };
    const finding = refusal('import_differs', item.path, { detail, hint });
    // A repeatable one may have been applied again since, as it was changed: that it was applied is as true.
    return [entry?.state === 'applied' && item.repeatable ? { ...finding, severity: 'warning' } : finding];
  });
}
