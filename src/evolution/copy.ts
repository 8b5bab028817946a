/**
 * Disposable copies of computed tables, in which ordinary populate runs to prove something: the same relations, makes
 * and statements, other rows. A copy has no foreign keys, stands in a schema of its own, and goes when it is done with;
 * so does all that the catalog recorded of it.
 *
 * Who has copies holds a lock of their label, so that the next one tells those of a killed process from those in use.
 */
import { VarveError } from '../base/index.ts';
import { digestOf } from '../evidence/index.ts';
import {
  createTable,
  insertRelation,
  tableId,
  type Placement,
  type Relation,
  type Relations,
  type TableSpec,
} from '../pipeline/index.ts';
import { executeAll, sql, type Queryable, type Store, type Transaction } from '../store/index.ts';
import { dropReadViews } from './dependents.ts';

/** Copies that go when disposed. */
export interface Copies extends AsyncDisposable {
  /** The relations with the copied tables in place of their originals. */
  readonly relations: Relations;
}

/**
 * Makes empty copies of these tables; `label` names what they belong to, one user at a time.
 *
 * Errors: throws `run_fenced` where another process has copies of this label.
 */
export async function openCopies(
  store: Store,
  specs: readonly TableSpec[],
  world: { readonly relations: Relations; readonly label: string },
): Promise<Copies> {
  await dropLeftovers(store);
  const lock = await store.tryLock(lockOf(world.label));
  if (lock === undefined) {
    throw new VarveError('run_fenced', {
      detail: { run: world.label },
      hint: 'Another process goes on with this run. Look at `varve status`.',
    });
  }
  const copies = await store
    .transaction({}, (transaction) => createCopies(transaction, specs, world.label))
    .catch(async (error: unknown) => {
      await lock[Symbol.asyncDispose]();
      throw error;
    });
  return {
    relations: new Map([...world.relations, ...copies.map((copy) => [copy.name, copy] as const)]),
    [Symbol.asyncDispose]: async () => {
      await using _held = lock;
      await store.transaction({}, (transaction) => dropCopies(transaction, world.label));
    },
  };
}

const COPY = 'varve_copy';

function lockOf(label: string): string {
  return `copies of ${label}`;
}

/** Sixteen digits that stand for a label within names. */
function ownOf(label: string): string {
  return digestOf(label).slice('sha256:'.length, 'sha256:'.length + 16);
}

/** Where the keys stand that are computed again in the copies of a label; it goes with them. */
export function keysPlacement(label: string): Placement {
  return { schema: COPY, table: `keys ${ownOf(label)}` };
}

async function createCopies(
  transaction: Transaction,
  specs: readonly TableSpec[],
  label: string,
): Promise<readonly Relation[]> {
  const copies: Relation[] = [];
  const own = ownOf(label);
  for (const spec of specs) {
    const placement = { schema: COPY, table: `copy ${own} ${String(copies.length)}` };
    for (const statement of createTable({ ...spec, foreignKeys: [] }, placement, () => placement)) {
      await transaction.execute(statement);
    }
    const { name } = spec;
    copies.push(
      await insertRelation(transaction, {
        name,
        spec,
        placement,
        state: 'copy',
        predecessor: null,
        run: label,
      }),
    );
  }
  return copies;
}

/** Copies that a killed process left. */
async function dropLeftovers(store: Store): Promise<void> {
  const rows = await store.query<{ label: string }>(sql`
    select distinct since_run as label from varve.relation where state = 'copy'`);
  for (const { label } of rows) {
    await using lock = await store.tryLock(lockOf(label));
    if (lock !== undefined) await store.transaction({}, (transaction) => dropCopies(transaction, label));
  }
}

/** Takes the copies of a label away, with all that is recorded of them. */
export async function dropCopies(transaction: Queryable, label: string): Promise<void> {
  const copies = await transaction.query<{ id: number; schema: string; table: string }>(sql`
    select id, physical_schema as schema, physical_name as "table" from varve.relation
    where state = 'copy' and since_run = ${label} order by id`);
  for (const { id, ...placement } of copies) {
    await dropReadViews(transaction, placement);
    await transaction.execute(sql`drop table if exists ${sql.id(placement.schema, placement.table)}`);
    await forgetRelation(transaction, id);
  }
  await transaction.execute(sql`drop table if exists ${tableId(keysPlacement(label))}`);
}

/** Takes a relation that nobody reads any more out of the catalog. */
export async function forgetRelation(transaction: Queryable, id: number): Promise<void> {
  const own = ['recorded_read', 'computation', 'job', 'computation_spec', 'superseded'];
  const relation = sql.raw(String(id));
  await executeAll(transaction, [
    ...own.map((table) => sql`delete from ${sql.id('varve', table)} where relation = ${relation}`),
    sql`delete from varve.relation where id = ${relation}`,
  ]);
}
