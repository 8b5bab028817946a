import { refusal, type Finding } from '../base/index.ts';
import { parseMigrationId, readStatus, type RunnerOptions } from '../migration/index.ts';

/**
 * The migration to apply where none is named: the one that is half-way, else the last that was planned from the
 * definitions; undefined where none is pending. Of other kinds, several have to be told apart by name. A bundle that cannot
 * be read may be the one that is meant, so it has to be looked at, or another one be named.
 */
export async function pendingMigration(
  options: RunnerOptions,
): Promise<string | readonly Finding[] | undefined> {
  const { migrations, unfinished } = await readStatus(options);
  const open = unfinished.at(-1);
  if (open !== undefined) return open.migrationId;
  const unreadable = migrations.filter(({ status }) => status === 'invalid');
  if (unreadable.length > 0) {
    return unreadable.flatMap(({ migrationId, findings }) =>
      findings.map((finding) => ({ ...finding, subject: subjectIn(migrationId, finding.subject) })),
    );
  }
  const pending = migrations
    .filter(({ status }) => status === 'pending')
    .map(({ migrationId }) => migrationId);
  if (pending.every((id) => parseMigrationId(id)?.kind === 'pipeline')) return pending.at(-1);
  if (pending.length === 1) return pending[0];
  return [
    refusal('usage', 'varve apply', {
      detail: { reason: 'several migrations are pending' },
      hint: `Name one of: ${pending.join(', ')}.`,
    }),
  ];
}

/** What a finding about a file of a bundle is about, with the bundle. */
export function subjectIn(migrationId: string, subject: string): string {
  return subject === migrationId ? subject : `${migrationId}/${subject}`;
}
