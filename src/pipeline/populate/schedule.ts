/**
 * In which order the tables of a populate are worked on.
 *
 * Several lanes take batches, one after the other: one is read and computed while another is written. A lane prefers the
 * table furthest down that has a full batch waiting, so that results come early and the keys between tables do not pile
 * up; then the one furthest up that has anything, so that batches are full.
 */
import { isVarveError } from '../../base/index.ts';
import { sql, type Store } from '../../store/index.ts';
import type { BatchResult } from '../batch/batch.ts';
import type { NextStep, TableWork } from './table-work.ts';
import type { Upstream } from './upstream.ts';

/** What lanes share. */
export interface Schedule {
  readonly store: Store;
  /** In dependency order. */
  readonly works: readonly TableWork[];
  readonly upstream: ReadonlyMap<string, Upstream>;
  readonly lanes: number;
  /** Keys to try at most. */
  readonly max: number;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds to wait for a database that went away. */
  readonly patienceMs: number;
  /** Told when others took over keys of this worker. */
  readonly onLost: () => void;
}

/** Works until every table is finished, `max` is reached, or the signal says so. */
export async function runSchedule(schedule: Schedule): Promise<void> {
  const state = new ScheduleState(schedule);
  const ends = await Promise.allSettled(Array.from({ length: schedule.lanes }, () => lane(state)));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function lane(state: ScheduleState): Promise<void> {
  while (!state.isOver) {
    try {
      const seen = state.changes;
      const step = await state.next();
      if (step.kind === 'finished') return;
      if (step.kind === 'wait') await state.wait(step.afterMs, seen);
      else await state.compute(step.work, step);
    } catch (error) {
      if (!(await state.recovers(error))) throw error;
    }
  }
}

type LaneStep =
  | (Extract<NextStep, { kind: 'batch' }> & { readonly work: TableWork; readonly reserved: number })
  | Exclude<NextStep, { kind: 'batch' }>;

class ScheduleState {
  readonly #schedule: Schedule;
  readonly #above: ReadonlyMap<TableWork, readonly TableWork[]>;
  readonly #below: ReadonlyMap<TableWork, readonly TableWork[]>;
  readonly #waiting = new Set<() => void>();
  /** How often something changed: what did so while a lane looked around must not be waited for. */
  changes = 0;
  #left: number;
  #isFailed = false;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
    this.#left = schedule.max;
    const byName = new Map(schedule.works.map((work) => [work.name, work]));
    this.#above = new Map(
      schedule.works.map((work) => {
        const { followed, awaited } = this.#upstream(work);
        return [work, [...followed, ...awaited].flatMap((name) => byName.get(name) ?? [])];
      }),
    );
    this.#below = new Map(
      schedule.works.map((work) => [
        work,
        schedule.works.filter((each) => this.#above.get(each)?.includes(work) === true),
      ]),
    );
  }

  get isOver(): boolean {
    return this.#isFailed || this.#left <= 0 || this.#schedule.signal?.aborted === true;
  }

  #upstream(work: TableWork): Upstream {
    return this.#schedule.upstream.get(work.name) ?? { followed: [], awaited: [] };
  }

  /** A batch of the table that is best worked on now. */
  async next(): Promise<LaneStep> {
    let afterMs: number | undefined;
    for (const work of this.#inOrder()) {
      // Reserved before the work and given back after it, so that lanes together never pass `max`.
      const reserved = Math.min(work.batchSize, this.#left);
      if (reserved <= 0) return { kind: 'finished' };
      this.#left -= reserved;
      const step = await this.#ask(work, reserved).catch((error: unknown) => {
        this.#left += reserved;
        throw error;
      });
      if (step.kind === 'batch') {
        const { keys } = step.batch.reservation;
        this.#left += reserved - keys.length;
        return { ...step, work, reserved: keys.length };
      }
      this.#left += reserved;
      if (step.kind === 'finished') this.#tellBelow(work);
      else if (step.afterMs !== undefined) afterMs = Math.min(step.afterMs, afterMs ?? Infinity);
    }
    return this.#schedule.works.every(({ isFinished }) => isFinished)
      ? { kind: 'finished' }
      : { kind: 'wait', afterMs };
  }

  #ask(work: TableWork, limit: number): Promise<NextStep> {
    const isAboveFinished = (this.#above.get(work) ?? []).every(({ isFinished }) => isFinished);
    return work.next(limit, isAboveFinished);
  }

  /** Those that may be worked on: full batches furthest down first, then anything furthest up. */
  #inOrder(): readonly TableWork[] {
    const ready = this.#schedule.works.filter((work) => !work.isFinished && this.#isReady(work));
    const full = ready.filter((work) => work.fresh >= work.batchSize);
    return [...full.toReversed(), ...ready.filter((work) => !full.includes(work))];
  }

  #isReady(work: TableWork): boolean {
    const above = this.#above.get(work) ?? [];
    const { awaited } = this.#upstream(work);
    return above.every((each) => each.isFinished || (!awaited.includes(each.name) && each.isPresent));
  }

  #tellBelow(work: TableWork): void {
    for (const below of this.#below.get(work) ?? []) below.look();
    this.#wake();
  }

  async compute(work: TableWork, step: Extract<LaneStep, { kind: 'batch' }>): Promise<void> {
    let done: BatchResult | undefined;
    try {
      done = await work.compute(step.batch);
    } finally {
      // A key that failed was tried too; one that someone else computed was not.
      const tried = done === undefined ? 0 : done.computed + done.failures.length;
      this.#left += step.reserved - tried;
      for (const below of this.#below.get(work) ?? []) below.fresh += done?.computed ?? 0;
      this.#wake();
    }
  }

  /** Until something changes here after what the lane has `seen`, or so many milliseconds. */
  async wait(afterMs: number | undefined, seen: number): Promise<void> {
    const { signal } = this.#schedule;
    if (afterMs === 0 || this.changes !== seen || signal?.aborted === true) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, Math.min(afterMs ?? LONGEST_WAIT_MS, LONGEST_WAIT_MS));
      this.#waiting.add(end);
      signal?.addEventListener('abort', end);
    });
  }

  #wake(): void {
    this.changes += 1;
    this.#waiting.forEach((wake) => wake());
  }

  /** Whether the lane may go on after this error; what it had in hand is found again. */
  async recovers(error: unknown): Promise<boolean> {
    const isLost = isVarveError(error, 'lease_lost');
    const isAway = isVarveError(error, 'database_unreachable') || isVarveError(error, 'commit_unknown');
    for (const work of this.#schedule.works) if (isLost || isAway) work.look();
    if (isLost) {
      this.#schedule.onLost();
      return true;
    }
    if (isAway && (await this.#isBack())) return true;
    this.#isFailed = true;
    this.#wake();
    return false;
  }

  /** Waits for the database; false when it stays away. */
  async #isBack(): Promise<boolean> {
    const { store, patienceMs, signal } = this.#schedule;
    const until = performance.now() + patienceMs;
    for (let pauseMs = 100; performance.now() < until; pauseMs *= 1.5) {
      if (signal?.aborted === true) return false;
      await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, 2000)));
      try {
        await store.query(sql`select 1`);
        return true;
      } catch {
        // Still away.
      }
    }
    return false;
  }
}

/** A lane that waits looks around now and then, whether or not it was woken. */
const LONGEST_WAIT_MS = 5_000;
