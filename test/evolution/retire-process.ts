/**
 * Retires in a process of its own, and kills it at a fault point: `node retire-process.ts STORE ROOT VERB ID [POINT]`, where
 * STORE is a URL or a folder and VERB `prepare`, `retire` or `recover`. Prints the outcome, and the state that it left.
 */
import { systemClock } from '../../src/base/index.ts';
import { supersededStructures } from '../../src/evolution/index.ts';
import {
  approveMigration,
  createKeyPair,
  readSigner,
  recoverRuns,
  registerKey,
  retireMigration,
} from '../../src/migration/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { embeddedStore, postgresStore } from '../../src/store/postgres/index.ts';
import { writeFile } from 'node:fs/promises';
import { labIn, openLab, runnerOptions, sideLab, worldOf } from './lab.ts';
import { definitionsFrom, versionTwo } from './side-pipeline.ts';
import { liveState, settledState } from './state.ts';

const [where = '', root = '', verb = '', id = '', point] = process.argv.slice(2);
const store = where.startsWith('postgres')
  ? await postgresStore({ url: where })
  : await embeddedStore({ folder: where });
console.log(JSON.stringify(verb === 'prepare' ? await prepare(store) : await runVerb()));
await store[Symbol.asyncDispose]();

async function runVerb(): Promise<object> {
  const options = {
    ...runnerOptions(store, root, worldOf(definitionsFrom(versionTwo('lab')))),
    fault: async (reached: string): Promise<void> => {
      if (reached === point) process.kill(process.pid, 'SIGKILL');
      await Promise.resolve();
    },
  };
  const { status, findings } = await (verb === 'retire' ? retireMigration : recoverRuns)(options, id);
  return { status, findings, ...(await state(store)), settled: await settledState(options) };
}

async function state(given: Store): Promise<object> {
  const [row] = await given.query<{ remembered: bigint }>(
    sql`select count(*) as remembered from varve.let_go`,
  );
  return {
    live: await liveState(given),
    structures: (await supersededStructures(given)).length,
    remembered: Number(row?.remembered ?? 0n),
  };
}

/** A migration that left something, and an approval to let go of it. */
async function prepare(given: Store): Promise<object> {
  await using _empty = await openLab(given);
  const lab = labIn(given, root);
  const two = versionTwo('lab');
  await sideLab(lab);
  const migration = await lab.deploy(two);
  const { privatePem, publicKey } = createKeyPair();
  await writeFile(`${root}.pem`, privatePem);
  const principal = 'user:eve';
  await registerKey(root, systemClock, { principal, publicKey, role: 'approver', environments: ['dev'] });
  const signer = await readSigner(`${root}.pem`);
  if ('code' in signer) throw new Error(signer.code);
  const approved = await approveMigration(lab.options(two), migration, {
    principal,
    grant: 'retire',
    signer,
  });
  if (approved.status === 'refused') throw new Error(JSON.stringify(approved.findings));
  return { id: migration, ...(await state(given)) };
}
