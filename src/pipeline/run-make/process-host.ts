import { spawn, type ChildProcess } from 'node:child_process';
import { dirname, extname } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { isVarveError, VarveError } from '../../base/index.ts';
import type { RecordedRead } from '../write-rows.ts';
import type { Host, SliceEnd } from './host.ts';
import { recordedFiles } from './key-context.ts';
import type { FileAccess, MakeResult } from './make-runner.ts';
import { networkWall } from './network-wall.ts';
import { BEGUN_FD, type FileAnswer, type ProcessMessage, type ProcessRequest } from './process-message.ts';
import { readGrant } from './read-grant.ts';
import { errorText } from './serve-slices.ts';
import type { HostSettings, Slice } from './slice.ts';
import { Said } from './said.ts';
import { refusedError } from './thread-host.ts';

/** Starts an isolated process, with the definitions loaded in it. Errors: throws what loading them throws. */
export async function openProcessHost(settings: HostSettings, memoryMb: number): Promise<Host> {
  const { files, ...rest } = settings;
  const [command, ...args] = [
    ...networkWall().prefix,
    process.execPath,
    ...(await permissions(settings.module)),
    `--max-old-space-size=${String(memoryMb)}`,
    '--import',
    RESOLVE_SELF,
    ENTRY,
  ];
  const child = spawn(command, args, {
    env: {},
    cwd: dirname(fileURLToPath(settings.module)),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', 'pipe'],
    serialization: 'advanced',
  });
  const host = new ProcessHost(child, files);
  await host.open(rest);
  return host;
}

/** Reading what loading needs; no writing, no processes, threads, addons or WASI, and no network where Node knows it. */
async function permissions(module: string): Promise<readonly string[]> {
  const granted = await readGrant(module).catch((error: unknown) => {
    throw refusedError({ kind: 'refused', error: errorText(module, error) });
  });
  return [
    '--permission',
    '--no-addons',
    '--disable-warning=ExperimentalWarning',
    '--disable-warning=SecurityWarning',
    ...granted.map((path) => `--allow-fs-read=${path}`),
  ];
}

/** From `src/` a TypeScript file, from `dist/` what was built of it. */
const ENTRY = fileURLToPath(new URL(`./process-main${extname(import.meta.url)}`, import.meta.url));
const RESOLVE_SELF = new URL('../../../bin/resolve-self.js', import.meta.url).href;

/** A pipe to another process; not every stream is one. */
type Holdable = { readonly [W in 'ref' | 'unref']?: () => void };

class ProcessHost implements Host {
  readonly #child: ChildProcess;
  readonly #files: FileAccess;
  #sliceNumber = 0;
  #begun = 0;
  #hasEnded = false;
  #reason = '';
  #said: Said = new Said(() => undefined);
  #reads: RecordedRead[][] = [];
  /** What a make of the slice in hand reached for, by the place of its key. */
  readonly #left = new Map<number, string>();
  #answer: ((message: ProcessMessage | undefined) => void) | undefined;

  constructor(child: ChildProcess, files: FileAccess) {
    this.#child = child;
    this.#files = files;
    child.on('message', (message) => this.#take(message as ProcessMessage));
    child.on('error', (error) => (this.#reason ||= error.message));
    // Only now is all read that it said before its end.
    child.on('close', (code, signal) => {
      this.#hasEnded = true;
      this.#reason ||= signal === null ? `exit code ${String(code)}` : `signal ${signal}`;
      this.#settle(undefined);
    });
    (child.stdio[BEGUN_FD] as Readable).on('data', (bytes: Buffer) => {
      this.#begun += bytes.filter((byte) => byte === (this.#sliceNumber & 255)).length;
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.#said.add(text));
    }
  }

  async open(settings: Omit<HostSettings, 'files'>): Promise<void> {
    const answer = this.#next();
    this.#send({ kind: 'open', settings });
    const message = await answer;
    if (message?.kind === 'ready') return this.#hold('unref');
    await this.end();
    if (message?.kind === 'refused') throw refusedError(message);
    throw new VarveError('isolation_unavailable', {
      detail: { reason: this.#why() },
      hint: 'The isolated process ended while it loaded the definitions. Try `node --permission --version` on this machine.',
    });
  }

  async run(slice: Slice, log: (message: string) => void): Promise<SliceEnd> {
    this.#sliceNumber += 1;
    this.#begun = 0;
    this.#left.clear();
    this.#said = new Said(log);
    this.#reads = slice.inputs.map(() => []);
    this.#hold('ref');
    const answer = this.#next();
    this.#send({ kind: 'slice', slice });
    const message = await answer;
    // What it printed before it answered lies in its pipe by now, and is read in the next turns.
    await nextTurn();
    await nextTurn();
    this.#hold('unref');
    this.#said.end();
    if (message?.kind === 'done') {
      const { durationMs } = message;
      return {
        status: 'done',
        results: message.results.map((result, at) => this.#recorded(result, at)),
        durationMs,
      };
    }
    const tried = this.#left.get(this.#begun - 1);
    if (tried !== undefined) {
      const outcome = { status: 'failed', code: 'make_left_isolation', message: tried, stack: null } as const;
      return { status: 'ended', begun: this.#begun, reason: tried, outcome };
    }
    return { status: 'ended', begun: this.#begun, reason: this.#why() };
  }

  begun(): number {
    return this.#begun;
  }

  abort(): void {
    this.#send({ kind: 'abort' });
  }

  hasEnded(): boolean {
    return this.#hasEnded;
  }

  async end(): Promise<void> {
    if (this.#hasEnded) return;
    const closed = new Promise((resolve) => this.#child.once('close', resolve));
    this.#hold('ref');
    this.#child.kill('SIGKILL');
    await closed;
  }

  /** What was read is known here; what the other side says of it counts for nothing. */
  #recorded({ outcome }: MakeResult, at: number): MakeResult {
    return { outcome, reads: this.#reads[at] ?? [] };
  }

  #take(message: ProcessMessage): void {
    if (message.kind === 'log') this.#said.log(message.message);
    else if (message.kind === 'left') {
      if (message.index !== undefined) this.#left.set(message.index, message.tried);
    } else if (message.kind === 'file') void this.#readFile(message);
    else this.#settle(message);
  }

  async #readFile({ id, index, method, args }: Extract<ProcessMessage, { kind: 'file' }>): Promise<void> {
    this.#send({
      kind: 'file',
      id,
      answer: await callFiles(this.#files, this.#reads[index] ?? [], method, args),
    });
  }

  #send(request: ProcessRequest): void {
    // A process that is gone says so by its end.
    if (this.#child.connected) this.#child.send(request, () => undefined);
  }

  /** Whether this process waits for that one before it ends. */
  #hold(way: 'ref' | 'unref'): void {
    this.#child[way]();
    this.#child.channel?.[way]();
    for (const stream of this.#child.stdio) (stream as Holdable | null)?.[way]?.();
  }

  #why(): string {
    return [this.#reason, this.#said.telling].filter((text) => text !== '').join(': ');
  }

  #next(): Promise<ProcessMessage | undefined> {
    if (this.#hasEnded) return Promise.resolve(undefined);
    return new Promise((resolve) => (this.#answer = resolve));
  }

  #settle(message: ProcessMessage | undefined): void {
    this.#answer?.(message);
    this.#answer = undefined;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function callFiles(
  access: FileAccess,
  reads: RecordedRead[],
  method: string,
  args: readonly unknown[],
): Promise<FileAnswer> {
  const files = recordedFiles(access, reads) as unknown as Readonly<Record<string, unknown>>;
  const member = Object.hasOwn(files, method) ? files[method] : undefined;
  try {
    if (typeof member !== 'function') throw noSuchMember(method);
    return { status: 'ok', value: await (member as (...args: readonly unknown[]) => unknown)(...args) };
  } catch (error) {
    const text = isVarveError(error) ? error : errorText('ctx.files', error);
    return { status: 'failed', error: { code: text.code, detail: text.detail, hint: text.hint } };
  }
}

function noSuchMember(method: string): VarveError {
  return new VarveError('usage', {
    detail: { subject: `ctx.files.${method}` },
    hint: 'Call what MakeContext declares.',
  });
}
