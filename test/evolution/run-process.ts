/**
 * Runs one verb of the lifecycle in a process of its own, and kills it at a fault point:
 * `node run-process.ts STORE ROOT VERB ID CHANGE [POINT]`, where STORE is a URL or a folder and CHANGE what the make adds
 * beyond its reads. Prints the outcome, and the state that it left.
 *
 * The verb `prepare` makes the beginning, in a process too: a test runner rewrites functions, so that the code of a make
 * that was planned there would not be the code that runs here.
 */
import { applyMigration, recoverRuns, rollbackMigration } from '../../src/migration/index.ts';
import type { Store } from '../../src/store/index.ts';
import { embeddedStore, postgresStore } from '../../src/store/postgres/index.ts';
import { labIn, openLab, runnerOptions, worldOf } from './lab.ts';
import { definitionsFrom, versionOne, versionTwo } from './side-pipeline.ts';
import { liveState, settledState } from './state.ts';

const [where = '', root = '', verb = '', id = '', change = '0', point] = process.argv.slice(2);
const store = where.startsWith('postgres')
  ? await postgresStore({ url: where })
  : await embeddedStore({ folder: where });
console.log(JSON.stringify(verb === 'prepare' ? await prepare(store, root) : await runVerb()));
await store[Symbol.asyncDispose]();

async function runVerb(): Promise<object> {
  const options = {
    ...runnerOptions(store, root, worldOf(definitionsFrom(versionTwo('lab', Number(change))))),
    fault: async (reached: string): Promise<void> => {
      if (reached === point) process.kill(process.pid, 'SIGKILL');
      await Promise.resolve();
    },
  };
  const run = { apply: applyMigration, rollback: rollbackMigration, recover: recoverRuns }[verb];
  if (run === undefined) throw new Error(`no verb ${verb}`);
  const { status, findings } = await run(options, id);
  return { status, findings, live: await liveState(store), settled: await settledState(options) };
}

/** Rows to evolve, and two planned bundles: a good one, and one whose make adds something beyond its reads. */
async function prepare(given: Store, migrations: string): Promise<object> {
  await using _empty = await openLab(given);
  const lab = labIn(given, migrations);
  await lab.deploy(versionOne('lab'));
  await given.script(`
    insert into lab.s select i, i * 10 from generate_series(1, 20) i;
    insert into lab.side values (1, 7);`);
  await lab.populate(versionOne('lab'));
  // One row of which nothing is recorded, so that there is something to compute.
  await given.script('insert into lab.s values (21, 210); insert into lab.r values (21, 217)');
  const good = await lab.planned(versionTwo('lab'), { 'lab.r': 'recompute' });
  const changed = await lab.planned(versionTwo('lab', 1), { 'lab.r': 'recompute' });
  return { good, changed, before: await liveState(given) };
}
