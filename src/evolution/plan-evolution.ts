/** `varve plan` without an id: compares the definitions with what is deployed and writes a bundle. */
import { canonicalJson, refusal, type Finding, type JsonObject } from '../base/index.ts';
import type { TableCounts } from '../evidence/index.ts';
import {
  ANY_APPROVER,
  freeMigrationId,
  planMigration,
  readStatus,
  registerBundle,
  writeBundle,
  type Declaration,
  type PlanOutcome,
  type RunnerOptions,
} from '../migration/index.ts';
import { deployedSet, loadRelations, splitName, type DefinitionSet } from '../pipeline/index.ts';
import { withAttested, type Attestation } from './attestation.ts';
import { offerAdoption } from './adopt/offer.ts';
import { findOperations } from './find-operations.ts';
import type { ForwardDocument, RollbackDocument } from './documents.ts';
import { pipelineKind } from './kind.ts';
import { planOperations, type Counted } from './plan-operations.ts';
import type { Attribution, Decisions } from './attribution.ts';
import type { EvolutionWorld, Operation } from './operation/operation.ts';
import { decide, type FunctionRule } from './rule/decide.ts';
import { checkRules } from './rule/check-rules.ts';
import { verbsOf } from './operation/verbs.ts';

/** What is asked of a plan beside the definitions. */
export interface PlanChoices {
  /** Tables whose changed make is said to give the same. */
  readonly attest?: readonly Attestation[];
  /** Whether tables that stand there already are taken over. */
  readonly adopt?: boolean;
  /** Functions that are asked about ambiguous rows, by table. */
  readonly functions?: ReadonlyMap<string, FunctionRule>;
}

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
 * With `adopt`, a table that stands there already is taken over as it is.
 * Errors: refuses with `table_exists` for such a table without it, `operation_unavailable` for a change that no operation carries out.
 */
export async function planEvolution(
  options: RunnerOptions,
  world: EvolutionWorld,
  attribute: Attribution,
  { attest = [], adopt = false, functions = new Map() }: PlanChoices = {},
): Promise<EvolutionPlan> {
  const deployed = await deployedSet(options.store);
  const { set, digest } = world.definitions;
  if (deployed?.digest === digest && attest.length === 0) return { status: 'nothing' };
  const hints = world.definitions.hints;
  const compared = findOperations(deployed?.set, set, { hints, attribution: attribute });
  if (compared.findings.length > 0) return { status: 'refused', findings: compared.findings };
  const offered = await offerAdoption(options.store, compared.operations, { set, adopt });
  if (offered.findings.length > 0) return { status: 'refused', findings: offered.findings };
  const found = withAttested({ ...compared, operations: offered.operations }, world, attest);
  if (found.findings.length > 0) return { status: 'refused', findings: found.findings };
  const counted = await countAll(options, functions, {
    operations: found.operations,
    naming: found.naming,
    from: deployed?.set ?? NONE,
    to: set,
    attribution: attribute,
    decisions: {},
    codeByTable: world.codeByTable,
  });
  if ('findings' in counted) return { status: 'refused', findings: counted.findings };
  const tables = counted.plans.flatMap((plan) => plan.tables);
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
    declaration: declarationOf(id, found.operations, { tables, functions }),
    files: {
      ...filesOf(found.operations, { deployed, world, attribute }),
      ...ruleFiles(functions, counted.decisions),
    },
  });
  if (written.status === 'refused') return written;
  const { principal } = options.actor;
  const about = { owners: [principal], by: principal, clock: options.clock };
  const entered = await registerBundle(options.root, written.bundle, about);
  if (entered.status === 'refused') return entered;
  const outcome = await planMigration(withCounted(options, world, counted), id);
  return {
    status: 'planned',
    migrationId: id,
    operations: found.operations.flatMap((operation) => verbsOf(operation).describe(operation).split('\n')),
    outcome,
  };
}

/** What was counted for the bundle's limits is what its plan says: a second count would take as long again. */
function withCounted(options: RunnerOptions, world: EvolutionWorld, counted: Counted): RunnerOptions {
  const own = pipelineKind(() => Promise.resolve(world), { counted });
  return { ...options, kinds: options.kinds.map((kind) => (kind.name === own.name ? own : kind)) };
}

const NONE: DefinitionSet = { version: 1, tables: [] };

type Given = Parameters<typeof planOperations>[1];

/** What the operations do to the rows, where functions were asked about those that the record does not decide. */
function countAll(
  { store }: RunnerOptions,
  functions: ReadonlyMap<string, FunctionRule>,
  given: Given,
): Promise<(Counted & { readonly decisions: Decisions }) | { readonly findings: readonly Finding[] }> {
  return store.transaction({ isolation: 'repeatable read', readOnly: true }, async (transaction) => {
    const bare = { ...given, transaction, relations: await loadRelations(transaction), planned: new Map() };
    const unusable = functions.size === 0 ? [] : await checkRules(transaction, bare);
    if (unusable.length > 0) return { findings: unusable };
    const asked = functions.size === 0 ? { decisions: {} } : await decide(bare, functions);
    if ('findings' in asked) return asked;
    const { decisions } = asked;
    const counted = await planOperations(transaction, { ...given, decisions });
    return 'findings' in counted ? counted : { ...counted, decisions };
  });
}

/** The files that functions stand in, and what they said. */
function ruleFiles(
  functions: ReadonlyMap<string, FunctionRule>,
  decisions: Decisions,
): Readonly<Record<string, string>> {
  if (functions.size === 0) return {};
  return {
    ...Object.fromEntries([...functions.values()].map(({ path, source }) => [path, source])),
    'decisions.json': canonicalJson({ format: 'pipeline-decisions/1', tables: decisions }),
  };
}

function declarationOf(
  id: string,
  operations: readonly Operation[],
  {
    tables,
    functions,
  }: { readonly tables: readonly TableCounts[]; readonly functions: ReadonlyMap<string, FunctionRule> },
): Declaration {
  const touched = [...new Set(operations.flatMap(touchedBy))];
  const names = touched.map((name) => splitName(name));
  const sum = (count: (table: TableCounts) => number): number =>
    tables.reduce((total, table) => total + count(table), 0);
  return {
    migration_id: id,
    type: 'pipeline',
    intent: intentOf(operations),
    scope: {
      allowed_schemas: [...new Set(names.map(({ schema }) => schema))].toSorted(),
      allowed_tables: touched.toSorted(),
      forbidden_schemas: [],
      forbidden_tables: [],
    },
    limits: {
      max_table_count_touched: touched.length,
      max_row_rekey: sum(({ rekey }) => rekey),
      // Ambiguous rows may be attributed by a rule, so they count for either.
      max_row_backfill: sum(({ backfill }) => backfill),
      max_row_recompute: sum(({ recompute }) => recompute),
      // What people write to a new table goes to history on the way back, however much it is.
      max_row_retire: operations.some(
        (each) => each.kind === 'create_table' || (each.kind === 'rebuild' && each.from.length === 0),
      )
        ? Number.MAX_SAFE_INTEGER
        : sum(({ retire }) => retire),
    },
    requires_rollback: true,
    approvals: { required_reviewers: [ANY_APPROVER], change_class: 'routine' },
    artifacts: {
      forward: ['forward.json'],
      rollback: ['rollback.json'],
      ...(functions.size === 0
        ? {}
        : {
            attachments: [...new Set(['decisions.json', ...[...functions.values()].map(({ path }) => path)])],
          }),
    },
  };
}

/** The tables that an operation touches, by their old names too. */
function touchedBy(operation: Operation): readonly string[] {
  if (operation.kind === 'rebuild') return [operation.table, ...operation.from];
  return operation.kind === 'rename_table' ? [operation.table, operation.was] : [operation.table];
}

function intentOf(operations: readonly Operation[]): string {
  const text = operations
    .flatMap((operation) => verbsOf(operation).describe(operation).replaceAll(/ +/g, ' ').split('\n'))
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
    hints: world.definitions.hints as unknown as JsonObject,
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
  const lines = operations.flatMap((operation) =>
    verbsOf(operation)
      .describe(operation)
      .split('\n')
      .map((line) => `- ${line.replaceAll(/ +/g, ' ')}`),
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
