/** Whether a declaration allows more than another one: what was approved for less is void (M52). */
import { refusal, type Finding, type Json } from '../base/index.ts';

/** What of a declaration can grow. */
export interface Allowance {
  readonly scope: Readonly<Record<string, Json>>;
  readonly limits: Readonly<Record<string, Json>>;
  readonly statements?: readonly string[];
  readonly phases?: readonly object[];
}

/** What is allowed now and was not before, such as `limits.max_row_backfill`; none where it is the same or less. */
export function widenedParts(before: Allowance, now: Allowance): readonly string[] {
  const parts: string[] = [];
  for (const key of new Set([...Object.keys(before.scope), ...Object.keys(now.scope)])) {
    const [had, has] = [textsOf(before.scope[key]), textsOf(now.scope[key])];
    // What is allowed more, or forbidden less.
    const [less, more] = key.startsWith('forbidden_') ? [has, had] : [had, has];
    if (more.some((name) => !less.includes(name))) parts.push(`scope.${key}`);
  }
  for (const [name, cap] of Object.entries(now.limits)) {
    if (Number(cap) > Number(before.limits[name] ?? 0)) parts.push(`limits.${name}`);
  }
  if ((now.statements ?? []).some((name) => !(before.statements ?? []).includes(name)))
    parts.push('statements');
  if (JSON.stringify(now.phases ?? []) !== JSON.stringify(before.phases ?? [])) parts.push('phases');
  return parts.toSorted();
}

/** The finding for what grew; none where nothing did. */
export function widenedFindings(id: string, before: Allowance, now: Allowance): readonly Finding[] {
  const parts = widenedParts(before, now);
  if (parts.length === 0) return [];
  const hint = 'Have it reviewed anew: what was signed for less does not count for this.';
  return [{ ...refusal('scope_widened', id, { detail: { parts }, hint }), severity: 'review' }];
}

function textsOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
