// On signals: a parameter joins a key that seven tables lie below, parts and parts of parts among them.
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Store } from 'varve/store';
import { embeddedStore, postgresStore } from 'varve/store/postgres';
import { numbersOf, openStage } from '../01-supply-chain/stage.ts';
import { curateByHand } from '../02-neurophysiology/curate.ts';
import { seed } from '../02-neurophysiology/seed.ts';
import { edit } from './edit.ts';
import { DECLARED, UNDECLARED } from './lab-edits.ts';
import { bring, classesOf, idOf, isSorted, type Setting } from './setting.ts';

const here = import.meta.dirname;

/** Two recordings, four sortings: enough to see each table. */
const SIZE = { subjects: 1, sessions: 2, probes: 1 };
const CURATED = 2;

/** Tells the story; throws where something is not as told. */
export async function tellLab(setting: Setting): Promise<void> {
  const { project, store } = setting;
  await using stage = openStage(project, store);
  const { say, type, varve, expect } = stage;
  const definitions = join(project, 'pipeline.ts');
  await cp(join(here, '../02-neurophysiology/lab'), project, { recursive: true });

  say('The laboratory of example 02, with a parameter of the curation that lies in a table of its own:');
  await edit(definitions, UNDECLARED);
  await varve(['plan']);
  await varve(['apply']);
  type('node seed.ts');
  await withStore(setting, (opened) => seed(opened, SIZE));
  await bring(stage, setting, 'ephys.cleaning', [{ cleaning: 'usual', apart: 3 }]);
  await varve(['populate', '--batch', '25']);
  type('node curate.ts');
  await withStore(setting, curateByHand);
  const curated = await varve(['populate']);
  expect('what people curated is computed', numbersOf(curated, 'ephys.curated')[0] === CURATED);
  const [metrics = 0] = numbersOf(curated, 'ephys.quality_metrics');

  say('The alarm: curation read the parameter, and did not say so.');
  const checked = await varve(['check']);
  expect('check finds the read', checked.includes(`reads ephys.cleaning, keys ${CURATED}`));

  say(
    'The parameter joins the key. Whatever lies below follows by itself; what reads by columns says of which.',
  );
  await edit(definitions, DECLARED);
  await stage.edited();
  const planned = await varve(['plan']);
  expect('results get the key that they read', isSorted(planned, 'ephys.curated', { rekey: CURATED }));
  expect('results below follow', isSorted(planned, 'ephys.quality_metrics', { rekey: metrics }));
  for (const table of ['ephys.curated__unit', 'ephys.curated__piece', 'ephys.curated_accuracy']) {
    expect(`${table} follows`, Object.keys(classesOf(planned, table)).join() === 'rekey');
  }
  expect('no signal is sorted again', Object.keys(classesOf(planned, 'ephys.sorting')).length === 0);
  await varve(['apply']);
  const settled = await varve(['populate']);
  expect('no curation runs again', numbersOf(settled, 'ephys.curated')[0] === 0);
  expect('no metric either', numbersOf(settled, 'ephys.quality_metrics')[0] === 0);

  say('A second value of the parameter: the missing combinations are new work.');
  await bring(stage, setting, 'ephys.cleaning', [{ cleaning: 'coarse', apart: 10 }]);
  const both = await varve(['populate']);
  const [computed, , , unchanged] = numbersOf(both, 'ephys.curated');
  expect('each curation once more', computed === CURATED && unchanged === CURATED);

  say('An old result and a new one, and what they were:');
  const key = { subject: 'm001', session: 1, probe: 'tetrode-1', sorter: 'by-hand' };
  const of = (cleaning: string): readonly string[] => ['--key', JSON.stringify({ ...key, cleaning })];
  const old = await varve(['why', 'ephys.curated', ...of('usual')]);
  expect('the old one was kept by what it read', old.includes('kept by   its recorded read'));
  const young = await varve(['why', 'ephys.curated', ...of('coarse')]);
  expect('the new one was computed', !young.includes('kept by'));
  const history = await varve(['history', 'ephys.curated', ...of('usual')]);
  expect('the old one stands', history.includes('it stands'));

  say('Everything again, in a copy, from the signals on:');
  const verified = await varve(['verify', '--full']);
  const [rows, equal] = numbersOf(verified, 'ephys.quality_metrics');
  expect('every metric is equal', rows === equal && rows !== undefined && rows > metrics);

  say(
    'Back: the old key has no place for a second value, so its rows go to history first. Then forward again.',
  );
  await varve(['delete', 'ephys.cleaning', '--where', "cleaning = 'coarse'", '--yes']);
  const back = await varve(['rollback', idOf(planned)]);
  expect('it is rolled back', back.includes('is rolled back'));
  const again = await varve(['plan']);
  expect('the same plan again', isSorted(again, 'ephys.quality_metrics', { rekey: metrics }));
  await varve(['apply']);
  const last = await varve(['populate']);
  expect('nothing is curated again', numbersOf(last, 'ephys.curated')[0] === 0);
}

async function withStore<T>(setting: Setting, work: (store: Store) => Promise<T>): Promise<T> {
  await using store = await openStore(setting);
  return await work(store);
}

async function openStore({ project, store }: Setting): Promise<Store> {
  if (store === 'server') return postgresStore({ url: process.env['DATABASE_URL'] ?? '' });
  return embeddedStore({ folder: join(project, 'db') });
}
