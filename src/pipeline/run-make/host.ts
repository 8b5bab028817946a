import type { MakeFailure } from './make-outcome.ts';
import type { MakeResult } from './make-runner.ts';
import type { Slice } from './slice.ts';

/** A thread or process in which makes run; one slice at a time. */
export interface Host {
  readonly run: (slice: Slice, log: (message: string) => void) => Promise<SliceEnd>;
  /** How many keys of the slice in hand were begun: the last of them is the one in hand. */
  readonly begun: () => number;
  /** Ends the slice after the key in hand, and the signal that its make was given. */
  readonly abort: () => void;
  /** Ends it at once, whatever runs in it. */
  readonly end: () => Promise<void>;
  /** Whether it has ended, by itself or not. */
  readonly hasEnded: () => boolean;
}

/** What became of a slice: results, fewer than keys where it was aborted; or the host is gone, and with it the results. */
export type SliceEnd =
  | { readonly status: 'done'; readonly results: readonly MakeResult[]; readonly durationMs: number }
  | {
      readonly status: 'ended';
      readonly begun: number;
      readonly reason: string;
      /** What the key in hand failed with, where more is known than that it ended its host. */
      readonly outcome?: MakeFailure;
    };
