/**
 * What people put on a table by hand beside what its definition makes: read from the database's catalog, each with the
 * columns that it hangs on.
 *
 * Which of the checks are the definition's own is nowhere written down, and their text is the database's: each check of the
 * definition takes the one that reads most like it, by its words, by the name that the database gives, by age. The rest
 * are by hand. A table that was adopted has no checks of a definition, so there the words alone decide.
 */
import type {
  DefinitionSet,
  ForeignKeySpec,
  Placement,
  Relation,
  Relations,
  TableSpec,
} from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';
import { regclass } from '../regclass.ts';
import { withBarePath } from '../bare-path.ts';

/** One object that hangs on a table. */
export interface HandMade {
  readonly kind:
    'index' | 'unique' | 'check' | 'exclude' | 'foreign key' | 'statistics' | 'publication' | 'generated';
  readonly name: string;
  readonly oid: string;
  /** Every column that it looks at. */
  readonly columns: readonly string[];
  /** What follows the name of the table, or of the constraint. */
  readonly definition: string;
  /** Whether it looks at values as they stand, and not through an expression. */
  readonly isPlain: boolean;
  /** Whether no two rows hold the same: of columns as they stand, for all rows. */
  readonly isUnique: boolean;
  /** Whether it is an index that keeps rows out, be it over expressions or some rows. */
  readonly isUniqueIndex: boolean;
  readonly comment: string | null;
  /** Of a foreign key: where it leads, and what stands behind. */
  readonly target: HandMadeTarget | null;
}

/** Where a foreign key leads. */
export interface HandMadeTarget extends Placement {
  /** As the key lists them. */
  readonly own: readonly string[];
  readonly referenced: readonly string[];
  readonly options: string;
}

/** The names that carried objects get when their table takes its own, by the oid of what they stand for. */
export type HandMadeNames = ReadonlyMap<string, Pick<HandMade, 'name' | 'comment'>>;

interface Found extends HandMade, Record<string, unknown> {
  /** An index without anything but columns, in the way the database makes one by itself. */
  readonly isOrdinary: boolean;
}

/** The objects of a standing table that its definition does not make. */
export async function handMadeOf(
  store: Queryable,
  relation: Relation,
  { set, standing }: { readonly set: DefinitionSet; readonly standing: Relations },
): Promise<readonly HandMade[]> {
  const found = await readAll(store, relation.placement);
  const [adopted] = await store.query<{ there: boolean }>(
    sql`select exists (select from varve.adoption where relation = ${relation.id}) as there`,
  );
  const { spec } = relation;
  const checks = ownChecks(spec, relation.placement, found, adopted?.there === true);
  const indexes = ownIndexes(spec, set).map(asText);
  const uniques = ownUniques(spec).map(asText);
  return found.filter((each) => {
    if (each.kind === 'check') return !checks.has(each.oid);
    if (each.kind === 'unique') return !uniques.includes(asText(each.columns));
    if (each.kind === 'index') return !(each.isOrdinary && indexes.includes(asText(each.columns)));
    if (each.kind === 'foreign key') return !spec.foreignKeys.some((key) => isSame(key, each, standing));
    return true;
  });
}

/** Sets of columns, in any order. */
export function asText(columns: readonly string[]): string {
  return JSON.stringify(columns.toSorted());
}

/** The sets of columns that the structure of a definition holds unique, its key first. */
export function uniqueSetsOf(spec: TableSpec): readonly (readonly string[])[] {
  return [spec.primaryKey, ...ownUniques(spec)];
}

function ownUniques(spec: TableSpec): readonly (readonly string[])[] {
  return [
    ...spec.unique,
    ...spec.columns.filter(({ unique }) => unique === true).map(({ name }) => [name]),
    ...spec.foreignKeys.filter(({ unique }) => unique).map(({ columns }) => Object.keys(columns)),
  ];
}

/** See `createIndexes`. */
export function ownIndexes(spec: TableSpec, set: DefinitionSet): readonly (readonly string[])[] {
  return [
    ...spec.foreignKeys.map(({ columns }) => Object.keys(columns)),
    ...set.tables.flatMap(({ reads }) =>
      reads.filter(({ table }) => table === spec.name).map(({ match }) => Object.keys(match)),
    ),
  ];
}

function isSame(key: ForeignKeySpec, { target }: HandMade, standing: Relations): boolean {
  const place = standing.get(key.to)?.placement;
  if (target === null || place?.schema !== target.schema || place.table !== target.table) return false;
  const pairs = Object.fromEntries(target.own.map((column, index) => [column, target.referenced[index]]));
  return (
    Object.keys(pairs).length === Object.keys(key.columns).length &&
    Object.entries(key.columns).every(([child, parent]) => pairs[child] === parent)
  );
}

/** The oids of the checks that the definition made. */
function ownChecks(
  spec: TableSpec,
  { table }: Placement,
  found: readonly Found[],
  isAdopted: boolean,
): ReadonlySet<string> {
  const own = new Set<string>();
  const checks = found.filter(({ kind }) => kind === 'check');
  for (const { column, words } of definedChecks(spec)) {
    const free = checks.filter(({ oid }) => !own.has(oid));
    const alike = free.find(({ definition }) => bareWords(definition) === bareWords(words));
    const likely = free
      .filter(({ columns }) => columns.includes(column))
      .toSorted((left, right) => rank(left, column) - rank(right, column))[0];
    const taken = alike ?? (isAdopted ? undefined : likely);
    if (taken !== undefined) own.add(taken.oid);
  }
  return own;

  function rank({ name, oid }: Found, column: string): number {
    const isNamed = name === `${table}_${column}_check`;
    return Number(oid) + (isNamed ? 0 : 2 ** 32);
  }
}

function definedChecks(spec: TableSpec): readonly { readonly column: string; readonly words: string }[] {
  return spec.columns.flatMap(({ name, check, members, object, type }) => [
    ...(check === undefined ? [] : [{ column: name, words: check }]),
    ...(object === true && type === 'jsonb' ? [{ column: name, words: '' }] : []),
    ...(members === undefined
      ? []
      : [
          {
            column: name,
            words:
              members.length === 1
                ? `${name} = '${members[0] ?? ''}'`
                : `${name} = any(array[${members.map((one) => `'${one}'`).join(',')}])`,
          },
        ]),
  ]);
}

/** A condition without what the database adds to it: parentheses, casts, blanks, case. */
function bareWords(condition: string): string {
  return condition
    .replace(/^CHECK/u, '')
    .replaceAll(
      /::(?:"[^"]*"|[a-z_]+(?: (?:varying|precision|without time zone|with time zone))?)(?:\([\d,]*\))?(?:\[\])*/gu,
      '',
    )
    .replaceAll(/[\s()"]/gu, '')
    .toLowerCase();
}

/** With every name in full, whatever the path of the session is. */
function readAll(store: Queryable, placement: Placement): Promise<readonly Found[]> {
  return withBarePath(store, () => store.query<Found>(sql.kept(statement(placement))));
}

function statement(placement: Placement): Sql {
  const table = sql`${regclass(placement)}::regclass`;
  const used = (classId: string, object: Sql) => sql`
    coalesce((select array_agg(distinct a.attname::text order by a.attname::text) from pg_depend d
      join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      where d.classid = ${classId}::regclass and d.objid = ${object} and d.refclassid = 'pg_class'::regclass
        and d.refobjid = ${table} and d.refobjsubid > 0), '{}')`;
  return sql`
    select 'index' as kind, c.relname::text as name, c.oid::text as oid, ${used('pg_class', sql`c.oid`)} as columns,
      substr(pg_get_indexdef(c.oid), strpos(pg_get_indexdef(c.oid), ' USING ')) as definition,
      i.indexprs is null and i.indpred is null as "isPlain",
      i.indisunique and i.indexprs is null and i.indpred is null as "isUnique", i.indisunique as "isUniqueIndex",
      obj_description(c.oid, 'pg_class') as comment, null::jsonb as target,
      not i.indisunique and i.indexprs is null and i.indpred is null and i.indnatts = i.indnkeyatts and c.reloptions is null
        and (select m.amname from pg_am m where m.oid = c.relam) = 'btree' and i.indoption::text !~ '[1-9]'
        and pg_get_indexdef(c.oid) !~ ' (COLLATE|NULLS) ' as "isOrdinary"
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indrelid = ${table} and i.indisvalid
      and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x'))
    union all
    select case k.contype when 'u' then 'unique' when 'c' then 'check' when 'x' then 'exclude' else 'foreign key' end,
      k.conname::text, k.oid::text, ${used('pg_constraint', sql`k.oid`)}, pg_get_constraintdef(k.oid),
      k.contype in ('u', 'f'), k.contype = 'u', false, obj_description(k.oid, 'pg_constraint'),
      case when k.contype = 'f' then (select jsonb_build_object('schema', n.nspname, 'table', p.relname,
          'own', jsonb_agg(o.attname order by u.place), 'referenced', jsonb_agg(r.attname order by u.place),
          'options', regexp_replace(pg_get_constraintdef(k.oid), '^.*?\\) REFERENCES .*?\\)( |$)', ''))
        from unnest(k.conkey, k.confkey) with ordinality u(own, theirs, place)
        join pg_attribute o on o.attrelid = k.conrelid and o.attnum = u.own
        join pg_attribute r on r.attrelid = k.confrelid and r.attnum = u.theirs
        join pg_class p on p.oid = k.confrelid join pg_namespace n on n.oid = p.relnamespace
        group by n.nspname, p.relname) end, false
    from pg_constraint k where k.conrelid = ${table} and k.contype in ('u', 'c', 'x', 'f') and k.conparentid = 0
    union all
    select 'statistics', s.stxname::text, s.oid::text, '{}', '', false, false, false, null, null, false
    from pg_statistic_ext s where s.stxrelid = ${table}
    union all
    select 'generated', a.attname::text, '0', array[a.attname::text], '', true, false, false, null, null, false
    from pg_attribute a where a.attrelid = ${table} and a.attnum > 0 and not a.attisdropped
      and (a.attidentity <> '' or a.attgenerated <> '' or ${ownsSequence(sql`a.attrelid`, sql`a.attnum`)})
    union all
    select 'publication', p.pubname::text, p.oid::text, '{}', '', false, false, false, null, null, false
    from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where r.prrelid = ${table}
    order by 1, 2`;
}

/** Whether a column has a sequence that goes where the column goes. */
export function ownsSequence(table: Sql, column: Sql): Sql {
  return sql`exists (select from pg_depend d join pg_class c on c.oid = d.objid and c.relkind = 'S'
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
      and d.refobjid = ${table} and d.refobjsubid = ${column})`;
}
