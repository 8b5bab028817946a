/**
 * A worker in a process of its own, to be killed, stopped or misled: `node crash-child.ts URL SCHEMA [OPTIONS as JSON]`.
 * Prints a line of JSON for what it has to say: `{"begins": ...}`, `{"log": ...}`, `{"stalls": ...}`, and at its end `{"status": ...}` or
 * `{"error": ...}`.
 */
import { isVarveError } from '../../src/base/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import {
  definitionsOf,
  part,
  pipeline,
  populate,
  t,
  type AnyTable,
  type Pipeline,
} from '../../src/pipeline/index.ts';
import type { CodeIdentity } from '../../src/pipeline/code-digest.ts';
import { environment } from './pipeline-lab.ts';

/** What a worker is told. */
export interface CrashChildOptions {
  readonly batchSize?: number;
  readonly leaseSeconds?: number;
  readonly patienceSeconds?: number;
  /** The id at which a make stops its own process as a stalled machine would. */
  readonly stallAt?: number;
  /** Milliseconds for which each make of the first table waits, and for which it keeps its thread busy. */
  readonly waitMs?: number;
  readonly spinMs?: number;
  /** How long a make may take, by which the lease of a make in the worker's own thread is longer. Default 1. */
  readonly timeoutSeconds?: number;
  /** Of the code: another digit is another code. */
  readonly code?: string;
  readonly tables?: readonly string[];
}

/** A chain of three tables over one that a person fills; the first two have parts. */
export interface CrashLab {
  readonly lab: Pipeline;
  readonly source: AnyTable;
  /** In dependency order. */
  readonly computed: readonly AnyTable[];
  readonly parts: readonly AnyTable[];
}

/** The definitions that all workers share. */
export function crashLab(schema: string, options: CrashChildOptions = {}): CrashLab {
  const { stallAt, waitMs = 0, spinMs = 0, code = '0', timeoutSeconds = 1 } = options;
  const lab = pipeline(schema);
  const source = lab.manual('source', { key: { id: t.integer() }, columns: { seed: t.double() } });
  const trace = lab.computed('trace', {
    parents: [source],
    columns: { text: t.text(), level: t.double() },
    parts: { sample: part({ key: { n: t.integer() }, columns: { value: t.double() } }) },
    reads: { source },
    timeoutSeconds,
    make: async ({ source: { id, seed } }) => {
      if (id === stallAt) stall(id);
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      for (const until = performance.now() + spinMs; performance.now() < until;);
      const sample = Array.from({ length: id % 4 }, (_, n) => ({ n, value: seed * n }));
      return { text: `t${id} ${code}`, level: Math.sin(seed), parts: { sample } };
    },
  });
  const peak = lab.computed('peak', {
    parents: [trace],
    columns: { height: t.double() },
    parts: { side: part({ key: { n: t.integer() } }) },
    reads: { trace },
    timeoutSeconds,
    make: ({ trace: { id, level } }) => ({
      height: level * 2,
      parts: { side: Array.from({ length: 1 + (id % 2) }, (_, n) => ({ n })) },
    }),
  });
  const verdict = lab.computed('verdict', {
    parents: [peak],
    columns: { isHigh: t.boolean() },
    reads: { peak },
    timeoutSeconds,
    make: ({ peak: { height } }) => ({ isHigh: height > 1 }),
  });
  return {
    lab,
    source,
    computed: [trace, peak, verdict],
    parts: [trace.parts.sample, peak.parts.side],
  };
}

/** The code of these makes: the test runner changes their text, so that it cannot stand for them here. */
export function crashCode(schema: string, digit = '0'): ReadonlyMap<string, CodeIdentity> {
  return new Map(
    ['trace', 'peak', 'verdict'].map((table) => [
      `${schema}.${table}`,
      { digest: `sha256:${digit.repeat(64)}`, basis: 'text', packages: {}, source: 'crash' },
    ]),
  );
}

function stall(id: number): void {
  say({ stalls: id });
  process.kill(process.pid, 'SIGSTOP');
}

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

let isAtWork = false;

async function work(url: string, schema: string, options: CrashChildOptions): Promise<void> {
  const { batchSize, leaseSeconds = 10, patienceSeconds, tables, code } = options;
  await using store = await postgresStore({ url });
  const collected = definitionsOf([crashLab(schema, options).lab]);
  if (collected.status === 'refused') throw new Error('refused');
  const result = await populate(store, {
    definitions: collected.definitions,
    environment: { ...environment, processId: process.pid },
    projectFolder: import.meta.dirname,
    codeByTable: crashCode(schema, code),
    isShared: true,
    leaseSeconds,
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(patienceSeconds === undefined ? {} : { patienceSeconds }),
    ...(tables === undefined ? {} : { tables }),
    log: (message) => say({ log: message }),
    progress: () => {
      if (!isAtWork) say({ begins: process.pid });
      isAtWork = true;
    },
  });
  say(result);
}

if (import.meta.main) {
  const [url = '', schema = '', options = '{}'] = process.argv.slice(2);
  try {
    await work(url, schema, JSON.parse(options) as CrashChildOptions);
  } catch (error) {
    say({
      error: isVarveError(error) ? error.code : String(error),
      hint: isVarveError(error) ? error.hint : '',
    });
    process.exitCode = 3;
  }
}
