/** A database of its own for one case, with a project folder; both go afterwards. */
import { VarveError } from '../../src/base/index.ts';
import type { Attribution } from '../../src/evolution/index.ts';
import type { RunOutcome } from '../../src/migration/index.ts';
import type { Pipeline } from '../../src/pipeline/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { openLab, type Lab } from '../../test/evolution/lab.ts';
import { figure, timedMs, type Figure } from '../figure.ts';
import type { BenchStores } from '../stores.ts';
import { serverSeconds } from './processor-time.ts';

/** Rows of the table that evolves. */
export const ROWS: number = Number(process.env['VARVE_BENCH_EVOLUTION_ROWS'] ?? 1_000_000);

/** Rows of all tables of the plan together. */
export const PLAN_ROWS: number = Number(process.env['VARVE_BENCH_EVOLUTION_PLAN_ROWS'] ?? 10 * ROWS);

/** What a case works in. */
export interface Place {
  readonly lab: Lab;
  readonly store: Store;
  readonly url: string;
  readonly progress: (message: string) => void;
}

/** What a case measured, or why it cannot be measured by this release. */
export type CaseResult = readonly Figure[] | { readonly leftOut: string };

/** Runs a case in a fresh database of the server. */
export async function inDatabase(
  { server, serverUrl, progress }: BenchStores,
  name: string,
  work: (place: Place) => Promise<CaseResult>,
): Promise<CaseResult> {
  const database = `bench_evolution_${name}`;
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  await server.execute(sql`create database ${sql.id(database)}`);
  try {
    await using store = await postgresStore({ url: url.href });
    await using lab = await openLab(store);
    return await work({ lab, store, url: url.href, progress: (message) => progress(`${name}: ${message}`) });
  } finally {
    await server.execute(sql`drop database ${sql.id(database)} with (force)`);
  }
}

/** Plans; undefined where no operation of this release carries the change out. */
export async function planIfAvailable(
  { lab }: Place,
  to: Pipeline,
  attribute?: Attribution,
): Promise<string | undefined> {
  const plan = await lab.plan(to, attribute);
  if (plan.status === 'refused' && plan.findings.every(({ code }) => code === 'operation_unavailable')) {
    return undefined;
  }
  if (plan.status !== 'planned' || plan.outcome.findings.length > 0) throw failed(JSON.stringify(plan));
  return plan.migrationId;
}

/** What a work took. */
export interface Taken {
  readonly ms: number;
  /** Processor time of the server; undefined where the system does not tell. */
  readonly seconds: number | undefined;
}

/** What an apply takes. Errors: throws where it does not succeed. */
export async function applied({ lab, store }: Place, to: Pipeline, id: string): Promise<Taken> {
  let outcome: RunOutcome | undefined;
  const taken = await takenBy(store, async () => {
    outcome = await lab.apply(to, id);
  });
  if (outcome?.status !== 'applied') throw failed(JSON.stringify(outcome));
  return taken;
}

/** What something takes that an expert would write. */
export function script({ store }: Place, text: string): Promise<Taken> {
  return takenBy(store, () => store.script(text));
}

/** What a work takes, with what was written before on disk. */
export async function takenBy(store: Store, work: () => Promise<unknown>): Promise<Taken> {
  await store.script('checkpoint');
  const before = await serverSeconds(store);
  const ms = await timedMs(work);
  const after = await serverSeconds(store);
  return { ms, seconds: before === undefined || after === undefined ? undefined : after - before };
}

/** The server's processor time of both, where the system tells it. */
export function processorTimes(name: string, work: Taken, bare: Taken): readonly Figure[] {
  if (work.seconds === undefined || bare.seconds === undefined) return [];
  return [
    figure(`${name}, processor time of the server`, work.seconds / bare.seconds, 'ratio'),
    figure('of which the work by hand', bare.seconds, 's'),
  ];
}

/** How many rows a query counts. */
export async function countOf(store: Store, text: string): Promise<number> {
  const [row] = await store.query<{ n: bigint | number }>(sql.raw(`select (${text}) as n`));
  return Number(row?.n ?? Number.NaN);
}

/** A benchmark whose own premises do not hold. */
export function failed(hint: string): VarveError {
  return new VarveError('internal', { hint: hint.slice(0, 2_000) });
}
