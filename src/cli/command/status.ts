import type { Command } from 'commander';
import { join } from 'node:path';
import { readStatus, type MigrationStatus } from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { tableText, type CommandResult, type Style } from '../output.ts';

/** `varve status` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve status', 'varve status --env prod --json']).action(act(run));
}

async function run(context: Context): Promise<CommandResult> {
  const root = join((await context.project()).dir, 'migrations');
  const status = await readStatus({ store: await context.store(), root, environment: context.options.env });
  return { status: 'ok', fields: { ...status }, text: (style) => statusText(style, status) };
}

function statusText(style: Style, { migrations, unfinished }: MigrationStatus): string {
  if (migrations.length === 0) return 'no migrations';
  const rows = migrations.map(({ migrationId, status, drifted, at }) => [
    migrationId,
    drifted ? `${status}, files changed since` : status,
    at ?? '',
  ]);
  const table = tableText(style, [{ head: 'migration' }, { head: 'status' }, { head: 'last run' }], rows);
  const open = unfinished.map(
    ({ migrationId, direction, phase, since, runId }) =>
      `${style('yellow', 'unfinished')}  ${migrationId}  ${direction}, ${phase} since ${since}  ${runId}`,
  );
  const hint = open.length === 0 ? [] : ['Go on with apply or rollback, or settle it with varve recover.'];
  return [table, ...open, ...hint].join('\n');
}
