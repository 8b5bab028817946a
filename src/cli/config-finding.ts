import { nearestName, refusal, type Finding } from '../base/index.ts';

/** What is wrong in a configuration file, and what to write instead. */
export function invalid(filePath: string, reason: string, hint: string): Finding {
  return refusal('config_invalid', filePath, { detail: { reason }, hint });
}

/** A member that nothing reads: most often a known one, mistyped. */
export function unknownMember(
  filePath: string,
  name: string,
  owner: string,
  known: readonly string[],
): Finding {
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? `Remove ${name}.` : `Write ${nearest}.`;
  return invalid(filePath, `${name} is not a member of ${owner}`, hint);
}

/** Whether a value has members by name. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
