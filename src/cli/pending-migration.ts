import { refusal, type Finding } from '../base/index.ts';
import { readStatus, type RunnerOptions } from '../migration/index.ts';

/** The one migration that waits to be applied, or is half-way; undefined where none is; or why it has to be named. */
export async function onlyPending(options: RunnerOptions): Promise<string | Finding | undefined> {
  const { migrations, unfinished } = await readStatus(options);
  const open = unfinished.at(-1);
  if (open !== undefined) return open.migrationId;
  const pending = migrations
    .filter(({ status }) => status === 'pending')
    .map(({ migrationId }) => migrationId);
  const [only, another] = pending;
  if (another === undefined) return only;
  return refusal('usage', 'varve apply', {
    detail: { reason: 'several migrations are pending' },
    hint: `Name one of: ${pending.join(', ')}.`,
  });
}
