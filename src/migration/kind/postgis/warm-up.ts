/**
 * A new session takes some 80 ms for the survey of a catalog of a few hundred objects, 15 ms from the second time on: what it
 * reads is not in its caches, and its statement, one branch a class of objects, is not planned yet. So it is asked once while
 * others still plan and admit the run.
 */
import type { Store } from '../../../store/index.ts';
import type { BaselineContext } from '../../kind.ts';
import { subjectOf, surveySubject } from './baseline/index.ts';

/** On a catalog that takes longer, planning is a small part of it. */
const LIMIT_MS = 250;

/** Has the session plan what a run asks it. */
export async function warmUp(store: Store, { bundle, settings }: BaselineContext): Promise<void> {
  await store.transaction({ readOnly: true, statementTimeoutMs: LIMIT_MS }, async (transaction) => {
    await surveySubject(transaction, await subjectOf(transaction, bundle.declaration.scope, settings));
  });
}
