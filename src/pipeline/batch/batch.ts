/** A batch, what becomes of it, and what the batches of one table share. */
import type { ErrorCode } from '../../base/index.ts';
import type { Run } from '../../run/index.ts';
import type { ObjectStore, Sql, Store } from '../../store/index.ts';
import type { Key } from '../key-source.ts';
import type { Relation, Relations } from '../relation.ts';
import type { ResultSize } from '../result-size.ts';
import type { FileAccess, MakeRunner, RunCall } from '../run-make/make-runner.ts';
import type { StrictReads } from '../strict/open-strict-reads.ts';
import type { AnyTable } from '../table.ts';

/** Keys to compute, and whether they have results that go to history. */
export interface Batch {
  readonly keys: readonly Key[];
  readonly mode: 'insert' | 'replace';
  /** Gives a row only while the keys are ours to write; undefined: nobody shares them. */
  readonly fence?: Sql | undefined;
}

/** What became of a batch. */
export interface BatchResult {
  readonly computed: number;
  /** Keys that someone else computed meanwhile. */
  readonly skipped: number;
  readonly failures: readonly { readonly key: Key; readonly code: ErrorCode }[];
  /** What its inputs and results took in memory, about. */
  readonly bytes: number;
}

/** What all batches of one table in one run share. */
export interface BatchContext extends AsyncDisposable {
  readonly store: Store;
  readonly table: AnyTable;
  readonly relation: Relation;
  /** The database's own number of the table in which the relation stands: a name may be another table's by now. */
  readonly oid: number;
  readonly relations: Relations;
  readonly run: Run;
  readonly specId: number;
  readonly strict: StrictReads | undefined;
  readonly making: Making;
  readonly files: FileAccess;
  /** Where its makes run. */
  readonly runner: MakeRunner;
  /** How many results to hold at once. */
  readonly results: ResultSize;
}

/** What makes are given beside their inputs. */
export interface Making {
  /** Where the objects that rows name are looked for; undefined where the project has none. */
  readonly objects?: ObjectStore | undefined;
  readonly signal: AbortSignal;
  readonly log: (message: string) => void;
}

/** The sum of two results. */
export function added(left: BatchResult, right: BatchResult): BatchResult {
  return {
    computed: left.computed + right.computed,
    skipped: left.skipped + right.skipped,
    failures: right.failures.length === 0 ? left.failures : [...left.failures, ...right.failures],
    bytes: left.bytes + right.bytes,
  };
}

/** What the makes of these batches are called with, beside their inputs. */
export function callOf({ run, making }: BatchContext): RunCall {
  return { now: run.startedAt, log: making.log, signal: making.signal };
}
