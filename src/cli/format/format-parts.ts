import { Option } from 'commander';
import { release } from '../release.ts';
import { resultJson, type CommandResult, type Style } from '../output.ts';
import type { CheckPart } from './check-part.ts';

/** How the findings of a check are written. */
export type Format = 'text' | 'json' | 'sarif' | 'junit';

/** `--format` */
export function formatOption(): Option {
  return new Option('--format <format>', 'how it is written')
    .choices(['text', 'json', 'sarif', 'junit'])
    .default('text');
}

/** The result of a command that checks: refused where a part found an error, written in the format that was asked for. */
export async function partsResult(
  parts: readonly CheckPart[],
  options: {
    readonly format: Format;
    /** As in `varve check`. */
    readonly command: string;
    readonly text: (style: Style) => string;
  },
): Promise<CommandResult> {
  const findings = parts.flatMap((part) => part.findings);
  const status = findings.some(({ severity }) => severity === 'error') ? 'refused' : 'ok';
  const fields = { checked: Object.fromEntries(parts.map(({ name, checked }) => [name, checked])) };
  const result: CommandResult = { status, findings, fields };
  const formatted = await formatParts(parts, options, result);
  return { ...result, text: (style) => formatted ?? options.text(style) };
}

/** The parts in a format for machines; undefined for the one for people. */
export async function formatParts(
  parts: readonly CheckPart[],
  { format, command }: { readonly format: Format; readonly command: string },
  result: CommandResult,
): Promise<string | undefined> {
  if (format === 'json') return resultJson(result);
  if (format === 'sarif') return (await import('./sarif.ts')).sarifText(parts, release());
  if (format === 'junit') return (await import('./junit.ts')).junitText(parts, command);
  return undefined;
}
