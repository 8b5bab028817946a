/** `varve plan` without an id: compares the definitions with what is deployed and writes a bundle. */
import { canonicalJson, refusal, type Finding, type JsonObject } from '../base/index.ts';
import type { TableCounts } from '../evidence/index.ts';
import {
  freeMigrationId,
  planMigration,
  readStatus,
  writeBundle,
  type Declaration,
  type PlanOutcome,
  type RunnerOptions,
} from '../migration/index.ts';
import { deployedSet, loadRelations, splitName, type DefinitionSet } from '../pipeline/index.ts';
import { findOperations } from './find-operations.ts';
import type { ForwardDocument, RollbackDocument } from './kind.ts';
import type { Attribution, EvolutionWorld, Operation } from './operation/operation.ts';
import { verbsOf } from './operation/verbs.ts';

/** A written plan, or that there is nothing to do, or why there is none. */
export type EvolutionPlan =
  | {
      readonly status: 'planned';
      readonly migrationId: string;
      /** In words, one each. */
      readonly operations: readonly string[];
      readonly outcome: PlanOutcome;
    }
  | { readonly status: 'nothing' }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * Plans the way from the deployed definitions to the project's, and writes it as a bundle with its plan.
 *
 * A bundle that an earlier call wrote for the same way, and that was never run, is named as superseded by the new one.
 * Errors: refuses with `operation_unavailable` for a change that no operation carries out.
 */
export async function planEvolution(
  options: RunnerOptions,
  world: EvolutionWorld,
  attribute: Attribution,
): Promise<EvolutionPlan> {
  const deployed = await deployedSet(options.store);
  const { set, digest } = world.definitions;
  if (deployed?.digest === digest) return { status: 'nothing' };
  const found = findOperations(deployed?.set, set);
  if (found.findings.length > 0) return { status: 'refused', findings: found.findings };
  const unknown = Object.keys(attribute).filter(
    (table) => !found.operations.some((each) => each.table === table),
  );
  if (unknown.length > 0) return { status: 'refused', findings: unknown.map(notAffected) };
  const tables = await countAll(
    options,
    found.operations,
    { from: deployed?.set ?? NONE, to: set },
    attribute,
  );
  const id = await freeMigrationId(options.root, 'pipeline', {
    nowMs: options.clock.nowMs(),
    taken: (await readStatus(options)).migrations.map(({ migrationId }) => migrationId),
  });
  if (id === undefined) {
    return {
      status: 'refused',
      findings: [refusal('bundle_invalid', 'migrations', { hint: 'The 99 ids of this day are used up.' })],
    };
  }
  const written = await writeBundle(options.root, {
    declaration: declarationOf(id, found.operations, tables),
    files: filesOf(found.operations, { deployed, world, attribute }),
  });
  if (written.status === 'refused') return written;
  const outcome = await planMigration(options, id);
  return {
    status: 'planned',
    migrationId: id,
    operations: found.operations.map((operation) => verbsOf(operation).describe(operation)),
    outcome,
  };
}

const NONE: DefinitionSet = { version: 1, tables: [] };

function notAffected(table: string): Finding {
  return refusal('unknown_table', table, { hint: 'Name a table that this plan changes after --attribute.' });
}

async function countAll(
  { store }: RunnerOptions,
  operations: readonly Operation[],
  sets: { readonly from: DefinitionSet; readonly to: DefinitionSet },
  attribution: Attribution,
): Promise<readonly TableCounts[]> {
  return store.transaction({ isolation: 'repeatable read', readOnly: true }, async (transaction) => {
    const relations = await loadRelations(transaction);
    const tables: TableCounts[] = [];
    for (const operation of operations) {
      const plan = await verbsOf(operation).plan(operation, { ...sets, transaction, relations, attribution });
      tables.push(...plan.tables);
    }
    return tables;
  });
}

function declarationOf(
  id: string,
  operations: readonly Operation[],
  tables: readonly TableCounts[],
): Declaration {
  const names = operations.map(({ table }) => splitName(table));
  const sum = (count: (table: TableCounts) => number): number =>
    tables.reduce((total, table) => total + count(table), 0);
  return {
    migration_id: id,
    type: 'pipeline',
    intent: intentOf(operations),
    scope: {
      allowed_schemas: [...new Set(names.map(({ schema }) => schema))].toSorted(),
      allowed_tables: operations.map(({ table }) => table).toSorted(),
      forbidden_schemas: [],
      forbidden_tables: [],
    },
    limits: {
      max_table_count_touched: operations.length,
      max_row_rekey: sum(({ rekey }) => rekey),
      // Ambiguous rows may be attributed by a rule, so they count for either.
      max_row_backfill: sum(({ backfill }) => backfill),
      max_row_recompute: sum(({ recompute }) => recompute),
      // What people write to a new table goes to history on the way back, however much it is.
      max_row_retire: operations.some(({ kind }) => kind === 'create_table')
        ? Number.MAX_SAFE_INTEGER
        : sum(({ retire }) => retire),
    },
    requires_rollback: true,
    artifacts: { forward: ['forward.json'], rollback: ['rollback.json'] },
  };
}

function intentOf(operations: readonly Operation[]): string {
  const text = operations
    .map((operation) => verbsOf(operation).describe(operation).replaceAll(/ +/g, ' '))
    .join('; ');
  return text.length <= 500 ? text : `${text.slice(0, 497)}...`;
}

function filesOf(
  operations: readonly Operation[],
  given: {
    readonly deployed: { readonly digest: string; readonly set: DefinitionSet } | undefined;
    readonly world: EvolutionWorld;
    readonly attribute: Attribution;
  },
): Readonly<Record<string, string>> {
  const { deployed, world, attribute } = given;
  const affected = new Set(operations.map(({ table }) => table));
  const code = [...world.codeByTable].filter(([table]) => affected.has(table));
  const forward: ForwardDocument = {
    format: 'pipeline/1',
    from: deployed?.digest ?? null,
    to: world.definitions.digest,
    set: world.definitions.set as unknown as JsonObject,
    operations: operations as unknown as readonly JsonObject[],
    attribute,
    code: Object.fromEntries(code.map(([table, { digest }]) => [table, digest])),
  };
  const rollback: RollbackDocument = {
    format: 'pipeline/1',
    to: deployed?.digest ?? null,
    set: (deployed?.set ?? NONE) as unknown as JsonObject,
  };
  return {
    'forward.json': canonicalJson(forward),
    'rollback.json': canonicalJson(rollback),
    'notes.md': notesOf(operations),
  };
}

function notesOf(operations: readonly Operation[]): string {
  const lines = operations.map(
    (operation) => `- ${verbsOf(operation).describe(operation).replaceAll(/ +/g, ' ')}`,
  );
  return `# Why

Written by \`varve plan\` from the project's definitions.

${lines.join('\n')}

# Risks

Writers of the tables above wait while names change.

# Rollout

\`varve apply\`, then \`varve verify --full\`.

# Rollback

\`varve rollback\`: the old structure stays in schema \`varve_history\` until it is retired.

# Rollback verification

The digests of all tables above equal those of the baseline, rows written since apart.
`;
}
