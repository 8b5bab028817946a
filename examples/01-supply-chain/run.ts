// The story of this example: a result reads what nobody declared, is caught, and is repaired without losing anything.
//
//   node --conditions=@varve/source examples/01-supply-chain/run.ts [--folder DIR] [--store NAME]
//
// `--folder` is where the project is made (default: `.varve` here; it is emptied first), `--store` a store of its
// configuration (default: the embedded one; `server` is the one at DATABASE_URL, which has to be empty).
import { cp, mkdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import type { Store } from 'varve/store';
import { embeddedStore, postgresStore } from 'varve/store/postgres';
import { forbid, seed } from './seed.ts';
import { numbersOf, openStage } from './stage.ts';

const { values: given } = parseArgs({ options: { folder: { type: 'string' }, store: { type: 'string' } } });
const here = import.meta.dirname;
const folder = given.folder ?? join(here, '.varve');
await using stage = openStage(folder, given.store);
const { say, type, varve, expect } = stage;
const startedMs = performance.now();

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
await cp(join(here, 'v1'), folder, { recursive: true });

say('Which packages does this repository use, and may it? A project of five tables; first they are made.');
await varve(['plan']);
await varve(['apply']);

say('People fill two of them: with the packages of package-lock.json, and with what is decided on licences.');
type('node seed.ts');
const { listed, installed, policies, followed } = await withStore(seed);
console.log(`${listed} packages are locked, ${installed} of them installed here; ${policies} policies`);

say('The others are computed: manifests and files from node_modules, a verdict each, a report per licence.');
// Small batches, so that on a terminal the bar moves.
const populated = await varve(['populate', '--batch', '20']);
expect('every package has a verdict', numbersOf(populated, 'audit.license_verdict')[0] === installed);
expect('every policy has a report', numbersOf(populated, 'audit.report')[0] === policies);

say('Is each result made of what it declares? The source says no, and so does what was read at run time:');
const checked = await varve(['check']);
expect('check finds the read in the source', /audit\.license_verdict.+file pipeline\.ts, line/.test(checked));
expect('check finds the reads of the run', checked.includes(`reads audit.license_policy, keys ${installed}`));

say('One verdict. The run recorded which row of audit.license_policy it read, though nobody declared it:');
const verdict = ['audit.license_verdict', '--key', JSON.stringify({ path: followed.path })];
const before = await varve(['why', ...verdict]);
expect('why names the undeclared read', before.includes('audit.license_policy'));

const { license } = followed;
const note = 'needs a decision of its own';
say(
  `Why that matters: the policy for ${license} changes, and nothing notices. The verdict above is wrong now.`,
);
type(
  `psql -c "update audit.license_policy set allowed = false, note = '${note}' where license = '${license}'"`,
);
await withStore((store) => forbid(store, license, note));
const unnoticed = await varve(['populate']);
expect('nothing is computed again', numbersOf(unnoticed, 'audit.license_verdict')[0] === 0);

say(
  'The repair is an edit: version 2 declares the policy as a reference of the verdict, and reads it as such.',
);
type('cp ../v2/pipeline.ts pipeline.ts');
await cp(join(here, 'v2/pipeline.ts'), join(folder, 'pipeline.ts'));
await stage.edited();

say(
  'What would that do to the data? No verdict is thrown away: each gets the key of the policy that it read.',
);
const planned = await varve(['plan']);
const [, backfill, recompute, , ambiguous] = numbersOf(planned, 'audit.license_verdict');
expect('every row is backfilled', backfill === installed && recompute === 0 && ambiguous === 0);
const applied = await varve(['apply']);
expect('what was planned is what was done', numbersOf(applied, 'audit.license_verdict')[1] === installed);

say(
  'Now the change of the policy is seen. It reaches the verdicts and the report that rest on it, and no others.',
);
const repaired = await varve(['populate']);
const [computed = 0, , , unchanged] = numbersOf(repaired, 'audit.license_verdict');
expect('some verdicts are computed again', computed > 0 && computed < installed / 2);
expect('the others are left alone', unchanged === installed - computed);
expect('one report is computed again', numbersOf(repaired, 'audit.report')[0] === 1);
expect('no manifest is read again', numbersOf(repaired, 'audit.manifest')[0] === 0);

say('The same verdict today, and all it ever was: nothing is lost.');
await varve(['why', ...verdict]);
const versions = await varve(['history', ...verdict]);
expect('history has the verdict of today', versions.includes(note));
expect('history has the verdict of before', versions.includes(followed.note));

say('Is this what dropping everything and computing it anew would give? In a copy, row by row:');
const verified = await varve(['verify', '--full']);
const [rows, equal] = numbersOf(verified, 'audit.license_verdict');
expect('every row is equal', rows === installed && equal === installed);

say('What was done is on record, each line chained to the one before. Files alone suffice to check it:');
const proved = await varve(['receipts', 'verify', '--all']);
expect('both receipts are verified', proved.match(/\bverified\b/g)?.length === 2);

const seconds = Math.round((performance.now() - startedMs) / 1000);
say(`All as told, in ${seconds} s. The project is left for you to look at:`);
console.log(`cd ${relative(process.cwd(), folder)}\nnpx varve status\nnpx varve --help`);

/** What is done beside varve opens the store for itself, as another program would. */
async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  await using store = await openStore();
  return await work(store);
}

async function openStore(): Promise<Store> {
  if (given.store === 'server') return postgresStore({ url: process.env['DATABASE_URL'] ?? '' });
  return embeddedStore({ folder: join(folder, 'db') });
}
