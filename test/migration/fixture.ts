import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandomBytes } from '../../src/base/index.ts';
import { keyIdOf, type Signer } from '../../src/evidence/index.ts';
import { registerAll } from '../../src/migration/register.ts';
import {
  approveMigration,
  createKeyPair,
  planMigration,
  readSignerReference,
  registerKey,
  rehearseMigration,
  writeBundle,
  type EnvironmentName,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { doubleDraft, doubleKind } from './double-kind.ts';

/** A `migrations` folder of its own that is removed when disposed. */
export async function migrationsFolder(): Promise<AsyncDisposable & { readonly root: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-migrations-'));
  return {
    root: join(folder, 'migrations'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Runner options for tests: the machine's clock, the small kind. */
export function runnerOptions(store: Store, root: string): RunnerOptions {
  return {
    store,
    kinds: [doubleKind],
    root,
    environment: 'dev',
    actor: { principal: 'user:test', role: 'runner' },
    host: 'test-host',
    processId: process.pid,
    gitCommit: null,
    paramsDigest: null,
    clock: systemClock,
    randomBytes: systemRandomBytes,
  };
}

/** `schema.thing` with five rows, and a planned bundle that doubles it. */
export async function plannedDouble(
  options: RunnerOptions,
  schema: string,
  about: { readonly id?: string; readonly failAt?: string; readonly rows?: number } = {},
): Promise<{ readonly id: string; readonly table: string }> {
  const { id = 'PIPE-MIG-2026-03-01-01', ...draft } = about;
  const table = `${schema}.thing`;
  await options.store.script(`
    create schema if not exists "${schema}";
    create table if not exists "${schema}".thing (id int primary key, value int not null);
    insert into "${schema}".thing select i, i * 10 from generate_series(1, 5) i on conflict do nothing;`);
  const written = await writeBundle(options.root, doubleDraft(id, table, draft));
  if (written.status === 'refused') throw new Error(JSON.stringify(written.findings));
  const planned = await planMigration(options, id);
  if (planned.status === 'refused') throw new Error(JSON.stringify(planned.findings));
  return { id, table };
}

/** The columns of a table in order of name. */
export async function columnsOf(store: Store, table: string): Promise<readonly string[]> {
  const rows = await store.query<{ readonly name: string }>(sql`
    select attname as name from pg_attribute
    where attrelid = to_regclass(${table}) and attnum > 0 and not attisdropped order by attname`);
  return rows.map(({ name }) => name);
}

/** The database as one in which nothing ever ran, or an older copy of itself: what came after entry `seq` is gone. */
export async function forgetLedger(store: Store, seq = 0): Promise<void> {
  await store.execute(sql`alter table varve.ledger disable trigger ledger_only_grows`);
  await store.execute(sql`delete from varve.ledger where seq > ${seq}`);
  await store.execute(sql`alter table varve.ledger enable always trigger ledger_only_grows`);
}

/** A new key that is registered for a runner in these environments. */
export async function runnerKey(
  root: string,
  environments: readonly EnvironmentName[] = ['dev', 'stage', 'prod'],
): Promise<Signer> {
  const { privatePem, publicKey } = createKeyPair();
  const principal = `svc:runner-${keyIdOf(publicKey).slice(7, 13)}`;
  const added = await registerKey(root, systemClock, { principal, publicKey, role: 'runner', environments });
  const signer = await readSignerReference('test', privatePem);
  if (added.status === 'refused' || 'code' in signer) throw new Error('This key ought to be fine.');
  return signer;
}

/** What stage asks for before a run, beside the runner's own key: an entry in the registry, a rehearsal, a signature. */
export async function makeReadyForStage(options: RunnerOptions, id: string): Promise<void> {
  const { privatePem, publicKey } = createKeyPair();
  const signer = await readSignerReference('test', privatePem);
  if ('code' in signer) throw new Error('This key ought to be fine.');
  await registerAll(options.root, { owners: ['user:ada'], by: 'user:ada', clock: systemClock });
  const principal = 'user:eve';
  await registerKey(options.root, systemClock, {
    principal,
    publicKey,
    role: 'approver',
    environments: ['stage'],
  });
  const rehearsed = await rehearseMigration(options, id);
  if (rehearsed.status !== 'rehearsed') throw new Error(JSON.stringify(rehearsed.findings));
  const approved = await approveMigration(options, id, { principal, grant: 'apply', signer });
  if (approved.status === 'refused') throw new Error(JSON.stringify(approved.findings));
}
