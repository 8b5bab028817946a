/** Writes carried rows and what is recorded of them into the new structure. */
import { VarveError } from '../../base/index.ts';
import { ensureCode, names, outputOf, readPlan, rowDigest, tableId } from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';
import type { RunScope } from '../operation/operation.ts';
import { carryReads } from './carry-reads.ts';
import { isFunctionRule } from '../attribution.ts';
import { computedRelation, recordedText, variantsOf } from './coverage.ts';
import { newHash } from './list.ts';
import { otherInputs } from './merged-inputs.ts';
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
import { inputsOf, JOINED } from './inputs.ts';

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
    where ${CARRIED} and ${inRange(range)}${stillWhole(of)}`);
}

/**
 * In a merge, one of the rows may have gone since both were listed. That was noted, and what is left is listed again; until
 * then it has no place in the new table.
 */
function stillWhole(of: Rebuilding): Sql {
  if (of.sources.length < 2) return sql``;
  const needed = of.spec.columns.flatMap(({ name, nullable }) => {
    const value = nullable ? undefined : carriedValue(of, name);
    return value === undefined ? [] : [sql` and ${value} is not null`];
  });
  return sql.join(needed, sql``);
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

/**
 * What attributed rows share: how they were computed then, and by which rule they belong to the new structure. `computedBy`
 * is an array of the ids of `varve.computation_spec` that carried rows have.
 */
export async function prepareSpecs(
  transaction: Queryable,
  of: Rebuilding,
  scope: RunScope,
  computedBy: Sql,
): Promise<void> {
  const next = builtOf(of);
  const code = scope.world.codeByTable.get(of.operation.table);
  if (code === undefined)
    throw new VarveError('internal', { hint: 'Report this: a computed table has no code identity.' });
  const codeId = await ensureCode(transaction, code);
  for (const variant of await variantsOf(transaction, of)) {
    if (computedRelation(of, variant.source) === undefined) continue;
    await transaction.execute(sql`
      insert into varve.computation_spec (run, relation, code, reads, enforcement, origin, attribution)
      select s.run, ${next.id}, ${codeId}, ${recordedText(of, variant)}::jsonb, s.enforcement, 'attributed',
        jsonb_build_object('rule', ${ruleWord(of)}::text, 'migration', ${scope.context.bundle.id}::text,
          'run', ${scope.context.runId}::text, 'spec', s.id) || ${JSON.stringify({ ...referencesOf(of), ...rulesOf(of) })}::jsonb
      from varve.computation_spec s
      where s.id = any(${variant.specs}::integer[]) and s.id = any(${computedBy})
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
