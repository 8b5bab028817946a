/** Writes carried rows and what is recorded of them into the new structure. */
import { VarveError } from '../../base/index.ts';
import {
  ensureCode,
  names,
  NOTHING,
  outputOf,
  readPlan,
  rowDigest,
  tableId,
  type ForeignKeySpec,
  type ReadSpec,
  type Relation,
} from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';

import type { RunScope } from '../operation/operation.ts';
import { carryReads } from './carry-reads.ts';
import { isFunctionRule } from '../attribution.ts';
import { fillsOf, isThrough } from './fill.ts';
import { type Coverage, computedRelation, recordedText, variantsOf, type Variant } from './coverage.ts';
import { newHash } from './list.ts';
import { otherInputs, type OtherInputs } from './merged-inputs.ts';
import { readSubjectsOf, type ReadSubjects } from './read-subjects.ts';

import { recordedKeys } from './recorded-ways.ts';
import { isDecidable } from './ruled-ways.ts';
import { carriedValue, newKeyOf, oldAlias, oldKeyColumn, ruleOf, writtenColumns } from './values.ts';
import {
  builtOf,
  listPlacement,
  pairOf,
  rebuildOf,
  rebuilding,
  rebuildsOf,
  type Rebuilding,
} from './world.ts';

/** A table with its parts, which are written together: what a make fills at once, or one table. */
export function groupOf(of: Rebuilding): readonly Rebuilding[] {
  if (of.spec.form === undefined) return [of];
  const names = Object.values(of.spec.parts);
  // In their order: a part of a part looks up what became of the rows above it.
  const parts = rebuildsOf(of.world).filter(({ table }) => names.includes(table));
  return [of, ...parts.map((operation) => rebuilding(operation, of.world))];
}

/** Whether a table is filled with its master. */
export function isWithMaster({ spec, world }: Rebuilding): boolean {
  const { master } = spec;
  if (master === undefined || rebuildOf(world, master) === undefined) return false;
  return pairOf(world.naming, master).spec.form !== undefined;
}

/** Lines of the list: those of the first look by their pages, or those that were listed again after a number. */
export type Range = Pages | { readonly after: number };

/** Pages of a list. */
export interface Pages {
  readonly fromPage: number;
  readonly toPage: number;
}

/**
 * What is sorted and joined here is large, and few at a time. Several processes of the server share it where its settings
 * let them: told that rows are cheap to hand on, since its planner does not know that a digest costs as much as twenty
 * comparisons.
 */
export async function useMachine(transaction: Queryable): Promise<void> {
  await transaction.query(sql`select set_config('work_mem', '64MB', true),
    set_config('maintenance_work_mem', '256MB', true), set_config('parallel_tuple_cost', '0.001', true)`);
}

/** Classes of rows that are carried over; the others are computed anew or stay in history. */
export const CARRIED: Sql = sql`l."#class" in ('keep', 'rekey', 'backfill')`;

/** Writes the carried rows of these lines. */
export async function writeRows(transaction: Queryable, of: Rebuilding, range: Range): Promise<void> {
  const next = builtOf(of);
  const columns = writtenColumns(of);
  const values = columns.map((column) => carriedValue(of, column) ?? sql`null`);
  await transaction.execute(sql`
    insert into ${tableId(next.placement)} (${names(columns)})
    select ${sql.join(values)} from ${tableId(listPlacement(next))} l ${oldRows(of)}
    where ${CARRIED} and ${inRange(range)}`);
}

/** The old rows of a line `l`. */
export function oldRows(of: Rebuilding): Sql {
  const joins = of.sources.map((relation, index) => {
    const t = oldAlias(index);
    const same = (of.pair.sources[0]?.primaryKey ?? []).flatMap((column, place) => {
      const now = Object.entries(of.pair.columns[0] ?? {}).find(([, was]) => was === column)?.[0];
      const own = index === 0 ? column : now === undefined ? undefined : of.pair.columns[index]?.[now];
      return own === undefined ? [] : [sql`${t}.${sql.id(own)} = l.${oldKeyColumn(place)}`];
    });
    const kind = of.sources.length > 1 ? sql`left join` : sql`join`;
    return sql`${kind} ${tableId(relation.placement)} ${t} on ${sql.join(same, sql` and `)}`;
  });
  return sql.join(joins, sql` `);
}

function inRange(range: Range): Sql {
  if ('after' in range) return sql`l."#n" > ${range.after}::bigint`;
  return sql`l."#n" is null and ${inPages(range)}`;
}

/** Lines `l` that stand there. */
export function inPages({ fromPage, toPage }: Pages): Sql {
  const page = (at: number): Sql => sql.raw(`'(${String(at)},0)'::tid`);
  return sql`l.ctid >= ${page(fromPage)} and l.ctid < ${page(toPage)}`;
}

/** What attributed rows share: how they were computed then, and by which rule they belong to the new structure. */
export async function prepareSpecs(transaction: Queryable, of: Rebuilding, scope: RunScope): Promise<void> {
  const next = builtOf(of);
  const code = scope.world.codeByTable.get(of.operation.table);
  if (code === undefined)
    throw new VarveError('internal', { hint: 'Report this: a computed table has no code identity.' });
  const codeId = await ensureCode(transaction, code);
  const list = tableId(listPlacement(next));
  for (const variant of await variantsOf(transaction, of)) {
    if (computedRelation(of, variant.source) === undefined) continue;
    await transaction.execute(sql`
      insert into varve.computation_spec (run, relation, code, reads, enforcement, origin, attribution)
      select s.run, ${next.id}, ${codeId}, ${recordedText(of, variant)}::jsonb, s.enforcement, 'attributed',
        jsonb_build_object('rule', ${ruleWord(of)}::text, 'migration', ${scope.context.bundle.id}::text,
          'run', ${scope.context.runId}::text, 'spec', s.id) || ${JSON.stringify({ ...referencesOf(of), ...rulesOf(of) })}::jsonb
      from varve.computation_spec s
      where s.id = any(${variant.specs}::integer[]) and s.id in (select "#spec" from ${list} l where ${CARRIED})
        and not exists (select from varve.computation_spec a
          where a.relation = ${next.id} and a.origin = 'attributed' and (a.attribution ->> 'spec')::integer = s.id)`);
  }
}

/** The foreign key that was found, by its name in the definition. */
function referencesOf({ operation }: Rebuilding): { readonly reference?: string } {
  const found = Object.values(operation.columns).find(
    (source) => source.from === 'recorded' || source.from === 'inserted',
  );
  return found === undefined || !('reference' in found) ? {} : { reference: found.reference };
}
/** The rules of the bundle that gave values where the record did not. */
function rulesOf({ operation, world }: Rebuilding): { readonly rules?: Readonly<Record<string, string>> } {
  const columns = Object.keys(operation.columns).flatMap((column): [string, string][] => {
    const rule = ruleOf(world.attribution, operation.table, column);
    return rule === undefined ? [] : [[column, rule]];
  });
  const ofTable = world.attribution[operation.table];
  const rules = [...columns, ...(isFunctionRule(ofTable) ? [['*', ofTable ?? ''] as const] : [])];
  return rules.length === 0 ? {} : { rules: Object.fromEntries(rules) };
}

/** By which rule rows belong to the new structure. */
function ruleWord({ operation }: Rebuilding): string {
  const from = new Set(Object.values(operation.columns).map((source) => source.from));
  if (from.has('recorded')) return 'recorded_read';
  if (from.has('inserted')) return 'inserted';
  return operation.changes.find(({ kind }) => kind !== 'constrain')?.kind ?? 'carried';
}

/** Writes the computations of the carried rows of these lines: what is recorded of them, as the new definition reads it. */
export async function writeComputations(transaction: Queryable, of: Rebuilding, range: Range): Promise<void> {
  const next = builtOf(of);
  const relations = of.world.next;
  const variants = await variantsOf(transaction, of);
  const same = of.spec.primaryKey.map(
    (column, index) => sql`n.${sql.id(column)} = ${newKeyOf(of)[index] ?? sql`null`}`,
  );
  for (const variant of variants) {
    const specs = variant.specs;
    const inputs = await inputsOf(transaction, of, variant, JOINED, otherInputs(of, variant, variants));
    const plan = inputs.needsPresent
      ? readPlan({ ...of.spec, reads: variant.recorded }, relations, sql`n`)
      : undefined;
    const single = of.spec.primaryKey.length === of.spec.sourceKey.length;
    // One line, one computation: looking whether it is there costs as much as writing it.
    const isSure = single && !('after' in range);
    const output = isOutputKept(of)
      ? sql`c.output`
      : single && Object.keys(of.spec.parts).length === 0
        ? sql`sha256(${rowDigest(
            sql`n`,
            of.spec.columns.map(({ name }) => name),
          )})`
        : outputOf(next, relations, sql`n`);
    const relation = computedRelation(of, variant.source);
    if (relation === undefined) continue;
    await transaction.execute(sql`
      insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
      select ${single ? sql`` : sql`distinct on ("#new")`} * from (
        select ${next.id}::integer as relation, a.id as spec, c.duration_us, ${isHashKept(of) ? sql`l."#hash"` : newHash(of)} as "#new",
          ${inputs.value(plan?.digests ?? [])} as inputs, ${output} as output
        from ${tableId(listPlacement(next))} l
        join varve.computation_spec a on a.relation = ${next.id} and a.origin = 'attributed'
          and (a.attribution ->> 'spec')::integer = l."#spec"
        join varve.computation c on c.relation = ${relation} and c.key_hash = l."#hash" and c.spec = l."#spec"
        join ${tableId(next.placement)} n on ${sql.join(same, sql` and `)}
        ${inputs.joins} ${plan?.joins ?? sql``}
        where ${CARRIED} and ${inRange(range)} and l."#spec" = any(${specs}::integer[])) w
      order by "#new"
      ${isSure ? sql`` : sql`on conflict (relation, key_hash) do nothing`}`);
    await carryReads(transaction, of, {
      relation,
      hash: isHashKept(of) ? sql`l."#hash"` : newHash(of),
      lines: sql`${CARRIED} and ${inRange(range)} and l."#spec" = any(${specs}::integer[])`,
    });
  }
}

/** Whether a row digests as before: the same values in the same columns, and the same parts. */
export function isOutputKept(of: Rebuilding): boolean {
  const [old] = of.pair.sources;
  if (old === undefined || old.form === undefined || of.sources.length > 1) return false;
  const same = (spec: Rebuilding): boolean =>
    spec.pair.sources[0]?.columns.length === spec.spec.columns.length &&
    spec.spec.columns.every(({ name }, index) => {
      const source = spec.operation.columns[name];
      return source?.from === 'same' && source.column === spec.pair.sources[0]?.columns[index]?.name;
    });
  const parts = Object.values(of.spec.parts).map((name) => rebuildOf(of.world, name));
  return (
    same(of) &&
    Object.keys(old.parts).join() === Object.keys(of.spec.parts).join() &&
    parts.every((part) => part !== undefined && part.from.length > 0 && same(rebuilding(part, of.world)))
  );
}

/** Whether the key hashes as before: the same values in the same order. */
export function isHashKept(of: Rebuilding): boolean {
  const [old] = of.pair.sources;
  if (old?.form === undefined || old.sourceKey.length !== of.spec.sourceKey.length) return false;
  return of.spec.sourceKey.every((column, index) => {
    const source = of.operation.columns[column];
    return source?.from === 'same' && source.column === old.sourceKey[index];
  });
}

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

/** Columns of `varve.recorded_read`. */
export interface RecordedRead {
  readonly keys: Sql;
  readonly columns: Sql;
  readonly digest: Sql;
  /** The primary key of the one row that was read, where it was looked up already. */
  readonly row?: readonly Sql[];
}

const JOINED: Recorded = { inputs: sql`c.inputs`, readOf: () => undefined };

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
      const expected = sql`case when jsonb_array_length(${row.keys}) = 1 then ${only} else sha256(''::bytea) end`;
      return present === undefined
        ? sql`case when ${row.unchanged} then ${expected} else ${ZERO} end`
        : sql`case when ${row.unchanged} and ${present} = ${expected} then ${present} else ${ZERO} end`;
    },
  };
}

interface FoundRow {
  readonly join: Sql;
  readonly keys: Sql;
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
  const {
    keys,
    columns: read,
    digest,
    row,
  }: RecordedRead = joined ?? {
    keys: sql`${r}.keys`,
    columns: sql`${r}.columns`,
    digest: sql`${r}.digest`,
  };
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
  const same = target.spec.primaryKey.map((column, place) => {
    const type = target.spec.columns.find(({ name }) => name === column)?.type ?? 'text';
    return sql`${pp}.${sql.id(column)} = ${row?.[place] ?? sql`(${keys} -> 0 ->> ${column}::text)::${sql.raw(type)}`}`;
  });
  const only = row === undefined ? sql`jsonb_array_length(${keys}) = 1 and ` : sql``;
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
    keys,
    join: sql`${lookUp}
      left join (select p.*, ${sql.join(digests)} from ${tableId(target.placement)} p ${sql.raw(isOnDemand ? '' : 'offset 0')}) ${pp}
        on ${only}${sql.join(same, sql` and `)}`,
    unchanged:
      cases.length === 0
        ? sql`jsonb_array_length(${keys}) = 0`
        : sql`(jsonb_array_length(${keys}) = 0 or case ${sql.join(cases, sql` `)} else false end)`,
  };
}

function targetRows(of: Rebuilding, table: string): Relation | undefined {
  const [old] = of.world.naming.pairs.get(table)?.sources ?? [];
  return old === undefined ? undefined : of.world.old.get(old.name);
}
