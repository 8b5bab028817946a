import {
  planEvolution,
  type Attribution,
  type EvolutionPlan,
  type EvolutionWorld,
} from '../../../src/evolution/index.ts';
import {
  applyMigration,
  rollbackMigration,
  type FaultHook,
  type RunnerOptions,
  type RunOutcome,
} from '../../../src/migration/index.ts';
import {
  createTables,
  keyHash,
  loadRelations,
  populate,
  recordDeployment,
  relationOf,
  tableId,
} from '../../../src/pipeline/index.ts';
import { sql, type Store } from '../../../src/store/index.ts';
import { runnerOptions, worldOf, type Lab } from '../lab.ts';
import { build, type Called } from './build.ts';
import type { Data } from './compute.ts';
import type { Values } from './make.ts';
import { isByPeople, nameOf, tableOf, type Model, type Table } from './model.ts';

/** Rows as text, sorted, by table id: what two states are compared by. */
export type Content = Readonly<Record<string, readonly string[]>>;

/** A version of a model over a database: what a person with these definitions can do. */
export interface Version {
  readonly model: Model;
  readonly world: EvolutionWorld;
  readonly options: RunnerOptions;
  readonly plan: (attribute: Attribution) => Promise<EvolutionPlan>;
  readonly apply: (id: string, fault?: FaultHook) => Promise<RunOutcome>;
  readonly rollback: (id: string) => Promise<RunOutcome>;
  /** Populates all there is, as one of several workers or alone, which is quicker. Fails where a key does. */
  readonly populate: (as: 'one of several' | 'alone') => Promise<void>;
}

/** Definitions of a model over the lab's database. */
export function versionOf(lab: Lab, model: Model, before: Model | undefined, called: Called): Version {
  const { definitions, codeByTable } = build(model, before, called);
  const world = { ...worldOf(definitions), codeByTable };
  const options = runnerOptions(lab.store, lab.root, world);
  return {
    model,
    world,
    options,
    plan: (attribute) => planEvolution(options, world, attribute),
    apply: (id, fault) => applyMigration({ ...options, ...(fault === undefined ? {} : { fault }) }, id),
    rollback: (id) => rollbackMigration(options, id),
    populate: async (as) => {
      const result = await populate(lab.store, { ...world, ...(as === 'alone' ? { isShared: false } : {}) });
      if (result.status !== 'done' || result.findings.length > 0) throw new Error(JSON.stringify(result));
    },
  };
}

/** Makes the tables of a first version, without a migration: what is tested comes after it. */
export async function deployFirst(store: Store, { world: { definitions } }: Version): Promise<void> {
  await store.transaction({}, async (transaction) => {
    const run = 'varve://run/first';
    const relations = await loadRelations(transaction);
    await createTables(transaction, definitions.set.tables, { set: definitions.set, relations, run });
    await recordDeployment(transaction, definitions.set, definitions.digest, run);
  });
}

/** Whether rows stand below makes, and can only be written once these have run. */
export type When = 'before makes' | 'after them';

/** Writes what people write: before anything is computed, or on what was. */
export async function fill(store: Store, model: Model, written: Data, when: When): Promise<void> {
  for (const table of model.tables) {
    if (isByPeople(model, table) && isBelowMake(model, table) === (when === 'after them'))
      await insert(store, model, table.id, written.get(table.id) ?? []);
  }
}

function isBelowMake(model: Model, { keys }: Table): boolean {
  return keys
    .map(({ to }) => tableOf(model, to))
    .some((above) => above.make !== undefined || isBelowMake(model, above));
}

/** Writes rows into one table. */
export async function insert(store: Store, model: Model, id: string, rows: readonly Values[]): Promise<void> {
  if (rows.length === 0) return;
  const [schema = '', table = ''] = nameOf(model, tableOf(model, id)).split('.');
  const text = JSON.stringify(rows, (_, value: unknown) =>
    typeof value === 'bigint' ? Number(value) : value,
  );
  const columns = sql.join(Object.keys(rows[0] ?? {}).map((column) => sql.id(column)));
  await store.execute(sql`
    insert into ${sql.id(schema, table)} (${columns})
    select ${columns} from json_populate_recordset(null::${sql.id(schema, table)}, ${text}::json)`);
}

/** What stands in the tables of a model. */
export async function contentOf(store: Store, model: Model): Promise<Content> {
  const content: Record<string, readonly string[]> = {};
  for (const table of model.tables) {
    const [schema = '', name = ''] = nameOf(model, table).split('.');
    const rows = await store.query<{ row: Values }>(
      sql`select to_jsonb(t) as row from ${sql.id(schema, name)} t`,
    );
    content[table.id] = rows.map(({ row }) => textOf(row)).toSorted();
  }
  return content;
}

/** The same of rows in memory. */
export function contentIn(data: Data): Content {
  return Object.fromEntries([...data].map(([id, rows]) => [id, rows.map(textOf).toSorted()]));
}

/** A row as text, in the order of its columns' names. */
export function textOf(row: Values): string {
  const entries = Object.entries(row).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return entries.map(([name, value]) => `${name}=${String(value)}`).join(' ');
}

/** The last run that is on record. */
export async function lastRun(store: Store): Promise<number> {
  const [row] = await store.query<{ id: number }>(sql`select coalesce(max(id), 0) as id from varve.run`);
  return row?.id ?? 0;
}

/** The keys of makes, by table id, that stand as computed by a run after this one: what was kept is not among them. */
export async function computedAfter(
  store: Store,
  model: Model,
  run: number,
): Promise<ReadonlyMap<string, readonly Values[]>> {
  const relations = await loadRelations(store);
  const computed = new Map<string, readonly Values[]>();
  for (const table of model.tables.filter(({ make }) => make !== undefined)) {
    const relation = relationOf(relations, nameOf(model, table));
    const key = sql.join(relation.spec.sourceKey.map((column) => sql`t.${sql.id(column)}`));
    const rows = await store.query<Values>(sql`
      select distinct ${key} from ${tableId(relation.placement)} t
      join varve.computation c on c.relation = ${relation.id} and c.key_hash = ${keyHash(sql`t`, relation.spec.sourceKey)}
      join varve.computation_spec s on s.id = c.spec where s.run > ${run} and s.origin = 'computed'`);
    computed.set(table.id, rows);
  }
  return computed;
}

/** Columns, constraints and indexes of a model's tables, a line each: what a way back must restore, and readable. */
export async function shapeOf(store: Store, model: Model): Promise<readonly string[]> {
  const names = model.tables.map((table) => nameOf(model, table));
  const rows = await store.query<{ line: string }>(sql`
    with t as (select c.oid, n.nspname || '.' || c.relname as name from pg_class c
      join pg_namespace n on n.oid = c.relnamespace where n.nspname || '.' || c.relname = any(${names}::text[]) and c.relkind = 'r')
    select name || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull as line
    from t join pg_attribute on attrelid = t.oid where attnum > 0 and not attisdropped
    union all select name || ' ' || regexp_replace(pg_get_constraintdef(c.oid), '^(FOREIGN KEY).*(REFERENCES .*)[(].*$', '\\1 \\2')
      from t join pg_constraint c on conrelid = t.oid
    union all select name || ' index ' || regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', '') from t
      join pg_index on indrelid = t.oid
    order by 1`);
  return rows.map(({ line }) => line);
}
