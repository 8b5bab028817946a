import { refusal } from '../base/index.ts';
import type { PlanChoices } from '../evolution/index.ts';
import type { AttributionRule, DraftOutcome } from './kinds.ts';
import type { CommandResult } from './output.ts';
import type { Runner } from './runner.ts';
import { refusedResult } from './walk-output.ts';

/** A drafted bundle, or the result that ends the command. */
export type Drafted =
  | Extract<DraftOutcome, { readonly status: 'drafted' }>
  | { readonly status: 'ended'; readonly result: CommandResult };

/** Has the definitions compared with the database. */
export async function draftWithRules(
  { kinds, options }: Runner,
  rules: readonly AttributionRule[],
  choices: PlanChoices = {},
): Promise<Drafted> {
  if (kinds.draft === undefined) {
    const hint =
      'Name a migration, without --attribute: no kind that can be run here writes one from the definitions.';
    return { status: 'ended', result: refusedResult([refusal('kind_unavailable', 'pipeline', { hint })]) };
  }
  const outcome = await kinds.draft(options, rules, choices);
  if (outcome.status === 'drafted') return outcome;
  if (outcome.status === 'refused') return { status: 'ended', result: refusedResult(outcome.findings) };
  // A definition that says less than its make reads is as deployed as any other: what was seen to be read is told.
  const findings = (await kinds.undeclared?.(options.store)) ?? [];
  const result: CommandResult = {
    status: 'ok',
    findings,
    fields: { migrationId: null, planDigest: null, tables: [], operations: [], cost: null, questions: [] },
    text: () => 'The database is as the definitions say. There is nothing to do.',
  };
  return { status: 'ended', result };
}
