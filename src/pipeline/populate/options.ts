import type { Finding, JsonObject } from '../../base/index.ts';
import type { RunEnvironment } from '../../run/index.ts';
import type { ObjectStore, Sql } from '../../store/index.ts';
import type { CodeIdentity } from '../code-digest.ts';
import type { Definitions } from '../definition-set.ts';
import type { Relations } from '../relation.ts';
import type { MakeRunner } from '../run-make/make-runner.ts';

/** Beyond this many keys a count costs more than it tells. */
export const COUNTED_KEYS = 200_000;

/** How much is done, for a progress bar. */
export interface PopulateProgress {
  readonly table: string;
  readonly computed: number;
  readonly failed: number;
  /** Keys that are due, as far as they are known; null: too many to count, or not counted yet. */
  readonly total: number | null;
}

/** What to populate, and with what. */
export interface PopulateOptions {
  readonly definitions: Definitions;
  readonly environment: RunEnvironment;
  readonly projectFolder: string;
  /** Where makes put objects and read them. Without it a make that does fails with `objects_unavailable`. */
  readonly objects?: ObjectStore | undefined;
  /** The present code of each computed table. */
  readonly codeByTable: ReadonlyMap<string, CodeIdentity>;
  /** Default: every computed and imported table. */
  readonly tables?: readonly string[];
  /** Narrows the keys of every table asked for; already checked to be one condition. */
  readonly where?: Sql;
  /** Keys to try at most, over all tables; those that fail count. */
  readonly max?: number;
  /** Keys a batch at most; what is taken depends on how long a key takes. Default 2000. */
  readonly batchSize?: number;
  /** Whether other workers may be at the same tables: then keys are reserved. Default: where other processes can reach the store, and the world is the live one. */
  readonly isShared?: boolean;
  /** Seconds without a sign of life after which others take this worker's keys. Default 30. */
  readonly leaseSeconds?: number;
  /** Whether to stay until the retries that a table's policy asks for were made. Default true. */
  readonly waitForRetries?: boolean;
  /** Seconds to wait for a database that went away. Default 60. */
  readonly patienceSeconds?: number;
  readonly signal?: AbortSignal;
  readonly progress?: (progress: PopulateProgress) => void;
  readonly log?: (message: string) => void;
  /** Where makes run; whoever opened it closes it. Default: in this thread, which refuses tables with `isolate: true`. */
  readonly runner?: MakeRunner | undefined;
  /** The world to compute in; default: what is live. An evolution builds beside it. */
  readonly relations?: Relations;
  /** What the run is recorded as. */
  readonly kind?: string;
}

/** What became of one table. */
export interface PopulatedTable extends JsonObject {
  readonly table: string;
  readonly computed: number;
  readonly failed: number;
  /**
   * Keys that are still missing, whatever `where` and `max` said, without those that failed or were left aside; null: more
   * than are counted ({@link COUNTED_KEYS}).
   */
  readonly remaining: number | null;
  /** Keys that had a result with unchanged inputs and code. */
  readonly skippedUnchanged: number;
}

/** What a populate did. */
export type PopulateResult =
  | {
      readonly status: 'done' | 'failed' | 'interrupted';
      readonly tables: readonly PopulatedTable[];
      readonly run: string;
      readonly findings: readonly Finding[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };
