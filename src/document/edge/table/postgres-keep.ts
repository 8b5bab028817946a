/** Writing what was built, to the run's own table of PostgreSQL. */
import { refusal, VarveError } from '../../../base/index.ts';
import type { BuiltDocument, WorkState } from './document-table.ts';
import { keyArrays, type Parts } from './postgres-part.ts';
import type { SqlParameter, SqlSession, SqlStore } from './sql-session.ts';

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

/**
 * A sign that JSON has nowhere but as an escape. Texts of JSON go to the server as one, with it between them: an array of
 * them would double every quote and be read sign by sign.
 */
const BETWEEN = '\u001f';

interface GivenValue {
  readonly name: string;
  readonly pick: (document: BuiltDocument) => string | null;
  /** Whether it is JSON, or nothing. */
  readonly isJson?: boolean;
  /** How it is read from text. */
  readonly read: string;
}

/** What is written of a built document: the column, what it is made of, and how it is read. */
const VALUES: readonly GivenValue[] = [
  { name: 'was', pick: ({ was }) => was, read: "decode(u.was, 'hex')" },
  { name: 'status', pick: ({ status }) => status, read: 'u.status' },
  { name: 'text', pick: ({ text }) => text, isJson: true, read: 'u.typed' },
  { name: 'from_version', pick: ({ from }) => from, read: 'u.from_version' },
  { name: 'path', pick: ({ path }) => path, read: 'u.path' },
  { name: 'is_lossy', pick: ({ isLossy }) => String(isLossy), read: 'u.is_lossy::boolean' },
  { name: 'assumed', pick: ({ assumed }) => String(assumed), read: 'u.assumed::integer' },
  { name: 'beside', pick: ({ beside }) => beside, isJson: true, read: 'u.beside' },
  { name: 'findings', pick: ({ findings }) => findings, isJson: true, read: 'u.findings' },
];

/** The parameter that holds a value of all documents. */
function given({ pick, isJson }: GivenValue, documents: readonly BuiltDocument[]): SqlParameter {
  return isJson === true
    ? documents.map((each) => pick(each) ?? '').join(BETWEEN)
    : documents.map((each) => pick(each));
}

/** The array in a parameter. Nothing is no JSON, so what is empty there was null. */
function arrayIn(at: number, isJson: boolean): string {
  return isJson ? `string_to_array($${at}::text, chr(31), '')` : `$${at}::text[]`;
}

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
    const own = VALUES.map(({ name }) => name);
    const values = [...own, 'written', 'is_late'];
    const arrays = [
      ...names.map((_, at) => arrayIn(at + 1, false)),
      ...VALUES.map(({ isJson = false }, at) => arrayIn(names.length + at + 1, isJson)),
    ];
    await session.query(
      `insert into ${built} as b (${[...names, ...values].join(', ')})
       select ${keys.map(({ type: keyType }, at) => `u.${names[at] ?? ''}::${keyType}`).join(', ')},
         ${VALUES.map(({ read }) => read).join(', ')}, sha256(convert_to(u.typed::text, 'UTF8')),
         (select w.is_built from ${work} w where w.run = $${arrays.length + 1})
       from (select g.*, g.text::${type} as typed
         from unnest(${arrays.join(', ')}) as g(${[...names, ...own].join(', ')}) offset 0) u
       on conflict (${names.join(', ')}) do update set ${values.map((name) => `${name} = excluded.${name}`).join(', ')}
       where not (b.status = 'migrated' and b.written = excluded.was)`,
      [
        ...keyArrays(
          parts,
          documents.map(({ key }) => key),
        ),
        ...VALUES.map((value) => given(value, documents)),
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
