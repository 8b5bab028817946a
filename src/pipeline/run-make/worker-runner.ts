import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { hostPool } from './host-pool.ts';
import type { FileAccess, MakeRunner } from './make-runner.ts';
import { openThreadHost } from './thread-host.ts';

/** What a runner in threads or processes is opened with. */
export interface HostRunnerOptions {
  /** The module whose default export has the `pipelines`: a project's `varve.config.ts`, or one of your own. */
  readonly definitionsModule: URL | string;
  /** The digest of the definitions that the caller has; a host that has others computes nothing. */
  readonly definitionDigest: string;
  readonly files: FileAccess;
  /** Makes that run at once. Default 1. */
  readonly workers?: number;
  /** Megabytes of heap that one worker may use. Default 2048. */
  readonly memoryMb?: number;
}

const MEMORY_MB = 2048;

/**
 * Runs makes in worker threads of this process: one for each core is the most that helps.
 *
 * A make that spins, ends its thread or runs out of memory fails alone, with `make_timed_out` or `make_crashed`.
 * Inputs and results are copied between threads, some microseconds a key: a trivial make is faster in the calling thread.
 * Errors: `run` throws `definitions_differ` where the module defines other tables, `config_invalid` where it cannot be
 * imported.
 */
export function workerRunner(options: HostRunnerOptions): MakeRunner {
  const { definitionsModule, definitionDigest, files, workers = 1, memoryMb = MEMORY_MB } = options;
  const settings = { module: moduleUrl(definitionsModule), definitionDigest, files };
  return hostPool({
    slots: workers,
    isolates: false,
    open: () => openThreadHost(settings, memoryMb),
    hint: `Look for process.exit, for an error that nobody caught, and for more than ${String(memoryMb)} MB held at once.`,
  });
}

/** A path or an address as an address. */
export function moduleUrl(module: URL | string): string {
  return typeof module === 'string' && isAbsolute(module) ? pathToFileURL(module).href : String(module);
}
