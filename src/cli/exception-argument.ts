import { InvalidArgumentError } from 'commander';
import type { ApprovedException } from '../evidence/index.ts';

/** Adds `code:subject` or `code:subject:ceiling` to what was written before; the subject may hold colons itself. */
export function addException(
  text: string,
  before: readonly ApprovedException[],
): readonly ApprovedException[] {
  const [, code, subject, ceiling] = /^([a-z][a-z0-9_]*):(.+?)(?::(\d+))?$/su.exec(text) ?? [];
  const most = ceiling === undefined ? null : Number(ceiling);
  if (code === undefined || subject === undefined || (most !== null && !Number.isSafeInteger(most)))
    throw new InvalidArgumentError(
      'Write code:subject or code:subject:ceiling, such as backfill_large:app.site:250000.',
    );
  return [...before, { code, subject, ceiling: most }];
}
