/** Applies a migration in a process of its own, to be killed: `node apply-process.ts URL ROOT ID`; prints `done total` as it goes. */
import { applyMigration } from '../../src/migration/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { runnerOptions, worldOf } from '../../test/evolution/lab.ts';
import { definitionsFrom } from '../../test/evolution/side-pipeline.ts';
import { results } from './pipelines.ts';

const [url = '', root = '', id = ''] = process.argv.slice(2);
await using store = await postgresStore({ url });
const outcome = await applyMigration(
  {
    ...runnerOptions(store, root, worldOf(definitionsFrom(results({ declared: true })))),
    progress: ({ step, done, total }) => {
      if (step.startsWith('attribute')) process.stdout.write(`${String(done)} ${String(total)}\n`);
    },
  },
  id,
);
// Nobody killed it in time: what came of it is the reason.
process.stderr.write(`${outcome.status}: ${JSON.stringify(outcome.findings)}\n`);
