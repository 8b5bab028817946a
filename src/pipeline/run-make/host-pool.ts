/**
 * Makes in several hosts (threads or processes) at once, whatever the makes do to them.
 *
 * The keys of a call are spread in slices, one slice in hand for each host, so that no more is in memory than that. A
 * host that ends is replaced: the key that was in hand fails, the others of its slice are run again, for makes are pure.
 * A key that neither returns nor lets its host measure time is ended from outside, with its host.
 */
import { VarveError } from '../../base/index.ts';
import type { AnyTable } from '../table.ts';
import { timedOut } from './call-makes.ts';
import type { Host, SliceEnd } from './host.ts';
import type { MakeFailure } from './make-outcome.ts';
import type { MakeInput, MakeResult, MakeRunner, RunCall } from './make-runner.ts';
import { SliceSize } from './slice-size.ts';

/** What a pool is made of. */
export interface HostPoolOptions {
  readonly slots: number;
  readonly isolates: boolean;
  readonly open: () => Promise<Host>;
  /** What to do about a make that ended its host. */
  readonly hint: string;
}

/** Opens hosts when they are needed and ends them when they are idle for a while. */
export function hostPool(options: HostPoolOptions): MakeRunner {
  const pool = new HostPool(options);
  return {
    slots: options.slots,
    isInCaller: false,
    isolates: options.isolates,
    run: (table, inputs, call) => pool.run(table, inputs, call),
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

const IDLE_MS = 10_000;
/** How often a slice may end its host before any of its keys was begun, until its first key is blamed. */
const BLAMELESS = 2;

class HostPool {
  readonly #options: HostPoolOptions;
  readonly #idle: Host[] = [];
  readonly #busy = new Set<Host>();
  readonly #waiting: (() => void)[] = [];
  readonly #sizes = new Map<string, SliceSize>();
  #free: number;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: HostPoolOptions) {
    this.#options = options;
    this.#free = options.slots;
  }

  async run(
    table: AnyTable,
    inputs: readonly MakeInput[],
    call: RunCall,
  ): Promise<readonly (MakeResult | undefined)[]> {
    const work = new Work(table, inputs, call, this.#sizeOf(table), this.#options);
    const lanes = Array.from({ length: Math.min(this.#options.slots, inputs.length) }, () =>
      this.#lane(work),
    );
    const ends = await Promise.allSettled(lanes);
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return work.results;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#idleTimer);
    const hosts = [...this.#idle.splice(0), ...this.#busy];
    await Promise.all(hosts.map((host) => host.end()));
  }

  #sizeOf(table: AnyTable): SliceSize {
    const { name } = table.spec;
    const size = this.#sizes.get(name) ?? new SliceSize();
    this.#sizes.set(name, size);
    return size;
  }

  async #lane(work: Work): Promise<void> {
    while (work.isOpen) {
      await this.#acquire();
      try {
        await this.#runNext(work);
      } catch (error) {
        work.stop();
        throw error;
      } finally {
        this.#release();
      }
    }
  }

  async #runNext(work: Work): Promise<void> {
    if (!work.isOpen) return;
    const host = await this.#host();
    const range = work.next();
    this.#busy.add(host);
    try {
      if (range !== undefined) work.settle(range, await work.runOn(host, range));
    } finally {
      this.#busy.delete(host);
      if (host.hasEnded()) await host.end();
      else this.#idle.push(host);
    }
  }

  async #host(): Promise<Host> {
    for (let host = this.#idle.pop(); host !== undefined; host = this.#idle.pop()) {
      if (!host.hasEnded()) return host;
    }
    if (this.#isClosed)
      throw new VarveError('interrupted', { hint: 'The runner is closed. Open another one.' });
    return this.#options.open();
  }

  async #acquire(): Promise<void> {
    clearTimeout(this.#idleTimer);
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) return next();
    this.#free += 1;
    if (this.#free < this.#options.slots) return;
    this.#idleTimer = setTimeout(() => {
      for (const host of this.#idle.splice(0)) void host.end();
    }, IDLE_MS);
    this.#idleTimer.unref();
  }
}

/** Keys of a call by their place: from, and before which. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** What is left of one call, and what came of the rest. */
class Work {
  readonly results: (MakeResult | undefined)[];
  readonly #table: AnyTable;
  readonly #inputs: readonly MakeInput[];
  readonly #call: RunCall;
  readonly #size: SliceSize;
  readonly #options: HostPoolOptions;
  readonly #open: Range[];
  #blameless = 0;
  #isStopped = false;

  constructor(
    table: AnyTable,
    inputs: readonly MakeInput[],
    call: RunCall,
    size: SliceSize,
    options: HostPoolOptions,
  ) {
    this.results = Array.from({ length: inputs.length }, () => undefined);
    this.#table = table;
    this.#inputs = inputs;
    this.#call = call;
    this.#size = size;
    this.#options = options;
    this.#open = [{ from: 0, to: inputs.length }];
  }

  get isOpen(): boolean {
    return this.#open.length > 0 && !this.#isStopped && !this.#call.signal.aborted;
  }

  stop(): void {
    this.#isStopped = true;
  }

  next(): Range | undefined {
    const range = this.isOpen ? this.#open.shift() : undefined;
    if (range === undefined) return undefined;
    const left = this.#open.reduce((sum, { from, to }) => sum + to - from, range.to - range.from);
    const to = Math.min(range.to, range.from + this.#size.next(left, this.#options.slots));
    if (to < range.to) this.#open.unshift({ from: to, to: range.to });
    return { from: range.from, to };
  }

  async runOn(host: Host, { from, to }: Range): Promise<SliceEnd & { readonly isLate: boolean }> {
    const { now, log, signal } = this.#call;
    const inputs = this.#inputs.slice(from, to).map(({ key, values }) => ({ key, values }));
    const abort = (): void => host.abort();
    signal.addEventListener('abort', abort, { once: true });
    const watch = watchHost(host, this.#table.definition.timeoutSeconds * 1000);
    try {
      const end = await host.run({ table: this.#table.spec.name, now, inputs }, log);
      return { ...end, isLate: watch.isLate() };
    } finally {
      watch.stop();
      signal.removeEventListener('abort', abort);
    }
  }

  settle(range: Range, end: SliceEnd & { readonly isLate: boolean }): void {
    if (end.status === 'done') {
      for (const [at, result] of end.results.entries()) this.results[range.from + at] = result;
      this.#size.took(end.results.length, end.durationMs);
      return;
    }
    this.#size.shrink();
    if (end.begun === 0 && (this.#blameless += 1) <= BLAMELESS) {
      this.#open.unshift(range);
      return;
    }
    const at = range.from + Math.max(0, Math.min(end.begun, range.to - range.from) - 1);
    const outcome = end.outcome ?? (end.isLate ? timedOut(this.#table) : this.#crashed(end.reason));
    this.results[at] = { outcome, reads: [] };
    this.#open.unshift(
      ...[
        { from: range.from, to: at },
        { from: at + 1, to: range.to },
      ].filter(isFilled),
    );
  }

  #crashed(reason: string): MakeFailure {
    const message = `the make ended the ${this.#options.isolates ? 'process' : 'thread'} that it ran in: ${reason}. ${this.#options.hint}`;
    return { status: 'failed', code: 'make_crashed', message, stack: null };
  }
}

function isFilled({ from, to }: Range): boolean {
  return from < to;
}

/** A host measures time by itself; this is for a make that never lets it. */
const GRACE_MS = 500;
const LOOK_MS = 100;

/** Ends a host in which one key takes longer than it may. */
function watchHost(
  host: Host,
  timeoutMs: number,
): { readonly isLate: () => boolean; readonly stop: () => void } {
  let isLate = false;
  let seen = { begun: host.begun(), atMs: performance.now() };
  const timer = setInterval(() => {
    const [begun, atMs] = [host.begun(), performance.now()];
    if (begun !== seen.begun) seen = { begun, atMs };
    else if (atMs - seen.atMs > timeoutMs + GRACE_MS) {
      isLate = true;
      void host.end();
    }
  }, LOOK_MS);
  return { isLate: () => isLate, stop: () => clearInterval(timer) };
}
