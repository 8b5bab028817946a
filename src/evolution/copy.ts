/**
 * Disposable copies of computed tables, in which ordinary populate runs to prove something: the same relations, makes
 * and statements, other rows. A copy has no foreign keys, stands in a schema of its own, and goes when it is done with;
 * so does all that the catalog recorded of it.
 */
import {
  createTable,
  insertRelation,
  type Relation,
  type Relations,
  type TableSpec,
} from '../pipeline/index.ts';
import { sql, type Store } from '../store/index.ts';
import { dropReadViews } from './dependents.ts';

/** Copies that go when disposed. */
export interface Copies extends AsyncDisposable {
  /** The relations with the copied tables in place of their originals. */
  readonly relations: Relations;
}

/** Makes empty copies of these tables; `label` names the run that they belong to. */
export async function openCopies(
  store: Store,
  specs: readonly TableSpec[],
  world: { readonly relations: Relations; readonly label: string },
): Promise<Copies> {
  await dropLeftovers(store);
  const copies: Relation[] = [];
  await store.transaction({}, async (transaction) => {
    for (const spec of specs) {
      const placement = { schema: COPY, table: `copy ${String(copies.length)} of ${spec.name}`.slice(0, 60) };
      const bare = { ...spec, foreignKeys: spec.foreignKeys.map((key) => ({ ...key, unique: false })) };
      for (const statement of createTable({ ...bare, foreignKeys: [] }, placement, () => placement)) {
        await transaction.execute(statement);
      }
      copies.push(
        await insertRelation(transaction, {
          name: spec.name,
          spec,
          placement,
          state: 'copy',
          predecessor: null,
          run: world.label,
        }),
      );
    }
  });
  return {
    relations: new Map([...world.relations, ...copies.map((copy) => [copy.name, copy] as const)]),
    [Symbol.asyncDispose]: () => dropCopies(store, copies),
  };
}

const COPY = 'varve_copy';

/** Copies that a killed process left. */
async function dropLeftovers(store: Store): Promise<void> {
  const rows = await store.query<{ id: number; schema: string; table: string }>(sql`
    select id, physical_schema as schema, physical_name as table from varve.relation where state = 'copy'`);
  await dropCopies(
    store,
    rows.map(({ id, schema, table }) => ({ id, placement: { schema, table } })),
  );
}

async function dropCopies(
  store: Store,
  copies: readonly Pick<Relation, 'id' | 'placement'>[],
): Promise<void> {
  if (copies.length === 0) return;
  await store.transaction({}, async (transaction) => {
    const ids = copies.map(({ id }) => id);
    for (const { placement } of copies) {
      await dropReadViews(transaction, placement);
      await transaction.execute(sql`drop table if exists ${sql.id(placement.schema, placement.table)}`);
    }
    for (const table of ['recorded_read', 'computation', 'job', 'computation_spec', 'superseded']) {
      await transaction.execute(
        sql`delete from ${sql.id('varve', table)} where relation = any(${ids}::integer[])`,
      );
    }
    await transaction.execute(sql`delete from varve.relation where id = any(${ids}::integer[])`);
  });
}
