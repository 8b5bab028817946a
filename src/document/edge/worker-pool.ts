import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { refusal, VarveError } from '../../base/index.ts';
import { typeDigest } from '../digest.ts';
import { ok, refused, type Result } from '../result.ts';
import { workOf, type FileRun, type WorkerOptions } from './file-run.ts';
import type { BlockAnswer, BlockRequest, WorkerHello, WorkerSettings } from './worker-message.ts';

/** Threads that move blocks of lines. */
export interface WorkerPool extends AsyncDisposable {
  /** How many blocks may be on their way at once: two for each thread, so that none waits for the next. */
  readonly mostInFlight: number;
  /** Hands a block over; its bytes are gone after that. */
  readonly migrate: (request: BlockRequest) => Promise<BlockAnswer>;
}

/** From `src/` a TypeScript file, from `dist/` what was built of it. */
const ENTRY = new URL(`./migrate-worker${extname(import.meta.url)}`, import.meta.url);
const RESOLVE_SELF = new URL('../../../bin/resolve-self.js', import.meta.url).href;

/** Starts the threads. Refused where they would load another document type than this run has. */
export async function openWorkerPool(run: FileRun, options: WorkerOptions): Promise<Result<WorkerPool>> {
  const threads = Array.from({ length: Math.max(1, options.count) }, () => startThread(run, options));
  const close = async (): Promise<void> => {
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  };
  try {
    const hellos = await Promise.all(threads.map(({ hello }) => hello));
    const wanted = typeDigest(run.model);
    const other = hellos.find((hello) => !('digest' in hello) || hello.digest !== wanted);
    if (other !== undefined) {
      await close();
      return refused(otherType(options, other));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return ok({
    mostInFlight: 2 * threads.length,
    migrate: (request) => leastBusy(threads).migrate(request),
    [Symbol.asyncDispose]: close,
  });
}

function otherType({ module }: WorkerOptions, hello: WorkerHello): ReturnType<typeof refusal> {
  const reason = 'missing' in hello ? hello.missing : 'the type that it exports has another digest';
  return refusal('plan_changed', module, {
    detail: { changed: 'the document type of a thread', reason },
    hint: 'Name the module that this run has its document type from; it must not depend on who loads it.',
  });
}

interface Thread {
  readonly worker: Worker;
  readonly hello: Promise<WorkerHello>;
  readonly inFlight: () => number;
  readonly migrate: (request: BlockRequest) => Promise<BlockAnswer>;
}

function leastBusy(threads: readonly Thread[]): Thread {
  return threads.reduce((best, thread) => (thread.inFlight() < best.inFlight() ? thread : best));
}

function startThread(run: FileRun, { module }: WorkerOptions): Thread {
  const { to, options } = workOf(run);
  const worker = new Worker(ENTRY, {
    name: 'varve-document',
    // The project's files are to find the varve that is running.
    execArgv: ['--import', RESOLVE_SELF],
    // A document lives as long as its line. The default is three times as much, and each thread would fill it.
    resourceLimits: { maxYoungGenerationSizeMb: 16 },
    workerData: { module, name: run.model.name, to, options } satisfies WorkerSettings,
  });
  const hello = Promise.withResolvers<WorkerHello>();
  const waiting: PromiseWithResolvers<BlockAnswer>[] = [];
  let isGreeted = false;
  worker.on('message', (message: WorkerHello | BlockAnswer) => {
    if (isGreeted) waiting.shift()?.resolve(message as BlockAnswer);
    else hello.resolve(message as WorkerHello);
    isGreeted = true;
  });
  const fail = (reason: string): void => {
    const error = new VarveError('internal', { detail: { reason }, hint: 'A thread ended: see its reason.' });
    hello.reject(error);
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  worker.on('error', (error) => fail(error instanceof Error ? error.message : String(error)));
  worker.on('exit', (code) => fail(`exit code ${code}`));
  // Whoever waits learns of it; where nobody does any more, it is no news.
  hello.promise.catch(() => undefined);
  return {
    worker,
    hello: hello.promise,
    inFlight: () => waiting.length,
    migrate: (request) => {
      const answer = Promise.withResolvers<BlockAnswer>();
      waiting.push(answer);
      worker.postMessage(request, [request.bytes.buffer]);
      return answer.promise;
    },
  };
}
