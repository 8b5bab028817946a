import { VarveError } from '../../../base/index.ts';
import type { Baseline } from '../../../evidence/index.ts';
import type { Transaction } from '../../../store/index.ts';
import type { Scope } from '../../declaration.ts';
import type { MigrationSettings } from '../../settings.ts';
import type { Relations } from './relation.ts';
import { measureBaseline, subjectOf } from './baseline/index.ts';

/**
 * The baseline of a bundle, in the transaction's snapshot (M100).
 *
 * Errors: throws `protected_key_unusable` where the key went missing since the plan, which refuses without one.
 */
export async function measureOrThrow(
  transaction: Transaction,
  scope: Scope,
  settings: MigrationSettings,
  relations: Relations,
): Promise<Baseline> {
  const subject = await subjectOf(transaction, scope, settings, relations);
  const outcome = await measureBaseline(transaction, subject);
  if (outcome.status === 'measured') return outcome.baseline;
  const [finding] = outcome.findings;
  throw new VarveError('protected_key_unusable', {
    detail: finding?.detail ?? {},
    hint: finding?.hint ?? 'Give the key that the run was planned with.',
  });
}
