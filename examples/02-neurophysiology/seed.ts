// What people bring before anything is recorded: animals, probes, sessions.
//
//   DATABASE_URL=... node --conditions=@varve/source seed.ts [--subjects N] [--sessions N] [--probes N]
import { parseArgs } from 'node:util';
import { insertRows, type InsertRowsResult } from 'varve/pipeline';
import type { Store } from 'varve/store';
import { postgresStore } from 'varve/store/postgres';
import { Comparison, Insertion, Person, Probe, Session, Subject } from './lab/pipeline.ts';

/** How much is recorded: a recording is a probe in a session. */
export interface Size {
  readonly subjects: number;
  /** Of each subject. */
  readonly sessions: number;
  /** In each session. */
  readonly probes: number;
}

export const SMALL: Size = { subjects: 2, sessions: 3, probes: 2 };
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

/** Throws where rows are refused. */
export async function inserted(...results: readonly Promise<InsertRowsResult>[]): Promise<void> {
  for (const result of await Promise.all(results)) {
    if (result.status === 'refused') throw new TypeError(JSON.stringify(result.findings));
  }
}

function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, at) => at);
}

if (import.meta.main) {
  const count = { type: 'string' } as const;
  const { values: given } = parseArgs({ options: { subjects: count, sessions: count, probes: count } });
  await using store = await postgresStore({ url: process.env['DATABASE_URL'] ?? '' });
  await seed(store, {
    subjects: Number(given.subjects ?? SMALL.subjects),
    sessions: Number(given.sessions ?? SMALL.sessions),
    probes: Number(given.probes ?? SMALL.probes),
  });
}
