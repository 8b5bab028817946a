/** A read that becomes a foreign key, beside the UPDATE that fills its column; with keys to compute; and with a kill in between. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { populate, type Pipeline } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { openLab, worldOf } from '../../test/evolution/lab.ts';
import { definitionsFrom } from '../../test/evolution/side-pipeline.ts';
import { atMost, figure, timedMs } from '../figure.ts';
import {
  applied,
  countOf,
  failed,
  planIfAvailable,
  processorTimes,
  ROWS,
  script,
  type CaseResult,
  type Place,
  type Taken,
} from './place.ts';
import { results } from './pipelines.ts';
import { fillRecorded } from './recorded.ts';

const SIDES = 1_000;
const BEFORE = results({ declared: false });
const AFTER = results({ declared: true });
/** Rows attributed in one transaction, of which a kill may undo one, or whose computations are written in two at once. */
const BATCH_ROWS = 200_000;

const UNAVAILABLE = { leftOut: 'no operation of this release declares a read' };

/** The same column by hand: added empty, filled, and then held by what the definition asks for. */
export async function declareReference(place: Place): Promise<CaseResult> {
  await fill(place);
  const bare = await update(place);
  place.progress('plan and apply');
  let id: string | undefined;
  const planned = await timedMs(async () => {
    id = await planIfAvailable(place, AFTER);
  });
  if (id === undefined) return UNAVAILABLE;
  const work = await applied(place, AFTER, id);
  return [
    figure(`bare UPDATE ... FROM, ${ROWS} rows`, bare.update.ms, 'ms'),
    figure('then NOT NULL, foreign key and index', bare.constrain.ms, 'ms'),
    figure('declare a secondary foreign key, plan', planned, 'ms'),
    figure('declare a secondary foreign key, apply', work.ms, 'ms'),
    atMost('declare a secondary foreign key / bare UPDATE ... FROM', work.ms / bare.update.ms, 'ratio', 2.5),
    ...processorTimes('declare a secondary foreign key / bare UPDATE ... FROM', work, bare.update),
  ];
}

async function fill({ lab, store, progress }: Place): Promise<void> {
  progress(`making ${ROWS} recorded rows`);
  await lab.deploy(BEFORE);
  await fillSources(lab.store);
  const code = worldOf(definitionsFrom(BEFORE)).codeByTable.get('lab.r');
  if (code === undefined) throw failed('A computed table has no code.');
  await fillRecorded(store, 'lab.r', {
    code,
    select: sql`select s.s, s.v + p."off" from lab.s s join lab.side p on p.side = s.wanted`,
    undeclared: { table: 'lab.side', columns: ['off', 'side'], on: sql`p.side = r0.wanted` },
  });
  await store.script('vacuum analyze');
}

async function fillSources(store: Place['store']): Promise<void> {
  await store.execute(sql`insert into lab.side select g, g from generate_series(1, ${SIDES}::int) g`);
  await store.execute(
    sql`insert into lab.s select g, g, 1 + g % ${SIDES}::int from generate_series(1, ${ROWS}::int) g`,
  );
}

async function update(place: Place): Promise<{ readonly update: Taken; readonly constrain: Taken }> {
  const { store, progress } = place;
  progress('by hand');
  await store.script(`create table bare as select * from lab.r;
    alter table bare add primary key (s), add foreign key (s) references lab.s, add column side integer`);
  await store.script('vacuum analyze bare');
  const filled = await script(place, 'update bare b set side = s.wanted from lab.s s where s.s = b.s');
  const constrain = await script(
    place,
    `alter table bare alter column side set not null, add foreign key (side) references lab.side;
    create index on bare (side)`,
  );
  await store.script('drop table bare');
  return { update: filled, constrain };
}

const MAKE_MS = 1;
const PACE_KEYS = Math.min(5_000, ROWS);

/** One row in a hundred has to be computed: nothing is recorded of what it read. */
export async function recomputeSome(place: Place): Promise<CaseResult> {
  const slow = results({ declared: true, makeMs: MAKE_MS });
  await fill(place);
  const { store, lab, progress } = place;
  await store.execute(
    sql`delete from varve.recorded_read r where get_byte(key_hash, 0) * 256 + get_byte(key_hash, 1) < 655`,
  );
  const due = ROWS - (await countOf(store, 'select count(*) from varve.recorded_read'));
  progress(`evolve, ${due} rows to compute`);
  const id = await planIfAvailable(place, slow, { 'lab.r': 'recompute' });
  if (id === undefined) return UNAVAILABLE;
  const { ms: evolved } = await applied(place, slow, id);
  progress(`drop and repopulate, ${PACE_KEYS} keys of it`);
  await using empty = await openLab(store);
  await empty.deploy(slow);
  await fillSources(lab.store);
  await store.script('vacuum analyze');
  const again = (await paceMs(place, slow)) * ROWS;
  return [
    figure(`evolve, ${due} of ${ROWS} rows computed by a make of ${MAKE_MS} ms`, evolved, 'ms'),
    figure(`drop and repopulate, from the pace of ${PACE_KEYS} keys`, again, 'ms'),
    atMost('evolve / drop and repopulate', evolved / again, 'ratio', 1 / 20),
  ];
}

/** Milliseconds a key. */
async function paceMs({ store }: Place, given: Pipeline): Promise<number> {
  const ms = await timedMs(async () => {
    const result = await populate(store, { ...worldOf(definitionsFrom(given)), max: PACE_KEYS });
    if (result.status === 'refused' || result.findings.length > 0) throw failed(JSON.stringify(result));
  });
  return ms / PACE_KEYS;
}

/** A process is killed half-way, and the run is gone on with. */
export async function resumeAfterKill(place: Place): Promise<CaseResult> {
  await fill(place);
  const { lab, store, url, progress } = place;
  const id = await planIfAvailable(place, AFTER);
  if (id === undefined) return UNAVAILABLE;
  const before = await insertedRows(place);
  progress('apply, and kill it half-way');
  await killHalfWay(url, lab.root, id);
  progress('go on');
  const { ms: resumed } = await applied(place, AFTER, id);
  const twice = (await insertedRows(place)) - before - ROWS;
  const lost =
    ROWS -
    (await countOf(
      store,
      `select count(*) from lab.r r join varve.computation c
        on c.key_hash = substr(varve.digest_1(r.s::text), 1, 16)
        and c.relation = (select id from varve.relation where name = 'lab.r' and state = 'live')
        where r.side = 1 + r.s % ${SIDES}`,
    ));
  return [
    figure('go on after a kill half-way', resumed, 'ms'),
    atMost('done twice after a kill, keys of samples too', Math.max(0, twice), 'rows', BATCH_ROWS),
    atMost('lost after a kill', lost, 'rows', 0),
  ];
}

/** Rows ever written to varve.computation, those of killed transactions too. */
async function insertedRows({ store }: Place): Promise<number> {
  await store.script('select pg_stat_force_next_flush()');
  return countOf(
    store,
    `select n_tup_ins from pg_stat_all_tables where relid = 'varve.computation'::regclass`,
  );
}

async function killHalfWay(url: string, root: string, id: string): Promise<void> {
  const program = new URL('apply-process.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--conditions=@varve/source', program, url, root, id], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const [done = 0, total = 0] = line.split(' ').map(Number);
    // In the middle of the batches after this one.
    if (total > 1 && done >= total / 2) setTimeout(() => child.kill('SIGKILL'), 300);
  }
  await exit;
  if (child.signalCode !== 'SIGKILL') throw failed('The process that was to be killed ended by itself.');
}
