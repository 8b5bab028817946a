// What people bring: animals, probes, sessions, and, once something is sorted, decisions on its units.
import { insertRows, type InsertRowsResult } from 'varve/pipeline';
import { sql, type Row, type Store } from 'varve/store';
import { Comparison, Curation, Insertion, Person, Probe, Session, Subject } from './lab/pipeline.ts';

/** How much is recorded: a recording is a probe in a session. */
export interface Size {
  readonly subjects: number;
  /** Of each subject. */
  readonly sessions: number;
  /** In each session. */
  readonly probes: number;
}

export const SMALL: Size = { subjects: 2, sessions: 5, probes: 2 };
export const FULL: Size = { subjects: 20, sessions: 10, probes: 5 };

const ORIGIN = { source: 'the rig', actor: 'example' };

/** Inserts what is known before anything is recorded. */
export async function seed(store: Store, size: Size): Promise<void> {
  const subjects = range(size.subjects).map((at) => `m${String(at + 1).padStart(3, '0')}`);
  const probes = range(size.probes).map((at) => `tetrode-${String(at + 1)}`);
  const sessions = subjects.flatMap((subject) =>
    range(size.sessions).map((at) => ({ subject, session: at + 1 })),
  );
  await inserted(
    insertRows(
      store,
      Person,
      [
        { person: 'ada', name: 'Ada' },
        { person: 'ramon', name: 'Ramón' },
      ],
      ORIGIN,
    ),
    insertRows(
      store,
      Subject,
      subjects.map((subject, at) => ({ subject, species: 'mouse', sex: at % 2 === 0 ? 'female' : 'male' })),
      ORIGIN,
    ),
    insertRows(
      store,
      Probe,
      probes.map((probe, at) => ({
        probe,
        built: '2026-01-15',
        probe_type: at % 2 === 0 ? 'tetrode' : 'tetrode-wide',
      })),
      ORIGIN,
    ),
  );
  await inserted(insertRows(store, Session, sessions.map(sessionRow), ORIGIN));
  await inserted(
    insertRows(
      store,
      Insertion,
      sessions.flatMap((session) =>
        probes.map((probe, at) => ({ ...session, probe, depth_um: 300 + 100 * at + 25 * session.session })),
      ),
      ORIGIN,
    ),
    // The last session of each animal against its first.
    insertRows(
      store,
      Comparison,
      subjects.map((subject) => ({
        subject,
        session: size.sessions,
        reference_session: 1,
        question: 'does the yield hold?',
      })),
      ORIGIN,
    ),
  );
}

interface SessionKey {
  readonly subject: string;
  readonly session: number;
}

/** Every third session is spontaneous activity: no stimulus. */
function sessionRow({ subject, session }: SessionKey) {
  return {
    subject,
    session,
    began: `2026-03-${String(session).padStart(2, '0')}T09:00:00Z`,
    experimenter: 'ada',
    ...(session % 3 === 0 ? {} : { shown: session % 3 === 1 ? 'grating' : 'tone' }),
  };
}

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

async function inserted(...results: readonly Promise<InsertRowsResult>[]): Promise<void> {
  for (const result of await Promise.all(results)) {
    if (result.status === 'refused') throw new TypeError(JSON.stringify(result.findings));
  }
}

function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, at) => at);
}
