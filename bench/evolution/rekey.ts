/** A key that widens by the row that each result read, with one table below, beside CREATE TABLE AS with its constraints. */
import { sql } from '../../src/store/index.ts';
import { worldOf } from '../../test/evolution/lab.ts';
import { definitionsFrom } from '../../test/evolution/side-pipeline.ts';
import { atMost, figure } from '../figure.ts';
import {
  applied,
  failed,
  planIfAvailable,
  processorTimes,
  ROWS,
  script,
  type CaseResult,
  type Place,
} from './place.ts';
import { keyed } from './pipelines.ts';
import { fillRecorded } from './recorded.ts';

const BEFORE = keyed(false);
const AFTER = keyed(true);

/** Measures both. */
export async function rekey(place: Place): Promise<CaseResult> {
  await fill(place);
  const { progress } = place;
  progress('plan');
  const id = await planIfAvailable(place, AFTER);
  if (id === undefined) return { leftOut: 'no operation of this release widens a key' };
  progress('by hand');
  const bare = await script(place, BARE);
  await place.store.script('drop table bare_below, bare_r');
  progress('apply');
  const work = await applied(place, AFTER, id);
  return [
    figure(`CREATE TABLE AS and constraints, two tables of ${ROWS} rows`, bare.ms, 'ms'),
    figure('widen a key and that of one table below, apply', work.ms, 'ms'),
    atMost('widen a key / CREATE TABLE AS and constraints', work.ms / bare.ms, 'ratio', 2.5),
    ...processorTimes('widen a key / CREATE TABLE AS and constraints', work, bare),
  ];
}

const BARE = `
  create table bare_r as select r.s, (rr.keys -> 0 ->> 'param')::integer as param, r.value
    from lab.r r join varve.recorded_read rr on rr.key_hash = substr(varve.digest_1(r.s::text), 1, 16)
      and rr.subject = 'lab.param';
  alter table bare_r add primary key (s, param), alter column value set not null,
    add foreign key (s) references lab.s, add foreign key (param) references lab.param;
  create index on bare_r (param);
  create table bare_below as select b.s, r.param, b.twice from lab.below b join bare_r r on r.s = b.s;
  alter table bare_below add primary key (s, param), alter column twice set not null,
    add foreign key (s, param) references bare_r;`;

async function fill({ lab, store, progress }: Place): Promise<void> {
  progress(`making ${ROWS} recorded rows of two tables`);
  await lab.deploy(BEFORE);
  await store.script('insert into lab.param values (1, 5)');
  await store.execute(sql`insert into lab.s select g, g from generate_series(1, ${ROWS}::int) g`);
  const { codeByTable } = worldOf(definitionsFrom(BEFORE));
  const [r, below] = [codeByTable.get('lab.r'), codeByTable.get('lab.below')];
  if (r === undefined || below === undefined) throw failed('A computed table has no code.');
  await fillRecorded(store, 'lab.r', {
    code: r,
    select: sql`select s, v + 5 from lab.s`,
    undeclared: { table: 'lab.param', columns: ['off', 'param'], on: sql`true` },
  });
  await fillRecorded(store, 'lab.below', { code: below, select: sql`select s, value * 2 from lab.r` });
  await store.script('vacuum analyze');
}
