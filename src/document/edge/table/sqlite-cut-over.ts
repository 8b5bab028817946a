/** Writing what was built, putting documents in place, and what is left to do, in SQLite. */
import { textDigest } from './build-document.ts';
import type { BuiltDocument, CutOver, Due, UnsettledDocument, WorkState } from './document-table.ts';
import type { Connection } from './sqlite-connection.ts';
import {
  behind,
  keyList,
  keyOf,
  keysOf,
  keyValues,
  newestOf,
  sameKey,
  WORK,
  type Parts,
  type WorkTables,
} from './sqlite-part.ts';

/** Writes what was built; what was read and is what the run itself has written stays as it was built. */
export function keep(
  open: Connection,
  { names }: Parts,
  { run, built }: WorkTables & { readonly run: string },
  documents: readonly BuiltDocument[],
  state: Omit<WorkState, 'now'> | undefined,
): void {
  if (documents.length > 0) {
    const columns = [
      'was',
      'status',
      'text',
      'written',
      'from_version',
      'path',
      'is_lossy',
      'assumed',
      'beside',
      'findings',
    ];
    const fields = [
      'was',
      'status',
      'text',
      'written',
      'from',
      'path',
      'isLossy',
      'assumed',
      'beside',
      'findings',
    ];
    const rows = documents.map((document) => ({
      ...document,
      key: undefined,
      written: document.text === null ? null : textDigest(document.text),
    }));
    // The keys go as they came: a number of theirs may be larger than JavaScript can hold.
    const text = `[${documents.map(({ key }, at) => `{"key":${key},"row":${JSON.stringify(rows[at])}}`).join(',')}]`;
    const changed = [...columns, 'is_late'].map((name) => `${name} = excluded.${name}`);
    open.run(
      `insert into ${built} (${[...names, ...columns, 'is_late'].join(', ')})
       select ${names.map((_, at) => `json_extract(value, '$.key[${at}]')`).join(', ')},
         ${fields.map((field) => `json_extract(value, '$.row.${field}')`).join(', ')},
         (select w.is_built from ${WORK} w where w.run = ?2)
       from json_each(?1) where true
       on conflict (${names.join(', ')}) do update set ${changed.join(', ')}
       where not (${built}.status = 'migrated' and ${built}.written = excluded.was)`,
      text,
      run,
    );
  }
  if (state === undefined) return;
  open.run(
    `update ${WORK} set done_to = ?, is_built = ? where run = ?`,
    state.place ?? null,
    state.isBuilt ? 1 : 0,
    run,
  );
}

/** Puts documents in place that are still what they were built from. */
export function cutOver(open: Connection, parts: Parts, { built, kept }: WorkTables, due: Due): CutOver {
  const { source, column, names } = parts;
  const keys =
    'keys' in due
      ? due.keys
      : (
          open.rows(
            `select ${keyOf(parts, 'b')} as key from ${built} b where b.status = 'migrated' ${behind(parts, 'b', due.after)}
             order by ${keysOf(parts, 'b')} limit ${due.limit}`,
            ...keyValues(due.after),
          ) as readonly { key: string }[]
        ).map(({ key }) => key);
  if (keys.length === 0) return { seen: 0, written: 0, last: undefined };
  const list = `[${keys.join(',')}]`;
  const own = names.join(', ');
  open.run(
    `insert into ${kept} (${own}, original, written, from_version, path, beside)
     select ${keysOf(parts, 'b')}, t.${column}, b.written, b.from_version, b.path, b.beside
     from ${keyList(parts)} join ${built} b on ${sameKey(parts, 'b', 'u')} join ${source} t on ${sameKey(parts, 't', 'b')}
     where b.status = 'migrated' and varve_sha256(t.${column}) = b.was order by ${keysOf(parts, 'b')}`,
    list,
  );
  const written = open.run(
    `update ${source} as t set ${column} = b.text from ${keyList(parts)} join ${built} b on ${sameKey(parts, 'b', 'u')}
     where ${sameKey(parts, 't', 'b')} and b.status = 'migrated' and varve_sha256(t.${column}) = b.was`,
    list,
  );
  return { seen: keys.length, written, last: keys.at(-1) };
}

/** What is not settled; with `kept`, only what stands in that table of originals, with the newest of each. */
export function unsettled(
  open: Connection,
  parts: Parts,
  { built, kept }: { readonly built: string; readonly kept: string | undefined },
  { limit, isStale }: { readonly limit: number; readonly isStale: boolean },
): readonly UnsettledDocument[] {
  const { source, column } = parts;
  const digest = `varve_sha256(t.${column})`;
  const isDue = `coalesce(b.status = 'migrated' and ${digest} = b.was, 0)`;
  const rows = open.rows(
    `select ${keyOf(parts, 't')} as key, t.${column} as text, ${isDue} as isDue,
       ${kept === undefined ? 'null as original, null as "from", null as beside' : 'h.original, h.from_version as "from", h.beside'}
     from ${source} t left join ${built} b on ${sameKey(parts, 't', 'b')}
     ${kept === undefined ? '' : `join ${newestOf(parts, kept)} h on ${sameKey(parts, 'h', 't')}`}
     where t.${column} is not null ${isStale ? `and not ${isDue}` : ''}
       and not coalesce(${digest} = case when b.status = 'migrated' then b.written else b.was end, 0)
     order by ${keysOf(parts, 't')} limit ${limit}`,
  ) as readonly {
    key: string;
    text: string;
    isDue: number;
    original: string | null;
    from: string | null;
    beside: string | null;
  }[];
  return rows.map(({ key, text, isDue: due, original, from, beside }) => ({
    key,
    text,
    isDue: due === 1,
    ...(original === null ? {} : { kept: { original, from, beside } }),
  }));
}
