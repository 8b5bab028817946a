/**
 * What a migration's committed runs left in history, and its end: superseded tables with all that the catalog recorded of
 * their results, and the maps and lists that were built with them.
 *
 * | of a structure that is let go | goes | stays |
 * |---|---|---|
 * | its table, and the maps to what its rows became | all rows | its spec, from when until when, by which run |
 * | `varve.computation`, `varve.superseded` | keys, rows, input digests | one line of `varve.let_go` for each version: time, output digest, code and run by its spec |
 * | `varve.recorded_read`, `varve.job` | all | |
 * | `varve.computation_spec`, `varve.code`, `varve.run`, `varve.ingested` | | all |
 */
import { refusal, type Finding, type JsonObject } from '../base/index.ts';
import type {
  Enforcement,
  KindPlan,
  Observation,
  PlanContext,
  RetireVerbs,
  RunContext,
  StepResult,
} from '../migration/index.ts';
import {
  compareText,
  rememberVersions,
  sameJson,
  splitName,
  tableId,
  type Placement,
  type Relation,
} from '../pipeline/index.ts';
import { isStoreError, sql, type Queryable, type Sql, type Transaction } from '../store/index.ts';
import { measure } from './baseline.ts';
import { BUILD, HISTORY } from './building.ts';
import { countRows } from './count-rows.ts';
import { dependents, dropReadViews } from './dependents.ts';
import { counts } from './operation/operation.ts';
import { regclass } from './regclass.ts';

/** A superseded structure with what it takes. */
export interface SupersededStructure {
  /** The table's name when it was superseded. */
  readonly table: string;
  readonly placement: Placement;
  /** The run that superseded it, and the migration that it was of. */
  readonly run: string;
  readonly migrationId: string | null;
  readonly rows: number;
  /** Of the table with its indexes, and of what was built with it. */
  readonly sizeBytes: number;
}

/**
 * Every structure in history that was not let go, oldest first, with rows and bytes; none where varve was never used.
 */
export async function supersededStructures(store: Queryable): Promise<readonly SupersededStructure[]> {
  const found: SupersededStructure[] = [];
  for (const { relation, run, migrationId } of await standing(store)) {
    found.push({
      table: relation.name,
      placement: relation.placement,
      run,
      migrationId,
      rows: await countRows(store, relation.placement),
      sizeBytes: await sizeOf(store, relation),
    });
  }
  return found;
}

async function standing(store: Queryable): Promise<readonly Superseded[]> {
  try {
    return await superseded(store, sql`true`);
  } catch (error) {
    if (isStoreError(error, '42P01', '3F000')) return [];
    throw error;
  }
}

/** The direction `retire` of the kind `pipeline`. */
export const retireVerbs: RetireVerbs = {
  plan,
  apply: () => [{ mode: 'decide', name: 'let go', run: letGo }],
  observe,
  // Everything is done in the deciding transaction: a run that is not decided left nothing.
  undo: () => Promise.resolve([]),
  baseline: async ({ bound }, transaction) => {
    const relations = await byId(transaction, idsOf(bound));
    return measure(
      transaction,
      relations.map(({ spec, placement }) => ({ ...spec, name: `${placement.schema}.${placement.table}` })),
    );
  },
};

const ENFORCEMENT: Enforcement = { level: 'observed', layers: ['catalog'], role: 'none' };

/** What a plan to retire names, and a run is held to. */
interface PlannedStructure extends JsonObject {
  readonly relation: number;
  readonly table: string;
  readonly placement: string;
  readonly run: string;
  readonly rows: number;
  readonly computations: number;
  readonly recordedReads: number;
  readonly supersededResults: number;
}

async function plan({ bundle, transaction }: PlanContext): Promise<KindPlan> {
  const found = await superseded(
    transaction,
    sql`r.until_run in (select run_id from varve.ledger where migration_id = ${bundle.id} and phase = 'committed')`,
  );
  const structures: PlannedStructure[] = [];
  const sizes: JsonObject[] = [];
  const findings: Finding[] = [];
  for (const { relation, run } of found) {
    structures.push(await plannedStructure(transaction, relation, run));
    sizes.push({ placement: placeName(relation), sizeBytes: await sizeOf(transaction, relation) });
    findings.push(...(await viewsInTheWay(transaction, relation)));
  }
  return {
    bound: { structures },
    tables: countsOf(structures),
    objects: [...new Set(structures.map(({ table }) => table))].toSorted(),
    enforcement: ENFORCEMENT,
    measures: {},
    shown: { sizes },
    rollbackClass: 'lossless',
    findings: found.length === 0 ? [nothingLeft(bundle.id)] : findings,
  };
}

function nothingLeft(id: string): Finding {
  return refusal('nothing_to_retire', id, {
    hint: 'It superseded no structure, or what it superseded was let go before. Look at `varve status`.',
  });
}

async function plannedStructure(
  transaction: Queryable,
  relation: Relation,
  run: string,
): Promise<PlannedStructure> {
  const [row] = await transaction.query<Record<'computations' | 'reads' | 'superseded', bigint>>(sql`
    select (select count(*) from varve.computation where relation = ${relation.id}) as computations,
      (select count(*) from varve.recorded_read where relation = ${relation.id}) as reads,
      (select count(*) from varve.superseded where relation = ${relation.id}) as superseded`);
  return {
    relation: relation.id,
    table: relation.name,
    placement: placeName(relation),
    run,
    rows: await countRows(transaction, relation.placement),
    computations: Number(row?.computations ?? 0n),
    recordedReads: Number(row?.reads ?? 0n),
    supersededResults: Number(row?.superseded ?? 0n),
  };
}

/** A person's view on a table of history would go with it. */
async function viewsInTheWay(transaction: Queryable, relation: Relation): Promise<readonly Finding[]> {
  const found = await dependents(transaction, relation);
  return found.filter(({ detail }) => detail['kind'] === 'view');
}

/** Every generation of a table that goes counts to that table. */
function countsOf(structures: readonly PlannedStructure[]): KindPlan['tables'] {
  const rowsByTable = new Map<string, number>();
  for (const { table, rows } of structures) rowsByTable.set(table, (rowsByTable.get(table) ?? 0) + rows);
  return [...rowsByTable]
    .toSorted(([left], [right]) => compareText(left, right))
    .map(([table, retire]) => counts(table, { retire }));
}

async function letGo(context: RunContext, transaction: Transaction): Promise<StepResult> {
  const planned = plannedIn(context.bound);
  const relations = await byId(transaction, idsOf(context.bound));
  // All locks first: a reader of history ends this try before anything was done.
  for (const { placement } of relations) {
    await transaction.execute(sql`lock table ${tableId(placement)} in access exclusive mode`);
  }
  const findings = await movedSince(transaction, planned, relations);
  if (findings.length > 0) return { findings };
  // What is remembered of one structure may look at another that goes too, such as that of its part.
  for (const relation of relations) await rememberVersions(transaction, relation);
  for (const relation of relations) await drop(transaction, relation, context.runId);
  await context.fault('R01_let_go');
  return { findings: [] };
}

/** Nobody writes to history; what is not as planned must not go. */
async function movedSince(
  transaction: Queryable,
  planned: readonly PlannedStructure[],
  relations: readonly Relation[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const structure of planned) {
    const relation = relations.find(({ id }) => id === structure.relation);
    const now =
      relation === undefined ? undefined : await plannedStructure(transaction, relation, structure.run);
    if (now !== undefined && sameJson(now, structure)) continue;
    findings.push(
      refusal('plan_changed', structure.table, {
        detail: { planned: structure.rows, found: now?.rows ?? null, placement: structure.placement },
        hint: 'What stands in history is not what was planned and approved: look at it again with `varve retire --dry-run`.',
      }),
    );
  }
  return findings;
}

async function drop(transaction: Transaction, relation: Structure, run: string): Promise<void> {
  await dropReadViews(transaction, relation.placement);
  for (const place of tablesOf(relation)) {
    await transaction.execute(sql`drop table if exists ${tableId(place)}`);
  }
  for (const table of ['recorded_read', 'computation', 'superseded', 'job']) {
    await transaction.execute(sql`delete from ${sql.id('varve', table)} where relation = ${relation.id}`);
  }
  await transaction.execute(sql`delete from varve.dropped_key where relation = ${relation.id}`);
  await transaction.execute(sql`
    update varve.relation set state = 'let_go', let_go_run = ${run}, let_go_at = now() where id = ${relation.id}`);
}

/** The table, and what evolutions left beside it: lists by its number, and the maps of what its rows became. */
function tablesOf({ id, placement, next }: Structure): readonly Placement[] {
  const maps = [id, ...next].map((of) => ({ schema: HISTORY, table: `map of ${String(of)}` }));
  return [placement, ...maps, { schema: BUILD, table: `classes of ${String(id)}` }];
}

/** What is gone, by the catalog: a structure that still stands counts for nothing. */
async function observe(context: RunContext, transaction: Transaction): Promise<Observation> {
  const gone = await transaction.query<{ id: number }>(sql`
    select id from varve.relation where state = 'let_go' and let_go_run = ${context.runId}`);
  const ids = new Set(gone.map(({ id }) => id));
  const structures: PlannedStructure[] = [];
  for (const structure of plannedIn(context.bound)) {
    const [row] = await transaction.query<{ oid: string | null }>(
      sql`select to_regclass(${structure.placement})::text as oid`,
    );
    if (ids.has(structure.relation) && row?.oid === null) structures.push(structure);
  }
  return {
    tables: countsOf(structures),
    objects: [...new Set(structures.map(({ table }) => table))].toSorted(),
    witnesses: ['catalog'],
    enforcement: ENFORCEMENT,
    measures: {},
    touched: structures.map(({ table, rows }) => {
      const { schema, table: name } = splitName(table);
      return { kind: 'table', schema, name, change: 'let_go', rows };
    }),
    newWrites: [],
    checks: [
      { name: 'history_remembered', status: (await isRemembered(transaction, structures)) ? 'pass' : 'fail' },
    ],
    findings: [],
  };
}

/** Nothing is left of the results but a line for each one that was superseded, and for those that stood. */
async function isRemembered(
  transaction: Queryable,
  structures: readonly PlannedStructure[],
): Promise<boolean> {
  const ids = structures.map(({ relation }) => relation);
  const [row] = await transaction.query<Record<'left' | 'superseded' | 'structures', bigint>>(sql`
    select (select count(*) from varve.computation where relation = any(${ids}::integer[]))
        + (select count(*) from varve.superseded where relation = any(${ids}::integer[])) as left,
      count(*) filter (where ended <> 'structure') as superseded,
      count(distinct relation) filter (where ended = 'structure') as structures
    from varve.let_go where relation = any(${ids}::integer[])`);
  const superseded = structures.reduce((sum, each) => sum + each.supersededResults, 0);
  const withRows = structures.filter(({ rows }) => rows > 0).length;
  return row?.left === 0n && row.superseded === BigInt(superseded) && row.structures === BigInt(withRows);
}

function plannedIn(bound: JsonObject): readonly PlannedStructure[] {
  return bound['structures'] as readonly PlannedStructure[];
}

function idsOf(bound: JsonObject): readonly number[] {
  return plannedIn(bound).map(({ relation }) => relation);
}

function placeName({ placement }: Relation): string {
  return regclass(placement);
}

async function sizeOf(transaction: Queryable, relation: Structure): Promise<number> {
  const [row] = await transaction.query<{ bytes: bigint }>(sql`
    select sum(pg_total_relation_size(to_regclass(n)))::bigint as bytes
    from unnest(${tablesOf(relation).map((place) => regclass(place))}::text[]) n`);
  return Number(row?.bytes ?? 0n);
}

/** A superseded relation with the numbers of those that its rows went to. */
interface Structure extends Relation {
  readonly next: readonly number[];
}

/** A structure in history and the run that put it there. */
interface Superseded {
  readonly relation: Structure;
  readonly run: string;
  readonly migrationId: string | null;
}

interface SupersededRow extends Record<string, unknown> {
  readonly id: number;
  readonly name: string;
  readonly spec: Relation['spec'];
  readonly schema: string;
  readonly table: string;
  readonly run: string;
  readonly migration: string | null;
  readonly next: readonly number[];
}

async function superseded(store: Queryable, condition: Sql): Promise<readonly Superseded[]> {
  const rows = await store.query<SupersededRow>(sql`
    select r.id, r.name, r.spec, r.physical_schema as schema, r.physical_name as "table", coalesce(r.until_run, '') as run,
      (select l.migration_id from varve.ledger l where l.run_id = r.until_run limit 1) as migration,
      array(select s.relation from varve.relation_source s where s.source = r.id order by 1) as next
    from varve.relation r where r.state = 'retired' and ${condition} order by r.id`);
  return rows.map(({ id, name, spec, schema, table, run, migration, next }) => ({
    relation: { id, name, spec, state: 'retired', placement: { schema, table }, next },
    run,
    migrationId: migration,
  }));
}

async function byId(store: Queryable, ids: readonly number[]): Promise<readonly Structure[]> {
  const found = await superseded(store, sql`r.id = any(${[...ids]}::integer[])`);
  return found.map(({ relation }) => relation);
}
