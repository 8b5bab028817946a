/** The process of an `isolatedRunner`: started with an empty environment and Node's permission model. */
import fs from 'node:fs';
import { VarveError } from '../../base/index.ts';
import type { ObjectContent } from '../../store/index.ts';
import type { ContextFiles } from '../make-context.ts';
import { guardIsolation } from './isolation-guard.ts';
import type { MakeResult } from './make-runner.ts';
import { BEGUN_FD, type FileAnswer, type ProcessMessage, type ProcessRequest } from './process-message.ts';
import { serveSlices, type Done } from './serve-slices.ts';

// What is taken here is taken before the guard puts something else in its place.
const { writeSync } = fs;
const send = process.send?.bind(process) ?? (() => false);
const tell = (message: ProcessMessage): void => void send(message);

let sliceNumber = 0;
let index = 0;
const triedByIndex = new Map<number, string>();
let callId = 0;
const callById = new Map<number, (answer: FileAnswer) => void>();

let answer: (request: Extract<ProcessRequest, { kind: 'slice' | 'abort' }>) => void = () => undefined;
process.on('message', (request: ProcessRequest) => {
  if (request.kind === 'open') return void open(request.settings);
  if (request.kind === 'file') return settle(request.id, request.answer);
  if (request.kind === 'slice') {
    sliceNumber += 1;
    triedByIndex.clear();
  }
  answer(request);
});
process.on('disconnect', () => process.exit());
// A make that throws after the fact ends the process, as it ends a thread; where it left its isolation, that is known by now.
const guard = guardIsolation((at, tried) => {
  if (at !== undefined && !triedByIndex.has(at)) triedByIndex.set(at, tried);
  tell({ kind: 'left', index: at, tried });
});
// The channel is the host's own.
Object.assign(process, { send: undefined });

async function open(settings: Extract<ProcessRequest, { kind: 'open' }>['settings']): Promise<void> {
  answer = await serveSlices(settings, { send: tell, begin, openFiles: () => remoteFiles(index), finish });
}

function begin(at: number): void {
  index = at;
  guard.begin(at);
  writeSync(BEGUN_FD, Uint8Array.of(sliceNumber & 255));
}

/** What a make caught and hid counts all the same. */
function finish(done: Done): Done {
  guard.rest();
  if (triedByIndex.size === 0) return done;
  return { ...done, results: done.results.map((result, at) => withTried(result, triedByIndex.get(at))) };
}

function withTried(result: MakeResult, tried: string | undefined): MakeResult {
  if (tried === undefined) return result;
  const stack = result.outcome.status === 'failed' ? result.outcome.stack : null;
  return { ...result, outcome: { status: 'failed', code: 'make_left_isolation', message: tried, stack } };
}

/** Files are read by the process that started this one: it records them, and this one needs no right to read. */
function remoteFiles(at: number): ContextFiles {
  return new Proxy({} as ContextFiles, {
    get: (_, method) => {
      if (typeof method !== 'string' || method === 'then') return undefined;
      if (method === 'stream') return (object: unknown) => wholeAsStream(at, object);
      if (method === 'put')
        return async (content: ObjectContent) => callFiles(at, method, [await whole(content)]);
      return (...args: readonly unknown[]) => callFiles(at, method, args);
    },
  });
}

/** What crosses between processes is whole: a stream is of one piece here. */
async function* wholeAsStream(at: number, object: unknown): AsyncGenerator<unknown, void, undefined> {
  yield await callFiles(at, 'bytes', [object]);
}

async function whole(content: ObjectContent): Promise<Uint8Array> {
  if (content instanceof Uint8Array) return content;
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function callFiles(at: number, method: string, args: readonly unknown[]): Promise<unknown> {
  const id = (callId += 1);
  const reply = await new Promise<FileAnswer>((resolve) => {
    callById.set(id, resolve);
    tell({ kind: 'file', id, index: at, method, args });
  });
  if (reply.status === 'ok') return reply.value;
  const { code, detail, hint } = reply.error;
  throw new VarveError(code, { detail, hint });
}

function settle(id: number, reply: FileAnswer): void {
  callById.get(id)?.(reply);
  callById.delete(id);
}
