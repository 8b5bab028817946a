import type { Finding } from '../base/index.ts';

/** What a verb refuses with: nothing was written to any table of the project. */
export interface Refused {
  readonly status: 'refused';
  readonly findings: readonly Finding[];
}
