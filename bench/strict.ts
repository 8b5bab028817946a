/**
 * What strict reads cost: `makeWith` under enforcement against the same transaction without it, key by key in turn.
 *
 * Both begin a transaction, run the same three statements of a make through Kysely, write one row and commit; without
 * enforcement the statements select from the real tables with the key in their conditions. Servers with and without
 * waiting for the disk at each commit: the second shows the cost at its worst.
 */
import { readFile } from 'node:fs/promises';
import { pipeline, type Pipeline } from '../src/pipeline/pipeline.ts';
import { t } from '../src/pipeline/column.ts';
import type { TableSpec } from '../src/pipeline/spec.ts';
import { loadKysely } from '../src/pipeline/strict/kysely-dialect.ts';
import {
  openStrictReads,
  type StrictDb,
  type StrictReads,
} from '../src/pipeline/strict/open-strict-reads.ts';
import { loadParser } from '../src/pipeline/strict/parse-tree.ts';
import { fillTemplate, templateOf } from '../src/pipeline/strict/placeholder.ts';
import { sql, type Store, type Transaction } from '../src/store/index.ts';
import { embeddedStore, postgresStore } from '../src/store/postgres/index.ts';
import { startPostgres } from '../test/harness/postgres-server.ts';

/** One measured figure beside what it has to reach. */
export interface BenchFigure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly target: number | null;
  readonly met: boolean | null;
}

const MICE = 2_000;
const SESSIONS = 5;

/** Measures on PostgreSQL 18 and on the embedded store; `keys` for each way (default 1,500). */
export async function benchStrict(keys = 1_500): Promise<readonly BenchFigure[]> {
  const figures: BenchFigure[] = [];
  for (const durable of [true, false]) {
    await using server = await startPostgres({ version: 18, durable });
    await using store = await postgresStore({ url: server.url });
    figures.push(...(await measure(store, durable ? 'server' : 'server without fsync', keys)));
  }
  await using store = await embeddedStore({ folder: undefined });
  figures.push(...(await measure(store, 'embedded', keys)));
  return figures;
}

async function measure(store: Store, where: string, keys: number): Promise<readonly BenchFigure[]> {
  const { lab, spec } = defineLab();
  await fill(store, lab);
  await using strict = await openStrictReads(store, {
    spec,
    specByName: new Map(lab.tables.map((table) => [table.spec.name, table.spec])),
    placementByTable: new Map(),
  });
  const plain = await plainHandle();
  const plainMs: number[] = [];
  const strictMs: number[] = [];
  for (let index = -200; index < keys; index += 1) {
    const key = { mouse: (Math.abs(index) * 7) % MICE, session: Math.abs(index) % SESSIONS };
    const [first, second] = [await timed(store, key, plain), await timed(store, key, strictRun(strict))];
    if (index < 0) continue;
    plainMs.push(first);
    strictMs.push(second);
  }
  const [without, within] = [median(plainMs), median(strictMs)];
  const ratio = within / without;
  return [
    figure(`makeWith without enforcement, ${where}`, without * 1000, 'us/key'),
    figure(`makeWith under enforcement (${strict.enforcement}), ${where}`, within * 1000, 'us/key'),
    {
      ...figure(`makeWith enforced / not enforced, ${where}`, ratio, 'ratio'),
      target: 1.3,
      met: ratio <= 1.3,
    },
  ];
}

function figure(name: string, value: number, unit: string): BenchFigure {
  return { name, value: Math.round(value * 100) / 100, unit, target: null, met: null };
}

type Key = Readonly<Record<'mouse' | 'session', number>>;

type Run = (transaction: Transaction, key: Key) => Promise<unknown>;

async function timed(store: Store, key: Key, run: Run): Promise<number> {
  const start = performance.now();
  await store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
    const grade = await run(transaction, key);
    await transaction.execute(sql`insert into lab.grade values (${key.mouse}, ${key.session}, ${String(grade)})
      on conflict (mouse, session) do update set grade = excluded.grade`);
  });
  return performance.now() - start;
}

function strictRun(strict: StrictReads): Run {
  return async (transaction, key) => {
    const { value } = await strict.run(transaction, key, async (db) => {
      const session = await db.selectFrom('session').select('score').executeTakeFirstOrThrow();
      const others = await db
        .selectFrom('allSessions as a')
        .innerJoin('mouse as m', 'm.mouse', 'a.mouse')
        .select(({ fn }) => [fn.avg('a.score').as('mean'), fn.max('m.weight').as('weight')])
        .executeTakeFirstOrThrow();
      const rule = await db.selectFrom('rule').select('bound').orderBy('rule').execute();
      return grade(session, others, rule);
    });
    return value;
  };
}

/** The same make as one would write it without varve's views. */
async function plainHandle(): Promise<Run> {
  const [createKysely, parse] = await Promise.all([loadKysely(), loadParser()]);
  const templates = new Map<string, ReturnType<typeof templateOf>>();
  return async (transaction, key) => {
    const db = createKysely((text, values) => {
      const template = templates.get(text) ?? templateOf(text, parse(text));
      templates.set(text, template);
      return transaction.query(fillTemplate(template, values));
    }) as unknown as StrictDb;
    const session = await db
      .selectFrom('lab.session')
      .select('score')
      .where('mouse', '=', key.mouse)
      .where('session', '=', key.session)
      .executeTakeFirstOrThrow();
    const others = await db
      .selectFrom('lab.session as a')
      .innerJoin('lab.mouse as m', 'm.mouse', 'a.mouse')
      .where('a.mouse', '=', key.mouse)
      .where('m.mouse', '=', key.mouse)
      .select(({ fn }) => [fn.avg('a.score').as('mean'), fn.max('m.weight').as('weight')])
      .executeTakeFirstOrThrow();
    const rule = await db.selectFrom('lab.rule').select('bound').orderBy('rule').execute();
    return grade(session, others, rule);
  };
}

function grade(...rows: readonly unknown[]): string {
  return String(JSON.stringify(rows).length);
}

function defineLab(): { readonly lab: Pipeline; readonly spec: TableSpec } {
  const lab = pipeline('lab');
  const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.double() } });
  const Session = lab.manual('session', {
    parents: [Mouse],
    key: { session: t.integer() },
    columns: { score: t.double() },
  });
  const Rule = lab.manual('rule', { key: { rule: t.integer() }, columns: { bound: t.double() } });
  const Grade = lab.computed('grade', {
    parents: [Session],
    columns: { grade: t.text() },
    reads: {
      session: Session,
      mouse: Mouse,
      allSessions: Session.matching({ mouse: 'mouse' }),
      rule: Rule.all(),
    },
    makeWith: () => ({ grade: '' }),
  });
  return { lab, spec: Grade.spec };
}

async function fill(store: Store, lab: Pipeline): Promise<void> {
  await store.script('create schema varve; create schema lab');
  for (const file of ['0001_catalog.sql', '0002_strict.sql']) {
    await store.script(await readFile(new URL(`../sql/${file}`, import.meta.url), 'utf8'));
  }
  for (const { spec } of lab.tables) {
    const columns = spec.columns.map(({ name, type }) => `${name} ${type}`).join(', ');
    await store.script(`create table ${spec.name} (${columns}, primary key (${spec.primaryKey.join(', ')}))`);
  }
  await store.script(`
    insert into lab.mouse select m, m / 10.0 from generate_series(0, ${MICE - 1}) m;
    insert into lab.session select m, s, s / 5.0 from generate_series(0, ${MICE - 1}) m, generate_series(0, ${SESSIONS - 1}) s;
    insert into lab.rule select r, r / 10.0 from generate_series(1, 10) r;
    analyze`);
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}

if (import.meta.main) console.table(await benchStrict());
