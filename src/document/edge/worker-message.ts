import type { Digest } from '../../evidence/index.ts';
import type { BatchCounts } from '../batch.ts';
import type { Version } from '../version.ts';
import type { UnitOptions } from './migrate-within.ts';

/** What a thread finds as its `workerData`. */
export interface WorkerSettings {
  readonly module: string;
  readonly name: string;
  readonly to: Version;
  readonly options: UnitOptions;
}

/** The first word of a thread: the digest of the type that it has loaded, or why there is none. */
export type WorkerHello = { readonly digest: Digest } | { readonly missing: string };

/** Lines for a thread. */
export interface BlockRequest {
  readonly place: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether the input is broken behind them. */
  readonly isCut: boolean;
  /** Whether they are all of a batch of a compressed output. */
  readonly isZipped: boolean;
}

/** What became of them. */
export interface BlockAnswer {
  readonly output: Uint8Array<ArrayBuffer>;
  readonly quarantine: Uint8Array<ArrayBuffer>;
  readonly beside: Uint8Array<ArrayBuffer>;
  readonly counts: BatchCounts;
}
