import type { Line } from './read-lines.ts';

/** One document of a file. */
export interface Unit extends Line {
  /** The input ends in it, or should have. */
  readonly isCut?: boolean;
  /** No document: what stands around them, and stays. */
  readonly isVerbatim?: boolean;
  /** What is written before it whatever becomes of it. */
  readonly head?: Uint8Array;
  /** What stands between it and the one before, if that was written. */
  readonly lead?: Uint8Array;
  /** What is written after it whatever becomes of it. */
  readonly foot?: Uint8Array;
}
