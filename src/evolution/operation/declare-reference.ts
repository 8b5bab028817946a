/**
 * A recorded undeclared read becomes a secondary foreign key: the rows keep their values and get the key of the row that
 * they are known to have read.
 *
 * The new table is built beside the old one, in schema `varve_build`, next to a list of what each row's class and values
 * are. Both carry the id of the new relation in their names, so that a run that was killed finds them again.
 */
import { refusal, type Finding } from '../../base/index.ts';
import type { TableCounts } from '../../evidence/index.ts';
import { relationOf, type Relation } from '../../pipeline/index.ts';
import { sql, type Queryable } from '../../store/index.ts';
import { classified } from '../classify.ts';
import { dependents } from '../dependents.ts';
import { attribute, expand } from './declare-reference/attribute.ts';
import { classification } from './declare-reference/building.ts';
import { check, constrain, recompute } from './declare-reference/complete.ts';
import { cutOver, observe } from './declare-reference/cut-over.ts';
import { newWrites, rollBack, undo } from './declare-reference/roll-back.ts';
import { counts, type DeclareReference, type OperationVerbs, type PlanScope } from './operation.ts';

/** Keeps rows whose one recorded read says which row they belong to; computes those that a rule lets compute. */
export const declareReference: OperationVerbs<DeclareReference> = {
  kind: 'declare_reference',
  describe: ({ table, to }) => `declare    ${table} -> ${to}`,
  plan,
  expand,
  attribute,
  recompute,
  constrain,
  check,
  cutOver,
  observe,
  rollBack,
  newWrites,
  undo,
};

async function plan(operation: DeclareReference, scope: PlanScope) {
  const { transaction, relations, to, attribution } = scope;
  const old = relationOf(relations, operation.table);
  const given = classification(operation, { old, to, relations, attribution });
  const rows = await transaction.query<{ class: string; rows: bigint }>(sql`
    select "#class" as class, count(*) as rows from (${await classified(transaction, given)}) c group by 1`);
  const count = (name: string): number => Number(rows.find((row) => row.class === name)?.rows ?? 0n);
  const table = counts(operation.table, {
    backfill: count('backfill'),
    recompute: count('recompute'),
    ambiguous: count('ambiguous'),
  });
  const findings = [...(await dependents(transaction, old)), ...partsInTheWay(old, table)];
  return {
    tables: [table],
    findings,
    bound: { relation: old.id, reads: await readCount(transaction, old, operation) },
  };
}

/** How often the referenced table was read without being declared. */
async function readCount(transaction: Queryable, old: Relation, { to }: DeclareReference): Promise<number> {
  const [row] = await transaction.query<{ count: bigint }>(sql`
    select count(*) as count from varve.recorded_read where relation = ${old.id} and subject = ${to} and not declared`);
  return Number(row?.count ?? 0n);
}

function partsInTheWay(old: Relation, table: TableCounts): readonly Finding[] {
  if (Object.keys(old.spec.parts).length === 0 || table.recompute === 0) return [];
  return [
    refusal('operation_unavailable', old.name, {
      detail: { recompute: table.recompute, parts: Object.keys(old.spec.parts) },
      hint: 'Rows of a table with parts can be backfilled, not yet recomputed, by this operation: populate them to the present first.',
    }),
  ];
}
