import { resultJson, type CommandResult } from '../output.ts';
import { release } from '../release.ts';
import type { CheckPart } from './check-part.ts';

/** How the findings of a check are written. */
export type Format = 'text' | 'json' | 'sarif' | 'junit';

/** The parts of a check in a format for machines; undefined for the one for people. */
export async function formatParts(
  format: Format,
  parts: readonly CheckPart[],
  result: CommandResult,
): Promise<string | undefined> {
  if (format === 'json') return resultJson(result);
  if (format === 'sarif') return (await import('./sarif.ts')).sarifText(parts, release());
  if (format === 'junit') return (await import('./junit.ts')).junitText(parts);
  return undefined;
}
