/**
 * Observing: the makes of rows that nothing is recorded of run again, in a copy that is thrown away. Where a make gives the
 * very rows that stand, what it read is taken as what they were made from, with origin `adopted`; elsewhere nothing is
 * recorded, for nobody knows.
 */
import { hex, type Finding, type JsonObject } from '../../base/index.ts';
import {
  isMakeUnknown,
  keyHash,
  loadRelations,
  makeUnknown,
  mismatches,
  names,
  outputOf,
  populate,
  relationOf,
  tableId,
  unknownTable,
  type AnyTable,
  type Relation,
  type Relations,
} from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql, type Store } from '../../store/index.ts';
import { openCopies } from '../copy.ts';
import type { EvolutionWorld } from '../operation/operation.ts';

/** What became of the rows of one table that nothing was recorded of. Counts are of keys that a make is called for. */
export interface ObservedTable extends JsonObject {
  readonly table: string;
  /** Without a record before. */
  readonly unrecorded: number;
  /** Their make was run for. */
  readonly observed: number;
  /** Recorded now, since the make gave the same rows. */
  readonly equal: number;
  readonly differing: number;
  readonly failed: number;
}

/** What was observed. */
export type ObserveResult =
  | {
      readonly status: 'ok';
      readonly tables: readonly ObservedTable[];
      readonly findings: readonly Finding[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** How observing is narrowed and watched. */
export interface ObserveOptions {
  /** Default: every computed or imported table that has a make. */
  readonly tables?: readonly string[];
  /** Keys of each table at most; the same ones when asked again. Default: all. */
  readonly sample?: number;
  readonly signal?: AbortSignal;
  readonly progress?: (progress: {
    readonly table: string;
    readonly computed: number;
    readonly total: number | null;
  }) => void;
}

/**
 * Runs the makes of rows that nothing is recorded of, and records what they read where they give the same rows.
 *
 * Invariant: no row of a table is written; a computation that is recorded already is left as it is.
 * Errors: refuses with `unknown_table`, `not_deployed`, `make_unknown`.
 */
export async function observeAdopted(
  store: Store,
  world: EvolutionWorld,
  options: ObserveOptions = {},
): Promise<ObserveResult> {
  const { set, tableByName } = world.definitions;
  const made = set.tables.filter(({ form }) => form !== undefined);
  const unknown = (options.tables ?? []).filter((name) => !made.some((spec) => spec.name === name));
  if (unknown.length > 0) {
    const known = made.map(({ name }) => name);
    return { status: 'refused', findings: unknown.map((name) => unknownTable(name, known)) };
  }
  const relations = await loadRelations(store);
  const wanted = made.filter(({ name }) => options.tables?.includes(name) ?? true);
  const undeployed = mismatches(relations, wanted);
  if (undeployed.length > 0) return { status: 'refused', findings: undeployed };
  const tables = wanted.flatMap(({ name }) => tableByName.get(name) ?? []);
  const unmade = tables.filter(isMakeUnknown);
  if (options.tables !== undefined && unmade.length > 0) {
    return { status: 'refused', findings: unmade.map((table) => makeUnknown(table, 'error')) };
  }
  const findings = unmade.map((table) => makeUnknown(table, 'warning'));
  const observed: ObservedTable[] = [];
  for (const table of tables.filter((each) => !unmade.includes(each))) {
    options.signal?.throwIfAborted();
    observed.push(await observeTable(store, world, relations, table, options));
  }
  return { status: 'ok', tables: observed, findings: [...findings, ...observed.flatMap(findingsOf)] };
}

async function observeTable(
  store: Store,
  world: EvolutionWorld,
  relations: Relations,
  { spec }: AnyTable,
  options: ObserveOptions,
): Promise<ObservedTable> {
  const live = relationOf(relations, spec.name);
  const unrecorded = await countKeys(store, unrecordedKeys(live));
  const nothing = { table: spec.name, unrecorded, observed: 0, equal: 0, differing: 0, failed: 0 };
  if (unrecorded === 0) return nothing;
  const parts = Object.values(spec.parts).map((name) => relationOf(relations, name).spec);
  const label = `varve observe ${hex(world.environment.randomBytes(8))}`;
  await using copies = await openCopies(store, [spec, ...parts], { relations, label });
  const key = names(spec.sourceKey);
  const result = await populate(store, {
    ...world,
    tables: [spec.name],
    where: sql`(${key}) in (${unrecordedKeys(live, options.sample)})`,
    relations: copies.relations,
    kind: 'observe',
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.progress === undefined ? {} : { progress: options.progress }),
  });
  if (result.status === 'refused') return nothing;
  const { computed = 0, failed = 0 } = result.tables[0] ?? {};
  const copy = relationOf(copies.relations, spec.name);
  const equal = await store.transaction({}, (transaction) =>
    takeRecords(transaction, { live, copy, relations, copies: copies.relations }),
  );
  return { ...nothing, observed: computed + failed, equal, differing: computed - equal, failed };
}

/** The source keys of rows that no computation is recorded of; with a limit those whose digests come first. */
function unrecordedKeys({ id, spec, placement }: Relation, limit?: number): Sql {
  const key = sql.join(spec.sourceKey.map((column) => sql`l.${sql.id(column)}`));
  const hash = keyHash(sql`l`, spec.sourceKey);
  const unrecorded = sql`not exists (
    select from varve.computation c where c.relation = ${id} and c.key_hash = ${hash})`;
  const keys = sql`select ${key} from ${tableId(placement)} l where ${unrecorded} group by ${key}`;
  return limit === undefined ? keys : sql`${keys} order by ${hash} limit ${limit}`;
}

async function countKeys(store: Queryable, keys: Sql): Promise<number> {
  const [row] = await store.query<{ count: bigint }>(sql`select count(*) as count from (${keys}) k`);
  return Number(row?.count ?? 0n);
}

interface Records {
  readonly live: Relation;
  readonly copy: Relation;
  readonly relations: Relations;
  readonly copies: Relations;
}

/** Takes what is recorded of the copy for the table itself, for the keys whose rows are equal; returns how many. */
async function takeRecords(transaction: Queryable, records: Records): Promise<number> {
  const { live, copy, relations } = records;
  const key = names(copy.spec.sourceKey);
  const hash = keyHash(sql`k`, copy.spec.sourceKey);
  await transaction.execute(sql`drop table if exists pg_temp.varve_observed`);
  await transaction.execute(sql`
    create temporary table varve_observed on commit drop as
    select c.key_hash from (select distinct ${key} from ${tableId(copy.placement)}) k
    join varve.computation c on c.relation = ${copy.id} and c.key_hash = ${hash}
    where c.output = ${outputOf(live, relations, sql`k`)}
      and not exists (select from varve.computation o where o.relation = ${live.id} and o.key_hash = c.key_hash)`);
  const [spec] = await transaction.query<{ id: number; was: number }>(sql`
    insert into varve.computation_spec (run, relation, code, reads, enforcement, origin, attribution)
    select s.run, ${live.id}, s.code, s.reads, s.enforcement, 'adopted', null from varve.computation_spec s
    where s.relation = ${copy.id} returning id`);
  if (spec === undefined) return 0;
  await transaction.execute(sql`
    insert into varve.recorded_read
      (relation, key_hash, spec, ordinal, subject, declared, columns, keys, row_count, digest)
    select ${live.id}, r.key_hash, ${spec.id}, r.ordinal, r.subject, r.declared, r.columns, r.keys, r.row_count, r.digest
    from varve.recorded_read r join pg_temp.varve_observed e on e.key_hash = r.key_hash
    where r.relation = ${copy.id}`);
  const rows = await transaction.query<{ key_hash: Uint8Array }>(sql`
    insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select ${live.id}, ${spec.id}, c.duration_us, c.key_hash, c.inputs, c.output
    from varve.computation c join pg_temp.varve_observed e on e.key_hash = c.key_hash
    where c.relation = ${copy.id} returning key_hash`);
  return rows.length;
}

function findingsOf({ table, differing, failed }: ObservedTable): readonly Finding[] {
  if (differing + failed === 0) return [];
  return [
    {
      code: 'observe_differs',
      severity: 'warning',
      subject: table,
      detail: { differing, failed },
      hint: 'Nothing is recorded of these rows: they stay, and an evolution asks what becomes of them. Correct the make and observe again, or let populate compute them anew after `varve delete`.',
    },
  ];
}
