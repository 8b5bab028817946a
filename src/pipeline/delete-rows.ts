/**
 * Deleting rows: with everything that hangs on them, into history, in one transaction.
 *
 * Rows go by foreign keys and parts. A row that only read what goes, without a foreign key to it, stays: it is stale
 * then, and the next populate looks at it; the plan names how many. What goes is whole units (see `row-unit.ts`), so a
 * result never loses some of its rows; under `ignore` alone a part's row may go by itself.
 */
import { refusal, VarveError, type Finding } from '../base/index.ts';
import { cascade, findTable, readCondition, type PartPolicy, type TableGraph } from '../provenance/index.ts';
import { closeRun, openRun, type Run, type RunEnvironment } from '../run/index.ts';
import { isStoreError, sql, type Sql, type Store, type Transaction } from '../store/index.ts';
import type { Definitions } from './definition-set.ts';
import { graphOf } from './graph.ts';
import { keyHash } from './read-plan.ts';
import { loadRelations, mismatches, relationOf, tableId, type Relations } from './relation.ts';
import { RefusedWork } from './refused-work.ts';
import { unitKey, unitRelation } from './row-unit.ts';
import type { ForeignKeySpec, TableSpec } from './spec.ts';
import { archive } from './write-rows.ts';

/** How a deletion treats parts. */
export interface PlanDeleteOptions {
  /** What becomes of a part's row whose master would stay; default `enforce`: refuse. */
  readonly parts?: PartPolicy;
}

/** What a deletion would take. */
export interface DeletePlan {
  readonly status: 'ok';
  readonly table: string;
  /** Every table that is reached, the start included, parents first. */
  readonly tables: readonly { readonly table: string; readonly rows: number }[];
  /** Rows that stay and are stale afterwards, since they read rows that go. */
  readonly stale: readonly { readonly table: string; readonly rows: number }[];
}

/** A plan, or why there is none. */
export type PlanDeleteResult =
  DeletePlan | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** How to delete. */
export interface DeleteRowsOptions extends PlanDeleteOptions {
  readonly environment: RunEnvironment;
  /** The plan that was shown: refused where the rows are others by now. */
  readonly plan?: DeletePlan;
  /** Why: kept with the run, and shown by `history`. */
  readonly reason?: string;
}

/** What was deleted. */
export type DeleteRowsResult =
  | { readonly status: 'deleted'; readonly run: string; readonly tables: DeletePlan['tables'] }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * What deleting these rows would take, with exact counts; nothing is changed.
 *
 * `where` is a person's SQL condition on the table; undefined: all its rows.
 * Errors: refuses with `unknown_table`, `not_deployed`, `where_invalid`, `part_without_master` naming the part's rows.
 */
export async function planDelete(
  store: Store,
  definitions: Definitions,
  table: string,
  where: string | undefined,
  options: PlanDeleteOptions = {},
): Promise<PlanDeleteResult> {
  const world = await openWorld(store, definitions, table, where, options);
  if ('findings' in world) return { status: 'refused', findings: world.findings };
  try {
    return await store.transaction({ isolation: 'repeatable read' }, (transaction) =>
      planIn(transaction, world),
    );
  } catch (error) {
    if (error instanceof RefusedWork) return { status: 'refused', findings: error.findings };
    throw error;
  }
}

/**
 * Moves rows and everything below them to `varve.superseded` and deletes them, bottom-up, in one transaction.
 *
 * Shape: `{ status: 'deleted', run: 'varve://run/...', tables: [{ table: 'lab.mouse', rows: 1 }, { table: 'lab.grade', rows: 4 }] }`
 * Errors: those of `planDelete`; `plan_changed` where the plan that was shown no longer fits; `constraint_violated` where
 * a table outside the definitions refers to a row that would go. Nothing is changed then.
 */
export async function deleteRows(
  store: Store,
  definitions: Definitions,
  table: string,
  where: string | undefined,
  options: DeleteRowsOptions,
): Promise<DeleteRowsResult> {
  const world = await openWorld(store, definitions, table, where, options);
  if ('findings' in world) return { status: 'refused', findings: world.findings };
  const { environment, plan, parts, reason } = options;
  const run = await openRun(store, environment, {
    kind: 'delete',
    subject: table,
    definitionDigest: definitions.digest,
    settings: {
      parts: parts ?? 'enforce',
      where: where ?? null,
      ...(reason === undefined ? {} : { reason }),
    },
  });
  let status: 'done' | 'failed' = 'failed';
  try {
    const result = await deleteInOne(store, world, run, plan);
    status = result.status === 'deleted' ? 'done' : 'failed';
    return result;
  } finally {
    await closeRun(store, run, environment.clock, status);
  }
}

interface World {
  readonly relations: Relations;
  /** In dependency order. */
  readonly specs: readonly TableSpec[];
  readonly definitions: Definitions;
  readonly graph: TableGraph;
  readonly table: string;
  readonly where: string | undefined;
  readonly condition: Sql;
  readonly parts: PartPolicy;
}

async function openWorld(
  store: Store,
  definitions: Definitions,
  asked: string,
  where: string | undefined,
  { parts = 'enforce' }: PlanDeleteOptions,
): Promise<World | { readonly findings: readonly Finding[] }> {
  const relations = await loadRelations(store);
  const graph = graphOf(definitions, { relations, reads: false });
  const table = findTable(graph, asked);
  if ('severity' in table) return { findings: [table] };
  const findings = mismatches(relations, definitions.set.tables);
  if (findings.length > 0) return { findings };
  const condition = where === undefined ? sql`true` : await readCondition(table, where);
  if ('severity' in condition) return { findings: [condition] };
  const { tables: specs } = definitions.set;
  return { relations, specs, definitions, graph, table: table.table, where, condition, parts };
}

/** Throws `RefusedWork`: a condition that the database refuses has aborted the transaction, which must not go on. */
async function planIn(transaction: Transaction, world: World): Promise<DeletePlan> {
  const start = { table: world.table, ...(world.where === undefined ? {} : { where: world.where }) };
  // The walk says whether the condition stands and whether parts would be torn from their masters.
  const walked = await cascade(transaction, world.graph, start, { parts: world.parts });
  if (walked.status === 'refused') throw new RefusedWork(walked.findings);
  const doomed = await collectDoomed(transaction, world);
  const tables: { table: string; rows: number }[] = [];
  for (const { table } of walked.tables)
    tables.push({ table, rows: await countDoomed(transaction, doomed, table) });
  for (const { name } of world.specs) {
    if (tables.some(({ table }) => table === name)) continue;
    const rows = await countDoomed(transaction, doomed, name);
    if (rows > 0) tables.push({ table: name, rows });
  }
  return { status: 'ok', table: world.table, tables, stale: await staleRows(transaction, world, doomed) };
}

/** The name of the temporary table of keys that go, by table. */
type Doomed = ReadonlyMap<string, Sql>;

/** Marks the start rows, then what hangs on marked rows, until a round marks nothing new. */
async function collectDoomed(transaction: Transaction, world: World): Promise<Doomed> {
  const doomed = new Map(
    world.specs.map((spec, index) => [spec.name, sql.id('pg_temp', `varve_doomed_${index}`)]),
  );
  for (const spec of world.specs) {
    const id = markTable(doomed, spec.name);
    await transaction.execute(sql`drop table if exists ${id}`);
    await transaction.execute(sql`create temporary table ${sql.raw(idName(id))} on commit drop as
      select ${columnsOf('t', spec.primaryKey)} from ${placeOf(world, spec.name)} t with no data`);
    await transaction.execute(
      sql`alter table ${id} add primary key (${sql.join(spec.primaryKey.map((c) => sql.id(c)))})`,
    );
  }
  const start = world.specs.find(({ name }) => name === world.table) as TableSpec;
  await transaction.execute(sql`insert into ${markTable(doomed, start.name)}
    select ${sql.join(start.primaryKey.map((column) => sql.id(column)))} from ${placeOf(world, start.name)} where (${world.condition})`);
  while ((await markRound(transaction, world, doomed)) > 0);
  return doomed;
}

function markTable(doomed: Doomed, table: string): Sql {
  return doomed.get(table) as Sql;
}

/** `create temporary table` takes no schema. */
function idName(id: Sql): string {
  return id.parts.map((part) => (part.kind === 'text' ? part.text.replace('"pg_temp".', '') : '')).join('');
}

function placeOf(world: World, table: string): Sql {
  return tableId(relationOf(world.relations, table).placement);
}

async function markRound(transaction: Transaction, world: World, doomed: Doomed): Promise<number> {
  let marked = 0;
  const mark = async (spec: TableSpec, keys: Sql): Promise<void> => {
    marked += await transaction.execute(
      sql`insert into ${markTable(doomed, spec.name)} ${keys} on conflict do nothing`,
    );
  };
  for (const spec of world.specs) {
    for (const key of spec.foreignKeys) await mark(spec, below(world, doomed, spec, key));
    if (spec.form !== undefined && spec.primaryKey.length > spec.sourceKey.length) {
      await mark(spec, sameUnit(world, doomed, spec));
    }
    if (world.parts !== 'cascade') continue;
    for (const key of spec.foreignKeys.filter(({ kind }) => kind === 'part')) {
      const master = world.specs.find(({ name }) => name === key.to) as TableSpec;
      await mark(master, aboveOf(world, doomed, spec, key));
    }
  }
  return marked;
}

/** Rows whose foreign key leads to a row that goes. */
function below(world: World, doomed: Doomed, spec: TableSpec, key: ForeignKeySpec): Sql {
  return sql`select ${columnsOf('c', spec.primaryKey)} from ${placeOf(world, spec.name)} c
    join ${markTable(doomed, key.to)} d on ${pairs('c', 'd', Object.entries(key.columns))}`;
}

/** The rows of the same result. */
function sameUnit(world: World, doomed: Doomed, spec: TableSpec): Sql {
  return sql`select distinct ${columnsOf('c', spec.primaryKey)} from ${placeOf(world, spec.name)} c
    join ${markTable(doomed, spec.name)} d on ${pairs(
      'c',
      'd',
      spec.sourceKey.map((column) => [column, column]),
    )}`;
}

/** The masters of part rows that go. */
function aboveOf(world: World, doomed: Doomed, spec: TableSpec, key: ForeignKeySpec): Sql {
  const columns = Object.entries(key.columns);
  const master = sql.join(columns.map(([child, parent]) => sql`${sql.id('c', child)} as ${sql.id(parent)}`));
  const primaryKey = world.specs.find(({ name }) => name === key.to)?.primaryKey ?? [];
  return sql`select distinct ${columnsOf('m', primaryKey)} from (select ${master} from ${placeOf(world, spec.name)} c
    join ${markTable(doomed, spec.name)} d on ${pairs(
      'c',
      'd',
      spec.primaryKey.map((column) => [column, column]),
    )}) m`;
}

function columnsOf(alias: string, columns: readonly string[]): Sql {
  return sql.join(columns.map((column) => sql.id(alias, column)));
}

function pairs(left: string, right: string, columns: readonly (readonly [string, string])[]): Sql {
  return sql.join(
    columns.map(([one, other]) => sql`${sql.id(left, one)} = ${sql.id(right, other)}`),
    sql` and `,
  );
}

async function countDoomed(transaction: Transaction, doomed: Doomed, table: string): Promise<number> {
  const [row] = await transaction.query<{ count: bigint }>(
    sql`select count(*) as count from ${markTable(doomed, table)}`,
  );
  return Number(row?.count ?? 0n);
}

/** Rows that read what goes and stay themselves. */
async function staleRows(
  transaction: Transaction,
  world: World,
  doomed: Doomed,
): Promise<DeletePlan['stale']> {
  const graph = graphOf(world.definitions, { relations: world.relations });
  const stale: { table: string; rows: number }[] = [];
  for (const spec of world.specs) {
    const edges = graph.edges.filter(({ from, kind }) => from === spec.name && kind === 'read');
    if (edges.length === 0) continue;
    const touched = edges.map(({ to, columns }) => {
      const on = Object.entries(columns).map(([child, parent]) => [parent, child] as const);
      const source = sql`${placeOf(world, to)} p join ${markTable(doomed, to)} d on ${pairs('p', 'd', primaryPairs(world, to))}`;
      const where = on.length === 0 ? sql`` : sql`where ${pairs('p', 'c', on)}`;
      return sql`exists (select from ${source} ${where})`;
    });
    const [row] = await transaction.query<{ count: bigint }>(sql`
      select count(*) as count from ${placeOf(world, spec.name)} c
      where (${sql.join(touched, sql` or `)})
        and not exists (select from ${markTable(doomed, spec.name)} d where ${pairs('d', 'c', primaryPairs(world, spec.name))})`);
    const rows = Number(row?.count ?? 0n);
    if (rows > 0) stale.push({ table: spec.name, rows });
  }
  return stale;
}

function primaryPairs(world: World, table: string): readonly (readonly [string, string])[] {
  return relationOf(world.relations, table).spec.primaryKey.map((column) => [column, column] as const);
}

async function deleteInOne(
  store: Store,
  world: World,
  run: Run,
  shown: DeletePlan | undefined,
): Promise<DeleteRowsResult> {
  try {
    const tables = await store.transaction({ isolation: 'repeatable read' }, (transaction) =>
      deleteIn(transaction, world, run, shown),
    );
    return { status: 'deleted', run: run.name, tables };
  } catch (error) {
    if (error instanceof RefusedWork) return { status: 'refused', findings: error.findings };
    if (isStoreError(error, '23503'))
      return { status: 'refused', findings: [usedOutside(world, error.fields.table)] };
    throw error;
  }
}

async function deleteIn(
  transaction: Transaction,
  world: World,
  run: Run,
  shown: DeletePlan | undefined,
): Promise<DeletePlan['tables']> {
  const plan = await planIn(transaction, world);
  if (shown !== undefined && JSON.stringify(shown.tables) !== JSON.stringify(plan.tables)) {
    throw new RefusedWork([planChanged(world.table)]);
  }
  const doomed: Doomed = new Map(
    world.specs.map((spec, index) => [spec.name, sql.id('pg_temp', `varve_doomed_${index}`)]),
  );
  const going = world.specs.filter(({ name }) =>
    plan.tables.some(({ table, rows }) => table === name && rows > 0),
  );
  for (const spec of going) await archiveDoomed(transaction, world, doomed, spec, run.name);
  for (const spec of going.toReversed()) await removeDoomed(transaction, world, doomed, spec);
  return plan.tables;
}

/** Before anything is deleted, since a master's archive holds its parts. */
async function archiveDoomed(
  transaction: Transaction,
  world: World,
  doomed: Doomed,
  spec: TableSpec,
  run: string,
): Promise<void> {
  const relation = unitRelation(relationOf(world.relations, spec.name));
  const columns = columnsOf('d', unitKey(spec));
  const units = sql`select distinct ${columns} from ${markTable(doomed, spec.name)} d ${withoutMaster(world, doomed, spec)}`;
  await archive(transaction, { relation, relations: world.relations }, units, 'deleted', run);
}

/** A part's rows are in their master's archive, unless they go alone. */
function withoutMaster(world: World, doomed: Doomed, spec: TableSpec): Sql {
  const master = spec.master === undefined ? undefined : world.specs.find(({ name }) => name === spec.master);
  if (master === undefined) return sql``;
  const key = unitKey(master).map((column) => [column, column] as const);
  return sql`where not exists (select from ${markTable(doomed, master.name)} m where ${pairs('m', 'd', key)})`;
}

async function removeDoomed(
  transaction: Transaction,
  world: World,
  doomed: Doomed,
  spec: TableSpec,
): Promise<void> {
  const relation = relationOf(world.relations, spec.name);
  if (spec.form !== undefined) {
    await transaction.execute(sql`delete from varve.computation c using ${markTable(doomed, spec.name)} d
      where c.relation = ${relation.id} and c.key_hash = ${keyHash(sql`d`, spec.sourceKey)}`);
  }
  await transaction.execute(sql`delete from ${tableId(relation.placement)} t using ${markTable(doomed, spec.name)} d
    where ${pairs('t', 'd', primaryPairs(world, spec.name))}`);
}

function planChanged(table: string): Finding {
  return refusal('plan_changed', table, {
    detail: { reason: 'other rows would go than were shown' },
    hint: 'Look at the plan again; nothing was deleted.',
  });
}

function usedOutside(world: World, table: string | undefined): Finding {
  if (table === undefined) {
    throw new VarveError('internal', {
      hint: 'Report this: a foreign key without its table refused a deletion.',
    });
  }
  return refusal('constraint_violated', world.table, {
    detail: { usedBy: table },
    hint: `Rows of ${table}, which the definitions do not know, refer to rows that would go. Delete those first; nothing was deleted.`,
  });
}
