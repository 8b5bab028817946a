import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFixtureProject, type FixtureProject } from '../../../test/fixture/project.ts';
import type { Finding } from '../../base/index.ts';
import type { AnyTable } from '../table.ts';
import { checkSource } from './check-source.ts';

// The definitions are loaded once; the text that is checked is written over their file, and never run.
let project: FixtureProject;
let tables: readonly AnyTable[];

beforeAll(async () => {
  project = createFixtureProject();
  project.write({ 'src/audit.ts': source('make: () => ({ allowed: true }),') });
  tables = await project.tables('src/audit.ts');
});

afterAll(() => {
  project.remove();
});

function source(making: string, around = ''): string {
  return `import { pipeline, t } from 'varve/pipeline';
${around}
const audit = pipeline('audit');
export const Package = audit.manual('package', { key: { name: t.text() }, columns: { license: t.text() } });
export const Policy = audit.manual('policy', { key: { license: t.text() }, columns: { ok: t.boolean() } });
export const Verdict = audit.computed('verdict', {
  parents: [Package], columns: { allowed: t.boolean() }, reads: { pkg: Package },
  ${making}
});
`;
}

async function findings(
  text: string,
  files: Readonly<Record<string, string>> = {},
): Promise<readonly Finding[]> {
  project.write({ ...files, 'src/audit.ts': text });
  return checkSource(tables, { projectFolder: project.folder });
}

function short({ code, detail }: Finding): string {
  const what = detail['uses'] ?? detail['reads'] ?? '?';
  return `${code.replace('undeclared_', '')} ${typeof what === 'string' ? what : '?'}`;
}

/** What is found in `make: async ({ pkg }, context) => ({ allowed: EXPRESSION })`. */
async function told(expression: string, around = '', files?: Readonly<Record<string, string>>) {
  const making = `make: async ({ pkg }, context) => { return { allowed: Boolean(${expression}) }; },`;
  return (await findings(source(making, around), files)).map(short);
}

describe('found', () => {
  test.each<readonly [expression: string, around: string, expected: string | readonly string[]]>([
    ['new D()', 'const D = Date;', 'clock Date'],
    ['new globalThis.Date()', '', 'clock globalThis.Date'],
    ["new globalThis['Date']()", '', 'clock globalThis.Date'],
    ["Date['now']()", '', 'clock Date.now'],
    ['new (Date)()', '', 'clock Date'],
    ['Date()', '', 'clock Date'],
    ['Date?.now?.()', '', 'clock Date.now'],
    ['[Date.now][0]()', '', 'clock Date.now'],
    ['Date.now.call(Date)', '', 'clock Date.now'],
    ['now()', 'const now = Date.now;', 'clock Date.now'],
    ['now()', 'const { now } = Date;', 'clock Date.now'],
    ['now()', 'const { Date: { now } } = globalThis;', 'clock globalThis.Date.now'],
    [
      'now()',
      "import { performance } from 'node:perf_hooks';\nconst now = () => performance.now();",
      'clock node:perf_hooks.performance.now',
    ],
    ['hrtime()', "import { hrtime } from 'process';", 'clock node:process.hrtime'],
    ['await new Promise((done) => setTimeout(done, 1))', '', 'clock setTimeout'],
    [
      'await sleep(1)',
      "import { setTimeout as sleep } from 'node:timers/promises';",
      'clock node:timers/promises.setTimeout',
    ],
    ['dayjs()', "import dayjs from 'dayjs';", 'clock dayjs'],
    ['DateTime.now()', "import { DateTime } from 'luxon';", 'clock luxon.DateTime.now'],
    ['random()', 'const { random } = Math;', 'randomness Math.random'],
    ["Math['random']()", '', 'randomness Math.random'],
    ['roll()', 'const roll = false || Math.random;', 'randomness Math.random'],
    ['id()', "import { randomUUID as id } from 'crypto';", 'randomness node:crypto.randomUUID'],
    ['c.randomBytes(4)', "import * as c from 'node:crypto';", 'randomness node:crypto.randomBytes'],
    [
      'c.webcrypto.getRandomValues(new Uint8Array(1))',
      "import c from 'node:crypto';",
      'randomness node:crypto.webcrypto.getRandomValues',
    ],
    ["(await import('node:crypto')).randomInt(3)", '', 'randomness node:crypto.randomInt'],
    ['v4()', "import { v4 } from 'uuid';", 'randomness uuid.v4'],
    ['nanoid()', "import { nanoid } from 'nanoid';", 'randomness nanoid.nanoid'],
    ['_.shuffle([1])', "import _ from 'lodash';", 'randomness lodash.shuffle'],
    ['[3, 1].map(() => Math.random())', '', 'randomness Math.random'],
    ['env.HOME', "import { env } from 'node:process';", 'environment node:process.env.HOME'],
    ['HOME', 'const { env: { HOME } } = process;', 'environment process.env.HOME'],
    ['process.versions.node', '', 'environment process.versions.node'],
    ['cpus().length', "import { cpus } from 'os';", 'environment node:os.cpus'],
    ['navigator.language', '', 'environment navigator.language'],
    ['import.meta.dirname', '', 'environment import.meta.dirname'],
    ['(3).toLocaleString()', '', 'environment toLocaleString'],
    ["'a'.localeCompare('b')", '', 'environment localeCompare'],
    ['new Intl.NumberFormat().format(3)', '', 'environment Intl.NumberFormat'],
    ["new Intl.DateTimeFormat('en').format(0)", '', 'environment Intl.DateTimeFormat'],
    ["new Date('2020-01-01').getHours()", '', 'environment getHours'],
    ['new Date(2020, 0, 1)', '', 'environment Date'],
    ["fetch('http://x')", '', 'network fetch'],
    ["get('http://x')", "import { get } from 'https';", 'network node:https.get'],
    ["axios.get('x')", "import axios from 'axios';", 'network axios.get'],
    ["got('x')", "import got from 'got';", 'network got'],
    ["request('x')", "import { request } from 'undici';", 'network undici.request'],
    ["get('x')", "import get from 'node-fetch';", 'network node-fetch'],
    ['new S3()', "import { S3 } from '@aws-sdk/client-s3';", 'network @aws-sdk/client-s3.S3'],
    ["readFileSync('x')", "import { readFileSync } from 'node:fs';", 'files node:fs.readFileSync'],
    ["promises.readFile('x')", "import { promises } from 'fs';", 'files node:fs.promises.readFile'],
    ["readFile('x')", "import { readFile } from 'fs/promises';", 'files node:fs/promises.readFile'],
    ["process.getBuiltinModule('fs').readFileSync('x')", '', 'files node:fs.readFileSync'],
    [
      "require('fs').readFileSync('x')",
      "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);",
      'files node:fs.readFileSync',
    ],
    ['new pg.Client()', "import pg from 'pg';", 'client pg.Client'],
    [
      "db.query('x')",
      "import mysql from 'mysql2/promise';\nconst db = mysql.createPool('x');",
      'client mysql2.createPool',
    ],
    ["new Database('x')", "import Database from 'better-sqlite3';", 'client better-sqlite3'],
    ["new MongoClient('x')", "import { MongoClient } from 'mongodb';", 'client mongodb.MongoClient'],
    ['knex({})', "import knex from 'knex';", 'client knex'],
    [
      'new PrismaClient()',
      "import { PrismaClient } from '@prisma/client';",
      'client @prisma/client.PrismaClient',
    ],
    ['new DataSource({})', "import { DataSource } from 'typeorm';", 'client typeorm.DataSource'],
    ["drizzle('x')", "import { drizzle } from 'drizzle-orm/node-postgres';", 'client drizzle-orm.drizzle'],
    ['new Kysely({})', "import { Kysely } from 'kysely';", 'client kysely.Kysely'],
    ['createClient()', "import { createClient } from 'redis';", 'client redis.createClient'],
    [
      "new DatabaseSync('x')",
      "import { DatabaseSync } from 'node:sqlite';",
      'client node:sqlite.DatabaseSync',
    ],
    [
      "postgresStore('x')",
      "import { postgresStore } from 'varve/store/postgres';",
      'client varve.postgresStore',
    ],
    ['new Clock().now', 'class Clock { get now() { return Date.now(); } }', 'clock Date.now'],
    ['Clock.now()', 'class Clock { static now() { return Date.now(); } }', 'clock Date.now'],
    ['tools.clock.now()', 'const tools = { clock: { now: () => Date.now() } };', 'clock Date.now'],
    ['roll()', 'function roll(n = Math.random()) { return n; }', 'randomness Math.random'],
    ['[...roll()].length', 'function* roll() { yield Math.random(); }', 'randomness Math.random'],
    ['`${roll()}`', 'const roll = () => Math.random();', 'randomness Math.random'],
    ['apply(roll)', 'const roll = () => Math.random();\nconst apply = (f) => f();', 'randomness Math.random'],
  ])('%s  %s', async (expression, around, expected) => {
    expect(await told(expression, around)).toEqual(typeof expected === 'string' ? [expected] : expected);
  });

  test.each<readonly [string, string, Readonly<Record<string, string>>, string]>([
    [
      'roll()',
      "import { roll } from './a.ts';",
      {
        'src/a.ts': "export * from './b.ts';",
        'src/b.ts': "export { random as roll } from './c.ts';",
        'src/c.ts': 'export const { random } = Math;',
      },
      'randomness Math.random',
    ],
    [
      'new Tools().read()',
      "import { Tools } from './a.ts';",
      {
        'src/a.ts':
          "import fs from 'fs';\nexport class Tools { read() { return fs.readFileSync('x'); } write() { return Date.now(); } }",
      },
      'files node:fs.readFileSync',
    ],
    [
      'pool.query()',
      "import { pool } from './a.ts';",
      { 'src/a.ts': "import { Pool } from 'pg';\nexport const pool = new Pool();" },
      'client pg.Pool',
    ],
    [
      'read("x")',
      "import { read } from './a.ts';",
      { 'src/a.ts': "export { readFileSync as read } from 'node:fs';" },
      'files node:fs.readFileSync',
    ],
  ])('%s  %s', async (expression, around, files, expected) => {
    expect(await told(expression, around, files)).toEqual([expected]);
  });
});

describe('not found', () => {
  test.each<readonly [string] | readonly [string, string]>([
    ['context.now'],
    ['new Date(context.now).getTime()'],
    ['context.random()'],
    ["context.files.text('x')"],
    ['Date.parse(pkg.license)'],
    ['Date.UTC(2020, 0, 1)'],
    ['new Date(pkg.license).toISOString()'],
    ['new Date(0).getUTCHours()'],
    ["pkg.license === 'fetch'"],
    ['({ fetch: 1, Date: 2, process: 3 }).fetch'],
    ['pkg.fetch()'],
    ['Math.max(1, 2)', 'const Math = { max: (a, b) => a, random: () => 4 };'],
    ['Math.random()', 'const Math = { random: () => 4 };'],
    ['((process) => process.env)({ env: 1 })'],
    ['((Date) => Date.now())({ now: () => 1 })'],
    ['fetch(1)', "import { fetch } from './mine.ts';"],
    ['[3, 1].sort()[0]'],
    ["(3).toLocaleString('en')"],
    ["'a'.localeCompare('b', 'en')"],
    ["new Date(0).toLocaleDateString('en', { timeZone: 'UTC' })"],
    ["new Intl.NumberFormat('en').format(3)"],
    ['new Calendar().getDay()', 'class Calendar { getDay() { return 1; } }'],
    ['dayjs(pkg.license)', "import dayjs from 'dayjs';"],
    ["createHash('sha256').update('x').digest('hex')", "import { createHash } from 'node:crypto';"],
    ["join('a', 'b')", "import { join } from 'node:path';"],
    ['pool', "import type { Pool } from 'pg';\nconst pool = (p?: Pool) => p;"],
    ['Policy.spec.name'],
    ["Promise.resolve('select * from policy')"],
    ["/from policy/.exec('delete from policy') === null && 'x'.replace('a', 'b')"],
    ['typeof pkg.license === "string"'],
    ['uuid.v5("x", "y")', "import * as uuid from 'uuid';"],
    ['sql`lower(x)`', "import { sql } from 'kysely';"],
  ])('%s  %s', async (expression, around?: string) => {
    const files = { 'src/mine.ts': 'export const fetch = (n: number): number => n;' };
    expect(await told(expression, around ?? '', files)).toEqual([]);
  });
});

describe('tables', () => {
  test.each<readonly [string, readonly string[]]>([
    ["db.selectFrom('policy').selectAll().execute()", ['read audit.policy']],
    ["db.withSchema('audit').selectFrom('policy').execute()", ['read audit.policy']],
    ["db.selectFrom((eb) => eb.selectFrom('policy').selectAll().as('p')).execute()", ['read audit.policy']],
    ['sql`join policy p using (license)`', ['read audit.policy']],
    ['sql`from pkg, lateral (select 1) x left join "audit"."policy" p on true`', ['read audit.policy']],
    ['sql`select extract(epoch from now()) from pkg`', []],
    ["sql`where note = 'taken from policy'`", []],
    ['db.selectFrom(pickTable()).execute()', []],
    ['db.selectFrom(name).execute()', ['source_unresolved ?']],
    ['db.selectFrom(`t_${name}`).execute()', ['source_unresolved ?']],
    ['names.map((n) => db.selectFrom(n).execute())', ['read audit.policy']],
    ["CompiledQuery.raw('select * from policy')", ['read audit.policy']],
  ])('%s', async (statement, expected) => {
    const around = `import { sql, CompiledQuery } from 'kysely';
const names = ['pkg', 'policy'] as const;
declare const name: string;
declare const pickTable: any;`;
    const text = source(
      `makeWith: async (db: any) => { await ${statement}; return { allowed: true }; },`,
      around,
    );
    tables = tables.map((table) =>
      table.spec.name === 'audit.verdict'
        ? { ...table, spec: { ...table.spec, form: 'makeWith' as const } }
        : table,
    );
    expect((await findings(text)).map(short)).toEqual(expected);
  });
});

describe('a comment', () => {
  const making = (before: string, after = '') => `make: () => {
    ${before}
    const n = Date.now(); ${after}
    return { allowed: n > 0 };
  },`;

  beforeAll(() => {
    tables = tables.map((table) =>
      table.spec.name === 'audit.verdict'
        ? { ...table, spec: { ...table.spec, form: 'make' as const } }
        : table,
    );
  });

  test.each([
    ['above', making('// varve-allow clock: only for the log')],
    ['beside', making('', '// varve-allow clock: only for the log')],
    ['in a block', making('/* varve-allow clock: only for the log */')],
    ['above another comment', making('// varve-allow clock: only for the log\n    // and this is said too')],
  ])('%s with a reason allows it, and is told', async (_where, text) => {
    expect(await findings(source(text))).toMatchObject([
      {
        code: 'undeclared_clock',
        severity: 'info',
        detail: { uses: 'Date.now', allowed: 'only for the log' },
      },
    ]);
  });

  test.each<readonly [string, string, readonly (readonly [string, string, string | undefined])[]]>([
    [
      'without a reason',
      '// varve-allow clock',
      [
        ['undeclared_clock', 'error', undefined],
        ['allowance_invalid', 'error', 'it gives no reason'],
      ],
    ],
    [
      'with a colon and nothing after it',
      '// varve-allow clock:  ',
      [
        ['undeclared_clock', 'error', undefined],
        ['allowance_invalid', 'error', 'it gives no reason'],
      ],
    ],
    [
      'of another rule',
      '// varve-allow files: none',
      [
        ['undeclared_clock', 'error', undefined],
        ['allowance_invalid', 'warning', 'nothing needs it'],
      ],
    ],
    [
      'of no rule',
      '// varve-allow time: none',
      [
        ['undeclared_clock', 'error', undefined],
        ['allowance_invalid', 'error', 'it names no rule'],
      ],
    ],
    [
      'further above',
      '// varve-allow clock: far\n    const far = 1;',
      [
        ['undeclared_clock', 'error', undefined],
        ['allowance_invalid', 'warning', 'nothing needs it'],
      ],
    ],
    [
      'that is a text',
      "const text = '// varve-allow clock: no';",
      [['undeclared_clock', 'error', undefined]],
    ],
  ])('%s allows nothing', async (_what, before, expected) => {
    const found = await findings(source(making(before)));
    expect(found.map(({ code, severity, detail }) => [code, severity, detail['reason']])).toEqual(expected);
  });

  test('in a helper allows it for all who call the helper', async () => {
    const files = {
      'src/stamp.ts': `export const stamp = () => {
  // varve-allow clock: the caller drops it
  return Date.now();
};`,
    };
    const text = source('make: () => ({ allowed: stamp() > 0 }),', "import { stamp } from './stamp.ts';");
    expect((await findings(text, files)).map(({ severity }) => severity)).toEqual(['info']);
  });
});
