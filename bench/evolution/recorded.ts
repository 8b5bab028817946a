/**
 * Computed tables filled by set-based SQL, with everything that populate would have recorded of them: a million recorded
 * rows in seconds, digests and all.
 */
import { VarveError } from '../../src/base/index.ts';
import {
  insertComputationSpec,
  keyHash,
  loadRelations,
  names,
  outputOf,
  readPlan,
  relationOf,
  rowDigest,
  tableId,
  type CodeIdentity,
} from '../../src/pipeline/index.ts';
import { sql, type Sql, type Store } from '../../src/store/index.ts';

/** A read that was not declared: which row of which table each row of the computed one was computed from. */
export interface UndeclaredRead {
  readonly table: string;
  readonly columns: readonly string[];
  /** Which row `p` of that table, for the computed row `t`, its source row `r0`. */
  readonly on: Sql;
}

/** Fills a table with `select` (its columns, in order) and records one run that computed it all. */
export async function fillRecorded(
  store: Store,
  table: string,
  {
    select,
    code,
    undeclared,
  }: { readonly select: Sql; readonly code: CodeIdentity; readonly undeclared?: UndeclaredRead },
): Promise<void> {
  const relations = await loadRelations(store);
  const relation = relationOf(relations, table);
  const { spec } = relation;
  await store.execute(sql`
    insert into ${tableId(relation.placement)} (${names(spec.columns.map(({ name }) => name))}) ${select}`);
  await store.execute(sql`analyze ${tableId(relation.placement)}`);
  const runId = await insertRun(store);
  const specId = await insertComputationSpec(store, {
    runId,
    relation,
    code,
    enforcement: 'statement',
    origin: 'computed',
    attribution: null,
  });
  const plan = readPlan(spec, relations, sql`t`);
  // In the order of their index, as populate writes each batch: out of order, a million take twice as long.
  const hash = keyHash(sql`t`, spec.sourceKey);
  const distinct = spec.sourceKey.length === spec.primaryKey.length ? sql`` : sql`distinct`;
  const keys = sql`(select ${distinct} ${names(spec.sourceKey)} from ${tableId(relation.placement)})`;
  await store.execute(sql`
    insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select ${relation.id}, ${specId}, 1000, ${hash}, ${plan.inputs}, ${outputOf(relation, relations, sql`t`)}
    from ${keys} t ${plan.joins} order by 4`);
  if (undeclared !== undefined) {
    const read = relationOf(relations, undeclared.table);
    const key = read.spec.primaryKey.map((column) => sql`${column}::text, p.${sql.id(column)}`);
    await store.execute(sql`
      insert into varve.recorded_read
        (relation, key_hash, spec, ordinal, subject, declared, columns, keys, row_count, digest)
      select ${relation.id}, ${hash}, ${specId}, 0, ${undeclared.table}, false, ${undeclared.columns}::text[],
        jsonb_build_array(jsonb_build_object(${sql.join(key)})), 1, sha256(${rowDigest(sql`p`, undeclared.columns)})
      from ${keys} t ${plan.joins} join ${tableId(read.placement)} p on ${undeclared.on} order by 2`);
  }
}

async function insertRun(store: Store): Promise<number> {
  const [row] = await store.query<{ id: number }>(sql`
    insert into varve.run (name, kind, actor, host, process, settings, started_at, finished_at, status)
    values ('varve://run/' || gen_random_uuid(), 'populate', 'bench', 'here', 1, '{}', now(), now(), 'done')
    returning id`);
  if (row === undefined) throw new VarveError('internal', { hint: 'Report this: an insert gave no row.' });
  return row.id;
}
