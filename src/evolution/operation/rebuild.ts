/**
 * A table is built anew beside the old one, with all its changes at once; see `../change/` for what they are and
 * `../rebuild/` for how.
 */
import type { JsonObject } from '../../base/index.ts';
import { digestOf } from '../../evidence/index.ts';
import { sql } from '../../store/index.ts';
import { shapeOf } from '../baseline.ts';
import { describeChange } from '../change/changes.ts';
import { expand } from '../rebuild/attribute.ts';
import { build, check, constrain } from '../rebuild/complete.ts';
import { enter, leave, observe } from '../rebuild/cut-over.ts';
import { readSubjectsOf } from '../rebuild/read-subjects.ts';
import { carryBack, enterBack, joinBack, leaveBack, newWrites, undo } from '../rebuild/roll-back.ts';
import { counts, type OperationVerbs, type PlanScope, type Rebuild } from './operation.ts';

/** See the header. */
export const rebuild: OperationVerbs<Rebuild> = {
  kind: 'rebuild',
  describe: ({ table, changes }) =>
    changes.length === 0
      ? `rebuild    ${table}`
      : changes.map((change) => describeChange(change, table)).join('\n'),
  plan: async (operation, scope) => {
    const planned = scope.planned.get(operation.table);
    return {
      tables: [planned?.counts ?? counts(operation.table)],
      findings: planned?.findings ?? [],
      bound: { relations: await relationIds(operation, scope), catalog: await catalogOf(operation, scope) },
      reads: await readCount(operation, scope),
      questions: planned?.questions ?? [],
    };
  },
  planBack: async ({ table, from }, { transaction, relations }) => {
    const next = relations.get(table);
    if (next === undefined) return [counts(table)];
    if (from.length === 0) {
      const [row] = await transaction.query<{ rows: bigint }>(
        sql`select count(*) as rows from ${sql.id(next.placement.schema, next.placement.table)}`,
      );
      return [counts(table, { retire: Number(row?.rows ?? 0n) })];
    }
    const olds = await transaction.query<{ schema: string; table: string }>(sql`
      select r.physical_schema as schema, r.physical_name as "table" from varve.relation_source s
      join varve.relation r on r.id = s.source where s.relation = ${next.id} and r.state = 'retired' order by r.id`);
    let keep = 0;
    for (const old of olds) {
      const [row] = await transaction.query<{ rows: bigint }>(
        sql`select count(*) as rows from ${sql.id(old.schema, old.table)}`,
      );
      keep += Number(row?.rows ?? 0n);
    }
    return [counts(table, { keep })];
  },
  expand,
  build,
  constrain,
  check,
  leave,
  enter,
  observe,
  carryBack,
  leaveBack,
  enterBack,
  joinBack,
  newWrites,
  undo,
};

async function relationIds({ from }: Rebuild, { relations }: PlanScope): Promise<readonly number[]> {
  return from.flatMap((name) => relations.get(name)?.id ?? []);
}

/** What the structures are made of that rows come from, and that a run builds upon; columns of nobody's are told by themselves. */
async function catalogOf({ from }: Rebuild, { transaction, relations }: PlanScope): Promise<JsonObject> {
  const catalog: Record<string, JsonObject> = {};
  for (const name of from) {
    const relation = relations.get(name);
    if (relation === undefined) continue;
    const { columns, constraints, indexes } = await shapeOf(transaction, relation.placement);
    const known = columns.filter((column) => relation.spec.columns.some((each) => each.name === column.name));
    catalog[name] = {
      columns: digestOf(known),
      constraints: digestOf(constraints),
      indexes: digestOf(indexes),
    };
  }
  return catalog;
}

/** How often tables were read without being declared that are declared now; null where none are. */
async function readCount(
  { from, changes }: Rebuild,
  { transaction, relations, naming }: PlanScope,
): Promise<number | null> {
  const declared = changes.flatMap((change) =>
    change.kind === 'declare_reference' || (change.kind === 'widen_key' && change.to !== undefined)
      ? [change.to ?? '']
      : [],
  );
  const [name = ''] = from;
  const old = relations.get(name);
  if (declared.length === 0 || old === undefined) return null;
  const subjects = await readSubjectsOf(transaction, old.id);
  const targets = declared.flatMap((table) => {
    const [was] = naming.pairs.get(table)?.sources ?? [];
    const target = was === undefined ? undefined : relations.get(was.name);
    return target === undefined ? [] : [subjects(target, sql`r`)];
  });
  if (targets.length === 0) return null;
  const [row] = await transaction.query<{ count: bigint }>(sql`
    select count(*) as count from varve.recorded_read r
    where r.relation = ${old.id} and not r.declared and (${sql.join(targets, sql` or `)})`);
  const reads = Number(row?.count ?? 0n);
  return reads === 0 ? null : reads;
}
