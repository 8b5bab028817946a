// On files: a parameter joins a key, and a make that does three things becomes three that do one each.
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { numbersOf, openStage } from '../01-supply-chain/stage.ts';
import { shippedPackages } from './seed.ts';
import { bring, idOf, isSorted, type Setting } from './setting.ts';

const here = import.meta.dirname;

/** A package that is too heavy for a server, and that somebody made an exception for. */
const HEAVY = 'node_modules/typescript';

/** Tells the story; throws where something is not as told. */
export async function tellAudit(setting: Setting): Promise<void> {
  const { project, store } = setting;
  await using stage = openStage(project, store);
  const { say, type, varve, expect } = stage;
  const edited = async (version: string): Promise<void> => {
    type(`cp ../${version}/pipeline.ts pipeline.ts`);
    await cp(join(here, 'audit', version, 'pipeline.ts'), join(project, 'pipeline.ts'));
    await stage.edited();
  };
  const key = (rest: object): readonly string[] => ['--key', JSON.stringify({ path: HEAVY, ...rest })];
  const [late, ...shipped] = shippedPackages();
  if (late === undefined) throw new TypeError('no package is installed');
  const packages = shipped.length;
  await cp(join(here, 'audit/v1'), project, { recursive: true });

  say(
    'What does this product ship, and is it light enough for a server? One make reads all there is of a package.',
  );
  await varve(['plan']);
  await varve(['apply']);
  await bring(stage, setting, 'audit.package', shipped);
  await bring(stage, setting, 'audit.budget', [{ target: 'server', bytes: '2000000' }]);
  const populated = await varve(['populate']);
  expect('every package is read', numbersOf(populated, 'audit.ingest')[0] === packages);
  await bring(stage, setting, 'audit.exception', [{ path: HEAVY, reason: 'needed by varve check' }]);

  say('The alarm: each verdict read one row of a table of parameters, and none says so.');
  const checked = await varve(['check']);
  expect('check finds the read', checked.includes(`reads audit.budget, keys ${packages}`));

  say('The parameter is to be a second parent: the key of a verdict says for which target it holds.');
  await edited('v2');
  const widening = await varve(['plan']);
  expect('every verdict gets a wider key', isSorted(widening, 'audit.verdict', { rekey: packages }));
  expect('what people wrote follows', isSorted(widening, 'audit.exception', { rekey: 1 }));
  const widened = await varve(['apply']);
  expect('what was planned is done', isSorted(widened, 'audit.verdict', { rekey: packages }));

  say('Now there may be a second target. Its verdicts are new work; those that stand are not touched.');
  await bring(stage, setting, 'audit.budget', [{ target: 'phone', bytes: '200000' }]);
  const both = await varve(['populate']);
  const [verdicts, , , kept] = numbersOf(both, 'audit.verdict');
  expect('one new verdict a package', verdicts === packages && kept === packages);
  const why = await varve(['why', 'audit.verdict', ...key({ target: 'server' })]);
  expect('an old verdict says how it came here', why.includes('kept by   its recorded read'));
  const fresh = await varve(['why', 'audit.verdict', ...key({ target: 'phone' })]);
  expect('a new one was computed', !fresh.includes('kept by'));

  say(
    'The second fault: one make reads the files, adds them up and draws the thumbnail. It is split in three.',
  );
  await edited('v3');
  const splitting = await varve(['plan']);
  for (const table of ['listing', 'statistics', 'thumbnail']) {
    expect(`every row of ${table} is kept`, isSorted(splitting, `audit.${table}`, { keep: packages }));
  }
  expect('the verdicts are kept', isSorted(splitting, 'audit.verdict', { keep: 2 * packages }));
  const split = await varve(['apply']);
  expect('no make was called', isSorted(split, 'audit.statistics', { keep: packages }));

  say('A package arrives. Three thin makes run for it, and for nothing else.');
  await bring(stage, setting, 'audit.package', [late]);
  const arrived = await varve(['populate']);
  for (const table of ['listing', 'statistics', 'thumbnail']) {
    const [computed, , , unchanged] = numbersOf(arrived, `audit.${table}`);
    expect(`one row of ${table} is new`, computed === 1 && unchanged === packages);
  }

  say('A row of before: where is it from, and what was it? A row of today: the same questions.');
  const statistics = await varve(['why', 'audit.statistics', ...key({})]);
  expect('an old row was split off', statistics.includes('split_table'));
  const newcomer = await varve(['why', 'audit.statistics', '--key', JSON.stringify({ path: late.path })]);
  expect('a new row was computed from the listing', !newcomer.includes('kept by'));
  const history = await varve(['history', 'audit.verdict', ...key({ target: 'server' })]);
  expect('the verdict stood in both structures', history.includes('another structure took its place'));

  say('Do the thin makes give what was carried over? Everything again in a copy, files included:');
  const verified = await varve(['verify', '--full', '--imported']);
  for (const table of ['listing', 'statistics', 'thumbnail']) {
    const [rows, equal] = numbersOf(verified, `audit.${table}`);
    expect(`every row of ${table} is equal`, rows === packages + 1 && equal === packages + 1);
  }

  say('And back: the fat table stands again, with the package that came since. Then forward for good.');
  const back = await varve(['rollback', idOf(splitting)]);
  expect('it is rolled back', back.includes('is rolled back'));
  const again = await varve(['plan']);
  expect('the new package is kept too', isSorted(again, 'audit.statistics', { keep: packages + 1 }));
  await varve(['apply']);
  const nothing = await varve(['populate']);
  expect('nothing is left to compute', numbersOf(nothing, 'audit.verdict')[0] === 0);
}
