/** The foreign keys that a table itself has, word by word: what they do is more than a definition says. */
import { tableId, type Placement, type Relation } from '../pipeline/index.ts';
import { executeAll, sql, type Queryable } from '../store/index.ts';
import { withBarePath } from './bare-path.ts';
import { regclass } from './regclass.ts';

/** Drops the foreign keys of a structure that goes to history, and keeps their words for the way back. */
export async function dropOwnKeys(transaction: Queryable, { id, placement }: Relation): Promise<void> {
  const keys = await ownKeys(transaction, placement);
  if (keys.length === 0) return;
  await transaction.execute(sql`
    insert into varve.dropped_key (relation, name, definition)
    select ${id}::integer, k.name, k.definition from unnest(${keys.map(({ name }) => name)}::text[],
      ${keys.map(({ definition }) => definition)}::text[]) k (name, definition)
    on conflict (relation, name) do update set definition = excluded.definition`);
  const drops = keys.map(({ name }) => sql`drop constraint ${sql.id(name)}`);
  await transaction.execute(sql`alter table ${tableId(placement)} ${sql.join(drops)}`);
}

/** Gives a structure that is live again its foreign keys; false where nobody wrote them down. */
export async function restoreOwnKeys(
  transaction: Queryable,
  { id, placement }: Pick<Relation, 'id' | 'placement'>,
): Promise<boolean> {
  const keys = await transaction.query<{ name: string; definition: string }>(sql`
    select name, definition from varve.dropped_key where relation = ${id} order by name`);
  await executeAll(
    transaction,
    keys.map(
      ({ name, definition }) =>
        sql`alter table ${tableId(placement)} add constraint ${sql.id(name)} ${sql.raw(definition)}`,
    ),
  );
  await transaction.execute(sql`delete from varve.dropped_key where relation = ${id}`);
  return keys.length > 0;
}

/** What stands behind the referenced columns of each foreign key, by its own columns: actions, deferral. */
export async function keyOptions(
  transaction: Queryable,
  placement: Placement,
): Promise<ReadonlyMap<string, string>> {
  const keys = await ownKeys(transaction, placement);
  return new Map(
    keys.map(({ columns, definition }) => {
      const options = /\) REFERENCES .*?\)(?<options>(?: (?:MATCH|ON|DEFERRABLE|INITIALLY).*)?)$/su.exec(
        definition,
      );
      return [columnsKey(columns), (options?.groups?.['options'] ?? '').trim()];
    }),
  );
}

/** Columns in any order. */
export function columnsKey(columns: readonly string[]): string {
  return JSON.stringify(columns.toSorted());
}

interface OwnKey extends Record<string, unknown> {
  readonly name: string;
  readonly definition: string;
  readonly columns: readonly string[];
}

/** With every table of its words named in full, whatever the path of the session that reads them is. */
function ownKeys(transaction: Queryable, placement: Placement): Promise<readonly OwnKey[]> {
  return withBarePath(transaction, () =>
    transaction.query<OwnKey>(
      sql.kept(sql`
    select conname::text as name, regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', '') as definition,
      (select array_agg(a.attname::text) from pg_attribute a
        where a.attrelid = k.conrelid and a.attnum = any(k.conkey)) as columns
    from pg_constraint k where contype = 'f' and conparentid = 0
      and conrelid = ${regclass(placement)}::regclass order by conname`),
    ),
  );
}
