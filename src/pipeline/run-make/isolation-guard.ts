/**
 * Names what an isolated make reaches for, and refuses it. Runs in the make's own process, before its code is loaded.
 *
 * The walls are the runtime's: an empty environment, the permission model, and where there is one a network namespace.
 * They answer with errors of many kinds, which a make can swallow; one of them, the network, the runtime of Node 24 does
 * not have. The guard stands before them: it takes the place of the functions that lead outside, and what it refuses is
 * kept, so that a make which catches the error fails all the same.
 *
 * | group | refused | functions |
 * |---|---|---|
 * | network | always | node:net, tls, dgram, dns, http, https, http2, inspector; fetch, WebSocket, EventSource |
 * | process | always | node:child_process, worker_threads, cluster; process.kill and the like; flags of the engine |
 * | file | while makes run | node:fs, node:fs/promises; databases of node:sqlite always, the permission model lets them through |
 * | environment | while makes run | process.env; host, user, home and network of node:os |
 *
 * While modules are loaded, files are a matter of the permission model and the environment is empty. Node's own modules
 * may call what is replaced here at any time: a module that is imported late is read by `node:fs`.
 */
import { EventEmitter } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { getCallSites } from 'node:util';
import { VarveError } from '../../base/index.ts';

/** What the guard lets the host say and see. */
export interface IsolationGuard {
  /** From here on a make runs: of the key with this place in its slice. */
  readonly begin: (index: number) => void;
  /** No make runs; what still happens is refused, and nobody's fault. */
  readonly rest: () => void;
}

/** Sets the guard up, for as long as the process lives. `left` is told of each refusal, with the place of its key. */
export function guardIsolation(left: (index: number | undefined, tried: string) => void): IsolationGuard {
  let making = false;
  let current: number | undefined;
  const refuse = (tried: string): never => {
    left(current, tried);
    throw leftIsolation(tried);
  };
  const outside: Outside = { refuse, isMaking: () => making };
  for (const close of [closeNetwork, closeProcesses, closeFiles, closeEnvironment]) close(outside);
  syncBuiltinESMExports();
  return {
    begin: (index) => {
      making = true;
      current = index;
    },
    rest: () => (current = undefined),
  };
}

/** What a make fails with, named by what it tried. */
function leftIsolation(tried: string): VarveError {
  return new VarveError('make_left_isolation', {
    detail: { tried },
    hint: 'Declare it as a read, use ctx.files, or leave `isolate` out of the definition.',
  });
}

interface Outside {
  readonly refuse: (tried: string) => never;
  readonly isMaking: () => boolean;
}

type Members = Record<string, unknown>;

function closeNetwork({ refuse }: Outside): void {
  const deny = (module: string, holder: object, names: readonly string[]): void =>
    replace(holder, names, (name) => denying(() => refuse(`network: ${module}.${name}`)));
  const net = builtin('net');
  deny('node:net', net, ['connect', 'createConnection', '_createServerHandle']);
  deny('node:net.Socket', prototypeOf(net, 'Socket'), ['connect']);
  deny('node:net.Server', prototypeOf(net, 'Server'), ['listen']);
  deny('node:tls', builtin('tls'), ['connect']);
  deny('node:http', builtin('http'), ['request', 'get']);
  deny('node:https', builtin('https'), ['request', 'get']);
  deny('node:http2', builtin('http2'), ['connect']);
  const dgram = builtin('dgram');
  deny('node:dgram', dgram, ['createSocket', '_createSocketHandle']);
  deny('node:dgram.Socket', prototypeOf(dgram, 'Socket'), ['bind', 'connect', 'send']);
  const dns = builtin('dns');
  for (const holder of [dns, dns['promises'] as Members]) {
    deny('node:dns.Resolver', prototypeOf(holder, 'Resolver'), functionsOf(prototypeOf(holder, 'Resolver')));
    deny('node:dns', holder, functionsOf(holder));
  }
  deny('node:inspector', builtin('inspector'), ['open', 'Session']);
  replace(globalThis, ['fetch', 'WebSocket', 'EventSource'], (name) =>
    denying(() => refuse(`network: ${name}`)),
  );
}

function closeProcesses({ refuse }: Outside): void {
  const deny = (module: string, holder: object, names: readonly string[]): void =>
    replace(holder, names, (name) => denying(() => refuse(`process: ${module}.${name}`)));
  const childProcess = builtin('child_process');
  deny('node:child_process', childProcess, functionsOf(childProcess));
  deny('node:cluster', builtin('cluster'), ['fork', 'setupPrimary', 'setupMaster']);
  deny('node:worker_threads', builtin('worker_threads'), ['Worker']);
  deny('process', process, PROCESS_FUNCTIONS);
  deny('node:os', builtin('os'), ['setPriority']);
  // Flags of the engine can make it write files by itself, past the permission model.
  deny('node:v8', builtin('v8'), ['setFlagsFromString', 'writeHeapSnapshot', 'setHeapSnapshotNearHeapLimit']);
  // What the process is sent are the inputs of other keys.
  const emitter = EventEmitter.prototype;
  replace(process, ['on', 'addListener', 'once', 'prependListener', 'prependOnceListener'], (name) => {
    const add = emitter[name as 'on'];
    return function listen(this: NodeJS.Process, event: string, listener: () => void): unknown {
      if (event === 'message' || event === 'internalMessage') return refuse('process: messages');
      return add.call(this, event, listener);
    };
  });
}

const PROCESS_FUNCTIONS: readonly string[] = [
  'kill',
  '_kill',
  '_debugProcess',
  'abort',
  'binding',
  '_linkedBinding',
  'dlopen',
  'execve',
  'chdir',
  'loadEnvFile',
];

function closeFiles({ refuse, isMaking }: Outside): void {
  const guard = (module: string, holder: Members): void =>
    replace(holder, functionsOf(holder), (name) =>
      guarding(holder[name] as Callable, ([first]) => {
        if (!isMaking() || isCalledByNode()) return;
        const path = typeof first === 'string' ? ` ${first}` : '';
        refuse(`file: ${module}.${name}${path}`);
      }),
    );
  const fs = builtin('fs');
  guard('node:fs', fs);
  guard('node:fs/promises', fs['promises'] as Members);
  replace(builtin('sqlite'), ['DatabaseSync', 'backup'], (name) =>
    denying(() => refuse(`file: node:sqlite.${name}`)),
  );
}

function closeEnvironment({ refuse, isMaking }: Outside): void {
  const seen = (name: string | symbol): void => {
    if (isMaking() && !isCalledByNode()) refuse(`environment: ${String(name)}`);
  };
  const env = new Proxy<NodeJS.ProcessEnv>(process.env, {
    get: (target, name) => (seen(name), Reflect.get(target, name) as unknown),
    has: (target, name) => (seen(name), Reflect.has(target, name)),
    set: (target, name, value) => (seen(name), Reflect.set(target, name, value)),
    deleteProperty: (target, name) => (seen(name), Reflect.deleteProperty(target, name)),
    ownKeys: (target) => (seen('all of it'), Reflect.ownKeys(target)),
    getOwnPropertyDescriptor: (target, name) => (seen(name), Reflect.getOwnPropertyDescriptor(target, name)),
  });
  Object.defineProperty(process, 'env', { value: env, enumerable: true });
  const os = builtin('os');
  replace(os, ['hostname', 'userInfo', 'homedir', 'networkInterfaces'], (name) =>
    guarding(os[name] as Callable, () => {
      if (isMaking() && !isCalledByNode()) refuse(`environment: node:os.${name}`);
    }),
  );
}

type Callable = (...args: readonly unknown[]) => unknown;

function builtin(name: string): Members {
  return process.getBuiltinModule(`node:${name}`) as unknown as Members;
}

function prototypeOf(holder: Members, name: string): Members {
  return (holder[name] as { readonly prototype: Members }).prototype;
}

function functionsOf(holder: object): readonly string[] {
  // A getter is a deprecated name and would warn.
  return Object.entries(Object.getOwnPropertyDescriptors(holder)).flatMap(([name, { value }]) =>
    name !== 'constructor' && typeof value === 'function' ? [name] : [],
  );
}

function replace(holder: object, names: readonly string[], make: (name: string) => unknown): void {
  for (const name of names) {
    if (!(name in holder)) continue;
    Object.defineProperty(holder, name, {
      value: make(name),
      writable: true,
      configurable: true,
      enumerable: true,
    });
  }
}

/** Refuses to be called, and to be constructed. */
function denying(refuse: () => never): Callable {
  return function denied() {
    return refuse();
  };
}

/** The same function, class or not, with a look at what it is called with first. */
function guarding(original: Callable, look: (args: readonly unknown[]) => void): Callable {
  return new Proxy(original, {
    apply: (target, self, args: readonly unknown[]): unknown => {
      look(args);
      return Reflect.apply(target, self, args);
    },
    construct: (target, args: readonly unknown[], newTarget): object => {
      look(args);
      return Reflect.construct(target, args, newTarget) as object;
    },
  });
}

/** Whether one of Node's own modules called what was replaced, and not the code of the make. */
function isCalledByNode(): boolean {
  const caller = getCallSites(8).find(
    ({ scriptName }) => scriptName !== import.meta.url && scriptName !== '',
  );
  return caller?.scriptName.startsWith('node:') ?? false;
}
