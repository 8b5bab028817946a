/**
 * How the inputs of a carried row are found, as SQL over its line: the recorded ones in the order of the new reads, or what
 * stands in their place; see `coverage.ts`.
 */
import {
  NOTHING,
  readPlan,
  rowDigest,
  tableId,
  type ForeignKeySpec,
  type ReadSpec,
  type Relation,
} from '../../pipeline/index.ts';
import { sql, UNMERGED, type Queryable, type Sql } from '../../store/index.ts';
import { computedRelation, type Coverage, type Variant } from './coverage.ts';
import { fillsOf, isThrough } from './fill.ts';
import { type OtherInputs } from './merged-inputs.ts';
import { readSubjectsOf, type ReadSubjects } from './read-subjects.ts';
import { recordedKeys } from './recorded-ways.ts';
import { isDecidable } from './ruled-ways.ts';
import { oldKeyColumn, ruleOf, typeOf } from './values.ts';
import { rebuildOf, type Rebuilding } from './world.ts';

/** How the inputs of a line are found. */
export interface Inputs {
  /** Whether `value` asks for the digests that the reads of a row `n` have now. */
  readonly needsPresent: boolean;
  readonly joins: Sql;
  readonly value: (present: readonly Sql[]) => Sql;
}

/** What was recorded of a line `l`. */
export interface Recorded {
  readonly inputs: Sql;
  /** The read of a table that was not declared, where it is joined already; else it is looked up. */
  readonly readOf: (table: string) => RecordedRead | undefined;
}

/** What was recorded of a read. */
export interface RecordedRead {
  /** How many rows were read. */
  readonly rows: Sql;
  readonly columns: Sql;
  readonly digest: Sql;
  /** The primary key of the one row that was read; else null. */
  readonly key: readonly Sql[];
}

/** Of a line that is joined with its computation `c`. */
export const JOINED: Recorded = { inputs: sql`c.inputs`, readOf: () => undefined };

const ZERO = sql`decode(repeat('00', 32), 'hex')`;

/** The recorded inputs in the order of the new reads; see `coverage.ts`. */
export async function inputsOf(
  store: Queryable,
  of: Rebuilding,
  variant: Variant,
  recorded: Recorded = JOINED,
  others?: OtherInputs,
): Promise<Inputs> {
  const { coverage } = variant;
  const isAsWas =
    others === undefined &&
    coverage.length === variant.reads.length &&
    coverage.every((place, index) => place === index);
  if (isAsWas) return { needsPresent: false, joins: sql``, value: () => recorded.inputs };
  if (coverage.length === 0) return { needsPresent: false, joins: sql``, value: () => sql`''::bytea` };
  const through = of.spec.reads.filter((_, index) => coverage[index] === 'recorded');
  const found = through.length === 0 ? undefined : await readRows(store, of, through, recorded);
  const isNarrowed = coverage.some((place) => typeof place === 'object' && 'narrowed' in place);
  const narrowed = isNarrowed ? oldInputs(of, variant) : undefined;
  const sure = sureReads(of);
  const isSure = (read: ReadSpec, place: Coverage | undefined): boolean =>
    place === 'recorded' && sure.has(read.name);
  return {
    needsPresent: of.spec.reads.some(
      (read, index) => typeof coverage[index] !== 'number' && !isSure(read, coverage[index]),
    ),
    joins: sql`${found?.joins ?? sql``} ${narrowed ?? sql``} ${others?.joins ?? sql``}`,
    value: (present) =>
      sql.join(
        of.spec.reads.map((read, index) => {
          const place = coverage[index];
          const own =
            typeof place === 'number' ? sql`substr(${recorded.inputs}, ${1 + 32 * place}, 32)` : undefined;
          if (others !== undefined && (own !== undefined || place === 'unknown'))
            return sql`coalesce(${others.agreed(index, own ?? sql`null`)}, ${ZERO})`;
          if (own !== undefined) return sql`coalesce(${own}, ${ZERO})`;
          if (place === 'present') return present[index] ?? ZERO;
          if (typeof place === 'object' && 'nothing' in place)
            return sql`case when substr(${recorded.inputs}, ${1 + 32 * place.nothing}, 32) = ${NOTHING} then ${NOTHING} else ${ZERO} end`;
          if (typeof place === 'object') {
            const at = 1 + 32 * place.narrowed;
            return sql`case when substr(was.inputs, ${at}, 32) = substr(${recorded.inputs}, ${at}, 32) then ${present[index] ?? ZERO} else ${ZERO} end`;
          }
          if (place !== 'recorded') return ZERO;
          return found?.digest(read, isSure(read, place) ? undefined : present[index]) ?? ZERO;
        }),
        sql` || `,
      ),
  };
}

/**
 * Reads that find the very row that was read: through foreign keys of which every carried row's sources were seen to lead
 * there, or by columns of the key that were found from that row.
 */
function sureReads(of: Rebuilding): ReadonlySet<string> {
  const { looked } = fillsOf(of, of.spec.foreignKeys, () => undefined);
  const keys = of.spec.foreignKeys.filter(({ name }) => looked.has(name));
  const found = recordedKeys(of).filter((key) => isWhole(of, key));
  return new Set(
    of.spec.reads
      .filter(
        (read) =>
          keys.some((key) => read.table === key.to && isThrough(read, key)) ||
          found.some((key) => read.table === key.to && isBy(read, key)),
      )
      .map(({ name }) => name),
  );
}

/** Whether all of a foreign key is found from the row that was read, of a table that stays as it is. */
function isWhole(of: Rebuilding, { name, to, columns }: ForeignKeySpec): boolean {
  const { operation, world } = of;
  return (
    rebuildOf(world, to) === undefined &&
    Object.keys(columns).every((child) => {
      const source = operation.columns[child];
      const isRuled = ruleOf(world.attribution, operation.table, child) !== undefined;
      return source?.from === 'recorded' && source.reference === name && !isRuled && !isDecidable(of, child);
    })
  );
}

/** Whether a read looks its row up by the columns of a foreign key, and by nothing else. */
function isBy({ cardinality, match }: ReadSpec, { columns }: ForeignKeySpec): boolean {
  const pairs = Object.entries(columns);
  return (
    cardinality !== 'many' &&
    pairs.length === Object.keys(match).length &&
    pairs.every(([child, parent]) => {
      const origin = match[parent];
      return origin?.kind === 'key' && origin.column === child;
    })
  );
}

/** What the recorded reads of an old row find now, as they were recorded. */
function oldInputs(of: Rebuilding, variant: Variant): Sql | undefined {
  const [old] = of.pair.sources;
  const [source] = of.sources;
  if (old === undefined || source === undefined) return undefined;
  const spec = { ...old, reads: variant.reads };
  const plan = readPlan(spec, of.world.old, sql`k`);
  const same = old.primaryKey.map((column, index) => sql`k.${sql.id(column)} = l.${oldKeyColumn(index)}`);
  return sql`left join lateral (select ${plan.inputs} as inputs from ${tableId(source.placement)} k ${plan.joins}
    where ${sql.join(same, sql` and `)}) was on true`;
}

/** The rows that were read through foreign keys that were found, each digested once however many rows read it. */
interface ReadRows {
  readonly joins: Sql;
  /** `present` is absent where the sources of the foreign key are known to lead to the very row that was read. */
  readonly digest: (read: ReadSpec, present: Sql | undefined) => Sql;
}

/** Above so many rows it costs less to digest those that are asked for. */
const DIGEST_ALL_ROWS = 200_000;

/**
 * The present digest of a read counts where it finds exactly the row that was read, unchanged since: by its digest over
 * the columns that were read then, which differ from statement to statement, so each set of columns that occurs is a case.
 */
async function readRows(
  store: Queryable,
  of: Rebuilding,
  reads: readonly ReadSpec[],
  { readOf }: Recorded,
): Promise<ReadRows> {
  const computed = computedRelation(of, 0) ?? 0;
  const tables = [...new Set(reads.map(({ table }) => table))];
  const subjects = await readSubjectsOf(store, computed);
  const found = new Map<string, FoundRow>();
  for (const [index, table] of tables.entries()) {
    const target = targetRows(of, table);
    if (target === undefined) continue;
    const sets = await store.query<{ columns: readonly string[] }>(sql`
      select distinct columns from varve.recorded_read r where r.relation = ${computed} and ${subjects(target, sql`r`)}`);
    found.set(
      table,
      readRow(
        of,
        {
          index,
          target,
          computed,
          subjects,
          now: reads.filter((read) => read.table === table),
          known: readOf(table),
        },
        sets.map(({ columns }) => columns),
        await isLarge(store, target),
      ),
    );
  }
  return {
    joins: sql.join(
      [...found.values()].map(({ join }) => join),
      sql` `,
    ),
    digest: (read, present) => {
      const row = found.get(read.table);
      if (row === undefined) return ZERO;
      const [pp] = aliasesOf(tables.indexOf(read.table));
      const now = sql`${pp}.${nowColumn(reads.filter(({ table }) => table === read.table).indexOf(read))}`;
      const only = read.cardinality === 'many' ? sql`sha256(${now})` : now;
      const expected = sql`case when ${row.rows} = 1 then ${only} else sha256(''::bytea) end`;
      return present === undefined
        ? sql`case when ${row.unchanged} then ${expected} else ${ZERO} end`
        : sql`case when ${row.unchanged} and ${present} = ${expected} then ${present} else ${ZERO} end`;
    },
  };
}

interface FoundRow {
  readonly join: Sql;
  readonly rows: Sql;
  /** Whether the row is as it was when it was read. */
  readonly unchanged: Sql;
}

function aliasesOf(index: number): readonly [Sql, Sql] {
  return [sql.raw(`pp${String(index)}`), sql.raw(`rr${String(index)}`)];
}

function nowColumn(index: number): Sql {
  return sql.id(`#now ${String(index)}`);
}

async function isLarge(store: Queryable, { placement }: Relation): Promise<boolean> {
  const [row] = await store.query<{ rows: number }>(sql`
    select c.reltuples::float8 as rows from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${placement.schema} and c.relname = ${placement.table}`);
  return (row?.rows ?? 0) > DIGEST_ALL_ROWS;
}

function readRow(
  of: Rebuilding,
  {
    index,
    target,
    computed,
    subjects,
    now,
    known: joined,
  }: {
    readonly index: number;
    readonly target: Relation;
    readonly computed: number;
    readonly subjects: ReadSubjects;
    readonly now: readonly ReadSpec[];
    readonly known: RecordedRead | undefined;
  },
  sets: readonly (readonly string[])[],
  isOnDemand: boolean,
): FoundRow {
  const [pp, r] = aliasesOf(index);
  const { rows, columns: read, digest, key }: RecordedRead = joined ?? lookedUp(r, target);
  const known = new Set(target.spec.columns.map(({ name }) => name));
  const there = sets.filter((columns) => columns.every((column) => known.has(column)));
  const naming = of.world.naming.pairs.get(now[0]?.table ?? '')?.columns[0] ?? {};
  const digests = [
    ...now.map((read, place) => {
      const former = read.columns.flatMap((column) => naming[column] ?? []);
      return sql`${rowDigest(sql`p`, former)} as ${nowColumn(place)}`;
    }),
    ...there.map(
      (columns, place) => sql`sha256(${rowDigest(sql`p`, columns)}) as ${sql.id(`#was ${String(place)}`)}`,
    ),
  ];
  const same = target.spec.primaryKey.map(
    (column, place) => sql`${pp}.${sql.id(column)} = ${key[place] ?? sql`null`}`,
  );
  const cases = there.map(
    (columns, place) =>
      sql`when ${read} = ${columns}::text[] then ${digest} = ${pp}.${sql.id(`#was ${String(place)}`)}`,
  );
  const lookUp =
    joined === undefined
      ? sql`left join varve.recorded_read ${r} on ${r}.relation = ${computed} and ${r}.key_hash = l."#hash"
        and ${r}.spec = l."#spec" and ${subjects(target, r)}`
      : sql``;
  return {
    rows,
    join: sql`${lookUp}
      left join (select p.*, ${sql.join(digests)} from ${tableId(target.placement)} p ${isOnDemand ? sql`` : UNMERGED}) ${pp}
        on ${sql.join(same, sql` and `)}`,
    unchanged:
      cases.length === 0
        ? sql`${rows} = 0`
        : sql`(${rows} = 0 or case ${sql.join(cases, sql` `)} else false end)`,
  };
}

/** A read that is looked up as `r`. */
function lookedUp(r: Sql, { spec }: Relation): RecordedRead {
  const rows = sql`jsonb_array_length(${r}.keys)`;
  const key = spec.primaryKey.map(
    (column) =>
      sql`case when ${rows} = 1 then (${r}.keys -> 0 ->> ${column}::text)::${sql.raw(typeOf(spec, column))} end`,
  );
  return { rows, columns: sql`${r}.columns`, digest: sql`${r}.digest`, key };
}

function targetRows(of: Rebuilding, table: string): Relation | undefined {
  const [old] = of.world.naming.pairs.get(table)?.sources ?? [];
  return old === undefined ? undefined : of.world.old.get(old.name);
}
