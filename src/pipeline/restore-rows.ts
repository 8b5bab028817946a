/**
 * Taking a deletion back: rows that one run moved to history stand again, with how they were computed. What was deleted
 * stays in history as the time in which there was no row.
 */
import { refusal, type Finding } from '../base/index.ts';
import { isStoreError, sql, type Sql, type Store, type Transaction } from '../store/index.ts';
import type { Definitions } from './definition-set.ts';
import { digestOf, rowCheck } from './ingest.ts';
import { keyHash } from './read-plan.ts';
import { RefusedWork } from './refused-work.ts';
import { loadRelations, mismatches, relationOf, tableId, type Relation, type Relations } from './relation.ts';
import { unitKey, unitRelation } from './row-unit.ts';
import type { TableSpec } from './spec.ts';
import { outputOf } from './write-rows.ts';

/** How to restore. */
export interface RestoreRowsOptions {
  readonly actor: string;
  /** Do it all, count it, and take it back. */
  readonly dryRun?: boolean;
}

/** What stands again. */
export type RestoreRowsResult =
  | {
      /** `planned`: with `dryRun`. */
      readonly status: 'restored' | 'planned';
      readonly run: string;
      /** Parents first. */
      readonly tables: readonly { readonly table: string; readonly rows: number }[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * Restores every row that a run of `deleteRows` took.
 *
 * Shape: `{ status: 'restored', run: 'varve://run/...', tables: [{ table: 'lab.mouse', rows: 1 }, { table: 'lab.grade', rows: 4 }] }`
 * Invariant: one transaction, all or nothing; the digest of each restored result is the one that was recorded.
 * Errors: refuses with `unknown_run` where the run deleted nothing, `not_deployed`, `relation_retired` where the structure
 * is another one by now, `row_exists` where a row of a key stands, `constraint_violated` where what it refers to is gone.
 */
export async function restoreRows(
  store: Store,
  definitions: Definitions,
  run: string,
  options: RestoreRowsOptions,
): Promise<RestoreRowsResult> {
  const relations = await loadRelations(store);
  const findings = mismatches(relations, definitions.set.tables);
  if (findings.length > 0) return { status: 'refused', findings };
  try {
    const tables = await store.transaction({}, (transaction) =>
      restoreIn(transaction, { specs: definitions.set.tables, relations, run }, options),
    );
    return { status: 'restored', run, tables };
  } catch (error) {
    if (error instanceof TakenBack) return { status: 'planned', run, tables: error.tables };
    if (error instanceof RefusedWork) return { status: 'refused', findings: error.findings };
    throw error;
  }
}

type RestoredTables = readonly { readonly table: string; readonly rows: number }[];

/** Ends the transaction of a dry run; it never leaves the function that began it. */
class TakenBack extends RefusedWork {
  readonly tables: RestoredTables;
  constructor(tables: RestoredTables) {
    super([]);
    this.tables = tables;
  }
}

interface World {
  /** In dependency order. */
  readonly specs: readonly TableSpec[];
  readonly relations: Relations;
  readonly run: string;
}

async function restoreIn(
  transaction: Transaction,
  world: World,
  { actor, dryRun = false }: RestoreRowsOptions,
): Promise<RestoredTables> {
  await refuseStrange(transaction, world);
  const tables: { table: string; rows: number }[] = [];
  for (const spec of world.specs) {
    const rows = await restoreTable(transaction, world, relationOf(world.relations, spec.name));
    if (rows > 0) tables.push({ table: spec.name, rows });
  }
  for (const { table } of tables) {
    const relation = unitRelation(relationOf(world.relations, table));
    await restoreComputations(transaction, world, relation);
    await recordRestored(transaction, world, relation, actor);
  }
  if (dryRun) throw new TakenBack(tables);
  return tables;
}

/** Runs that deleted nothing, and structures that are gone. */
async function refuseStrange(transaction: Transaction, { relations, run }: World): Promise<void> {
  const found = await transaction.query<{ relation: number; name: string }>(sql`
    select distinct s.relation, r.name from varve.superseded s join varve.relation r on r.id = s.relation
    where s.superseded_by = ${run} and s.reason = 'deleted' order by r.name`);
  if (found.length === 0) {
    throw new RefusedWork([
      refusal('unknown_run', run, {
        hint: 'Name a run that deleted rows: `varve delete` says its name, and `varve history` of a deleted row.',
      }),
    ]);
  }
  const gone = found.filter(({ relation, name }) => relations.get(name)?.id !== relation);
  if (gone.length === 0) return;
  throw new RefusedWork(
    gone.map(({ name }) =>
      refusal('relation_retired', name, {
        hint: 'The table has another structure by now: read the rows with `varve history` and bring them with `varve insert`.',
      }),
    ),
  );
}

/** What the run took: `s` with `rows` as history keeps them. */
function taken(world: World): Sql {
  return sql`s.superseded_by = ${world.run} and s.reason = 'deleted'`;
}

async function restoreTable(transaction: Transaction, world: World, relation: Relation): Promise<number> {
  const { spec, placement } = relation;
  const names = sql.join(spec.columns.map(({ name }) => sql.id(name)));
  const types = sql.join(spec.columns.map(({ name, type }) => sql`${sql.id(name)} ${sql.raw(type)}`));
  try {
    return await transaction.savepoint(() =>
      transaction.execute(sql`insert into ${tableId(placement)} (${names})
        select ${names} from varve.superseded s
        cross join lateral jsonb_to_recordset(s.rows -> ${spec.name}::text) as b(${types})
        where ${taken(world)} and s.rows ? ${spec.name}::text`),
    );
  } catch (error) {
    if (!isStoreError(error) || !error.fields.sqlstate.startsWith('23')) throw error;
    const { sqlstate, constraint } = error.fields;
    const detail = { sqlstate, ...(constraint === undefined ? {} : { constraint }) };
    throw new RefusedWork([
      sqlstate === '23505'
        ? refusal('row_exists', spec.name, {
            detail,
            hint: 'A row of such a key stands again: delete it first, if the old one is wanted. Nothing was restored.',
          })
        : refusal('constraint_violated', spec.name, {
            detail,
            hint: 'Bring first what these rows refer to. Nothing was restored.',
          }),
    ]);
  }
}

/** How the results were computed, and the proof that they are what was computed. */
async function restoreComputations(
  transaction: Transaction,
  world: World,
  relation: Relation,
): Promise<void> {
  const { spec, placement } = relation;
  if (spec.form === undefined) return;
  await transaction.execute(sql`
    insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select s.relation, s.spec, s.duration_us, s.key_hash, s.inputs, s.output from varve.superseded s
    where ${taken(world)} and s.relation = ${relation.id} and s.spec is not null order by s.key_hash`);
  const unit = sql.join(spec.sourceKey.map((column) => sql`t.${sql.id(column)}`));
  const [row] = await transaction.query<{ count: number }>(sql`
    select count(*)::integer as count from (select distinct ${unit} from ${tableId(placement)} t) k
    join varve.superseded s on s.relation = ${relation.id} and s.key_hash = ${keyHash(sql`k`, spec.sourceKey)}
    where ${taken(world)} and s.output is not null and s.output <> ${outputOf(relation, world.relations, sql`k`)}`);
  if (row?.count === 0) return;
  throw new RefusedWork([
    refusal('kept_rows_changed', spec.name, {
      detail: { rows: row?.count ?? 0 },
      hint: 'These rows would not be what was computed. Nothing was restored; `varve populate` computes them anew.',
    }),
  ]);
}

/** From when the rows stand again, and who saw to it. */
async function recordRestored(
  transaction: Transaction,
  world: World,
  relation: Relation,
  actor: string,
): Promise<void> {
  const { spec, placement } = relation;
  const unit = sql.join(spec.sourceKey.map((column) => sql`t.${sql.id(column)}`));
  const key = spec.master === undefined ? unitKey(spec) : spec.primaryKey;
  const check = spec.form === undefined ? rowCheck(digestOf(sql`t`, spec)) : sql`0`;
  const rows =
    spec.form === undefined
      ? sql`select ${keyHash(sql`t`, key)} as hash, ${check} as row_check from ${tableId(placement)} t`
      : sql`select ${keyHash(sql`t`, key)} as hash, 0 as row_check from (select distinct ${unit} from ${tableId(placement)} t) t`;
  const source = `restored from ${world.run}`;
  await transaction.execute(sql`
    with back as materialized (select r.hash, r.row_check from (${rows}) r where r.hash in (
      select s.key_hash from varve.superseded s where ${taken(world)} and s.relation = ${relation.id})),
    call as (insert into varve.ingestion (relation, source, actor, row_count, digest)
      select ${relation.id}, ${source}, ${actor}, count(*), 'sha256:' || encode(sha256(coalesce(string_agg(hash, ''::bytea order by hash), ''::bytea)), 'hex')
      from back having count(*) > 0 returning id)
    insert into varve.ingested (relation, ingestion, row_check, key_hash)
    select ${relation.id}, call.id, back.row_check, back.hash from back, call order by back.hash`);
}
