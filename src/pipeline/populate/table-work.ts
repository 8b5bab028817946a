/**
 * One table of a populate: what of it is due, what is in hand, when it is finished.
 *
 * A table is finished when a whole pass over its keys gave nothing more, nothing of it is in hand here or elsewhere, and
 * everything above it was finished before that pass began.
 */
import { VarveError } from '../../base/index.ts';
import type { Run } from '../../run/index.ts';
import type { Store } from '../../store/index.ts';
import { type BatchContext, type BatchResult } from '../batch/batch.ts';
import { openBatchContext } from '../batch/context.ts';
import { computeBatch } from '../compute-batch.ts';
import { countComputations } from '../computation-spec.ts';
import { forgetComputed, failedKeys, openRetries } from '../job.ts';
import { countMissing, type KeyRestriction } from '../key-source.ts';
import { relationOf, type Relation, type Relations } from '../relation.ts';
import type { Reservations } from '../share/reservation.ts';
import type { AnyTable } from '../table.ts';
import { nextBatchSize, type BatchBounds } from './batch-size.ts';
import { DueKeys, type DueBatch } from './due-keys.ts';
import { COUNTED_KEYS, type PopulatedTable, type PopulateOptions } from './options.ts';
import { Tally } from './tally.ts';

/** What all tables of a populate share. */
export interface PopulateWorld {
  readonly store: Store;
  readonly options: PopulateOptions;
  readonly relations: Relations;
  readonly run: Run;
  readonly reservations: Reservations;
}

/** What a table has to do next. */
export type NextStep =
  | { readonly kind: 'batch'; readonly batch: DueBatch }
  /** Nothing now; more may come from above, from others' hands, or from a retry after so many milliseconds. */
  | { readonly kind: 'wait'; readonly afterMs: number | undefined }
  | { readonly kind: 'finished' };

/** A wait that is worth a word. */
const LONG_WAIT_MS = 5_000;
/** How often to look what others have done with the keys in their hands. */
const POLL_MS = 500;
/** Keys of a batch at most: with 5000 a trivial make takes a tenth less time, and 40 MB more. */
const MOST_KEYS = 2000;
/** Keys of a first batch: enough to learn what one costs. */
const FIRST_BATCH = 64;

/** The work on one table. */
export class TableWork implements AsyncDisposable {
  readonly name: string;
  readonly tally: Tally;
  readonly table: AnyTable;
  readonly relation: Relation;
  isFinished = false;
  /** Keys that came from above since the last look, about. */
  fresh = 0;
  readonly #world: PopulateWorld;
  readonly #bounds: BatchBounds;
  #keys: DueKeys | undefined;
  #context: Promise<BatchContext> | undefined;
  #recorded = 0;
  /** Batches taken and not settled yet; of them those that replace stale rows. */
  #inHand = 0;
  #replacing = 0;
  /** Whether the stale keys of this pass are dealt with, those in others' hands included. */
  #isStaleOver = false;
  #size = FIRST_BATCH;
  /** Keys counted as missing, with those computed before; null: too many to count, or not counted yet. */
  #counted: number | null = null;
  /** A pass from the start is needed once this one is over. */
  #isAnotherPassDue = false;
  #isPassOver = false;
  /** Whether this pass gave no key yet; and how many retries were due when it began. */
  #isPassEmpty = true;
  #retriesTried = 0;
  #saidUntilMs = 0;
  #isTaking: Promise<unknown> = Promise.resolve();

  constructor(world: PopulateWorld, table: AnyTable) {
    this.#world = world;
    this.table = table;
    this.name = table.spec.name;
    this.tally = new Tally(this.name);
    this.relation = relationOf(world.relations, this.name);
    this.#bounds = {
      least: world.options.runner?.slots ?? 1,
      most: Math.max(1, world.options.batchSize ?? MOST_KEYS),
    };
    this.#size = Math.min(Math.max(FIRST_BATCH, this.#bounds.least), this.#bounds.most);
  }

  /** Whether keys below may be computed: the rows here that are there are those of the present. */
  get isPresent(): boolean {
    return this.isFinished || (this.#isStaleOver && this.#replacing === 0);
  }

  /** How many keys it would take now. */
  get batchSize(): number {
    return this.#size;
  }

  /** What there is to do, `limit` keys at most; `isAboveFinished` says that no more keys can come from above. */
  next(limit: number, isAboveFinished: boolean): Promise<NextStep> {
    const step = this.#isTaking
      .then(() => this.#next(limit, isAboveFinished))
      .catch(async (error: unknown) => {
        throw await this.#world.reservations.explain(this.relation, error);
      });
    this.#isTaking = step.catch(() => undefined);
    return step;
  }

  async #next(limit: number, isAboveFinished: boolean): Promise<NextStep> {
    if (this.isFinished) return { kind: 'finished' };
    const keys = (this.#keys ??= await this.#open());
    await this.#seeStale(keys);
    if (this.#isPassOver && this.fresh > 0) this.#isPassOver = false;
    if (!this.#isPassOver) {
      this.fresh = 0;
      const batch = await keys.take(Math.min(this.#size, limit));
      if (batch !== undefined) {
        this.#inHand += 1;
        this.#isPassEmpty = false;
        if (batch.mode === 'replace') this.#replacing += 1;
        return { kind: 'batch', batch };
      }
      this.#isPassOver = true;
    }
    await this.#seeStale(keys);
    if (this.#inHand > 0) return { kind: 'wait', afterMs: this.#isStaleOver ? undefined : POLL_MS };
    return this.#endOfPass(keys, isAboveFinished);
  }

  /** A pass that is through with stale keys left alone those that others had in hand then: once these are done, all are. */
  async #seeStale(keys: DueKeys): Promise<void> {
    if (this.#isStaleOver || keys.isStale) return;
    this.#isStaleOver = !(await this.#world.reservations.areOthersReplacing(this.relation));
  }

  async #open(): Promise<DueKeys> {
    const { store, options, relations, reservations } = this.#world;
    this.#recorded = await countComputations(store, this.relation);
    const due = new DueKeys(
      {
        store,
        relation: this.relation,
        relations,
        code: this.#code(),
        condition: options.where,
        reservations,
        silentSeconds: this.#silentSeconds(),
      },
      this.#recorded > 0,
    );
    void this.#count();
    return due;
  }

  /** A make in the thread that keeps the lease can keep it from doing so for as long as it may take. */
  #silentSeconds(): number {
    const { make, timeoutSeconds } = this.table.definition;
    const isElsewhere = make !== undefined && this.#world.options.runner?.isInCaller === false;
    return isElsewhere ? 0 : timeoutSeconds;
  }

  async #endOfPass(keys: DueKeys, isAboveFinished: boolean): Promise<NextStep> {
    const { store, options, run, reservations } = this.#world;
    if (!isAboveFinished) {
      // Rows from above that others write come without a word: look again, from the place where this pass is.
      this.#isPassOver = !reservations.isShared;
      return { kind: 'wait', afterMs: reservations.isShared ? POLL_MS : undefined };
    }
    const others = await reservations.others(this.relation, options.where);
    if (others.length > 0) return { kind: 'wait', afterMs: POLL_MS };
    // What a worker that died had in hand lies behind this pass, stale keys included.
    if (await reservations.anyLapsed(keys.takeMet())) this.#isAnotherPassDue = true;
    // What was tried again with success must not count as open.
    await this.#forgetComputed();
    const retries = await openRetries(store, this.relation, run.name);
    // Those that a pass made for them did not give are out of reach: their keys are gone, or others have dealt with them.
    if (retries.due > (this.#isPassEmpty ? this.#retriesTried : 0)) this.#isAnotherPassDue = true;
    if (this.#isAnotherPassDue) {
      this.#isAnotherPassDue = false;
      this.#isPassOver = false;
      this.#isPassEmpty = true;
      this.#retriesTried = retries.due;
      this.#isStaleOver = false;
      keys.restart((await countComputations(store, this.relation)) > 0);
      return { kind: 'wait', afterMs: 0 };
    }
    if (retries.nextInMs !== null && options.waitForRetries !== false) {
      this.#sayWait(retries.nextInMs);
      return { kind: 'wait', afterMs: retries.nextInMs };
    }
    this.isFinished = true;
    return { kind: 'finished' };
  }

  /** Once for each long wait: somebody may sit before it. */
  #sayWait(ms: number): void {
    const { environment, log } = this.#world.options;
    const until = environment.clock.nowMs() + ms;
    if (ms < LONG_WAIT_MS || until < this.#saidUntilMs + LONG_WAIT_MS) return;
    this.#saidUntilMs = until;
    log?.(`${this.name}: failed keys are tried again from ${new Date(until).toISOString()} on.`);
  }

  /** Keys may have come from above behind the place where this pass is. */
  look(): void {
    this.#isAnotherPassDue = true;
    void this.#count();
  }

  /** Computes a batch that {@link next} gave. */
  async compute({ mode, reservation }: DueBatch): Promise<BatchResult> {
    const startedAt = performance.now();
    let isSettled = false;
    try {
      const context = await this.#opened();
      const done = await computeBatch(context, { keys: reservation.keys, mode, fence: reservation.fence });
      const cost = {
        keys: reservation.keys.length,
        elapsedMs: performance.now() - startedAt,
        bytes: done.bytes,
      };
      this.#size = nextBatchSize(Math.min(this.#size, cost.keys), cost, this.#bounds);
      this.tally.add(done, mode);
      // An interruption leaves keys that were never tried.
      isSettled = done.computed + done.skipped + done.failures.length === reservation.keys.length;
      return done;
    } catch (error) {
      throw await this.#world.reservations.explain(this.relation, error);
    } finally {
      await reservation.release(isSettled ? 'settled' : 'open');
      this.#inHand -= 1;
      if (mode === 'replace') this.#replacing -= 1;
      this.report();
    }
  }

  /** Says how far it is. */
  report(): void {
    const { computed, failed } = this.tally;
    const total = this.#counted === null ? null : this.#counted + (this.#keys?.staleFound ?? 0);
    this.#world.options.progress?.({
      table: this.name,
      computed,
      failed,
      total: total === null ? null : Math.max(total, computed + failed),
    });
  }

  /** Counts in the background what there is to do, where that is known from the start. */
  async #count(): Promise<void> {
    const { store, options, relations } = this.#world;
    const restriction: KeyRestriction & { limit: number } = { condition: options.where, limit: COUNTED_KEYS };
    const missing = await countMissing(store, this.relation, relations, restriction).catch(
      () => COUNTED_KEYS,
    );
    if (missing >= COUNTED_KEYS) return;
    this.#counted = Math.min(this.tally.computed + this.tally.failed + missing, options.max ?? Infinity);
  }

  /** What became of it. */
  async outcome(): Promise<PopulatedTable> {
    await this.#forgetComputed();
    // A key that failed at first and was tried again with success did not fail.
    if (this.table.definition.retry.attempts > 1) {
      this.tally.settle(await failedKeys(this.#world.store, this.relation, this.#world.run.name));
    }
    const { computed, failed } = this.tally;
    return {
      table: this.name,
      computed,
      failed,
      remaining: await this.#remaining(),
      skippedUnchanged: Math.max(0, this.#recorded - (this.#keys?.staleFound ?? 0)),
    };
  }

  async #forgetComputed(): Promise<void> {
    const context = await this.#context;
    if (context !== undefined) await forgetComputed(this.#world.store, this.relation, context.specId);
  }

  async #remaining(): Promise<number | null> {
    const { store, options, relations } = this.#world;
    if (this.isFinished && options.where === undefined) return 0;
    const limit = COUNTED_KEYS + 1;
    const missing = await countMissing(store, this.relation, relations, { condition: undefined, limit });
    return missing === limit ? null : missing;
  }

  /** What failed to open, such as for want of a database, is opened anew by the next batch. */
  async #opened(): Promise<BatchContext> {
    const opening = (this.#context ??= this.#openContext());
    return opening.catch((error: unknown) => {
      if (this.#context === opening) this.#context = undefined;
      throw error;
    });
  }

  async #openContext(): Promise<BatchContext> {
    const { store, options, relations, run } = this.#world;
    const { projectFolder, objects, runner, signal, log } = options;
    return openBatchContext({
      store,
      table: this.table,
      relation: this.relation,
      relations,
      run,
      code: this.#code(),
      projectFolder,
      objects,
      runner,
      signal: signal ?? new AbortController().signal,
      log: log ?? (() => undefined),
    });
  }

  #code(): NonNullable<ReturnType<PopulateOptions['codeByTable']['get']>> {
    const code = this.#world.options.codeByTable.get(this.name);
    if (code !== undefined) return code;
    throw new VarveError('internal', {
      detail: { table: this.name },
      hint: 'Pass the code of every computed table: `digestCode` gives it.',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const context = await this.#context?.catch(() => undefined);
    await context?.[Symbol.asyncDispose]();
  }
}
