import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { VarveError } from '../../base/index.ts';
import type { Host, SliceEnd } from './host.ts';
import type { HostMessage, HostRequest, HostSettings } from './slice.ts';

/** What a thread finds as its `workerData`. */
export interface ThreadData {
  readonly settings: HostSettings;
  /** One number: how many keys of the slice in hand were begun. */
  readonly begun: Int32Array<SharedArrayBuffer>;
}

/** Starts a thread, with the definitions loaded in it. Errors: throws what loading them throws. */
export async function openThreadHost(settings: HostSettings, memoryMb: number): Promise<Host> {
  const begun = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(ENTRY, {
    name: 'varve-make',
    // The project's files are to find the varve that is running.
    execArgv: ['--import', RESOLVE_SELF],
    workerData: { settings, begun } satisfies ThreadData,
    resourceLimits: { maxOldGenerationSizeMb: memoryMb },
  });
  const host = new ThreadHost(worker, begun);
  await host.ready();
  return host;
}

/** From `src/` a TypeScript file, from `dist/` what was built of it. */
const ENTRY = new URL(`./thread-main${extname(import.meta.url)}`, import.meta.url);
const RESOLVE_SELF = new URL('../../../bin/resolve-self.js', import.meta.url).href;

/** Everything is copied. */
const NOTHING_MOVED: readonly never[] = [];

class ThreadHost implements Host {
  readonly #worker: Worker;
  readonly #begun: Int32Array;
  #hasEnded = false;
  #reason = '';
  #log: (message: string) => void = () => undefined;
  /** Whoever waits for the next answer. */
  #answer: ((message: HostMessage | undefined) => void) | undefined;

  constructor(worker: Worker, begun: Int32Array) {
    this.#worker = worker;
    this.#begun = begun;
    worker.on('message', (message: HostMessage) => {
      if (message.kind === 'log') this.#log(message.message);
      else this.#settle(message);
    });
    worker.on('messageerror', (error) => (this.#reason ||= error.message));
    worker.on('error', (error) => (this.#reason ||= reasonOf(error)));
    worker.on('exit', (code) => {
      this.#hasEnded = true;
      this.#reason ||= `exit code ${String(code)}`;
      this.#settle(undefined);
    });
  }

  async ready(): Promise<void> {
    const message = await this.#next();
    if (message?.kind === 'ready') return this.#worker.unref();
    await this.end();
    if (message?.kind === 'refused') throw refusedError(message);
    throw new VarveError('config_invalid', {
      detail: { subject: 'worker thread', reason: this.#reason },
      hint: 'The thread ended while it loaded the definitions. Correct the module so that it can be imported.',
    });
  }

  async run(
    slice: Extract<HostRequest, { kind: 'slice' }>['slice'],
    log: (message: string) => void,
  ): Promise<SliceEnd> {
    Atomics.store(this.#begun, 0, 0);
    this.#log = log;
    this.#worker.ref();
    const answer = this.#next();
    this.#worker.postMessage({ kind: 'slice', slice } satisfies HostRequest, NOTHING_MOVED);
    const message = await answer;
    this.#worker.unref();
    if (message?.kind !== 'done') return { status: 'ended', begun: this.begun(), reason: this.#reason };
    return { status: 'done', results: message.results, durationMs: message.durationMs };
  }

  begun(): number {
    return Atomics.load(this.#begun, 0);
  }

  abort(): void {
    this.#worker.postMessage({ kind: 'abort' } satisfies HostRequest, NOTHING_MOVED);
  }

  hasEnded(): boolean {
    return this.#hasEnded;
  }

  async end(): Promise<void> {
    this.#worker.ref();
    await this.#worker.terminate();
  }

  #next(): Promise<HostMessage | undefined> {
    if (this.#hasEnded) return Promise.resolve(undefined);
    return new Promise((resolve) => (this.#answer = resolve));
  }

  #settle(message: HostMessage | undefined): void {
    this.#answer?.(message);
    this.#answer = undefined;
  }
}

/** A refusal of the other side as the exception that it was there. */
export function refusedError({ error }: Extract<HostMessage, { kind: 'refused' }>): VarveError {
  return new VarveError(error.code, { detail: error.detail, hint: error.hint });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? `${String(error.code)}: ` : '';
  return `${code}${error.message}`;
}
