/** A plan over a hundred tables whose rows are all recorded: ten reads are declared, everything else is redefined. */
import { sql } from '../../src/store/index.ts';
import { worldOf } from '../../test/evolution/lab.ts';
import { definitionsFrom } from '../../test/evolution/side-pipeline.ts';
import { atMost, figure } from '../figure.ts';
import { failed, PLAN_ROWS, planIfAvailable, takenBy, type CaseResult, type Place } from './place.ts';
import { CHAIN_TABLES, chains } from './pipelines.ts';
import { fillRecorded } from './recorded.ts';

const CHAINS = 10;
const TABLES = CHAINS * (CHAIN_TABLES + 1) + 10;
/** Of each table that holds rows. */
const TABLE_ROWS = Math.ceil(PLAN_ROWS / (CHAINS * (CHAIN_TABLES + 1)));

/** Measures what `varve plan` does. */
export async function planMany(place: Place): Promise<CaseResult> {
  const before = chains(CHAINS, false);
  const after = chains(CHAINS, true);
  const { lab, store, progress } = place;
  await lab.deploy(before);
  await store.script('insert into lab.side values (1, 7)');
  const { codeByTable } = worldOf(definitionsFrom(before));
  await store.script(WITHOUT_INDEXES);
  for (let chain = 0; chain < CHAINS; chain += 1) {
    progress(`making ${TABLE_ROWS} recorded rows of ${CHAIN_TABLES + 1} tables, ${chain + 1} of ${CHAINS}`);
    await store.execute(
      sql`insert into ${sql.id('lab', `s${chain}`)} select g, g from generate_series(1, ${TABLE_ROWS}::int) g`,
    );
    const tables = Array.from({ length: CHAIN_TABLES - 1 }, (_, at) => `c${chain}_${at + 1}`);
    for (const [at, table] of [...tables, `r${chain}`].entries()) {
      const code = codeByTable.get(`lab.${table}`);
      if (code === undefined) throw failed('A computed table has no code.');
      await fillRecorded(store, `lab.${table}`, {
        code,
        select: sql`select ${sql.id(`k${chain}`)}, v from ${sql.id('lab', tables[at - 1] ?? `s${chain}`)}`,
        ...(table.startsWith('r')
          ? { undeclared: { table: 'lab.side', columns: ['off', 'side'], on: sql`true` } }
          : {}),
      });
    }
  }
  progress('indexes and statistics');
  await store.script(WITH_INDEXES);
  await store.script('vacuum analyze');
  progress('plan');
  let id: string | undefined;
  const { ms, seconds } = await takenBy(store, async () => {
    id = await planIfAvailable(place, after);
  });
  if (id === undefined) return { leftOut: 'no operation of this release declares a read' };
  const rows = TABLE_ROWS * CHAINS * (CHAIN_TABLES + 1);
  return [
    atMost(`plan over ${TABLES} tables, ${rows} rows`, ms / 1000, 's', 10),
    ...(seconds === undefined ? [] : [figure('of which processor time of the server', seconds, 's')]),
  ];
}

/** Building them at the end takes a small part of the time that keeping them takes row by row. */
const WITHOUT_INDEXES = `
  alter table varve.computation drop constraint computation_pkey;
  alter table varve.recorded_read drop constraint recorded_read_pkey;
  drop index varve.recorded_read_subject`;
/** As the catalog makes them. */
const WITH_INDEXES = `
  alter table varve.computation add primary key (relation, key_hash);
  alter table varve.recorded_read add primary key (relation, key_hash, spec, ordinal);
  create index recorded_read_subject on varve.recorded_read (relation, subject)`;
