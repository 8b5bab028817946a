import { hostPool } from './host-pool.ts';
import type { MakeRunner } from './make-runner.ts';
import { networkWall, type NetworkWall } from './network-wall.ts';
import { openProcessHost } from './process-host.ts';
import { moduleUrl, type HostRunnerOptions } from './worker-runner.ts';

const MEMORY_MB = 2048;

/** A runner whose processes say what keeps them from the network. */
export interface IsolatedRunner extends MakeRunner {
  /** `none`: only varve's own guard inside the process. */
  readonly networkWall: NetworkWall;
}

/**
 * Runs makes in processes of their own, which have no database address, an empty environment, Node's permission model
 * on, and no right to read but what loading the definitions needs. `ctx.files` is served by this process.
 *
 * A make that reaches outside fails with `make_left_isolation`, which names what it tried; one that ends its process
 * with `make_crashed`. What is the runtime's wall and what only varve's guard: docs/concepts/pipeline.md, "Isolation".
 * Errors: `run` throws as that of `workerRunner`, and `isolation_unavailable` where such a process does not start.
 */
export function isolatedRunner(options: HostRunnerOptions): IsolatedRunner {
  const { definitionsModule, definitionDigest, files, workers = 1, memoryMb = MEMORY_MB } = options;
  const settings = { module: moduleUrl(definitionsModule), definitionDigest, files };
  const pool = hostPool({
    slots: workers,
    isolates: true,
    open: () => openProcessHost(settings, memoryMb),
    hint: `Look for process.exit, for an error that nobody caught, and for more than ${String(memoryMb)} MB held at once.`,
  });
  return {
    ...pool,
    get networkWall() {
      return networkWall().wall;
    },
  };
}
