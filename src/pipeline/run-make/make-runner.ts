import type { ObjectSettings } from '../../store/index.ts';
import type { Key } from '../key-source.ts';
import type { AnyTable } from '../table.ts';
import type { RecordedRead } from '../write-rows.ts';
import type { MakeOutcome } from './make-outcome.ts';

/**
 * Where makes run: in the thread that calls, in worker threads, or in processes of their own.
 *
 * Invariant: the same key with the same inputs gives the same result in each of them.
 */
export interface MakeRunner extends AsyncDisposable {
  /** Makes it works on at once: so many callers keep it busy. */
  readonly slots: number;
  /** Whether makes run in the calling thread, which can do nothing else while one of them computes. */
  readonly isInCaller: boolean;
  /** Whether a make of a table with `isolate: true` runs isolated here; where not, such a table is refused. */
  readonly isolates: boolean;
  /**
   * Runs the makes of these keys.
   *
   * Shape: one result a key, in the order of the keys; undefined for a key whose turn did not come before the abort.
   * Errors: throws where no make can run at all, such as `definitions_differ`; a make that fails is a result.
   */
  readonly run: (
    table: AnyTable,
    inputs: readonly MakeInput[],
    call: RunCall,
  ) => Promise<readonly (MakeResult | undefined)[]>;
}

/** One key, and what its make is called with. */
export interface MakeInput {
  readonly key: Key;
  /** By read name: a row, null, or rows, as the store decoded them. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** What became of one key, and what its make read through its context. */
export interface MakeResult {
  readonly outcome: MakeOutcome;
  readonly reads: readonly RecordedRead[];
}

/** What the keys of one call share. */
export interface RunCall {
  /** The run's time, as `ctx.now` gives it. */
  readonly now: string;
  readonly log: (message: string) => void;
  /** Ends the call after the keys in hand. */
  readonly signal: AbortSignal;
}

/** Where makes find their files: plain data, so that it reaches threads and processes. */
export interface FileAccess {
  /** The folder below which `ctx.files` reads. */
  readonly folder: string;
  /** How objects are opened where makes run; undefined where the project has none. */
  readonly objects?: ObjectSettings | undefined;
}
