/** What a thread and a process do alike: load the definitions, and run the makes of the slices they are sent. */
import { isVarveError, VarveError } from '../../base/index.ts';
import { definitionsOf } from '../definition-set.ts';
import type { Pipeline } from '../pipeline.ts';
import type { AnyTable } from '../table.ts';
import { makeInThread } from './in-thread-runner.ts';
import type { Making } from './key-context.ts';
import type { ErrorText, HostMessage, HostRequest, HostSettings, Slice } from './slice.ts';

/** What differs between a thread and a process. */
export interface Serving {
  readonly send: (message: HostMessage) => void;
  /** Called before each make with the place of its key. */
  readonly begin: (index: number) => void;
  readonly openFiles: Making['openFiles'];
  /** Sees what came of a slice before it is sent. */
  readonly finish?: (done: Done) => Done;
}

/** A slice that is done. */
export type Done = Extract<HostMessage, { kind: 'done' }>;

/** Loads the definitions, says so, and gives what is to be called with each request. */
export async function serveSlices(
  settings: Omit<HostSettings, 'files'>,
  serving: Serving,
): Promise<(request: HostRequest) => void> {
  let abort = new AbortController();
  try {
    const tableByName = await loadTables(settings);
    serving.send({ kind: 'ready' });
    return (request) => {
      if (request.kind === 'abort') return abort.abort();
      abort = new AbortController();
      void runSlice(tableByName, request.slice, serving, abort.signal);
    };
  } catch (error) {
    serving.send({ kind: 'refused', error: errorText(settings.module, error) });
    return () => undefined;
  }
}

async function runSlice(
  tableByName: ReadonlyMap<string, AnyTable>,
  { table: name, now, inputs }: Slice,
  { send, begin, openFiles, finish }: Serving,
  signal: AbortSignal,
): Promise<void> {
  const table = tableByName.get(name);
  if (table === undefined)
    throw new VarveError('unknown_table', { detail: { subject: name }, hint: 'Define it.' });
  const startedAtMs = performance.now();
  const log = (message: string): void => send({ kind: 'log', message });
  const results = await makeInThread(table, inputs, { table: name, now, log, signal, openFiles }, begin);
  const done: Done = { kind: 'done', results, durationMs: performance.now() - startedAtMs };
  send(finish?.(done) ?? done);
}

async function loadTables({
  module,
  definitionDigest,
}: Omit<HostSettings, 'files'>): Promise<ReadonlyMap<string, AnyTable>> {
  const { default: config } = (await import(module)) as { readonly default?: Partial<WithPipelines> };
  const defined = definitionsOf(config?.pipelines ?? []);
  if (defined.status === 'ok' && defined.definitions.digest === definitionDigest) {
    return defined.definitions.tableByName;
  }
  throw new VarveError('definitions_differ', {
    detail: {
      module,
      expected: definitionDigest,
      found: defined.status === 'ok' ? defined.definitions.digest : (defined.findings[0]?.code ?? 'none'),
    },
    hint: 'Name the module whose default export has these very `pipelines`. If its files were edited meanwhile, start again; nothing was computed.',
  });
}

interface WithPipelines {
  readonly pipelines: readonly Pipeline[];
}

/** An exception as plain data; one that is not varve's own speaks of what could not be used. */
export function errorText(subject: string, error: unknown): ErrorText {
  if (isVarveError(error)) return { code: error.code, detail: error.detail, hint: error.hint };
  return {
    code: 'config_invalid',
    detail: { subject, reason: error instanceof Error ? error.message : String(error) },
    hint: 'Correct the module so that it can be imported where makes run.',
  };
}
