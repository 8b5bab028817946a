import type { Json } from '../base/index.ts';
import type { Digest } from '../evidence/index.ts';
import type { Pointer } from './pointer.ts';

/**
 * One value that a step found no place for, and what is needed to put it back.
 *
 * Shape: `{ step: '1.0.0>1.1.0', op: '0', at: '', slot: 0, pointer: '/draft', value: true, kept: '/context/metadata/legacy_draft' }`
 * Invariant: plain JSON, so that it can be stored beside a document as it is.
 */
export type ResidueRow = {
  /** The step in the direction that left it. */
  readonly step: string;
  /** The op within the step: its place in the list, `/` where it stands within another. */
  readonly op: string;
  /** Where in the document the op was at work. */
  readonly at: Pointer;
  readonly slot: number;
  /** Where the value stood. */
  readonly pointer: Pointer;
  /** Left out where there was no value, which the way back would not know either. */
  readonly value?: Json;
  /** Digest of what it belongs to; left out when nothing stands there now. */
  readonly of?: Digest;
  /** Digest of the element of an array that it belongs to. */
  readonly element?: Digest;
  /** Where in the document the value is kept; left out when it is kept beside it. */
  readonly kept?: Pointer;
  /** What it belongs to was edited since: it is kept, and never put back. */
  readonly isStale?: true;
};

/** Everything that was kept of a document. */
export type Residue = readonly ResidueRow[];

/** What the way back looks for. */
export function residueKey(step: string, op: string, at: Pointer): string {
  return `${step}\n${op}\n${at}`;
}

/** Rows by what the way back looks for. */
export function groupResidue(rows: Residue): Map<string, readonly ResidueRow[]> {
  const usable = rows.filter(({ isStale }) => isStale !== true);
  return Map.groupBy(usable, ({ step, op, at }) => residueKey(step, op, at));
}
