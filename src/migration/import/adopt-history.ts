/**
 * Writes a bundle that takes over what another tool has applied. Nothing is recorded before that bundle is applied, and the tool's
 * own table is only read, then too.
 */
import { dirname, join } from 'node:path';
import { canonicalJson, isRefused, refusal, type Finding } from '../../base/index.ts';
import { isStoreError } from '../../store/index.ts';
import { freeMigrationId, writeBundle } from '../bundle.ts';
import { ANY_APPROVER, type Declaration, type Scope } from '../declaration.ts';
import type { RunnerOptions } from '../environment.ts';
import { readLedger } from '../ledger.ts';
import { planMigration, type PlanOutcome } from '../plan-migration.ts';
import type { Refused } from '../refused.ts';
import { registerBundle } from '../registry.ts';
import { readStatus } from '../status.ts';
import { ADOPTED_HISTORY, adoptedItem, type AdoptedHistory } from './adopted-history.ts';
import { compareHistory, type Comparison } from './compare-history.ts';
import {
  adoptedFindings,
  adoptedKey,
  adoptedMigrations,
  findAdoptions,
  type Adoption,
} from './find-adopted.ts';
import type { FolderReading, ImportedItem, ImportTool } from './imported-item.ts';
import { listFolder } from './list-folder.ts';
import { readFolder } from './read-folder.ts';
import { findToolTable, readToolHistory } from './tool-history.ts';

/** What is taken over. */
export interface AdoptHistoryOptions {
  /** The folder, relative to the project, with `/`; `.` is the project itself. */
  readonly folder: string;
  /** Default: the only one that the files are of. */
  readonly tool?: ImportTool;
  /** The tool's table as `schema.table`, where it has another name or there are several. */
  readonly table?: string;
  /** Says that every file was applied; where a table says so itself, it is refused. */
  readonly allApplied: boolean;
}

/** What came of it. */
export type AdoptHistoryResult =
  | Refused
  | {
      readonly status: 'planned' | 'nothing';
      readonly tool: ImportTool;
      readonly table: string | null;
      /** Those of the new bundle. */
      readonly adopted: readonly ImportedItem[];
      readonly pending: readonly ImportedItem[];
      /** How many earlier bundles have. */
      readonly alreadyCount: number;
      /** The bundle that was written, or the last one that has them. */
      readonly migrationId: string | undefined;
      /** Undefined where nothing was written. */
      readonly plan: Extract<PlanOutcome, { readonly status: 'planned' }>['plan'] | undefined;
      readonly findings: readonly Finding[];
    };

/** Reads a folder of another tool beside its table, and writes a bundle of what is new in it. Errors: the `import_*` codes. */
export async function adoptHistory(
  options: RunnerOptions,
  given: AdoptHistoryOptions,
): Promise<AdoptHistoryResult> {
  const { root } = options;
  const { files, findings: unread } = await listFolder(join(dirname(root), given.folder));
  if (isRefused(unread)) return refused(unread);
  const reading = readFolder(files, given.tool);
  if (reading.tool === undefined || isRefused(reading.findings)) return refused(reading.findings);
  const compared = await compareWithStore(options, reading, given).catch((error: unknown) =>
    otherTable(error, reading, given),
  );
  const adoptions = await standingAdoptions(options);
  const known = await adoptedMigrations(root, adoptions);
  const about = { tool: reading.tool, folder: given.folder };
  const ofFolder = known.filter((each) => each.tool === about.tool && each.folder === about.folder);
  const findings = [...reading.findings, ...compared.findings, ...adoptedFindings(ofFolder)];
  if (isRefused(findings)) return refused(onePerFile(findings));
  const digests = new Map(known.map((each) => [adoptedKey(each, each.item.id), each.item.digest]));
  const fresh = compared.applied.filter((item) => digests.get(adoptedKey(about, item.id)) !== item.digest);
  const told = {
    tool: reading.tool,
    table: compared.table,
    adopted: fresh,
    pending: compared.pending,
    alreadyCount: compared.applied.length - fresh.length,
    findings,
  };
  if (fresh.length === 0) {
    const migrationId = adoptions.findLast(({ isPending }) => isPending)?.migrationId;
    return { ...told, status: 'nothing', migrationId, plan: undefined };
  }
  const history: AdoptedHistory = {
    history_version: 'v1',
    ...about,
    table: compared.table,
    migrations: fresh.map((item) => adoptedItem(item)),
  };
  const written = await writeAdoption(options, history);
  if (written.status === 'refused') return written;
  const { plan } = written;
  return {
    ...told,
    status: 'planned',
    migrationId: plan.migration_id,
    plan,
    findings: [...findings, ...written.findings],
  };
}

/** The adoptions that this environment has or is still to have. */
async function standingAdoptions(
  options: RunnerOptions,
): Promise<readonly (Adoption & { readonly isPending: boolean })[]> {
  const { migrations } = await readStatus(options);
  const statusById = new Map(migrations.map(({ migrationId, status }) => [migrationId, status]));
  return (await findAdoptions(options.root))
    .filter(({ migrationId }) => statusById.get(migrationId) !== 'rolled_back')
    .map((each) => ({ ...each, isPending: statusById.get(each.migrationId) === 'pending' }));
}

type Compared = Comparison & { readonly table: string | null };

/** What was applied, by the tool's table in one snapshot; without a table, only what whoever adopts says. */
async function compareWithStore(
  { store }: RunnerOptions,
  reading: FolderReading & { readonly tool: ImportTool },
  given: AdoptHistoryOptions,
): Promise<Compared> {
  const none = { applied: [], pending: [], table: null };
  return store.transaction({ isolation: 'repeatable read', readOnly: true }, async (transaction) => {
    const table = await findToolTable(transaction, reading.tool, given.table);
    if (typeof table === 'object') return { ...none, findings: [table] };
    if (table !== undefined && given.allApplied) {
      const hint = `Leave --all-applied out: ${table} says what was applied.`;
      return { ...none, findings: [refusal('usage', '--all-applied', { detail: { table }, hint })] };
    }
    if (table !== undefined)
      return { ...compareHistory(reading, await readToolHistory(transaction, reading.tool, table)), table };
    if (given.allApplied && given.table === undefined)
      return { applied: reading.items, pending: [], findings: [], table: null };
    return { ...none, findings: [unproved(reading, given)] };
  });
}

/** A table of the right name without the columns of its tool, or one that may not be read, says nothing. */
function otherTable(error: unknown, reading: FolderReading, given: AdoptHistoryOptions): Compared {
  if (!isStoreError(error, '42703', '42501')) throw error;
  return { applied: [], pending: [], findings: [unproved(reading, given)], table: null };
}

function unproved({ tool, items }: FolderReading, { folder, table }: AdoptHistoryOptions): Finding {
  const hint =
    table !== undefined
      ? "Name the tool's own table, one that may be read: --history-table schema.table."
      : tool === 'sql'
        ? 'No table says what was applied: add --all-applied if every one of these files was.'
        : 'This database has no table of the tool: name it with --history-table, or add --all-applied if every file was applied.';
  const detail = { tool, files: items.length, ...(table === undefined ? {} : { table }) };
  return refusal('import_unproved', folder, { detail, hint });
}

/** A file that was changed differs from its tool's table and from what was taken over: once is enough. */
function onePerFile(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Set<unknown>();
  return findings.filter(({ code, detail }) => {
    const id = detail['id'];
    if (code !== 'import_differs' || id === undefined) return true;
    if (seen.has(id)) return false;
    seen.add(id);
    return true;
  });
}

async function writeAdoption(options: RunnerOptions, history: AdoptedHistory): Promise<PlanOutcome> {
  const taken = (await readLedger(options.store)).map(({ migration_id: id }) => id);
  const nowMs = options.clock.nowMs();
  const id = await freeMigrationId(options.root, 'other', { nowMs, taken });
  if (id === undefined) {
    const hint = 'Adopt again tomorrow: the 99 ids of this day are used up.';
    return refused([refusal('bundle_invalid', 'OTHER', { detail: { reason: 'ids_used_up' }, hint })]);
  }
  const written = await writeBundle(options.root, {
    declaration: declarationOf(id, history),
    files: {
      [ADOPTED_HISTORY]: canonicalJson(history),
      'rollback.json': canonicalJson({ format: 'adopted-history-rollback/1', lets_go: ADOPTED_HISTORY }),
      'notes.md': notesOf(history),
    },
  });
  if (written.status === 'refused') return written;
  const { principal } = options.actor;
  const about = { owners: [principal], by: principal, clock: options.clock };
  const entered = await registerBundle(options.root, written.bundle, about);
  return entered.status === 'refused' ? entered : planMigration(options, id);
}

/** No object of the database is touched, so none is allowed. The lists of this kind are other ones than those of tables. */
const NOTHING: Readonly<Record<string, readonly string[]>> = { allowed_objects: [], forbidden_objects: [] };

function declarationOf(id: string, { tool, folder, migrations }: AdoptedHistory): Declaration {
  return {
    migration_id: id,
    type: 'other',
    intent: `Take over what ${tool} has applied from ${folder}, migrations: ${migrations.length}.`,
    scope: NOTHING as Scope,
    limits: { max_object_count_touched: 0, max_migration_count_adopted: migrations.length },
    requires_rollback: true,
    approvals: { required_reviewers: [ANY_APPROVER], change_class: 'routine' },
    artifacts: { forward: [ADOPTED_HISTORY], rollback: ['rollback.json'] },
  };
}

function notesOf({ tool, folder, table, migrations }: AdoptedHistory): string {
  const proof =
    table === null
      ? 'Whoever adopted said that all were applied; no table says so.'
      : `${table} says that they were applied.`;
  return [
    '# Why',
    `What ${tool} has applied from ${folder} becomes part of this history, migrations: ${migrations.length}. ${proof}`,
    '# Risks',
    'None for the data: nothing of the database is changed but the ledger of varve.',
    '# Rollout',
    'Apply it once in each environment where these migrations were applied.',
    '# Rollback',
    'They are let go of again; files and database stay as they are.',
    '# Rollback verification',
    'The run proves that it wrote nothing.',
    '',
  ].join('\n\n');
}

function refused(findings: readonly Finding[]): Refused {
  return { status: 'refused', findings };
}
