/** Pages of a list that two take from both ends at once, until they meet. */
import type { Pages } from './write.ts';

/** From the first page on, or from the last one back. */
export type End = 'front' | 'back';

/** Pages that nobody has begun with. */
export interface OpenPages {
  from: number;
  to: number;
  readonly total: number;
  /** How many are taken at once. */
  readonly step: number;
}

/** Takes the next pages of an end; undefined where both have met. */
export function takePages(open: OpenPages, end: End): Pages | undefined {
  if (open.from >= open.to) return undefined;
  if (end === 'front') {
    const fromPage = open.from;
    open.from = Math.min(fromPage + open.step, open.to);
    return { fromPage, toPage: open.from };
  }
  const toPage = open.to;
  open.to = Math.max(toPage - open.step, open.from);
  return { fromPage: open.to, toPage };
}
