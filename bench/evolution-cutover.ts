/**
 * How long a writer waits while a table that it writes to is replaced: a million rows, 200 writes a second, a process of
 * its own that writes throughout `apply` (`test/evolution/writer.ts`). Each write changes or adds a row of its own, so
 * that afterwards every committed one is looked for in the new table.
 *
 * The longest write is over everything from the opening of the run to a second and a half after its end: baseline, the
 * begin of capturing, batches, catch-ups and the cutover. What the same writer does after that stands beside it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pipeline, t, type Pipeline } from '../src/pipeline/index.ts';
import { sql, type Store } from '../src/store/index.ts';
import { postgresStore } from '../src/store/postgres/index.ts';
import { openLab, type Lab } from '../test/evolution/lab.ts';
import {
  committed,
  longestMs,
  startWriter,
  type Write,
  type Writer,
  type Writing,
} from '../test/evolution/writer.ts';
import { atMost, figure, median, type Figure } from './figure.ts';
import type { AreaResult, BenchStores } from './stores.ts';

const ROWS = Number(process.env['VARVE_BENCH_CUTOVER_ROWS'] ?? 1_000_000);
const PER_SECOND = 200;

/** A change of `bench.s` that keeps its columns `s` and `v`. */
export interface Change {
  readonly name: string;
  readonly to: Pipeline;
}

/** Measures on a PostgreSQL server; the embedded store has no writers beside. */
export async function benchCutover({ serverUrl, progress }: BenchStores): Promise<AreaResult> {
  const url = new URL(serverUrl);
  url.pathname = '/varve_bench_cutover';
  await using server = await postgresStore({ url: serverUrl, poolSize: 1 });
  await server.execute(sql`create database varve_bench_cutover`);
  try {
    return await measureChange(url.href, { name: 'a column is added', to: withNote() }, progress);
  } finally {
    await server.execute(sql`drop database varve_bench_cutover with (force)`);
  }
}

/** Measures one change on an empty database. */
export async function measureChange(
  url: string,
  change: Change,
  progress: BenchStores['progress'],
): Promise<AreaResult> {
  await using store = await postgresStore({ url });
  await using lab = await openLab(store);
  progress(`making ${ROWS.toLocaleString('en')} rows`);
  await lab.deploy(before());
  await store.execute(sql`insert into bench.s select i, i from generate_series(1, ${ROWS}::integer) i`);
  await store.execute(sql`vacuum analyze bench.s`);
  const plan = await lab.plan(change.to);
  if (plan.status !== 'planned') {
    const codes = plan.status === 'refused' ? plan.findings.map(({ code }) => code) : [plan.status];
    return { status: 'not_run', reason: `${change.name}: ${codes.join(', ')}` };
  }
  progress(`${change.name}, with ${String(PER_SECOND)} writes a second`);
  const ran = await applyAmongWrites(lab, url, { to: change.to, id: plan.migrationId });
  return { status: 'measured', figures: await figuresOf(store, change.name, ran) };
}

interface Ran {
  readonly writes: readonly Write[];
  readonly appliedMs: number;
  readonly endedAtMs: number;
}

/**
 * The writer begins once the run is opened: a plan holds to its counts until then, and rows that came between plan and
 * apply would rightly refuse it.
 */
async function applyAmongWrites(
  lab: Lab,
  url: string,
  { to, id }: { readonly to: Pipeline; readonly id: string },
): Promise<Ran> {
  let writer: Writer | undefined;
  try {
    const beganAtMs = Date.now();
    const outcome = await lab.apply(to, id, {
      fault: async (point) => {
        if (point === 'F03_ledger_opened') writer = await startWriter(url, WRITING);
      },
    });
    const endedAtMs = Date.now();
    if (outcome.status !== 'applied') throw new Error(JSON.stringify(outcome.findings));
    await sleep(AFTER_MS * 2);
    return { writes: (await writer?.stop()) ?? [], appliedMs: endedAtMs - beganAtMs, endedAtMs };
  } finally {
    await writer?.[Symbol.asyncDispose]();
  }
}

const WRITING: Writing = {
  perSecond: PER_SECOND,
  statements: [
    'update bench.s set v = -:n where s = :n',
    `insert into bench.s (s, v) values (${String(ROWS)} + :n, -:n)`,
  ],
};

/** How long after the end of `apply` a write still counts as one during it. */
const AFTER_MS = 1_500;

async function figuresOf(
  store: Store,
  name: string,
  { writes, appliedMs, endedAtMs }: Ran,
): Promise<readonly Figure[]> {
  const during = writes.filter(({ dueAtMs }) => dueAtMs < endedAtMs + AFTER_MS);
  const later = writes.filter(({ dueAtMs }) => dueAtMs >= endedAtMs + AFTER_MS);
  const refused = writes.filter(({ outcome }) => outcome.status === 'failed');
  const what = `${name}, ${ROWS.toLocaleString('en')} rows`;
  return [
    figure(`apply while others write, ${what}`, appliedMs / 1000, 's'),
    figure(`writes meanwhile, ${what}`, during.length, 'writes'),
    figure(`a write without apply, median, ${what}`, median(later.map(({ latencyMs }) => latencyMs)), 'ms'),
    figure(`a write without apply, longest, ${what}`, longestMs(later), 'ms'),
    figure(`a write during apply, median, ${what}`, median(during.map(({ latencyMs }) => latencyMs)), 'ms'),
    atMost(`a write during apply, longest, ${what}`, longestMs(during), 'ms', 500),
    atMost(`writes refused, ${what}`, refused.length, 'writes', 0),
    atMost(`committed writes that are lost, ${what}`, await countLost(store, writes), 'writes', 0),
  ];
}

/** Committed writes whose row is not there with the value that was written. */
async function countLost(store: Store, writes: readonly Write[]): Promise<number> {
  const changed = committed(writes, 0);
  const added = committed(writes, 1);
  const [row] = await store.query<{ lost: bigint }>(sql`
    select count(*) as lost from (
      select n as s, -n as v from unnest(${changed}::integer[]) n
      union all select ${ROWS}::integer + n, -n from unnest(${added}::integer[]) n) w
    left join bench.s t on t.s = w.s where t.v is distinct from w.v`);
  return Number(row?.lost ?? 0n);
}

function before(): Pipeline {
  const bench = pipeline('bench');
  bench.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  return bench;
}

function withNote(): Pipeline {
  const bench = pipeline('bench');
  bench.manual('s', { key: { s: t.integer() }, columns: { v: t.integer(), note: t.text().default('none') } });
  return bench;
}
