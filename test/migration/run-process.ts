/**
 * Runs one verb of the lifecycle in a process of its own, and kills it at a fault point:
 * `node run-process.ts STORE ROOT VERB ID [POINT]`, where STORE is a URL or a folder; the addresses
 * of the runner's login and the witness's stand in VARVE_TEST_RUNNER and VARVE_TEST_VERIFY. Prints the outcome's status.
 */
import { flushCompileCache } from 'node:module';
import { dirname } from 'node:path';
import { documentEngine } from '../../src/cli/document-engine.ts';
import { applyMigration, recoverRuns, rollbackMigration } from '../../src/migration/index.ts';
import { documentKind } from '../../src/migration/kind/document/index.ts';
import { postgisKind } from '../../src/migration/kind/postgis/index.ts';
import { embeddedStore, postgresLogin, postgresStore } from '../../src/store/postgres/index.ts';
import { doubleKind } from './double-kind.ts';
import { runnerOptions } from './fixture.ts';

const [where = '', root = '', verb = '', id = '', point] = process.argv.slice(2);
const store = where.startsWith('postgres')
  ? await postgresStore({ url: where })
  : await embeddedStore({ folder: where });
const verify = process.env['VARVE_TEST_VERIFY'];
const runner = process.env['VARVE_TEST_RUNNER'];
const options = {
  ...runnerOptions(store, root),
  ...(verify === undefined ? {} : { verifyLogin: postgresLogin({ url: verify }) }),
  ...(runner === undefined ? {} : { runnerLogin: postgresLogin({ url: runner }) }),
  kinds: [doubleKind, postgisKind, documentKind(documentEngine(dirname(root)))],
  fault: async (reached: string): Promise<void> => {
    if (reached === point) {
      flushCompileCache();
      process.kill(process.pid, 'SIGKILL');
    }
    await Promise.resolve();
  },
};
const run = { apply: applyMigration, rollback: rollbackMigration, recover: recoverRuns }[verb];
if (run === undefined) throw new Error(`no verb ${verb}`);
const outcome = await run(options, id);
console.log(JSON.stringify({ status: outcome.status, findings: outcome.findings }));
await store[Symbol.asyncDispose]();
