/**
 * What strict reads cost: `makeWith` under enforcement against the same transaction without it, key by key in turn.
 *
 * The transaction is the one in which populate computes a key: begin, the statements of the make (three, through Kysely),
 * the row with its provenance, commit. Without enforcement the make's statements select from the real tables with the key
 * in their conditions, unchecked. Servers with and without waiting for the disk at each commit, where the second shows
 * the cost at its worst; and the embedded store. What enforcement adds stands beside the ratio, which would rise if the
 * rest of the transaction became cheaper.
 */
import { readFile } from 'node:fs/promises';
import { systemClock, systemRandomBytes, VarveError } from '../src/base/index.ts';
import { t } from '../src/pipeline/column.ts';
import { type BatchContext } from '../src/pipeline/batch/batch.ts';
import { openBatchContext } from '../src/pipeline/batch/context.ts';
import { computeBatch } from '../src/pipeline/compute-batch.ts';
import { createTables } from '../src/pipeline/deploy.ts';
import { pipeline, type Pipeline } from '../src/pipeline/pipeline.ts';
import { relationOf } from '../src/pipeline/relation.ts';
import { loadKysely } from '../src/pipeline/strict/kysely-dialect.ts';
import type { StrictDb, StrictReads } from '../src/pipeline/strict/open-strict-reads.ts';
import { loadParser } from '../src/pipeline/strict/parse-tree.ts';
import { fillTemplate, templateOf, type Template } from '../src/pipeline/strict/placeholder.ts';
import type { AnyTable } from '../src/pipeline/table.ts';
import { openRun } from '../src/run/index.ts';
import type { Store } from '../src/store/index.ts';
import { embeddedStore, postgresStore } from '../src/store/postgres/index.ts';
import { startPostgres } from '../test/harness/postgres-server.ts';
import { atMost, figure, median, type Figure } from './figure.ts';

const MICE = 2_000;
const SESSIONS = 5;

/** Measures on PostgreSQL 18 and on the embedded store; `keys` for each way (default 1,500). */
export async function benchStrict(keys = 1_500): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const durable of [true, false]) {
    await using server = await startPostgres({ version: 18, durable });
    await using store = await postgresStore({ url: server.url });
    figures.push(...(await measure(store, durable ? 'server' : 'server without fsync', keys)));
  }
  await using store = await embeddedStore({ folder: undefined });
  figures.push(...(await measure(store, 'embedded', keys)));
  return figures;
}

async function measure(store: Store, where: string, keys: number): Promise<readonly Figure[]> {
  const { lab, Grade } = defineLab();
  const enforced = await openContext(store, lab, Grade);
  const strict = enforced.strict;
  if (strict === undefined) throw new VarveError('internal', { hint: 'The benchmark needs a makeWith.' });
  const plain = { ...enforced, strict: await unchecked(strict) };
  const plainMs: number[] = [];
  const strictMs: number[] = [];
  for (let index = -200; index < keys; index += 1) {
    // Each key is computed once, by one of the two ways.
    const key = (way: number): Key => {
      const at = (index + 200) * 2 + way;
      return { mouse: Math.floor(at / SESSIONS), session: at % SESSIONS };
    };
    const [first, second] = [await timed(plain, key(0)), await timed(enforced, key(1))];
    if (index < 0) continue;
    plainMs.push(first);
    strictMs.push(second);
  }
  const [without, within] = [median(plainMs), median(strictMs)];
  const ratio = within / without;
  return [
    figure(`makeWith without enforcement, ${where}`, without * 1000, 'us/key'),
    figure(`makeWith under enforcement (${strict.enforcement}), ${where}`, within * 1000, 'us/key'),
    figure(`enforcement adds, ${where}`, (within - without) * 1000, 'us/key'),
    atMost(`makeWith enforced / not enforced, ${where}`, ratio, 'ratio', 1.3),
  ];
}

async function timed(context: BatchContext, key: Key): Promise<number> {
  const start = performance.now();
  const { computed } = await computeBatch(context, { keys: [key], mode: 'insert' });
  if (computed !== 1) throw new VarveError('internal', { hint: 'A key of the benchmark was not computed.' });
  return performance.now() - start;
}

/** A way to run makes that hands them the transaction as it is. */
async function unchecked(strict: StrictReads): Promise<StrictReads> {
  const [createKysely, parse] = await Promise.all([loadKysely(), loadParser()]);
  const templates = new Map<string, Template>();
  return {
    ...strict,
    run: async (transaction, _key, make) => {
      const db = createKysely((text, values) => {
        const template = templates.get(text) ?? templateOf(text, parse(text));
        templates.set(text, template);
        return transaction.query(fillTemplate(template, values));
      });
      return { value: await make(db.withSchema('lab')), reads: [] };
    },
  };
}

type Key = Readonly<Record<'mouse' | 'session', number>>;

async function strictMake(db: StrictDb): Promise<{ readonly grade: string }> {
  const session = await db.selectFrom('session').select('score').executeTakeFirstOrThrow();
  const others = await db
    .selectFrom('allSessions as a')
    .innerJoin('mouse as m', 'm.mouse', 'a.mouse')
    .select(({ fn }) => [fn.avg('a.score').as('mean'), fn.max('m.weight').as('weight')])
    .executeTakeFirstOrThrow();
  const rule = await db.selectFrom('rule').select('bound').orderBy('rule').execute();
  return grade(session, others, rule);
}

/** The same make as one would write it without varve's views. */
async function plainMake(db: StrictDb, key: Key): Promise<{ readonly grade: string }> {
  const session = await db
    .selectFrom('session')
    .select('score')
    .where('mouse', '=', key.mouse)
    .where('session', '=', key.session)
    .executeTakeFirstOrThrow();
  const others = await db
    .selectFrom('session as a')
    .innerJoin('mouse as m', 'm.mouse', 'a.mouse')
    .where('a.mouse', '=', key.mouse)
    .where('m.mouse', '=', key.mouse)
    .select(({ fn }) => [fn.avg('a.score').as('mean'), fn.max('m.weight').as('weight')])
    .executeTakeFirstOrThrow();
  const rule = await db.selectFrom('rule').select('bound').orderBy('rule').execute();
  return grade(session, others, rule);
}

function grade(...rows: readonly unknown[]): { readonly grade: string } {
  return { grade: String(JSON.stringify(rows).length) };
}

function defineLab(): { readonly lab: Pipeline; readonly Grade: AnyTable } {
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
    // Keys take turns: those that are computed without enforcement come first.
    makeWith: (db, { key }) => {
      const handle = db as unknown as StrictDb;
      return (key.mouse * SESSIONS + key.session) % 2 === 0 ? plainMake(handle, key) : strictMake(handle);
    },
  });
  return { lab, Grade };
}

async function openContext(store: Store, lab: Pipeline, table: AnyTable): Promise<BatchContext> {
  const environment = {
    actor: 'bench',
    host: 'here',
    processId: 1,
    gitCommit: null,
    lockDigest: null,
    clock: systemClock,
    randomBytes: systemRandomBytes,
  };
  await store.script('create schema varve; create schema lab');
  for (const file of ['0001_catalog.sql', '0002_strict.sql']) {
    await store.script(await readFile(new URL(`../sql/${file}`, import.meta.url), 'utf8'));
  }
  const start = { kind: 'bench', subject: 'strict', definitionDigest: null, settings: {} };
  const run = await openRun(store, environment, start);
  const set = { version: 1 as const, tables: lab.tables.map(({ spec }) => spec) };
  const relations = await store.transaction({}, (transaction) =>
    createTables(transaction, set.tables, { set, relations: new Map(), run: run.name }),
  );
  await store.script(`
    insert into lab.mouse select m, m / 10.0 from generate_series(0, ${MICE - 1}) m;
    insert into lab.session select m, s, s / 5.0 from generate_series(0, ${MICE - 1}) m, generate_series(0, ${SESSIONS - 1}) s;
    insert into lab.rule select r, r / 10.0 from generate_series(1, 10) r;
    analyze`);
  return openBatchContext({
    store,
    table,
    relations,
    run,
    relation: relationOf(relations, table.spec.name),
    code: { digest: `sha256:${'0'.repeat(64)}`, basis: 'text', packages: {}, source: '' },
    projectFolder: import.meta.dirname,
    signal: new AbortController().signal,
    log: () => undefined,
  });
}
