import type { DdlAction } from './ddl-effect.ts';
import { effectText, type Effect } from './effect.ts';
import type { Hit, LintView } from './lint-rule.ts';

/** A hit for each effect of these actions on a relation that others use. */
export function hitsOf(view: LintView, actions: readonly DdlAction[]): readonly Hit[] {
  return existing(view, actions).map((effect) => hitOf(effect));
}

/** The effects of these actions on relations that the bundle did not make itself. */
export function existing(
  { statement: { effects } }: LintView,
  actions: readonly DdlAction[],
): readonly Effect[] {
  return effects.filter(({ action, isNew }) => !isNew && actions.includes(action));
}

/** The hit of an effect; the reason is the lock unless another is given. */
export function hitOf(effect: Effect, reason: string = effectText(effect)): Hit {
  const { relation, what, at } = effect;
  const subject = what === undefined ? relation : `${relation}.${what}`;
  return at === undefined ? { subject, reason } : { subject, reason, at };
}
