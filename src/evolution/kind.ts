/**
 * The migration kind `pipeline`: from the deployed set of definitions to the edited one.
 *
 * The bundle's `forward.json` holds both sets' digests, the new set whole, the operations and the rules for ambiguous
 * rows; `rollback.json` the old set. The makes themselves come from the project, and must have the code that was
 * planned: a migration never runs code that nobody looked at.
 *
 * ```text
 * documents, and whether they hold still     documents.ts, moved.ts
 * plan, there and back                       plan-operations.ts
 * steps, there and back                      run-steps.ts
 * what a run touched                         observe-run.ts
 * ```
 */
import type { MigrationKind } from '../migration/index.ts';
import { measure } from './baseline.ts';
import { affectedSpecs, documentsOf } from './documents.ts';
import { retireVerbs } from './let-go.ts';
import { notedTables, writtenSince } from './new-writes.ts';
import { observe } from './observe-run.ts';
import type { EvolutionWorld } from './operation/operation.ts';
import { verbsOf } from './operation/verbs.ts';
import { planBack, planForward, type Counted } from './plan-operations.ts';
import { runWorld } from './rebuild/world.ts';
import { forwardSteps, operationsOf, rollbackSteps, scopeOf } from './run-steps.ts';

const LIMITS = [
  'max_table_count_touched',
  'max_row_rekey',
  'max_row_backfill',
  'max_row_recompute',
  'max_row_retire',
] as const;

/**
 * The kind, for one project; `world` is asked for once a run needs the makes. With `counted`, its forward plan says what was
 * counted a moment ago.
 */
export function pipelineKind(
  world: () => Promise<EvolutionWorld>,
  { counted }: { readonly counted?: Counted } = {},
): MigrationKind {
  return {
    name: 'pipeline',
    prefix: 'PIPE',
    limits: LIMITS,
    carriesLaterWrites: true,
    faultPoints: [
      'E01_classified',
      'E02_attributed',
      'E03_recomputed',
      'E04_sampled',
      'E05_checked',
      'E06_renamed',
    ],
    scopeKeys: ['allowed_schemas', 'allowed_tables', 'forbidden_schemas', 'forbidden_tables'],
    isolation: 'read committed',
    baselineIn: 'before',
    foreseesRows: true,
    plan: async (context) => {
      const documents = documentsOf(context.bundle.documents);
      if (context.direction === 'rollback') return planBack(documents.forward, context.transaction);
      return planForward(documents, {
        transaction: context.transaction,
        world: await world(),
        counted,
        held: context.planned,
      });
    },
    apply: () => forwardSteps(world),
    rollback: () => rollbackSteps(world),
    observe: async (context, transaction, carried) =>
      observe(context, transaction, { world: await world(), carried }),
    undo: async (context, transaction) => {
      const scope = scopeOf(context, await world());
      const operations = operationsOf(context).toReversed();
      const noted =
        context.direction === 'forward'
          ? await notedTables(await runWorld(transaction, scope), transaction)
          : new Map<string, number>();
      if (context.direction === 'forward') {
        for (const operation of operations) await verbsOf(operation).undo?.(operation, scope, transaction);
      }
      const tables = operations.flatMap((operation) =>
        operation.kind === 'rebuild' ? [operation.table, ...operation.from] : [operation.table],
      );
      return writtenSince(transaction, tables, { since: context.runId, until: context.runId, noted });
    },
    baseline: async ({ bundle, algorithm, decidingRun }, transaction) => {
      const { forward, sets } = documentsOf(bundle.documents);
      return measure(transaction, affectedSpecs(forward, sets.from, sets.to), { algorithm, decidingRun });
    },
    retire: retireVerbs,
  };
}
