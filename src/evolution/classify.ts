/**
 * Which row of a table is in which class when a recorded read becomes a secondary foreign key, and with which value.
 *
 * | what is recorded of the referenced table | class |
 * |---|---|
 * | no computation, no read of it, or a read whose keys are not known | ambiguous |
 * | several of its rows, or one that is gone | ambiguous |
 * | exactly one row | backfill with its key |
 * | a read that found none | backfill with null where the reference is optional, else ambiguous |
 * | anything else than what the reference's own sources say now | recompute |
 * | and the new definition reads a table of which nothing is recorded | recompute |
 *
 * A rule of the bundle turns ambiguous rows into recompute. No value is ever invented. However often a make read a table,
 * its reads of it are one record.
 *
 * The inputs of a backfilled row under the new reads: the recorded digest where the old definition had that read; the
 * present digest where the new read finds exactly the row that was read, unchanged since; else zeros, which equal no
 * digest, so that the row counts as stale and the next populate computes it from the present. A new read of many rows
 * that finds more than the recorded one is such a case: whether the others were there is not on record.
 */
import {
  keyHash,
  readPlan,
  relationOf,
  rowDigest,
  sameJson,
  tableId,
  type ForeignKeySpec,
  type ReadSpec,
  type Relation,
  type Relations,
  type TableSpec,
} from '../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../store/index.ts';

/** What is to be classified. */
export interface Classification {
  /** The table as it is, with its old definition. */
  readonly old: Relation;
  readonly spec: TableSpec;
  readonly key: ForeignKeySpec;
  /** Where the tables stand that the new definition reads. */
  readonly relations: Relations;
  readonly recomputeAmbiguous: boolean;
}

const ZERO = sql`decode(repeat('00', 32), 'hex')`;

/**
 * A SELECT with one row for each row of the table: the columns of its source key, the columns of the new foreign key,
 * and `#class`, `#inputs`, `#spec`, `#duration`, `#hash`.
 */
export async function classified(store: Queryable, given: Classification): Promise<Sql> {
  const { old, spec, key } = given;
  const target = relationOf(given.relations, key.to);
  const plan = readPlan(spec, given.relations, sql`t`);
  const hash = keyHash(sql`t`, old.spec.sourceKey);
  const columns = old.spec.sourceKey.map((column) => sql`t.${sql.id(column)}`);
  const values = Object.entries(key.columns).map(
    ([child, parent]) => sql`p.${sql.id(parent)} as ${sql.id(child)}`,
  );
  const facts = { target, unchanged: await unchangedSince(store, old, target) };
  const covered = coverage(old.spec, spec, key);
  const inputs = spec.reads.map((read, index) =>
    inputOf(read, covered[index], plan.digests[index] ?? ZERO, facts),
  );
  const fill = fillDiffers(key, plan.fillByColumn);
  return sql`
    select ${sql.join([...columns, ...values])}, ${classOf(given, { target, fill, covered })} as "#class",
      ${inputs.length === 0 ? sql`''::bytea` : sql.join(inputs, sql` || `)} as "#inputs",
      c.spec as "#spec", c.duration_us as "#duration", ${hash} as "#hash"
    from ${tableId(old.placement)} t
    left join varve.computation c on c.relation = ${old.id} and c.key_hash = ${hash}
    left join varve.recorded_read r on r.relation = ${old.id} and r.key_hash = c.key_hash and r.spec = c.spec
      and r.subject = ${key.to}
    left join ${tableId(target.placement)} p on jsonb_array_length(r.keys) = 1 and ${recordedRow(target)}
    ${plan.joins}`;
}

/** The one row that was read, by its recorded key. */
function recordedRow(target: Relation): Sql {
  const typeByColumn = new Map(target.spec.columns.map(({ name, type }) => [name, type]));
  const same = target.spec.primaryKey.map(
    (column) =>
      sql`p.${sql.id(column)} = (r.keys -> 0 ->> ${column}::text)::${sql.raw(typeByColumn.get(column) ?? 'text')}`,
  );
  return sql.join(same, sql` and `);
}

interface Facts {
  readonly target: Relation;
  readonly fill: Sql;
  readonly covered: readonly Coverage[];
}

function classOf({ key, recomputeAmbiguous }: Classification, { target, fill, covered }: Facts): Sql {
  const ambiguous = sql.raw(recomputeAmbiguous ? `'recompute'` : `'ambiguous'`);
  const [first] = target.spec.primaryKey;
  const known = covered.includes('unknown')
    ? sql`'recompute'`
    : sql`case when ${fill} then 'recompute' else 'backfill' end`;
  return sql`case
    when c.spec is null or r.keys is null or jsonb_array_length(r.keys) > 1 then ${ambiguous}
    when jsonb_array_length(r.keys) = 0 then ${key.optional ? known : ambiguous}
    when p.${sql.id(first ?? '')} is null then ${ambiguous}
    else ${known} end`;
}

/** Whether the reference's own sources lead elsewhere than the recorded read. */
function fillDiffers(key: ForeignKeySpec, fillByColumn: ReadonlyMap<string, Sql>): Sql {
  const differing = Object.entries(key.columns).flatMap(([child, parent]) => {
    const fill = fillByColumn.get(child);
    return fill === undefined ? [] : [sql`${fill} is distinct from p.${sql.id(parent)}`];
  });
  return differing.length === 0 ? sql`false` : sql`(${sql.join(differing, sql` or `)})`;
}

/** How the input of a new read is known: at which place the old one stood, through the recorded read, or not. */
type Coverage = number | 'recorded' | 'unknown';

function coverage(old: TableSpec, spec: TableSpec, key: ForeignKeySpec): readonly Coverage[] {
  return spec.reads.map((read) => {
    const place = old.reads.findIndex((known) => sameJson({ ...known, name: '' }, { ...read, name: '' }));
    if (place >= 0) return place;
    return read.table === key.to ? 'recorded' : 'unknown';
  });
}

function inputOf(
  read: ReadSpec,
  covered: Coverage | undefined,
  present: Sql,
  { target, unchanged }: { readonly target: Relation; readonly unchanged: Sql },
): Sql {
  if (typeof covered === 'number') return sql`coalesce(substr(c.inputs, ${1 + 32 * covered}, 32), ${ZERO})`;
  const row = rowDigest(sql`p`, read.columns);
  const only = read.cardinality === 'many' ? sql`sha256(${row})` : row;
  const [first] = target.spec.primaryKey;
  const found = sql`case when p.${sql.id(first ?? '')} is null then sha256(''::bytea) else ${only} end`;
  return sql`case when ${unchanged} and ${present} = ${found} then ${present} else ${ZERO} end`;
}

/**
 * Whether the rows that were read are as they were: by their digest over the columns that were read, which differ from
 * statement to statement, so each set of columns that occurs is a case of its own.
 */
async function unchangedSince(store: Queryable, old: Relation, target: Relation): Promise<Sql> {
  const rows = await store.query<{ columns: readonly string[] }>(sql`
    select distinct columns from varve.recorded_read where relation = ${old.id} and subject = ${target.name}`);
  const known = new Set(target.spec.columns.map(({ name }) => name));
  const cases = rows
    .filter(({ columns }) => columns.every((column) => known.has(column)))
    .map(
      ({ columns }) =>
        sql`when r.columns = ${columns}::text[] then r.digest = sha256(${rowDigest(sql`p`, columns)})`,
    );
  if (cases.length === 0) return sql`jsonb_array_length(r.keys) = 0`;
  return sql`case when jsonb_array_length(r.keys) = 0 then true ${sql.join(cases, sql` `)} else false end`;
}
