/** Writing what was built, to the run's own table of PostgreSQL. */
import { refusal, VarveError } from '../../../base/index.ts';
import type { BuiltDocument, WorkState } from './document-table.ts';
import { keyArrays, type Parts } from './postgres-part.ts';
import type { SqlSession, SqlStore } from './sql-session.ts';

/** Writes what was built and how far the run is, in one transaction. */
export async function keepAll(
  store: SqlStore,
  parts: Parts,
  to: { readonly built: string; readonly work: string; readonly run: string },
  documents: readonly BuiltDocument[],
  state: Omit<WorkState, 'now'> | undefined,
): Promise<void> {
  try {
    await store.transaction({}, (session) => keep(session, parts, to, documents, state));
  } catch (error) {
    // What JSON can say and the column's type cannot hold, such as NUL in jsonb: found by halves, and quarantined.
    if (!store.isBadValue(error)) throw error;
    const [only] = documents;
    if (documents.length === 1 && only !== undefined) {
      return keepAll(store, parts, to, [unstorable(only)], state);
    }
    const half = Math.ceil(documents.length / 2);
    await keepAll(store, parts, to, documents.slice(0, half), undefined);
    await keepAll(store, parts, to, documents.slice(half), state);
  }
}

function unstorable(document: BuiltDocument): BuiltDocument {
  if (document.status === 'quarantined') {
    throw new VarveError('internal', { hint: 'Report this: a document in quarantine cannot be noted.' });
  }
  const finding = refusal('document_result_invalid', 'column', {
    detail: { reason: 'type_of_column' },
    hint: 'The type of the column cannot hold the migrated document; correct the step.',
  });
  return {
    ...document,
    status: 'quarantined',
    text: null,
    isLossy: false,
    assumed: 0,
    beside: null,
    findings: JSON.stringify([finding]),
  };
}

/** What is written of a built document: the column, what it is made of, and how it is read from text. */
const VALUES: readonly (readonly [string, (document: BuiltDocument) => string | null, string])[] = [
  ['was', ({ was }) => was, "decode(u.was, 'hex')"],
  ['status', ({ status }) => status, 'u.status'],
  ['text', ({ text }) => text, 'u.typed'],
  ['from_version', ({ from }) => from, 'u.from_version'],
  ['path', ({ path }) => path, 'u.path'],
  ['is_lossy', ({ isLossy }) => String(isLossy), 'u.is_lossy::boolean'],
  ['assumed', ({ assumed }) => String(assumed), 'u.assumed::integer'],
  ['beside', ({ beside }) => beside, 'u.beside'],
  ['findings', ({ findings }) => findings, 'u.findings'],
];

/** Writes what was built; what was read and is what the run itself has written stays as it was built. */
export async function keep(
  session: SqlSession,
  parts: Parts,
  { built, work, run }: { readonly built: string; readonly work: string; readonly run: string },
  documents: readonly BuiltDocument[],
  state: Omit<WorkState, 'now'> | undefined,
): Promise<void> {
  if (documents.length > 0) {
    const { keys, names, type } = parts;
    const given = [...names, ...VALUES.map(([name]) => name)];
    const values = [...VALUES.map(([name]) => name), 'written', 'is_late'];
    await session.query(
      `insert into ${built} as b (${[...names, ...values].join(', ')})
       select ${keys.map(({ type: keyType }, at) => `u.${names[at] ?? ''}::${keyType}`).join(', ')},
         ${VALUES.map(([, , read]) => read).join(', ')}, sha256(convert_to(u.typed::text, 'UTF8')),
         (select w.is_built from ${work} w where w.run = $${given.length + 1})
       from (select g.*, g.text::${type} as typed
         from unnest(${given.map((_, at) => `$${at + 1}::text[]`).join(', ')}) as g(${given.join(', ')}) offset 0) u
       on conflict (${names.join(', ')}) do update set ${values.map((name) => `${name} = excluded.${name}`).join(', ')}
       where not (b.status = 'migrated' and b.written = excluded.was)`,
      [
        ...keyArrays(
          parts,
          documents.map(({ key }) => key),
        ),
        ...VALUES.map(([, pick]) => documents.map(pick)),
        run,
      ],
    );
  }
  if (state === undefined) return;
  await session.query(`update ${work} set done_to = $2, is_built = $3 where run = $1`, [
    run,
    state.place ?? null,
    state.isBuilt,
  ]);
}
