/**
 * A small SQL migration on a server: the whole lifecycle of `varve apply`, to the receipt on disk, against the same statements
 * in one transaction over one connection that is open already. What a run is held by is what differs between the figures.
 */
import { applyMigration, type RunnerOptions } from '../src/migration/index.ts';
import { confinedServer, confinedOptions, type ConfinedServer } from '../test/migration/confined-server.ts';
import { migrationsFolder } from '../test/migration/fixture.ts';
import { planSql } from '../test/migration/sql-bundle.ts';
import { atMost, figure, median, timedMs, type Figure } from './figure.ts';
import type { BenchStores } from './stores.ts';

const ROUNDS = Number(process.env['VARVE_BENCH_MIGRATION_ROUNDS'] ?? 7);
const OVERHEAD_MS = 400;
const SCRIPT = `alter table plot add column x int; update plot set x = id; create index plot_x on plot (x);`;

/** Measures on a server of its own, since a witness asks for other settings than the defaults. */
export async function benchMigration({
  progress,
}: Pick<BenchStores, 'progress'>): Promise<readonly Figure[]> {
  await using given = await confinedServer({ isLogical: true, durable: true });
  progress('server: the statements alone');
  const alone: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) alone.push(await runAlone(given));
  const figures = [figure('small migration, the statements alone, server', median(alone), 'ms')];
  for (const level of ['guarded', 'confined', 'witnessed'] as const) {
    progress(`server: the whole lifecycle, ${level}`);
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) times.push(await runGoverned(given, level));
    const overhead = median(times) - median(alone);
    figures.push(
      atMost(`small migration, overhead of the lifecycle, ${level}, server`, overhead, 'ms', OVERHEAD_MS),
    );
  }
  return figures;
}

async function runAlone({ store, scene }: ConfinedServer): Promise<number> {
  const { schema, owner } = await scene();
  return timedMs(() =>
    store.script(`begin; set local role ${owner}; set local search_path to ${schema}; ${SCRIPT} commit;`),
  );
}

async function runGoverned(
  given: ConfinedServer,
  level: 'guarded' | 'confined' | 'witnessed',
): Promise<number> {
  await using folder = await migrationsFolder();
  const { schema } = await given.scene();
  const options = optionsFor(confinedOptions(given, folder.root), level);
  const id = `PG-MIG-2026-01-01-${String(used.length + 1).padStart(2, '0')}`;
  used.push(id);
  const rollback = 'drop index plot_x; alter table plot drop column x;';
  await planSql(options, { id, schema, tables: ['plot'], forward: SCRIPT, rollback });
  let reached: unknown;
  const elapsedMs = await timedMs(async () => {
    const outcome = await applyMigration(options, id);
    reached = outcome.status === 'applied' ? outcome.enforcement.level : outcome.findings;
  });
  if (reached !== level) throw new Error(`The run ended as ${JSON.stringify(reached)}, not ${level}.`);
  return elapsedMs;
}

/** An id is used once for ever, in one database. */
const used: string[] = [];

function optionsFor(options: RunnerOptions, level: 'guarded' | 'confined' | 'witnessed'): RunnerOptions {
  const { runnerLogin, verifyLogin, ...plain } = options;
  return {
    ...plain,
    ...(level === 'guarded' || runnerLogin === undefined ? {} : { runnerLogin }),
    ...(level !== 'witnessed' || verifyLogin === undefined ? {} : { verifyLogin }),
  };
}
