/** What is left to do and to prove beside the old tables: rows to compute, constraints, values that must have stayed. */
import { refusal, type Finding } from '../../base/index.ts';
import {
  createIndexes,
  names,
  populate,
  referencesDdl,
  relationOf,
  tableId,
  type Placement,
  type Relations,
  type TableSpec,
} from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';
import { fencedStore } from '../fenced-store.ts';
import type { Rebuild, RunScope } from '../operation/operation.ts';
import { carryKeys, carryObjects } from '../hand-made/carry.ts';
import { carrySettings } from '../hand-made/settings.ts';
import { sampleDiffers } from '../sample.ts';
import { hasNotes } from '../capture.ts';
import { columnsKey, keyOptions } from '../own-keys.ts';
import { keepSum } from '../row-sum.ts';
import { knownKey, oldKeyColumns, watchedOf } from './list.ts';
import { markOf, setMark } from './mark.ts';
import { shortly } from './shortly.ts';
import { hashedLines } from './stage.ts';
import { atOnce } from './at-once.ts';
import { attributeListed, listRows } from './attribute.ts';
import { CARRIED, groupOf, isWithMaster, oldRows, useMachine } from './write.ts';
import { becomesMade, changesKey, copiedValue, newKeyOf, oldAlias, oldKeyColumn } from './values.ts';
import { builtOf, listPlacement, rebuilding, rebuildOf, runWorld, type Rebuilding } from './world.ts';

/** Attributes, constrains and computes one table with its parts. */
export async function build(operation: Rebuild, scope: RunScope): Promise<readonly Finding[]> {
  const of = rebuilding(operation, await runWorld(scope.context.store, scope));
  if (isWithMaster(of)) return [];
  const { findings, specs } = await listRows(operation, scope);
  if (findings.length > 0) return findings;
  const inTheWay = await attributeListed(operation, scope, {
    specs,
    complete: async () => {
      for (const member of groupOf(of)) {
        const found = await index(member.operation, scope);
        if (found.length > 0) return found;
      }
      return [];
    },
  });
  if (inTheWay.length > 0) return inTheWay;
  const failed = await recompute(operation, scope);
  if (failed.length === 0 && operation.from.length > 0) await leaveOpen(operation, scope);
  return failed;
}

/**
 * Rows above may have been listed again while this table was: they are computed when everything is caught up with, and what
 * hangs on them is computed after them.
 */
async function leaveOpen(operation: Rebuild, scope: RunScope): Promise<void> {
  const { context } = scope;
  await context.store.transaction({}, async (transaction) => {
    await context.fence(transaction);
    const of = rebuilding(operation, await runWorld(transaction, scope));
    // Rows of a part are computed with their master.
    const above = of.spec.foreignKeys.flatMap(({ to }) => [
      to,
      of.world.naming.pairs.get(to)?.spec.master ?? to,
    ]);
    for (const table of new Set(above)) {
      const rebuilt = rebuildOf(of.world, table);
      if (rebuilt === undefined || table === operation.table || rebuilt.from.length === 0) continue;
      const mark = await markOf(transaction, listPlacement(builtOf(rebuilding(rebuilt, of.world))));
      if (mark === 'open') await setMark(transaction, listPlacement(builtOf(of)), 'open');
    }
  });
}

/** Ordinary populate on the new structure, for the keys of class recompute and no others; a new table whole. */
export async function recompute(operation: Rebuild, scope: RunScope): Promise<readonly Finding[]> {
  const { context, world } = scope;
  const of = rebuilding(operation, await runWorld(context.store, scope));
  const next = builtOf(of);
  if (of.spec.form === undefined) {
    await fillContents(of, scope);
    return [];
  }
  const store = fencedStore(context);
  // Keys that failed before a kill would be left out without a word.
  await store.execute(sql`delete from varve.job where relation = ${next.id}`);
  const where = await keysToCompute(store, of);
  if (where === undefined) {
    await context.fault('E03_recomputed');
    return [];
  }
  const result = await populate(store, {
    definitions: world.definitions,
    environment: world.environment,
    projectFolder: world.projectFolder,
    runner: world.runner,
    objects: world.objects,
    codeByTable: world.codeByTable,
    tables: [operation.table],
    where,
    signal: context.signal,
    relations: of.world.next,
    // The structure that is built beside is this run's own.
    isShared: false,
    kind: 'evolution',
    progress: ({ computed, total }) =>
      context.progress({ step: `recompute ${operation.table}`, done: computed, total: total ?? computed }),
  });
  context.signal.throwIfAborted();
  await context.fault('E03_recomputed');
  return result.findings;
}

/** A condition over the new source key; undefined where nothing is to be computed. */
async function keysToCompute(store: Queryable, of: Rebuilding): Promise<Sql | undefined> {
  if (of.operation.from.length === 0) return sql`true`;
  const list = tableId(listPlacement(builtOf(of)));
  const [open] = await store.query<{ open: boolean }>(
    sql`select exists (select from ${list} where "#class" = 'recompute') as open`,
  );
  if (open?.open !== true) return undefined;
  const known = knownKey(of);
  if (known.length === 0) return sql`true`;
  const columns = names(known.map(({ column }) => column));
  return sql`(${columns}) in (select ${sql.join(known.map(({ place }) => oldKeyColumn(place)))} from ${list} where "#class" = 'recompute')`;
}

/** A new lookup has its rows before rows of others are given them. */
async function fillContents(of: Rebuilding, { context }: RunScope): Promise<void> {
  const { contents, columns } = of.spec;
  if (of.operation.from.length > 0 || contents === undefined || contents.length === 0) return;
  const types = columns.map(({ name, type }) => sql`${sql.id(name)} ${sql.raw(type)}`);
  await context.store.transaction({}, async (transaction) => {
    await context.fence(transaction);
    const id = tableId(builtOf(of).placement);
    await transaction.execute(sql`insert into ${id} (${names(columns.map(({ name }) => name))})
      select * from json_to_recordset(${JSON.stringify(contents)}::json) as c(${sql.join(types)})
      where not exists (select from ${id})`);
  });
}

/** Keys, unique sets and indexes, once the rows are there. */
async function index(operation: Rebuild, scope: RunScope): Promise<readonly Finding[]> {
  const { context, to } = scope;
  return context.store.transaction({}, async (transaction) => {
    await context.fence(transaction);
    const of = rebuilding(operation, await runWorld(transaction, scope));
    const next = builtOf(of);
    const { spec, placement } = next;
    if ((await stageOf(transaction, placement, spec)) !== undefined) return [];
    await useMachine(transaction);
    const id = tableId(placement);
    if (operation.from.length > 0)
      await transaction.execute(sql`alter table ${id} add primary key (${names(spec.primaryKey)})`);
    for (const columns of uniqueSets(spec))
      await transaction.execute(sql`alter table ${id} add unique (${names(columns)})`);
    for (const statement of createIndexes(spec, placement, to)) await transaction.execute(statement);
    const findings = await carryObjects(transaction, of, next);
    if (findings.length > 0) return findings;
    await carrySettings(transaction, of, placement);
    await transaction.execute(sql`analyze ${id}`);
    await setStage(transaction, placement, spec, 'indexed');
    return [];
  });
}

/** Foreign keys, once all tables are of one moment. */
export async function constrain(operation: Rebuild, scope: RunScope): Promise<readonly Finding[]> {
  const { context } = scope;
  // What a foreign key leads to is live: its writers wait for a moment while it is made, and not at all while rows are checked,
  // which comes with all other checks.
  await shortly(context, async (transaction) => {
    const of = rebuilding(operation, await runWorld(transaction, scope));
    const { spec, placement } = builtOf(of);
    if ((await stageOf(transaction, placement, spec)) !== 'indexed') return;
    const optionsByColumns = await optionsOf(transaction, of);
    await addForeignKeys(transaction, of.spec, placement, of.world.next, {
      isChecked: false,
      optionsByColumns,
    });
    await carryKeys(transaction, of, builtOf(of));
    await setStage(transaction, placement, spec, 'constrained');
  });
  return [];
}

function uniqueSets({ unique, columns }: TableSpec): readonly (readonly string[])[] {
  return [...unique, ...columns.filter((column) => column.unique === true).map(({ name }) => [name])];
}

/** How far a structure is constrained, told by the comment of its first key column until it enters. */
async function stageOf(
  transaction: Queryable,
  { schema, table }: Placement,
  { primaryKey }: TableSpec,
): Promise<string | undefined> {
  const [row] = await transaction.query<{ stage: string | null }>(sql`
    select col_description(t.oid, a.attnum) as stage
    from pg_class t join pg_namespace n on n.oid = t.relnamespace
    join pg_attribute a on a.attrelid = t.oid and a.attname = ${primaryKey[0] ?? ''}
    where n.nspname = ${schema} and t.relname = ${table}`);
  const stage = row?.stage ?? undefined;
  return stage === 'indexed' || stage === 'constrained' ? stage : undefined;
}

async function setStage(
  transaction: Queryable,
  placement: Placement,
  { primaryKey }: TableSpec,
  stage: 'indexed' | 'constrained',
): Promise<void> {
  await transaction.execute(
    sql`comment on column ${tableId(placement)}.${sql.id(primaryKey[0] ?? '')} is ${sql.raw(`'${stage}'`)}`,
  );
}

/** What foreign keys of the old structures do beside leading somewhere: those of the same columns go on doing it. */
async function optionsOf(transaction: Queryable, of: Rebuilding): Promise<ReadonlyMap<string, string>> {
  const options: (readonly [string, string])[] = [];
  for (const { placement } of of.sources) options.push(...(await keyOptions(transaction, placement)));
  return new Map(options);
}

/** How foreign keys are added. */
interface AddedKeys {
  /** Whether rows that are there are looked at now. */
  readonly isChecked: boolean;
  /** What stands behind the referenced columns, by the own ones. */
  readonly optionsByColumns?: ReadonlyMap<string, string>;
}

/** The foreign keys of a definition, and the uniqueness that some of them ask for; unchecked ones hold new rows only. */
export async function addForeignKeys(
  transaction: Queryable,
  spec: TableSpec,
  placement: Placement,
  relations: Relations,
  { isChecked, optionsByColumns }: AddedKeys = { isChecked: true },
): Promise<void> {
  for (const key of spec.foreignKeys) {
    const columns = names(Object.keys(key.columns));
    const placementOf = (table: string): Placement =>
      table === spec.name ? placement : relationOf(relations, table).placement;
    const options = optionsByColumns?.get(columnsKey(Object.keys(key.columns))) ?? '';
    await transaction.execute(sql`alter table ${tableId(placement)}
      add foreign key (${columns}) ${referencesDdl(key, placementOf)}
      ${sql.raw(isChecked ? options : `${options} not valid`)}`);
    if (key.unique) await transaction.execute(sql`alter table ${tableId(placement)} add unique (${columns})`);
  }
}

/**
 * Both sides of what is compared here stand in the order of their keys more often than not, and the database knows: then it
 * need not look up each row in a table of hashes, if it is told that pages which follow each other cost little in any order,
 * and memory counts. One process does that in less than two need for hashes; the other looks at something else meanwhile.
 */
async function walkInOrder(transaction: Queryable): Promise<void> {
  await transaction.query(sql`select set_config('random_page_cost', '1.1', true),
    set_config('maintenance_work_mem', '4MB', true), set_config('max_parallel_workers_per_gather', '0', true)`);
}

/** Looks at every row behind the foreign keys of a table that were not looked at yet. */
async function checkForeignKeys(of: Rebuilding, { context }: RunScope): Promise<void> {
  const { schema, table } = builtOf(of).placement;
  await context.store.transaction({}, async (transaction) => {
    await context.fence(transaction);
    await walkInOrder(transaction);
    const rows = await transaction.query<{ name: string }>(sql`
      select f.conname as name from pg_constraint f join pg_class c on c.oid = f.conrelid
      join pg_namespace n on n.oid = c.relnamespace
      where f.contype = 'f' and not f.convalidated and n.nspname = ${schema} and c.relname = ${table} order by 1`);
    for (const { name } of rows) {
      await transaction.execute(
        sql`alter table ${sql.id(schema, table)} validate constraint ${sql.id(name)}`,
      );
    }
  });
}

/**
 * Kept rows are as they were, every row is there, foreign keys hold, and the new make gives the kept values on a sample. The
 * digest of the new rows is found as well.
 */
export async function check(operation: Rebuild, scope: RunScope): Promise<readonly Finding[]> {
  const { context } = scope;
  const of = rebuilding(operation, await runWorld(context.store, scope));
  const looked = await atOnce<readonly Finding[]>([
    () => (operation.from.length === 0 ? Promise.resolve([]) : otherwiseThanPlanned(of, scope)),
    async () => {
      await sumUp(operation, scope);
      await checkForeignKeys(of, scope);
      return [];
    },
  ]);
  if (looked.flat().length > 0) return looked.flat();
  const findings =
    of.spec.form === undefined || operation.from.length === 0
      ? []
      : await sampleDiffers(fencedStore(context), scope, {
          next: builtOf(of),
          relations: of.world.next,
          hashed: await hashedLines(context.store, of),
        });
  await context.fault('E05_checked');
  return findings;
}

/** Rows that are not as the plan has them, or not there. */
async function otherwiseThanPlanned(of: Rebuilding, { context }: RunScope): Promise<readonly Finding[]> {
  return context.store.transaction({}, async (transaction) => {
    await context.fence(transaction);
    await walkInOrder(transaction);
    return [
      ...(await alteredRows(transaction, of)),
      ...(await absentRows(transaction, of)),
      ...(await otherRows(transaction, of)),
    ];
  });
}

/** The digest of the new rows, before anybody waits; from here on it is kept up to date. */
export async function sumUp(operation: Rebuild, { context, ...scope }: RunScope): Promise<void> {
  await context.store.transaction({}, async (transaction) => {
    await context.fence(transaction);
    const next = builtOf(rebuilding(operation, await runWorld(transaction, { context, ...scope })));
    await keepSum(
      transaction,
      next,
      next.spec.columns.map(({ name }) => name),
    );
  });
}

/** Carried rows that lost a value. */
async function alteredRows(store: Queryable, of: Rebuilding): Promise<readonly Finding[]> {
  const next = builtOf(of);
  const differing = of.spec.columns.flatMap(({ name }) => {
    const source = of.operation.columns[name];
    const value = source?.from === 'same' ? copiedValue(of, name, source) : undefined;
    return value === undefined ? [] : [{ value, name }];
  });
  if (differing.length === 0) return [];
  const same = of.spec.primaryKey.map(
    (column, index) => sql`n.${sql.id(column)} = ${newKeyOf(of)[index] ?? sql`null`}`,
  );
  const differs = sql`row(${sql.join(differing.map(({ value }) => value))}) is distinct from row(${sql.join(differing.map(({ name }) => sql`n.${sql.id(name)}`))})`;
  const oldKey = oldKeyColumns(of).map((column) => sql`l.${column}`);
  // First the rows that differ, which are few, and then what is known of each: the database would begin with the latter.
  const [found] = await store.query<{ count: bigint }>(
    changesKey(of)
      ? sql`with differing as materialized (select ${sql.join(oldKey)} from ${tableId(listPlacement(next))} l ${oldRows(of)}
          left join ${tableId(next.placement)} n on ${sql.join(same, sql` and `)} where ${CARRIED} and ${differs})
        select count(*) as count from differing l ${oldRows(of)} where true ${unnoted(of)}`
      : sql`with differing as materialized (select t.* from ${sameKeys(of)} where ${differs})
        select count(*) as count from differing t where exists (${carriedLine(of)}) ${unnoted(of)}`,
  );
  const rows = Number(found?.count ?? 0n);
  return rows === 0
    ? []
    : [
        refusal('kept_rows_changed', of.operation.table, {
          detail: { rows },
          hint: 'Rows were changed while the new structure was built, or lost their values: apply again; if it comes again, report this.',
        }),
      ];
}

/** Old rows with the new ones, where both have one key: then the list is not needed to bring them together. */
function sameKeys(of: Rebuilding): Sql {
  const [old] = of.sources;
  const next = builtOf(of);
  const same = of.spec.primaryKey.map((column) => {
    const former = of.pair.columns[0]?.[column] ?? column;
    return sql`n.${sql.id(column)} = t.${sql.id(former)}`;
  });
  return sql`${tableId(old?.placement ?? next.placement)} t left join ${tableId(next.placement)} n on ${sql.join(same, sql` and `)}`;
}

/** The line of an old row that was carried: `offset 0`, since few rows differ, and each is looked up by its key. */
function carriedLine(of: Rebuilding): Sql {
  const same = (of.pair.sources[0]?.primaryKey ?? []).map(
    (column, index) => sql`l.${oldKeyColumn(index)} = t.${sql.id(column)}`,
  );
  return sql`select from ${tableId(listPlacement(builtOf(of)))} l where ${CARRIED} and ${sql.join(same, sql` and `)} offset 0`;
}

/** That nothing was noted of an old row: what was is carried over later, and proves nothing now. */
function unnoted(of: Rebuilding): Sql {
  return sql.join(
    watchedOf(of).map((watched, index) => sql`and not ${hasNotes(watched, oldAlias(index))}`),
    sql` `,
  );
}

/** Rows that were to be computed, on the key that they had, and were not. */
async function absentRows(store: Queryable, of: Rebuilding): Promise<readonly Finding[]> {
  if (changesKey(of) || of.spec.form === undefined) return [];
  const next = builtOf(of);
  const same = of.spec.primaryKey.map(
    (column, index) => sql`n.${sql.id(column)} = ${newKeyOf(of)[index] ?? sql`null`}`,
  );
  const units = knownKey(of).map(({ column, place }) => sql`n.${sql.id(column)} = l.${oldKeyColumn(place)}`);
  const [found] = await store.query<{ count: bigint }>(sql`
    select count(*) as count from ${tableId(listPlacement(next))} l ${oldRows(of)}
    where l."#class" = 'recompute' ${unnoted(of)} and not exists (select from ${tableId(next.placement)} n where ${sql.join(units.length > 0 ? units : same, sql` and `)})`);
  const rows = Number(found?.count ?? 0n);
  return rows === 0
    ? []
    : [
        refusal('concurrent_change', of.operation.table, {
          detail: { rows },
          hint: 'Rows that were to be computed have no place under the new definition: their key leads to no row above. Plan again to see why.',
        }),
      ];
}

/** What people wrote and a make computes now: where the two differ, somebody has to say which one holds. */
async function otherRows(store: Queryable, of: Rebuilding): Promise<readonly Finding[]> {
  const { operation, spec, world } = of;
  if (!becomesMade(of) || world.attribution[operation.table] !== undefined) return [];
  const next = builtOf(of);
  const columns = spec.columns.flatMap(({ name }) => {
    const source = operation.columns[name];
    const value = source === undefined ? undefined : copiedValue(of, name, source);
    return value === undefined ? [] : [{ name, value }];
  });
  const old = sql`sha256(varve.digest_1(variadic array[${sql.join(columns.map(({ value }) => sql`(${value})::text`))}]::text[]))`;
  const now = sql`sha256(varve.digest_1(variadic array[${sql.join(columns.map(({ name }) => sql`n.${sql.id(name)}::text`))}]::text[]))`;
  const same = spec.primaryKey.map(
    (column, index) => sql`n.${sql.id(column)} = ${newKeyOf(of)[index] ?? sql`null`}`,
  );
  const rows = await store.query<{ was: string; now: string | null; key: string }>(sql`
    select 'sha256:' || encode(${old}, 'hex') as was, 'sha256:' || encode(${now}, 'hex') as now, to_jsonb(row(${sql.join(newKeyOf(of))}))::text as key
    from ${tableId(listPlacement(next))} l ${oldRows(of)}
    left join ${tableId(next.placement)} n on ${sql.join(same, sql` and `)}
    where ${old} is distinct from ${now} ${unnoted(of)} order by 1`);
  if (rows.length === 0) return [];
  return [
    refusal('rows_differ', operation.table, {
      detail: { rows: rows.length, first: rows.slice(0, 20).map(({ was, now: is }) => ({ was, now: is })) },
      hint: `The make gives other values than were written. Say which hold: --attribute ${operation.table}=recompute takes the computed ones, ${operation.table}=keep those that were written.`,
    }),
  ];
}
