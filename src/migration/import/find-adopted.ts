/** What bundles have taken over from other tools, and whether its files are still the same. */
import { dirname, join } from 'node:path';
import type { Finding } from '../../base/index.ts';
import { readChain } from '../../evidence/index.ts';
import { listBundles, readBundle } from '../bundle.ts';
import { folderReader } from '../file-reader.ts';
import { parseMigrationId } from '../migration-id.ts';
import type { MigrationStatus } from '../status.ts';
import {
  driftFinding,
  fileState,
  historyIn,
  type AdoptedHistory,
  type AdoptedItem,
  type FileState,
} from './adopted-history.ts';

/** A bundle that takes over history of another tool. */
export interface Adoption {
  readonly migrationId: string;
  readonly history: AdoptedHistory;
  /** Whether every ledger file of the project that knows it says that it was taken back. */
  readonly isTakenBack: boolean;
}

/** A migration of another tool, as it was taken over and as its file stands now. */
export interface AdoptedMigration {
  readonly migrationId: string;
  readonly tool: AdoptedHistory['tool'];
  readonly folder: string;
  readonly item: AdoptedItem;
  readonly file: FileState;
}

/** Every adoption of a project, in order; from files alone. A bundle that cannot be used is told of elsewhere. */
export async function findAdoptions(root: string): Promise<readonly Adoption[]> {
  const ids = (await listBundles(root)).filter((id) => parseMigrationId(id)?.kind === 'other');
  const directions = ids.length === 0 ? [] : await lastDirections(root);
  const found: Adoption[] = [];
  for (const migrationId of ids) {
    const reading = await readBundle(root, migrationId);
    const read = reading.status === 'ok' ? await historyIn(reading.bundle) : reading;
    if (read.status !== 'ok') continue;
    const own = directions.flatMap((ofLedger) => ofLedger.get(migrationId) ?? []);
    const isTakenBack = own.length > 0 && own.every((direction) => direction === 'rollback');
    found.push({ migrationId, history: read.history, isTakenBack });
  }
  return found;
}

/** The migrations of these adoptions; of one that was taken over again, as a repeatable one is, the last alone. */
export async function adoptedMigrations(
  root: string,
  adoptions: readonly Adoption[],
): Promise<readonly AdoptedMigration[]> {
  const latest = new Map<string, Omit<AdoptedMigration, 'file'>>();
  for (const { migrationId, history } of adoptions) {
    const { tool, folder } = history;
    for (const item of history.migrations)
      latest.set(adoptedKey(history, item.id), { migrationId, tool, folder, item });
  }
  const migrations: AdoptedMigration[] = [];
  for (const each of latest.values())
    migrations.push({ ...each, file: await fileState(join(dirname(root), each.folder), each.item) });
  return migrations;
}

/** The migrations that this environment has taken over, by its status. */
export async function readAdopted(
  root: string,
  { migrations }: MigrationStatus,
): Promise<readonly AdoptedMigration[]> {
  const applied = new Set(
    migrations.flatMap(({ migrationId, status }) => (status === 'applied' ? [migrationId] : [])),
  );
  const adoptions = (await findAdoptions(root)).filter(({ migrationId }) => applied.has(migrationId));
  return adoptedMigrations(root, adoptions);
}

/** What tells one adopted migration from every other one. */
export function adoptedKey({ tool, folder }: Pick<AdoptedHistory, 'tool' | 'folder'>, id: string): string {
  return [tool, folder, id].join('\0');
}

/** Files that are no longer what was taken over. */
export function adoptedFindings(migrations: readonly AdoptedMigration[]): readonly Finding[] {
  return migrations.flatMap(({ tool, folder, item, file }) =>
    file === 'same' ? [] : [driftFinding({ tool, folder }, item, file)],
  );
}

/** Which way the last committed run of each migration went, by each ledger file. */
async function lastDirections(root: string): Promise<readonly ReadonlyMap<string, string>[]> {
  const reader = folderReader(root);
  const paths = await reader.list('evidence/ledger');
  return Promise.all(
    paths.map(async (path) => {
      const { lines } = readChain(new TextDecoder().decode(await reader.read(path)));
      return new Map(
        lines.flatMap((line) => {
          const { phase, migration_id: id, direction } = line as Readonly<Record<string, unknown>>;
          const isCommitted = phase === 'committed' && direction !== 'retire';
          return isCommitted && typeof id === 'string' && typeof direction === 'string'
            ? [[id, direction] as const]
            : [];
        }),
      );
    }),
  );
}
