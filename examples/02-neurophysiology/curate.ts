// What people decide once something is sorted: which units stand, and which are pieces of others.
//
//   DATABASE_URL=... node --conditions=@varve/source curate.ts
import { insertRows } from 'varve/pipeline';
import { sql, type Row, type Store } from 'varve/store';
import { postgresStore } from 'varve/store/postgres';
import { Curation } from './lab/pipeline.ts';
import { inserted } from './seed.ts';

/** What a curator did. */
export interface Curated {
  readonly sortings: number;
  readonly decisions: number;
  readonly merged: number;
  readonly noise: number;
}

/**
 * Decides on every unit of the sortings that wait for a person, as a person would who goes by the waveforms: units that
 * look alike are pieces of one, and what fires a handful of times is none.
 */
export async function curateByHand(store: Store): Promise<Curated> {
  const units = await store.query<FoundUnit>(sql`
    select u.* from ephys.sorting__unit u
    where u.sorter = 'by-hand' and not exists (
      select from ephys.curation c
      where (c.subject, c.session, c.probe, c.sorter) = (u.subject, u.session, u.probe, u.sorter))
    order by u.subject, u.session, u.probe, u.sorter, u.unit`);
  const sortings = Map.groupBy(
    units,
    ({ subject, session, probe }) => `${subject} ${String(session)} ${probe}`,
  );
  const decisions = [...sortings.values()].flatMap(decide);
  const curations = [...sortings.values()].flatMap(([first]) =>
    first === undefined ? [] : [{ ...sortingKey(first), curator: 'ramon' }],
  );
  const origin = { source: 'a look at the waveforms', actor: 'ramon' };
  await inserted(insertRows(store, Curation, curations, origin));
  await inserted(insertRows(store, Curation.parts.decision, decisions, origin));
  const count = (label: string): number => decisions.filter((decision) => decision.label === label).length;
  return {
    sortings: curations.length,
    decisions: decisions.length,
    merged: count('merged'),
    noise: count('noise'),
  };
}

interface FoundUnit extends Row {
  readonly subject: string;
  readonly session: number;
  readonly probe: string;
  readonly sorter: string;
  readonly unit: number;
  readonly template: readonly number[];
  readonly spikes: number;
}

/** Waveforms nearer than this, in units of the noise, are one neuron's. */
const ALIKE = 6;
const LEAST_SPIKES = 25;

/** The units of one sorting, those with the most spikes first. */
function decide(units: readonly FoundUnit[]) {
  const intoByUnit = new Map<number, number>();
  for (const [at, unit] of units.entries()) {
    const whole = units.slice(0, at).find((before) => !intoByUnit.has(before.unit) && isAlike(before, unit));
    if (whole !== undefined) intoByUnit.set(unit.unit, whole.unit);
  }
  return units.map((unit) => {
    const own = units.filter((each) => each === unit || intoByUnit.get(each.unit) === unit.unit);
    const spikes = own.reduce((sum, each) => sum + each.spikes, 0);
    const merged_into = intoByUnit.get(unit.unit) ?? null;
    const standing = spikes < LEAST_SPIKES ? ('noise' as const) : ('good' as const);
    const label = merged_into === null ? standing : ('merged' as const);
    return { ...sortingKey(unit), unit: unit.unit, label, merged_into };
  });
}

function isAlike(left: FoundUnit, right: FoundUnit): boolean {
  return Math.hypot(...left.template.map((value, at) => value - (right.template[at] ?? 0))) < ALIKE;
}

function sortingKey({ subject, session, probe, sorter }: FoundUnit) {
  return { subject, session, probe, sorter };
}

if (import.meta.main) {
  await using store = await postgresStore({ url: process.env['DATABASE_URL'] ?? '' });
  console.log(JSON.stringify(await curateByHand(store)));
}
