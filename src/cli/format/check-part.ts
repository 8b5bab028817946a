import type { Finding } from '../../base/index.ts';

/** One part of `varve check`: what it is called, what it looked at, what it found. */
export interface CheckPart {
  readonly name: string;
  /** How many things were looked at; 0 where the part could not run, and a finding says why. */
  readonly checked: number;
  readonly findings: readonly Finding[];
}

/** Where a finding stands in the project's files. */
export interface FindingPlace {
  /** Relative to the project, with `/`. */
  readonly file: string;
  readonly line: number | undefined;
  readonly column: number | undefined;
}

/** The place of a finding, from its detail or from a subject such as `pipeline/lab.ts:12:3`; undefined where it has none. */
export function placeOf({ detail, subject }: Finding): FindingPlace | undefined {
  const { file, line, column } = detail;
  if (typeof file === 'string') {
    return {
      file,
      line: typeof line === 'number' ? line : undefined,
      column: typeof column === 'number' ? column : undefined,
    };
  }
  const found = /^(?<file>[^:]+\.\w+):(?<line>\d+)(?::(?<column>\d+))?$/u.exec(subject)?.groups;
  if (found?.['file'] === undefined) return undefined;
  return {
    file: found['file'],
    line: Number(found['line']),
    column: found['column'] === undefined ? undefined : Number(found['column']),
  };
}
