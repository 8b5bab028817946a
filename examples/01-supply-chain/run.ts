// The story of this example: a result reads what nobody declared, is caught, and is repaired without losing anything.
//
//   node --conditions=@varve/source examples/01-supply-chain/run.ts [--folder DIR] [--store NAME]
//
// `--folder` is where the project is made (default: `.varve` here; it is emptied first), `--store` a store of its
// configuration (default: the embedded one; `server` is the one at DATABASE_URL, which has to be empty).
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Store } from 'varve/store';
import { embeddedStore, postgresStore } from 'varve/store/postgres';
import { forbid, seed } from './seed.ts';
import { openStage } from './stage.ts';

const { values: given } = parseArgs({ options: { folder: { type: 'string' }, store: { type: 'string' } } });
const here = import.meta.dirname;
const folder = given.folder ?? join(here, '.varve');
const { say, type, varve, expect } = openStage(folder, given.store);

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
await cp(join(here, 'v1'), folder, { recursive: true });

say('A project of five tables: which packages does this repository use, and may it? First they are made.');
await varve(['plan']);
await varve(['apply']);

say('People bring two of them: the packages of package-lock.json, and what is decided about licences.');
type('node seed.ts');
const { listed, installed } = await withStore(seed);
console.log(
  `${listed} packages in package-lock.json, ${installed} of them installed here; 7 licence policies`,
);

say('The others are computed: manifests and files from node_modules, a verdict each, a report per licence.');
const populated = await varve(['populate']);
expect('every package has a verdict', rowOf(populated.output, 'audit.license_verdict')[0] === installed);

say('Is every result made of what it declares? A check of the source, and of what was really read, says no:');
const checked = await varve(['check']);
expect('check finds the undeclared read', /undeclared_read.+audit\.license_verdict/.test(checked.output));
expect('check names what was read', checked.output.includes('audit.license_policy'));

say('One verdict. The run recorded the row of audit.license_policy that it read, though nobody declared it:');
const verdict = ['audit.license_verdict', '--key', '{"path":"node_modules/lightningcss"}'];
const before = await varve(['why', ...verdict]);
expect('why names the undeclared read', before.output.includes('audit.license_policy'));

say('Why that matters: the policy for MPL-2.0 changes, and nothing notices. The verdict above is wrong now.');
type(`psql -c "update audit.license_policy set allowed = false where license = 'MPL-2.0'"`);
await withStore((store) => forbid(store, 'MPL-2.0', 'copyleft: needs a decision of its own'));
const unnoticed = await varve(['populate']);
expect('nothing is computed again', rowOf(unnoticed.output, 'audit.license_verdict')[0] === 0);

say(
  'The repair is an edit: version 2 declares the policy as a reference of the verdict, and reads it as such.',
);
type('cp ../v2/pipeline.ts pipeline.ts');
await cp(join(here, 'v2/pipeline.ts'), join(folder, 'pipeline.ts'));

say('What would that do to the data? No verdict is thrown away: each gets the key of the policy it read.');
const planned = await varve(['plan']);
const [, backfill, recompute, , ambiguous] = rowOf(planned.output, 'audit.license_verdict');
expect('every row is backfilled', backfill === installed && recompute === 0 && ambiguous === 0);
await varve(['apply']);

say('Now the change of the policy is seen, and reaches exactly the verdicts and the report that rest on it.');
const repaired = await varve(['populate']);
const [computed = 0, , , unchanged = 0] = rowOf(repaired.output, 'audit.license_verdict');
expect('only some verdicts are computed again', computed > 0 && computed < installed / 10);
expect('the others are left alone', computed + unchanged === installed);
expect('one report is computed again', rowOf(repaired.output, 'audit.report')[0] === 1);
expect('no manifest is read again', rowOf(repaired.output, 'audit.manifest')[0] === 0);

say('The same verdict today, and what it was before. Nothing was lost.');
await varve(['why', ...verdict]);
const versions = await varve(['history', ...verdict]);
expect('history has the old and the new verdict', /used unchanged[^]*needs a decision/.test(versions.output));

say('Is the result what dropping everything and computing it anew would give? In a copy, row by row:');
const verified = await varve(['verify', '--full']);
expect('every row is equal', rowOf(verified.output, 'audit.license_verdict').includes(installed));

say('And what was done is on record, signed and chained; files alone suffice to check it.');
await varve(['receipts', 'verify', '--all']);

say(`All of it is left for you to look at: cd ${folder}, then npx varve status, or npx varve --help.`);

/** The numbers of a table's line in a printed table. */
function rowOf(output: string, table: string): readonly number[] {
  const line = output.split('\n').find((each) => each.startsWith(`${table} `)) ?? '';
  return line
    .split(/\s+/)
    .slice(1)
    .map((cell) => Number(cell.replaceAll(',', '')))
    .filter((cell) => !Number.isNaN(cell));
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
