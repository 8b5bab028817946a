/** The way back from a committed cutover, and the taking away of one that never came. */
import { refusal, type Finding } from '../../../base/index.ts';
import type { NewWrites } from '../../../migration/index.ts';
import {
  archive,
  defaultPlacement,
  keyHash,
  loadRelations,
  names,
  relationOf,
  tableId,
  type Relation,
  type Relations,
} from '../../../pipeline/index.ts';
import { sql, type Sql, type Transaction } from '../../../store/index.ts';
import { buildingRelation, relationById } from '../../building.ts';
import { dropCopies, forgetRelation } from '../../copy.ts';
import { dropReadViews } from '../../dependents.ts';
import { dropIncoming, incomingKeys, pointAt } from '../../foreign-keys.ts';
import { computedSince } from '../../new-writes.ts';
import { move, retire } from '../../retire.ts';
import type { DeclareReference, RunScope } from '../operation.ts';
import { listOf, sameKey, specOf } from './building.ts';
import { addForeignKeys } from './complete.ts';

/** Back to the old table: rows computed since are carried back without the column it cannot hold, which history keeps. */
export async function rollBack(
  operation: DeclareReference,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const { context, from } = scope;
  const live = await loadRelations(transaction);
  const next = relationOf(live, operation.table);
  const old = await relationById(transaction, next);
  if (old === undefined) {
    return [
      refusal('structure_missing', operation.table, {
        hint: 'The old structure was let go: there is nothing to go back to.',
      }),
    ];
  }
  await transaction.execute(sql`lock table ${tableId(next.placement)} in access exclusive mode`);
  const incoming = await incomingKeys(transaction, next.placement);
  await dropReadViews(transaction, next.placement);
  await dropIncoming(transaction, incoming);
  await keepOverwritten(transaction, old, next, { relations: live, run: context.runId });
  await carryBack(transaction, old, next);
  await keepReads(transaction, operation, old, next);
  const placement = defaultPlacement(old.spec);
  await retire(transaction, next, context.runId);
  await move(transaction, old.placement, placement);
  await transaction.execute(sql`
    update varve.relation set state = 'live', physical_schema = ${placement.schema}, physical_name = ${placement.table},
      until_run = null, until_at = null where id = ${old.id}`);
  await addForeignKeys(transaction, specOf(from.tables, operation.table), placement, live);
  await pointAt(transaction, incoming, placement);
  return [];
}

async function carryBack(transaction: Transaction, old: Relation, next: Relation): Promise<void> {
  const columns = old.spec.columns.map(({ name }) => name);
  const rest = columns.filter((name) => !old.spec.primaryKey.includes(name));
  const set = rest.map((column) => sql`${sql.id(column)} = excluded.${sql.id(column)}`);
  await transaction.execute(sql`
    insert into ${tableId(old.placement)} (${names(columns)})
    select ${sql.join(columns.map((column) => sql`n.${sql.id(column)}`))} from ${tableId(next.placement)} n
    where ${keyHash(sql`n`, next.spec.sourceKey)} in (select key_hash from (${writtenSince(next)}) w)
    on conflict (${names(old.spec.primaryKey)}) do ${set.length === 0 ? sql`nothing` : sql`update set ${sql.join(set)}`}`);
  await transaction.execute(sql`
    delete from ${tableId(old.placement)} o
    where not exists (select from ${tableId(next.placement)} n where ${sameKey(old.spec, sql`n`, sql`o`)})`);
  await transaction.execute(sql`
    insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select ${old.id}, w.spec, w.duration_us, w.key_hash, w.inputs, w.output from (${writtenSince(next)}) w
    on conflict (relation, key_hash) do update set spec = excluded.spec, duration_us = excluded.duration_us,
      inputs = excluded.inputs, output = excluded.output`);
}

/** What carrying back writes over, or takes away, goes to history first: results of the old structure stay what they were. */
async function keepOverwritten(
  transaction: Transaction,
  old: Relation,
  next: Relation,
  { relations, run }: { readonly relations: Relations; readonly run: string },
): Promise<void> {
  const key = sql.join(old.spec.sourceKey.map((column) => sql`b.${sql.id(column)}`));
  const keys = sql`select distinct ${key} from ${tableId(old.placement)} b
    where ${keyHash(sql`b`, old.spec.sourceKey)} in (select key_hash from (${writtenSince(next)}) w)
      or not exists (select from ${tableId(next.placement)} n where ${sameKey(old.spec, sql`n`, sql`b`)})`;
  await archive(transaction, { relation: old, relations }, keys, 'recomputed', run);
}

/**
 * The new structure knows which row each of these results read: it is written down as a recorded read, so that the old
 * structure knows it too and the way forward need not ask again.
 */
async function keepReads(
  transaction: Transaction,
  operation: DeclareReference,
  old: Relation,
  next: Relation,
): Promise<void> {
  const place = next.spec.reads.findIndex(
    ({ table, cardinality }) => table === operation.to && cardinality !== 'many',
  );
  const read = next.spec.reads[place];
  const key = next.spec.foreignKeys.find(
    ({ name, to }) => name === operation.reference && to === operation.to,
  );
  if (read === undefined || key?.fills === undefined) return;
  const [first] = Object.keys(key.columns);
  const found = sql`n.${sql.id(first ?? '')} is not null`;
  const pairs = Object.entries(key.columns).map(
    ([child, parent]) => sql`${parent}::text, n.${sql.id(child)}`,
  );
  await transaction.execute(sql`
    insert into varve.recorded_read
      (relation, key_hash, spec, ordinal, subject, declared, columns, keys, row_count, digest)
    select ${old.id}, w.key_hash, w.spec, 0, ${operation.to}, true, ${read.columns}::text[],
      case when ${found} then jsonb_build_array(jsonb_build_object(${sql.join(pairs)})) else '[]'::jsonb end,
      case when ${found} then 1 else 0 end,
      case when ${found} then sha256(substr(w.inputs, ${1 + 32 * place}, 32)) else sha256(''::bytea) end
    from (${writtenSince(next)}) w
    join ${tableId(next.placement)} n on ${keyHash(sql`n`, next.spec.sourceKey)} = w.key_hash
    on conflict do nothing`);
}

/** The keys that were computed since the cutover, on the new structure, by others than the migration itself. */
function writtenSince(next: Relation): Sql {
  return sql`select c.* from varve.computation c join varve.computation_spec s on s.id = c.spec
    join varve.run r on r.id = s.run
    where c.relation = ${next.id} and s.origin = 'computed' and r.kind <> 'evolution'`;
}

/** Rows that others wrote since the forward run was opened: carried over by it then, or carried back now. */
export async function newWrites(
  operation: DeclareReference,
  { context }: RunScope,
  transaction: Transaction,
): Promise<readonly NewWrites[]> {
  const since = context.forward?.runId ?? context.runId;
  return computedSince(transaction, [operation.table], { since, until: context.runId });
}

/** Takes away what a run built and copied, however far it came. */
export async function undo(
  operation: DeclareReference,
  { context }: RunScope,
  transaction: Transaction,
): Promise<void> {
  await dropCopies(transaction, context.runId);
  const next = await buildingRelation(transaction, operation.table, context.runId);
  if (next === undefined) return;
  // Made in one transaction with the relation: where that is, they are.
  await dropReadViews(transaction, next.placement);
  await transaction.execute(sql`drop table ${tableId(listOf(next))}`);
  await transaction.execute(sql`drop table ${tableId(next.placement)}`);
  await forgetRelation(transaction, next.id);
}
