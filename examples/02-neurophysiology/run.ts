// The story of this example: from raw signals to quality metrics, and back from a number to what it was made of.
//
//   node --conditions=@varve/source examples/02-neurophysiology/run.ts [--full] [--folder DIR] [--store NAME]
//
// `--full` is a thousand recordings instead of twenty. `--folder` is where the project is made (default: `.varve` here; it
// is emptied first), `--store` a store of its configuration (default: the embedded one; `server` is the one at
// DATABASE_URL, which has to be empty). On a server two processes populate at once.
import { cp, mkdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { sql, type Row, type Store } from 'varve/store';
import { embeddedStore, postgresStore } from 'varve/store/postgres';
import { numbersOf, openStage } from '../01-supply-chain/stage.ts';
import { curateByHand } from './curate.ts';
import { FULL, seed, SMALL } from './seed.ts';

const { values: given } = parseArgs({
  options: { full: { type: 'boolean' }, folder: { type: 'string' }, store: { type: 'string' } },
});
const here = import.meta.dirname;
const folder = given.folder ?? join(here, '.varve');
const size = given.full === true ? FULL : SMALL;
const sessions = size.subjects * size.sessions;
const recordings = sessions * size.probes;
await using stage = openStage(folder, given.store);
await using other = openStage(folder, given.store);
const { say, type, varve, expect } = stage;
const startedMs = performance.now();

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
await cp(join(here, 'lab'), folder, { recursive: true });

say('A laboratory records from tetrodes. Its tables are a file; first they are made.');
await varve(['plan']);
await varve(['apply']);

say('People bring animals, probes and sessions.');
type('node seed.ts');
await withStore((store) => seed(store, size));
console.log(`${size.subjects} animals, ${sessions} sessions, ${recordings} recordings to come`);

say('From here on everything is computed: signals, spikes, and how good they are.');
await populate();
const counted = await withStore(counts);
expect('every insertion is recorded', counted.recordings === recordings);
expect('each recording is sorted in two ways', counted.sortings === 2 * recordings);
console.log(`${counted.spikes.toLocaleString('en')} spikes, each a row`);

say(
  'The signals are simulated, so the truth is known. How much of it was found, and how much of what was found is true?',
);
const before = await showAccuracy('accuracy');
expect('the automatic sorter agrees with the truth', isGood(before.get('automatic')));
expect('the other one leaves work to do', !isGood(before.get('by-hand')));

say('One of the two sorters leaves the last word to a person, who merges units and drops noise.');
type('node curate.ts');
const curated = await withStore(curateByHand);
console.log(
  `${curated.sortings} sortings curated: ${curated.decisions} decisions, ${curated.merged} merges, ${curated.noise} called noise`,
);
expect('every sorting of that sorter is curated', curated.sortings === recordings);

say('What follows from the decisions, and nothing else, is computed now.');
const followed = await populate();
expect('nothing is sorted again', numbersOf(followed, 'ephys.sorting')[0] === 0);
const after = await showAccuracy('curated_accuracy');
expect('curation brings the other one to the truth', isGood(after.get('by-hand')));
await showQuality();

say('One number: where is it from? Up to the signal, the sorter, and who decided on the unit:');
const key = await withStore(someMetric);
const why = await varve(['why', 'ephys.quality_metrics', '--key', JSON.stringify(key), '--deep']);
for (const table of [
  'ephys.curated',
  'ephys.curation',
  'ephys.sorting',
  'ephys.recording',
  'ephys.session',
]) {
  expect(`why leads to ${table}`, why.includes(table));
}

say('And if a session turned out to be bad: what rests on it?');
const where = "subject = 'm001' and session = 1";
const below = await varve(['cascade', 'ephys.session', '--where', where]);
expect('its recordings and no others', numbersOf(below, 'ephys.recording')[0] === size.probes);

const seconds = Math.round((performance.now() - startedMs) / 1000);
say(`All as told, in ${seconds} s. The project is left for you to look at:`);
console.log(`cd ${relative(process.cwd(), folder)}\nnpx varve graph\nnpx varve --help`);

/** Small batches: one of 25 sortings is 10 MB of signal. */
async function populate(): Promise<string> {
  const line = ['populate', '--batch', '25'];
  if (given.store !== 'server') return varve(line);
  const [printed] = await Promise.all([varve(line), other.varve(line)]);
  return printed;
}

interface Counts extends Row {
  readonly recordings: number;
  readonly sortings: number;
  readonly spikes: number;
}

async function counts(store: Store): Promise<Counts> {
  const [row] = await store.query<Counts>(sql`select
    (select count(*)::integer from ephys.recording) as recordings,
    (select count(*)::integer from ephys.sorting) as sortings,
    (select count(*)::integer from ephys.sorting__spike) as spikes`);
  return row ?? { recordings: 0, sortings: 0, spikes: 0 };
}

/** Recall and precision over all recordings, by sorter. */
async function showAccuracy(table: string): Promise<ReadonlyMap<string, Agreement>> {
  const rows = await withStore((store) =>
    store.query<Agreement>(sql`
      select sorter, sum(found)::double precision / sum(planted) as recall,
        sum(found)::double precision / sum(sorted) as precision
      from ${sql.id('ephys', table)} group by sorter order by sorter`),
  );
  for (const { sorter, recall, precision } of rows) {
    console.log(`${sorter.padEnd(10)} recall ${recall.toFixed(3)}  precision ${precision.toFixed(3)}`);
  }
  return new Map(rows.map((row) => [row.sorter, row]));
}

interface Agreement extends Row {
  readonly sorter: string;
  readonly recall: number;
  readonly precision: number;
}

function isGood(agreement: Agreement | undefined): boolean {
  return agreement !== undefined && agreement.recall > 0.85 && agreement.precision > 0.97;
}

async function showQuality(): Promise<void> {
  const [row] = await withStore((store) =>
    store.query<{ units: number; rate: number; snr: number; isi: number; presence: number }>(sql`
      select count(*)::integer as units, avg(firing_rate) as rate, avg(snr) as snr,
        avg(isi_violations) as isi, avg(presence_ratio) as presence
      from ephys.quality_metrics where metric_params = 'strict'`),
  );
  if (row === undefined) return;
  console.log(
    `${row.units.toLocaleString('en')} units stand: ${row.rate.toFixed(1)} spikes/s, signal to noise ${row.snr.toFixed(1)}, ` +
      `${(100 * row.isi).toFixed(2)} % of intervals too short, present in ${(100 * row.presence).toFixed(0)} % of bins`,
  );
  expect('five units stand in most recordings', row.units > 4.8 * recordings && row.units < 5.2 * recordings);
}

async function someMetric(store: Store): Promise<object> {
  const [row] = await store.query(sql`
    select subject, session, probe, sorter, unit, metric_params from ephys.quality_metrics
    order by subject, session, probe, unit, metric_params limit 1`);
  return row ?? {};
}

/** What is done beside varve opens the store for itself, as another program would. */
async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  await using store = await openStore();
  return await work(store);
}

async function openStore(): Promise<Store> {
  if (given.store === 'server') return postgresStore({ url: process.env['DATABASE_URL'] ?? '' });
  return embeddedStore({ folder: join(folder, 'db') });
}
