import { refusal, type Finding, type Json } from '../base/index.ts';
import type { Model } from './model.ts';
import type { Outcome } from './outcome.ts';
import { refused } from './result.ts';
import type { SchemaFault, Validate } from './validate.ts';

/** A document that does not fit the current version. */
export function refusedRead(model: Model, faults: readonly SchemaFault[]): Finding {
  return refusal('document_invalid', `${model.name} ${model.current}`, {
    detail: { when: 'as it stands', faults: faults.slice(0, 20).map((fault) => ({ ...fault })) },
    hint: 'Correct the document at these pointers.',
  });
}

/** The outcome with its document as the validator has it: defaults filled in, if the validator does that. */
export function typedOutcome<T>(
  model: Model,
  outcome: Outcome<Json>,
  validate: Validate | undefined,
): Outcome<T> {
  if (outcome.status === 'refused' || outcome.status === 'needs_migration') return outcome;
  if (outcome.status === 'passed') return { ...outcome, document: outcome.document as T };
  const verdict = validate?.(outcome.document) ?? { isValid: true, value: outcome.document };
  if (!verdict.isValid) return refused(refusedRead(model, verdict.faults));
  return { ...outcome, document: verdict.value as T };
}
