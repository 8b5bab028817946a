/** The one transaction in which the new table takes the old one's name. */
import { refusal, type Finding } from '../../../base/index.ts';
import type { TableCounts } from '../../../evidence/index.ts';
import {
  defaultPlacement,
  loadRelations,
  relationOf,
  tableId,
  type Relation,
} from '../../../pipeline/index.ts';
import { sql, type Transaction } from '../../../store/index.ts';
import { copyGrants, dropReadViews } from '../../dependents.ts';
import { dropIncoming, incomingKeys, pointAt } from '../../foreign-keys.ts';
import { move, retire } from '../../retire.ts';
import { counts, type DeclareReference, type RunScope } from '../operation.ts';
import { attributeRange, prepareSpecs, refreshList } from './attribute.ts';
import { building, sameKey, type Building } from './building.ts';

/** Takes along what came meanwhile, then swaps the tables and everything that hangs on the name. */
export async function cutOver(
  operation: DeclareReference,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const { context } = scope;
  const world = await building(operation, scope, transaction);
  const { old, next, list } = world;
  await transaction.execute(sql`lock table ${tableId(old.placement)} in access exclusive mode`);
  const findings = await catchUp(transaction, operation, scope, world);
  if (findings.length > 0) return findings;
  const incoming = await incomingKeys(transaction, old.placement);
  const placement = defaultPlacement(next.spec);
  await copyGrants(transaction, old.placement, next.placement);
  await dropReadViews(transaction, old.placement);
  await dropIncoming(transaction, incoming);
  await retire(transaction, old, context.runId);
  await move(transaction, next.placement, placement);
  await transaction.execute(sql`
    update varve.relation set state = 'live', physical_schema = ${placement.schema}, physical_name = ${placement.table},
      since_at = now() where id = ${next.id}`);
  await pointAt(transaction, incoming, placement);
  await transaction.execute(sql`drop table ${tableId(list)}`);
  await context.fault('E06_renamed');
  return [];
}

/** What came since the last look: rows that the record attributes are taken along; others end this try. */
async function catchUp(
  transaction: Transaction,
  operation: DeclareReference,
  scope: RunScope,
  world: Building,
): Promise<readonly Finding[]> {
  const [last] = await transaction.query<{ n: bigint | null }>(
    sql`select max("#n") as n from ${tableId(world.list)}`,
  );
  await refreshList(transaction, world);
  await prepareSpecs(transaction, operation, scope);
  // What was listed before is attributed already: only what is new is looked at while writers wait.
  const from = Number(last?.n ?? 0n) + 1;
  await attributeRange(transaction, operation, world, { from, to: Number.MAX_SAFE_INTEGER });
  const [row] = await transaction.query<{ open: bigint }>(sql`
    select count(*) as open from ${tableId(world.list)} l
    where not exists (select from ${tableId(world.next.placement)} n where ${sameKey(world.old.spec, sql`n`, sql`l`)})`);
  const open = Number(row?.open ?? 0n);
  if (open === 0) return [];
  return [
    refusal('concurrent_change', operation.table, {
      detail: { rows: open },
      hint: 'Rows came meanwhile that have to be computed or attributed. Stop populate on the old definitions, then plan and apply again.',
    }),
  ];
}

/** What stands after the way there or back, by class. */
export async function observe(
  operation: DeclareReference,
  { context }: RunScope,
  transaction: Transaction,
): Promise<readonly TableCounts[]> {
  const relation = relationOf(await loadRelations(transaction), operation.table);
  if (context.direction === 'rollback') return observeBack(operation, context.tables, transaction, relation);
  const rows = await transaction.query<{ origin: string; rows: bigint }>(sql`
    select s.origin, count(*) as rows from varve.computation c join varve.computation_spec s on s.id = c.spec
    where c.relation = ${relation.id} group by 1`);
  const count = (origin: string): number => Number(rows.find((row) => row.origin === origin)?.rows ?? 0n);
  const planned = context.tables.find(({ table }) => table === operation.table)?.backfill ?? 0;
  const backfill = count('attributed');
  return [
    counts(operation.table, {
      backfill: Math.min(backfill, planned),
      recompute: count('computed'),
      carried: Math.max(0, backfill - planned),
    }),
  ];
}

async function observeBack(
  operation: DeclareReference,
  planned: readonly TableCounts[],
  transaction: Transaction,
  relation: Relation,
): Promise<readonly TableCounts[]> {
  const [row] = await transaction.query<{ rows: bigint }>(
    sql`select count(*) as rows from ${tableId(relation.placement)}`,
  );
  const rows = Number(row?.rows ?? 0n);
  const keep = planned.find(({ table }) => table === operation.table)?.keep ?? 0;
  return [counts(operation.table, { keep: Math.min(rows, keep), carried: Math.max(0, rows - keep) })];
}
