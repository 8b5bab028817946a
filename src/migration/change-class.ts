import { refusal, type Finding } from '../base/index.ts';
import { CHANGE_CLASSES } from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import type { ChangeClass, Declaration } from './declaration.ts';

const ORDER: readonly ChangeClass[] = CHANGE_CLASSES;

/** Findings that concern who may see or change what, and what is protected (M57, M59). */
const CRITICAL: readonly string[] = ['policy_reduced', 'protected_domain_changed'];

/** Findings about when and beside what it runs, which its author cannot foresee. */
const OF_THE_MOMENT: readonly string[] = ['out_of_order', 'concurrent_change', 'scope_widened'];

/**
 * The class that a change has at least: `governance-critical` where there is no way back or who may do what is touched,
 * `review-required` where a finding wants a review.
 */
function leastClass(
  { requires_rollback: hasWayBack }: Pick<Declaration, 'requires_rollback'>,
  findings: readonly Pick<Finding, 'code' | 'severity'>[],
): ChangeClass {
  if (!hasWayBack || findings.some(({ code }) => CRITICAL.includes(code))) return 'governance-critical';
  const own = findings.filter(({ code }) => !OF_THE_MOMENT.includes(code));
  return own.some(({ severity }) => severity === 'review') ? 'review-required' : 'routine';
}

/** The refusal of a class that is lower than the text of a bundle, and what was found, make it (M57). */
export function classFindings(
  { id, declaration }: Pick<Bundle, 'id' | 'declaration'>,
  found: readonly Finding[],
): readonly Finding[] {
  const declared = declaration.approvals.change_class;
  const least = leastClass(declaration, found);
  if (ORDER.indexOf(declared) >= ORDER.indexOf(least)) return [];
  const hint = `Write approvals.change_class: ${least}, then plan and have it signed again.`;
  return [refusal('change_class_too_low', id, { detail: { declared, least }, hint })];
}
