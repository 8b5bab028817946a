// Governed changes to real geography: what is declared is held, and what goes further is taken back before anybody sees it.
//
//   node --conditions=@varve/source examples/04-geography/run.ts [--folder DIR] [--store NAME]
//
// `--folder` is where the project is made (default: `.varve` here; it is emptied first), `--store` a store of its
// configuration (default: the embedded one; `server` is the one at DATABASE_URL, which has to be empty and have PostGIS).
import { randomBytes } from 'node:crypto';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { sql, type Sql, type Store } from 'varve/store';
import { embeddedStore, postgresStore } from 'varve/store/postgres';
import { openStage } from '../01-supply-chain/stage.ts';
import { seed } from './seed.ts';

const { values: given } = parseArgs({ options: { folder: { type: 'string' }, store: { type: 'string' } } });
const here = import.meta.dirname;
const folder = given.folder ?? join(here, '.varve');
await using stage = openStage(folder, given.store);
const { say, type, varve, refuses, expect } = stage;
const startedMs = performance.now();

const INDEX = 'PG-MIG-2026-05-04-01';
const STRAYS = 'PG-MIG-2026-05-05-01';
const PROTECTED = 'PG-MIG-2026-05-05-02';
const TOO_MANY = 'PG-MIG-2026-05-06-01';
const COUNTED = 'PG-MIG-2026-05-06-02';
const CONCURRENT = 'PG-MIG-2026-05-07-01';

const VALID = sql`indisvalid and indexrelid::regclass::text = any (${[
  'geo.airport_place',
  'geo.country_shape',
  'geo.airport_country',
]})`;

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
await cp(join(here, 'project'), folder, { recursive: true });

say('A database with shapes in it: the countries of Natural Earth, the airports of OpenFlights.');
type('node seed.ts');
const { countries, airports } = await withStore(seed);
console.log(`${countries} countries, ${airports} airports`);

say(
  'Survey marks are protected by the configuration: their rows are digested under a key, which is no file of the project.',
);
const key = join(folder, '.varve/protected.key');
type(`openssl rand -out ${relative(folder, key)} 32 && export VARVE_PROTECTED_KEY=${relative(folder, key)}`);
await mkdir(dirname(key), { recursive: true });
await writeFile(key, randomBytes(32), { mode: 0o600 });
process.env['VARVE_PROTECTED_KEY'] = key;

say('Six migrations wait, each with a declared scope and limits. The first makes two spatial indexes.');
const planned = await varve(['plan', INDEX]);
expect('the plan names both tables', planned.includes('geo.airport') && planned.includes('geo.country'));
const rehearsed = await varve(['rehearse', INDEX]);
expect('the way back was proved on a copy', rehearsed.includes('equal'));
await varve(['apply', INDEX]);
const back = await varve(['rollback', INDEX]);
expect('it is taken back', back.includes('rolled back'));
await varve(['apply', INDEX]);

say(
  'The second only rounds places, says its text. But a trigger hangs on them, and keeps a log of movements:',
);
await varve(['plan', STRAYS]);
const strayed = await refuses(['apply', STRAYS], 4);
expect('the log is named', strayed.includes('scope_violation') && strayed.includes('geo.movement'));
expect('no movement was noted', (await countOf('geo.movement')) === 0);

say('The third calls a function that moves survey marks, which the configuration protects. They refuse it:');
await varve(['plan', PROTECTED]);
const denied = await refuses(['apply', PROTECTED], 4);
expect('the marks are named', denied.includes('protected_domain_changed'));

say('The fourth declares that it fills 5,000 rows. It would fill more, so it fills none:');
await varve(['plan', TOO_MANY]);
const over = await refuses(['apply', TOO_MANY], 4);
expect('the limit is named', over.includes('limit_exceeded') && over.includes('max_row_backfill'));

say('The same with the right number, and an invariant that is asked before the commit:');
await varve(['plan', COUNTED]);
await varve(['apply', COUNTED]);
const filled = await countOf('geo.airport', sql`country_id is not null`);
console.log(`${filled} of ${airports} airports stand in a country`);
expect('most airports stand in a country', filled > 5000 && filled <= 7000);

say('An index that is built beside the writers runs outside of a transaction, as a step of its own:');
await varve(['plan', CONCURRENT]);
await varve(['apply', CONCURRENT]);
expect('all three indexes are valid', (await countOf('pg_index', VALID)) === 3);

say(
  'Every run left a receipt, those that were taken back too, and the rehearsal. Files alone suffice to check them; of each migration the latest:',
);
const proved = await varve(['receipts', 'verify', '--all']);
expect('all receipts are verified', proved.match(/\bverified\b/g)?.length === 7);

const seconds = Math.round((performance.now() - startedMs) / 1000);
say(`All as told, in ${seconds} s.`);

/** What is done beside varve opens the store for itself, as another program would. */
async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  await using store = await openStore();
  return await work(store);
}

async function countOf(table: string, where: Sql = sql`true`): Promise<number> {
  return withStore(async (store) => {
    const from = sql.id(...table.split('.'));
    const [row] = await store.query<{ rows: bigint }>(
      sql`select count(*) as rows from ${from} where ${where}`,
    );
    return Number(row?.rows ?? 0n);
  });
}

async function openStore(): Promise<Store> {
  if (given.store === 'server') return postgresStore({ url: process.env['DATABASE_URL'] ?? '' });
  return embeddedStore({ folder: join(folder, '.varve/db'), extensions: ['postgis'] });
}
