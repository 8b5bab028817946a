import type { Finding, JsonObject } from '../base/index.ts';
import type { ApprovedException, Baseline, Check, TableCounts } from '../evidence/index.ts';
import type { Capabilities, Store, Transaction, TransactionOptions } from '../store/index.ts';
import type { Bundle } from './bundle.ts';
import type { FaultHook } from './fault-point.ts';
import type { KindName } from './migration-id.ts';
import type { EnforcementLevel, MigrationSettings } from './settings.ts';

/**
 * `rollback` is the way back of a run that was committed; the undoing of one that was not is no direction of its own.
 * `retire` lets go for good of what committed runs superseded.
 */
export type Direction = 'forward' | 'rollback' | 'retire';

/**
 * What differs between kinds of migration: `plan` only reads, `apply` and `rollback` name the steps there and back,
 * `observe` says what a run touched. None of them makes the deciding commit, writes evidence or judges: the lifecycle
 * does, alike for every kind.
 *
 * | when | called | inside |
 * |---|---|---|
 * | `varve plan`, and again at the start of a run | `plan` | a read-only repeatable-read transaction |
 * | before the first write, and as the last read before the commit | `baseline` | one snapshot, of its own or the deciding transaction's (`baselineIn`); the deciding transaction |
 * | before the decision, again from the first on after a kill | steps of mode `beside` | transactions of their own |
 * | the decision | steps of mode `decide`, then `observe`, then `baseline` | the deciding transaction, which also takes the ledger row |
 * | after it, and before the receipt | steps of mode `after` | transactions of their own |
 * | a run that will not be decided | `undoBeside` | transactions of its own |
 * | | `undo`, then `baseline` | one transaction |
 *
 * Invariant: no member keeps state between calls; a run that was killed goes on in another process.
 */
export interface MigrationKind {
  readonly name: KindName;
  readonly prefix: string;
  /** The limits that a declaration of this kind may hold; an absent one is 0 (M22). */
  readonly limits: readonly string[];
  /** The lists of scope that a declaration of this kind has to hold, even when they are empty (M14). */
  readonly scopeKeys: readonly string[];
  /** How the deciding transaction begins. */
  readonly isolation: NonNullable<TransactionOptions['isolation']>;
  /** Milliseconds that one try of it waits for one lock, and how many tries there are at most; default 100, and as many as the deadline lets. */
  readonly patience?: { readonly lockTimeoutMs: number; readonly tries: number };
  /**
   * Where a run's baseline is measured: before its first step, in a transaction of its own; or as the first read of the
   * deciding transaction, so that what others write meanwhile is not in the difference (M79). With steps beside it is
   * `before` in any case, since they write.
   */
  readonly baselineIn: 'before' | 'deciding';
  /**
   * True where a plan names every table and counts every row that a run will touch: another effect is then a fault. Else
   * effects are held to scope and limits alone, for triggers and rules have effects that no plan foresees.
   */
  readonly foreseesRows: boolean;
  /** Fault points of the kind's own, hit by its steps through `RunContext.fault`; crash tests go through them too. */
  readonly faultPoints: readonly string[];

  /**
   * Rows that people write between plan and run are taken along and counted apart: the numbers of a plan hold at its
   * snapshot, and do not refuse the run (M70). Absent: a run is held to them.
   */
  readonly carriesLaterWrites?: true;

  /** What a run would do. Throws only for infrastructure: what cannot be planned is a finding. */
  readonly plan: (context: PlanContext) => Promise<KindPlan>;
  /** The steps forward, in order. A pure function of the plan's `bound`. */
  readonly apply: (bound: JsonObject) => readonly Step[];
  /** The steps back from a committed forward run, in order. A pure function of the rollback plan's `bound`. */
  readonly rollback: (bound: JsonObject) => readonly Step[];
  /**
   * What this run touched, asked after the last deciding step and before the commit; `carried` is what these steps say they
   * took along.
   */
  readonly observe: (
    context: RunContext,
    transaction: Transaction,
    carried: readonly NewWrites[],
  ) => Promise<Observation>;
  /**
   * Takes back in short transactions of its own, each fenced, what would hold rows for long; asked before `undo`, which does
   * the rest of it and counts. Absent: `undo` is short.
   */
  readonly undoBeside?: (context: RunContext) => Promise<void>;
  /**
   * Takes away whatever the `beside` steps of this run left, all of it, however far they came (also not at all).
   * Returns the rows that others wrote since the baseline, table by table, as far as the kind knows.
   */
  readonly undo: (context: RunContext, transaction: Transaction) => Promise<readonly NewWrites[]>;
  /** The measured state of everything the bundle may touch. Equal state gives an equal value (M33): no time, oid or run id. */
  readonly baseline: (context: BaselineContext, transaction: Transaction) => Promise<Baseline>;
  /** Where the deciding transaction may run in a session of the runner's own login (L4); absent: the work needs the store's. */
  readonly confine?: ConfineVerbs;
  /** Whether the plan bound that the server's log is read before the commit (L9). */
  readonly isWitnessDue?: (bound: JsonObject) => boolean;
  /** The kind for a rehearsal whose folder is thrown away: what lies outside of the store is copied there before it is written. */
  readonly onCopy?: (folder: string) => MigrationKind;
  /** Letting go of what committed runs of a bundle superseded; absent where a kind keeps nothing. */
  readonly retire?: RetireVerbs;
  /**
   * Writes rows to tables that a run touched, as others might before it is taken back, on a copy in a rehearsal (M108). Absent:
   * a way back of this kind is proved up to R3.
   */
  readonly probe?: (transaction: Transaction, tables: readonly string[]) => Promise<readonly ProbedTable[]>;
}

/** How many rows a probe wrote to a table: 0 where the table took none of those that were tried. */
export interface ProbedTable extends JsonObject {
  readonly table: string;
  readonly rows: number;
}

/**
 * A run whose credentials do not reach out of its scope. `lend` gives the login what it needs, before the transaction begins;
 * `enter` is the first thing in it; `release` takes all of it back. Both ends go by what the plan bound, and repeating is harmless.
 */
export interface ConfineVerbs {
  /** Whether the plan bound it. */
  readonly isDue: (bound: JsonObject) => boolean;
  /**
   * Asks a session of the login, while it may nothing yet, what the transaction will ask it, so that the server has planned that
   * by then. The answers count for nothing, and so does a failure; it ends soon, however large the database is.
   */
  readonly warmUp?: (store: Store, context: BaselineContext) => Promise<void>;
  readonly lend: (context: RunContext) => Promise<void>;
  readonly enter: (context: RunContext, transaction: Transaction) => Promise<void>;
  /** By what the plan bound alone: whoever settles a run may no longer have its bundle. */
  readonly release: (about: Pick<RunContext, 'store' | 'bound'>) => Promise<void>;
}

/** The verbs of a kind in the direction `retire`. They are held to no limit: an approval of the plan's exact counts is. */
export type RetireVerbs = Pick<MigrationKind, 'plan' | 'apply' | 'observe' | 'undo' | 'baseline'>;

/** A kind as a run of this direction calls it; undefined where the kind has no such direction. */
export function kindFor(kind: MigrationKind, direction: Direction): MigrationKind | undefined {
  if (direction !== 'retire') return kind;
  return kind.retire === undefined ? undefined : { ...kind, ...kind.retire, limits: [] };
}

/** How far effects were seen and held; only what was in force is claimed (M75). */
export interface Enforcement extends JsonObject {
  readonly level: EnforcementLevel;
  readonly layers: readonly string[];
  /** `exact` where the run's role reached nothing out of scope, `wide` where it did, `none` where no role limited it. */
  readonly role: string;
  /** The step that was held least, where steps differ. */
  readonly weakest_step?: string;
}

/** Nothing was in force, or nobody can tell. */
export const NOTHING_ENFORCED: Enforcement = { level: 'checked', layers: [], role: 'none' };

/** What a kind may look at while it plans. */
export interface PlanContext {
  readonly bundle: Bundle;
  readonly direction: Direction;
  readonly environment: string;
  /** Read-only, one snapshot. */
  readonly transaction: Transaction;
  readonly capabilities: Capabilities;
  /** Which logins of its own a run could use. */
  readonly logins: { readonly runner: boolean; readonly verify: boolean };
  readonly settings: MigrationSettings;
  /** The committed run that a rollback takes back; undefined in the direction forward. */
  readonly forward: CommittedRun | undefined;
  /** The plan that is about to be run, of a kind that carries later writes: what it counted, and what it showed beside. */
  readonly planned?: { readonly tables: readonly TableCounts[]; readonly shown: JsonObject };
}

/** A run as the ledger tells it. */
export interface CommittedRun {
  readonly runId: string;
  readonly committedAt: string;
  /** `bound` of the kind's plan of that run. */
  readonly bound: JsonObject;
  /** What it was measured against, and what it left. */
  readonly pre: Baseline;
  readonly post: Baseline;
  /** Tables that it touched in any way, and those of them in which it wrote rows. */
  readonly objects: readonly string[];
  readonly written: readonly string[];
}

/** What `plan` found. */
export interface KindPlan {
  /**
   * What apply may do and nothing else: operations, objects, catalog fingerprint in scope. Digested, and computed again
   * before a run; equal state must give an equal value.
   */
  readonly bound: JsonObject;
  /** Every affected table with the number of its rows in each class; part of what is digested (M70). */
  readonly tables: readonly TableCounts[];
  /** The keys of the first ambiguous rows of a table, for the finding that refuses them; never other values. */
  readonly ambiguousKeys?: Readonly<Record<string, readonly JsonObject[]>>;
  /** Every table that will be touched, `schema.table`: in shape or in any row. Scope and limits are judged on these. */
  readonly objects: readonly string[];
  /** The table that a partition belongs to, by the partition's name: it is in scope through it (M20). */
  readonly partOf?: Readonly<Record<string, string>>;
  /** What a run would reach here; part of what is digested. A level below the environment's minimum refuses (M74). */
  readonly enforcement: Enforcement;
  /** What each limit is held against, as far as a plan can tell, from what is bound: null where only the run can. */
  readonly measures: Readonly<Record<string, number | null>>;
  /** What is shown but not held to: times, sizes, samples. */
  readonly shown: JsonObject;
  /** What the way back can promise (M108). */
  readonly rollbackClass: 'lossless' | 'lossy_on_new_writes' | 'restore_from_capture';
  /** Refusals block apply. */
  readonly findings: readonly Finding[];
}

/** One named piece of a run. */
export type Step = BesideStep | DecideStep | AfterStep;

/**
 * Builds beside what readers see, in transactions of its own, before the decision (M64). Idempotent: it is run again from the
 * start when a run resumes, and finds by its own marks in the database what is done already.
 */
export interface BesideStep {
  readonly mode: 'beside';
  readonly name: string;
  /** Run once more before each try of the deciding transaction, such as a catch-up that keeps the last one short. */
  readonly beforeEachTry?: boolean;
  readonly run: (context: RunContext) => Promise<StepResult>;
}

/**
 * Runs inside the one deciding transaction; several are run in order. The transaction may be tried again from its start:
 * where others hold its locks, and where a step throws `not_caught_up`, for steps beside that are run before each try.
 */
export interface DecideStep {
  readonly mode: 'decide';
  readonly name: string;
  readonly run: (context: RunContext, transaction: Transaction) => Promise<StepResult>;
}

/**
 * Work that may wait until readers and writers go on, after the decision and before the receipt. Idempotent: it is run
 * again by whoever settles a run that was killed meanwhile. What it throws of locks and lost connections leaves the run
 * committed and open, to be tried again; another failure, or a finding that refuses, is told by the receipt.
 */
export interface AfterStep {
  readonly mode: 'after';
  readonly name: string;
  /** Run for a run that was undone as well, after `undo`. */
  readonly alsoAfterUndo?: boolean;
  readonly run: (context: RunContext) => Promise<StepResult>;
}

/** What a step has to say. A finding of severity `error` or `review` ends the run: it is undone, or its transaction aborted. */
export interface StepResult {
  readonly findings: readonly Finding[];
  /** Of a deciding step: what others wrote and it took along, for `observe`. */
  readonly carried?: readonly NewWrites[];
}

/** What a step may use. */
export interface RunContext {
  readonly store: Store;
  readonly bundle: Bundle;
  readonly direction: Direction;
  readonly environment: string;
  readonly runId: string;
  /** `bound` of the kind's plan of this run. */
  readonly bound: JsonObject;
  readonly tables: readonly TableCounts[];
  readonly settings: MigrationSettings;
  /** What signatures allow of what the run may find (M26). */
  readonly exceptions: readonly ApprovedException[];
  /** The run taken back; undefined in the direction forward. */
  readonly forward: CommittedRun | undefined;
  /** Aborted on Ctrl-C: stop at the next safe point by throwing what `signal.throwIfAborted` throws; the run stays resumable. */
  readonly signal: AbortSignal;
  /**
   * To be called first in every transaction of a `beside` or `after` step. Errors: throws `run_fenced` when the run was settled by
   * another process meanwhile; until the transaction ends, nobody can settle it.
   */
  readonly fence: (transaction: Transaction) => Promise<void>;
  /** Set where all this happens on a copy that is thrown away. */
  readonly isRehearsal?: true;
  /** Marks a point at which crash tests kill the process. */
  readonly fault: FaultHook;
  /** Rows or batches done so far, for a progress bar. */
  readonly progress: (progress: StepProgress) => void;
}

/** How far a step is; `total` where it is known. */
export interface StepProgress {
  readonly step: string;
  readonly done: number;
  readonly total: number | undefined;
}

/** What a baseline may depend on: the state that the plan names, never the run. */
export interface BaselineContext {
  readonly bundle: Bundle;
  readonly settings: MigrationSettings;
  /** `bound` of the forward plan, in a rollback run too: both directions measure the same objects. */
  readonly bound: JsonObject;
  /** How the baseline was made that this one will be compared with; undefined: it is the first. */
  readonly algorithm?: string;
  /**
   * Set in the deciding transaction of a forward run, while writers wait: what this run has measured before and kept up
   * to date since may stand for measuring, where the value is the one that measuring would give.
   */
  readonly decidingRun?: string;
}

/** What a run did, by the kind's own records and by the store's, while it can still be aborted. */
export interface Observation {
  /** Per table and class, as in the plan; `carried` counts what others wrote since the plan's snapshot and was taken along. */
  readonly tables: readonly TableCounts[];
  /** Every table touched, `schema.table`, sorted; scope is judged on these (M19). */
  readonly objects: readonly string[];
  readonly partOf?: KindPlan['partOf'];
  /** Rows by every name that a touched table had, side effects included: what a witness holds the log against. */
  readonly counted?: Readonly<Record<string, number>>;
  /** Which layers saw it, such as `provenance_rows` or `row_counts`. */
  readonly witnesses: readonly string[];
  /** What was in force, by the weakest step (M75). */
  readonly enforcement: Enforcement;
  /** What each limit is held against; one that is missing here exceeds every limit: unknown means affected. */
  readonly measures: Readonly<Record<string, Measure>>;
  /** Everything that was touched, for `diffs/touched.csv` (M35); names only. */
  readonly touched: readonly Touched[];
  /**
   * Rows that others wrote, per table. Of a rollback: since the forward run, those that it kept, exact. Forward: while the
   * run was under way, at least so many; the way back keeps them too, so the baseline of before is not what it comes to.
   */
  readonly newWrites: readonly NewWrites[];
  /** The kind's own named checks, such as `foreign_keys_valid`; each that ran is in the receipt. */
  readonly checks: readonly Check[];
  readonly findings: readonly Finding[];
}

/** A number that a limit is held against; an upper bound counts as the number (M23). */
export interface Measure {
  readonly value: number;
  readonly isUpperBound: boolean;
}

/** One thing that a run touched, and how. */
export interface Touched {
  /** Such as `table`, `index`, `function`. */
  readonly kind: string;
  readonly schema: string;
  readonly name: string;
  /** Such as `rows`, `created`, `changed`, `dropped`, `truncated`, `rewritten`. */
  readonly change: string;
  /** Rows inserted, changed and deleted; null for what has none. */
  readonly rows: number | null;
}

/** Rows inserted, changed or deleted by others in one table; where `gone` is given, `rows` are those that are there. */
export interface NewWrites extends JsonObject {
  readonly table: string;
  readonly rows: number;
  readonly gone?: number;
}
