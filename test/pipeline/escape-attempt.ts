/** What a make might try to reach past its inputs, by name: each is called inside a make, with paths of the test. */
import childProcess from 'node:child_process';
import dgram from 'node:dgram';
import dns from 'node:dns';
import { lookup } from 'node:dns/promises';
import fs, { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import http2 from 'node:http2';
import https from 'node:https';
import inspector from 'node:inspector';
import { createRequire } from 'node:module';
import net, { Socket } from 'node:net';
import os from 'node:os';
import process, { env } from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import tls from 'node:tls';
import v8 from 'node:v8';
import vm from 'node:vm';
import { Worker } from 'node:worker_threads';

type Attempt = (
  files: ContextFiles,
  paths: { readonly secret: string; readonly module: string; readonly port: number },
) => unknown;
interface ContextFiles {
  readonly text: (path: string) => Promise<string>;
}

const require = createRequire(import.meta.url);
// oxlint-disable-next-line no-eval -- what is tried here is just that
const evaluated = (source: string): unknown => (0, eval)(source) as unknown;
const importOf = async (specifier: string): Promise<unknown> => import(specifier) as Promise<unknown>;
/** A module that was loaded while nothing was refused yet holds what it took then. */
const { HOME } = process.env;
const internals = process as unknown as Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;

export const attempts: Readonly<Record<string, Attempt>> = {
  fetch: async (_, { port }) => fetch(`http://127.0.0.1:${String(port)}/`),
  'fetch, caught': async () => fetch('http://127.0.0.1:9/').catch(() => undefined),
  'fetch, not waited for': () => void fetch('http://127.0.0.1:9/').catch(() => undefined),
  websocket: () => new WebSocket('ws://127.0.0.1:9/'),
  'net connect': () => net.connect(9),
  'socket connect': (_, { port }) => new Socket().connect(port, '127.0.0.1'),
  'unix socket': () => net.createConnection('/var/run/some.sock'),
  listen: () => net.createServer().listen(0),
  'tls connect': () => tls.connect(9),
  'https get': () => https.get('https://127.0.0.1:9/'),
  'http imported late': async () => (await import('node:http')).get('http://127.0.0.1:9/'),
  'http client request': async () => {
    const { ClientRequest } = await import('node:http');
    return new ClientRequest('http://127.0.0.1:9/');
  },
  'http2 connect': () => http2.connect('http://127.0.0.1:9'),
  datagram: () => dgram.createSocket('udp4'),
  'dns callback': () => dns.lookup('localhost', () => undefined),
  'dns promise': async () => lookup('localhost'),
  'dns resolver': () => new dns.Resolver().resolve4('localhost', () => undefined),
  'net required': () => (require('net') as typeof net).connect(9),
  'net by the process': () => process.getBuiltinModule('net').connect(9),
  'net in an evaluated import': async () =>
    ((await evaluated("import('node:net')")) as typeof net).connect(9),
  'net in another realm': () =>
    (
      vm.runInNewContext('get("net")', { get: (name: string): unknown => require(name) }) as typeof net
    ).connect(9),
  'net in a data module': async () =>
    importOf(['data:text/javascript', "import net from 'node:net'; net.connect(9)"].join(',')),
  inspector: () => inspector.open(0),
  'inspector session': () => new inspector.Session().connect(),
  'internal binding': () => internals['binding']?.('tcp_wrap'),
  'linked binding': () => internals['_linkedBinding']?.('tcp_wrap'),
  addon: () => internals['dlopen']?.({ exports: {} }, '/tmp/x.node'),

  'read file': (_, { secret }) => fs.readFileSync(secret, 'utf8'),
  'read file by name': (_, { secret }) => readFileSync(secret, 'utf8'),
  'read file later': async (_, { secret }) => readFile(secret, 'utf8'),
  'read file, caught': (_, { secret }) => {
    try {
      return readFileSync(secret, 'utf8');
    } catch {
      return undefined;
    }
  },
  'read file under a name of Node': (_, { secret }) => {
    const call = new vm.Script('(read, path) => read(path)', {
      filename: 'node:false',
    }).runInThisContext() as (read: typeof readFileSync, path: string) => unknown;
    return call(readFileSync, secret);
  },
  'read stream': (_, { secret }) => fs.createReadStream(secret),
  'read own source': (_, { module }) => readFileSync(module, 'utf8'),
  'read process environment': () => readFileSync('/proc/self/environ'),
  'read environment of the parent': () => readFileSync(`/proc/${String(process.ppid)}/environ`),
  'read descriptors': () => fs.readdirSync('/proc/self/fd'),
  'read inherited descriptor': () => fs.readSync(3, Buffer.alloc(10), 0, 10, null),
  'write inherited descriptor': () => fs.writeSync(3, 'forged'),
  'write file': (_, { secret }) => fs.writeFileSync(`${secret}.new`, 'x'),
  'import json outside': async (_, { secret }) =>
    import(`${secret}.json`, { with: { type: 'json' } }) as Promise<unknown>,
  'import code outside': async (_, { secret }) => importOf(`${secret}.mjs`),
  'require code outside': (_, { secret }) => require(`${secret}.mjs`) as unknown,
  'database file': (_, { secret }) => new DatabaseSync(`${secret}.db`),
  'environment file': (_, { secret }) => process.loadEnvFile(secret),
  'link out of the files': async (files) => files.text('link'),
  'path out of the files': async (files) => files.text('../secret'),
  'absolute path': async (files, { secret }) => files.text(secret),

  environment: () => process.env['HOME'],
  'environment imported': () => env['HOME'],
  'environment by the global': () => globalThis.process.env['HOME'],
  'environment, all of it': () => Object.keys(process.env),
  'environment, spread': () => ({ ...process.env }),
  'environment, by in': () => 'HOME' in process.env,
  'host name': () => os.hostname(),
  user: () => os.userInfo(),

  spawn: () => childProcess.spawnSync('/bin/true'),
  fork: () => childProcess.fork('x.js'),
  'exec in an evaluated require': () =>
    (evaluated('(get) => get("child_process")') as (get: NodeJS.Require) => typeof childProcess)(
      require,
    ).execSync('id'),
  worker: () => new Worker('1', { eval: true }),
  kill: () => process.kill(process.ppid, 0),
  'debug another process': () => internals['_debugProcess']?.(process.ppid),
  'engine flags': () => v8.setFlagsFromString('--prof'),
  'messages of the host': () => process.on('message', () => undefined),
};

/** What an isolated make may do, for all that. */
export const harmless: Readonly<Record<string, Attempt>> = {
  nothing: () => undefined,
  'environment taken at load': () => {
    if (HOME !== undefined) throw new Error('the environment is not empty');
  },
  'read a file of its own folder': async (files) => {
    if ((await files.text('a.txt')) !== 'hello') throw new Error('another file');
  },
  'import late': async () => import('./late-import.ts'),
  noise: () => {
    for (let line = 0; line < 20_000; line += 1) console.log(`noise ${String(line)} ${'x'.repeat(60)}`);
  },
  'no way to speak to the host': () => {
    if (process.send !== undefined) throw new Error('there is one');
  },
};
