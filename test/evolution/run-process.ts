/**
 * Runs one verb of the lifecycle in a process of its own, and kills it at a fault point:
 * `node run-process.ts STORY STORE ROOT VERB ID CHANGE [POINT [writing]]`, where STORE is a URL or a folder and CHANGE what
 * the make adds beyond its reads. With `writing` the story's writer is at work from the first write of the run on, in this
 * process, so that it dies with it. Prints the outcome, and the state that it left.
 *
 * The verb `prepare` makes the beginning, in a process too: a test runner rewrites functions, so that the code of a make
 * that was planned there would not be the code that runs here.
 */
import { applyMigration, recoverRuns, rollbackMigration } from '../../src/migration/index.ts';
import type { Store } from '../../src/store/index.ts';
import { embeddedStore, postgresStore } from '../../src/store/postgres/index.ts';
import { CRASH_STORIES, type CrashStory } from './crash-story.ts';
import { labIn, openLab, runnerOptions, worldOf } from './lab.ts';
import { definitionsFrom } from './side-pipeline.ts';
import { liveState, settledState } from './state.ts';
import { startWriterHere } from './writer.ts';

const [name = '', where = '', root = '', verb = '', id = '', change = '0', point, writing] =
  process.argv.slice(2);
const found = CRASH_STORIES[name];
if (found === undefined) throw new Error(`no story ${name}`);
const story: CrashStory = found;
const store = where.startsWith('postgres')
  ? await postgresStore({ url: where })
  : await embeddedStore({ folder: where });
console.log(JSON.stringify(verb === 'prepare' ? await prepare(store, root) : await runVerb()));
await store[Symbol.asyncDispose]();

async function runVerb(): Promise<object> {
  const options = {
    ...runnerOptions(store, root, worldOf(definitionsFrom(story.to(Number(change))))),
    fault: async (reached: string): Promise<void> => {
      if (reached === 'F05_baselined' && writing !== undefined && story.write !== undefined)
        startWriterHere(store, { perSecond: 100, statements: [story.write] });
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
  await lab.deploy(story.from());
  await given.script(story.rows);
  await lab.populate(story.from());
  await given.script(story.later);
  const good = await lab.planned(story.to(0), story.attribute);
  const changed = await lab.planned(story.to(1), story.attribute);
  return { good, changed, before: await liveState(given) };
}
