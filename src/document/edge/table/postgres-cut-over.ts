/** Putting documents of a column of PostgreSQL in place, and what is left to do. */
import type { CutOver, Due, UnsettledDocument } from './document-table.ts';
import { behind, keyArrays, keyValues, type Parts } from './postgres-part.ts';
import type { SqlSession } from './sql-session.ts';

/** Puts documents in place: one statement. */
export async function cutOver(
  session: SqlSession,
  parts: Parts,
  { built, kept }: { readonly built: string; readonly kept: string },
  due: Due,
): Promise<CutOver> {
  const { source, column, names, digest, keysOf, keyOf, sameKey, keys } = parts;
  const own = names.join(', ');
  const wanted =
    'keys' in due
      ? `join unnest(${keys.map((_, at) => `$${at + 1}::text[]`).join(', ')}) as u(${own})
           on ${keys.map(({ type: keyType }, at) => `b.${names[at] ?? ''} = u.${names[at] ?? ''}::${keyType}`).join(' and ')}
         where b.status = 'migrated'`
      : `where b.status = 'migrated' ${behind(parts, 'b', due.after)} order by ${keysOf('b')} limit ${due.limit}`;
  const [row] = await session.query<{ seen: number; written: number; last: string | null }>(
    `with due as materialized (select b.* from ${built} b ${wanted}),
     held as materialized (
       select ${keysOf('d')}, t.${column} as original, d.text, d.written, d.from_version, d.path, d.beside
       from due d join ${source} t on ${sameKey('t', 'd')} where ${digest} = d.was for update of t skip locked),
     originals as (
       insert into ${kept} (${own}, original, written, from_version, path, beside)
       select ${own}, original, written, from_version, path, beside from held),
     changed as (
       update ${source} t set ${column} = h.text from held h where ${sameKey('t', 'h')} returning 1)
     select (select count(*) from due)::int as seen, (select count(*) from changed)::int as written,
       (select ${keyOf('d')} from due d order by ${names.map((name) => `d.${name} desc`).join(', ')} limit 1) as last`,
    'keys' in due ? keyArrays(parts, due.keys) : keyValues(due.after),
  );
  return { seen: row?.seen ?? 0, written: row?.written ?? 0, last: row?.last ?? undefined };
}

/** What is not settled; with `kept`, only what stands in that table of originals, with the newest of each. */
export async function unsettled(
  session: SqlSession,
  { source, column, text, digest, keyOf, keysOf, sameKey }: Parts,
  { built, kept }: { readonly built: string; readonly kept: string | undefined },
  { limit, isStale }: { readonly limit: number; readonly isStale: boolean },
): Promise<readonly UnsettledDocument[]> {
  const isDue = `coalesce(b.status = 'migrated' and ${digest} = b.was, false)`;
  const rows = await session.query<{
    key: string;
    text: string;
    isDue: boolean;
    original: string | null;
    from: string | null;
    beside: string | null;
  }>(
    `select ${keyOf('t')} as key, ${text} as text, ${isDue} as "isDue",
       ${kept === undefined ? 'null as original, null as "from", null as beside' : 'h.original::text as original, h.from_version as "from", h.beside'}
     from ${source} t left join ${built} b on ${sameKey('t', 'b')}
     ${kept === undefined ? '' : `join lateral (select k.* from ${kept} k where ${sameKey('k', 't')} order by k.seq desc limit 1) h on true`}
     where t.${column} is not null ${isStale ? `and not ${isDue}` : ''}
       and not coalesce(${digest} = case when b.status = 'migrated' then b.written else b.was end, false)
     order by ${keysOf('t')} limit ${limit}`,
  );
  return rows.map(({ key, text: found, isDue: due, original, from, beside }) => ({
    key,
    text: found,
    isDue: due,
    ...(original === null ? {} : { kept: { original, from, beside } }),
  }));
}
