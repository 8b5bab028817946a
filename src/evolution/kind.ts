/**
 * The migration kind `pipeline`: from the deployed set of definitions to the edited one.
 *
 * The bundle's `forward.json` holds both sets' digests, the new set whole, the operations and the rules for ambiguous
 * rows; `rollback.json` the old set. The makes themselves come from the project, and must have the code that was
 * planned: a migration never runs code that nobody looked at.
 */
import { refusal, type Finding, type JsonObject } from '../base/index.ts';
import type { TableCounts } from '../evidence/index.ts';
import type {
  KindPlan,
  MigrationKind,
  Observation,
  RunContext,
  Step,
  StepResult,
} from '../migration/index.ts';
import {
  deployedSet,
  digestOfSet,
  loadRelations,
  recordDeployment,
  type DefinitionSet,
  type TableSpec,
} from '../pipeline/index.ts';
import { measure } from './baseline.ts';
import { countRows } from './count-rows.ts';
import {
  counts,
  type Attribution,
  type EvolutionWorld,
  type Operation,
  type OperationPlan,
  type OperationVerbs,
  type RunScope,
} from './operation/operation.ts';
import { verbsOf } from './operation/verbs.ts';
import { retireVerbs } from './let-go.ts';
import { computedSince } from './new-writes.ts';
import { retiredRows } from './retire.ts';

/** `forward.json`. */
export interface ForwardDocument extends JsonObject {
  readonly format: 'pipeline/1';
  /** Digest of the deployed set; null where nothing was deployed. */
  readonly from: string | null;
  readonly to: string;
  readonly set: JsonObject;
  readonly operations: readonly JsonObject[];
  readonly attribute: Readonly<Record<string, 'recompute'>>;
  /** Code digests of the makes of the tables that change. */
  readonly code: Readonly<Record<string, string>>;
}

/** `rollback.json`. */
export interface RollbackDocument extends JsonObject {
  readonly format: 'pipeline/1';
  readonly to: string | null;
  readonly set: JsonObject;
}

const LIMITS = [
  'max_table_count_touched',
  'max_row_rekey',
  'max_row_backfill',
  'max_row_recompute',
  'max_row_retire',
] as const;

/** The kind, for one project; `world` is asked for once a run needs the makes. */
export function pipelineKind(world: () => Promise<EvolutionWorld>): MigrationKind {
  return {
    name: 'pipeline',
    prefix: 'PIPE',
    limits: LIMITS,
    faultPoints: [
      'E01_classified',
      'E02_attributed',
      'E03_recomputed',
      'E04_sampled',
      'E05_checked',
      'E06_renamed',
    ],
    enforcement: { level: 'observed', layers: ['provenance_rows', 'row_digests'], role: 'none' },
    plan: async (context) => {
      const { forward, sets } = documentsOf(context.bundle.documents);
      if (context.direction === 'rollback') return planBack(forward, context.transaction);
      return planForward(forward, sets, { transaction: context.transaction, world: await world() });
    },
    apply: () => forwardSteps(world),
    rollback: () => rollbackSteps(world),
    observe: async (context, transaction) => observe(context, transaction, await world()),
    undo: async (context, transaction) => {
      const scope = scopeOf(context, await world());
      const operations = operationsOf(context).toReversed();
      if (context.direction === 'forward') {
        for (const operation of operations) await verbsOf(operation).undo?.(operation, scope, transaction);
      }
      return computedSince(
        transaction,
        operations.map(({ table }) => table),
        { since: context.runId, until: context.runId },
      );
    },
    baseline: async ({ bundle }, transaction) => {
      const { forward, sets } = documentsOf(bundle.documents);
      return measure(transaction, affectedSpecs(forward, sets.from, sets.to));
    },
    retire: retireVerbs,
  };
}

interface Documents {
  readonly forward: ForwardDocument;
  readonly sets: { readonly from: DefinitionSet; readonly to: DefinitionSet };
}

/** The operations as `findOperations` wrote them; the bundle's digest holds them to that. */
function operationsIn(forward: ForwardDocument): readonly Operation[] {
  return forward.operations as unknown as readonly Operation[];
}

const EMPTY: DefinitionSet = { version: 1, tables: [] };

function documentsOf(documents: Readonly<Record<string, JsonObject>>): Documents {
  const forward = documents['forward.json'] as ForwardDocument;
  const rollback = documents['rollback.json'] as RollbackDocument;
  const from = rollback.to === null ? EMPTY : (rollback.set as unknown as DefinitionSet);
  return { forward, sets: { from, to: forward.set as unknown as DefinitionSet } };
}

/**
 * The specs of the tables that operations touch, the old one where there is one. A redefinition touches what the catalog
 * says and no table: people write to it all the while, and no proof of equality may hang on that.
 */
function affectedSpecs(
  forward: ForwardDocument,
  from: DefinitionSet,
  to: DefinitionSet,
): readonly TableSpec[] {
  const names = operationsIn(forward)
    .filter(({ kind }) => kind !== 'redefine')
    .map(({ table }) => table);
  return names.flatMap((name) => {
    const spec =
      from.tables.find((candidate) => candidate.name === name) ??
      to.tables.find((candidate) => candidate.name === name);
    return spec === undefined ? [] : [spec];
  });
}

async function planForward(
  forward: ForwardDocument,
  sets: Documents['sets'],
  {
    transaction,
    world,
  }: { readonly transaction: Parameters<typeof loadRelations>[0]; readonly world: EvolutionWorld },
): Promise<KindPlan> {
  const deployed = await deployedSet(transaction);
  const moved = [...deployedMoved(forward.from, deployed?.digest), ...definitionsMoved(forward, world)];
  // With another set deployed the operations mean nothing, so they are not asked.
  if (moved.length > 0) return planned(forward, [], moved);
  const relations = await loadRelations(transaction);
  const plans: OperationPlan[] = [];
  for (const operation of operationsIn(forward)) {
    const scope = { ...sets, transaction, relations, attribution: forward.attribute };
    plans.push(await verbsOf(operation).plan(operation, scope));
  }
  return planned(forward, plans, []);
}

function planned(
  forward: ForwardDocument,
  plans: readonly OperationPlan[],
  findings: readonly Finding[],
): KindPlan {
  return {
    bound: {
      from: forward.from,
      to: forward.to,
      operations: forward.operations,
      code: forward.code,
      states: plans.map(({ bound }) => bound),
    },
    tables: byName(plans.flatMap(({ tables }) => tables)),
    objects: objectsOf(forward),
    shown: { operations: wordsOf(forward, plans), questions: questionsOf(plans) },
    rollbackClass: 'lossless',
    findings: [...findings, ...plans.flatMap((plan) => plan.findings)],
  };
}

/** The operations in words, with what makes them needed where that is counted. */
function wordsOf(forward: ForwardDocument, plans: readonly OperationPlan[]): readonly string[] {
  return operationsIn(forward).map((operation, index) => {
    const reads = plans[index]?.bound['reads'];
    const words = verbsOf(operation).describe(operation);
    return typeof reads === 'number'
      ? `${words}   (read ${reads.toLocaleString('en')} times without being declared)`
      : words;
  });
}

/** What the plan cannot answer itself. */
function questionsOf(plans: readonly OperationPlan[]): readonly string[] {
  return plans
    .flatMap(({ tables }) => tables)
    .filter(({ ambiguous }) => ambiguous > 0)
    .map(
      ({ table, ambiguous }) =>
        `${ambiguous} rows of ${table} cannot be attributed by what is recorded: let them be computed anew with --attribute ${table}=recompute`,
    );
}

function objectsOf(forward: ForwardDocument): readonly string[] {
  return operationsIn(forward)
    .map(({ table }) => table)
    .toSorted();
}

function byName(tables: readonly TableCounts[]): readonly TableCounts[] {
  return tables.toSorted((left, right) => (left.table < right.table ? -1 : 1));
}

function deployedMoved(expected: string | null, found: string | undefined): readonly Finding[] {
  if ((found ?? null) === expected) return [];
  return [
    refusal('plan_changed', 'definitions', {
      detail: { planned: expected, deployed: found ?? null },
      hint: 'Another set of definitions was deployed since. Run `varve plan` again and apply that.',
    }),
  ];
}

function definitionsMoved(forward: ForwardDocument, world: EvolutionWorld): readonly Finding[] {
  const hint = 'The project’s definitions were edited since. Run `varve plan` again and apply that.';
  if (world.definitions.digest !== forward.to) {
    return [
      refusal('definitions_moved', 'definitions', {
        detail: { planned: forward.to, present: world.definitions.digest },
        hint,
      }),
    ];
  }
  return Object.entries(forward.code)
    .filter(([table, digest]) => world.codeByTable.get(table)?.digest !== digest)
    .map(([table, digest]) =>
      refusal('definitions_moved', table, {
        detail: { planned: digest, present: world.codeByTable.get(table)?.digest ?? null },
        hint,
      }),
    );
}

async function planBack(
  forward: ForwardDocument,
  transaction: Parameters<typeof loadRelations>[0],
): Promise<KindPlan> {
  const deployed = await deployedSet(transaction);
  const relations = await loadRelations(transaction);
  const findings = deployedMoved(forward.to, deployed?.digest);
  const tables: TableCounts[] = [];
  for (const operation of operationsIn(forward)) {
    tables.push(await keptBack(operation, relations, transaction));
  }
  return { ...planned(forward, [], findings), tables: byName(tables) };
}

/** On the way back every row of a table is kept; those of a table that goes away are retired. */
async function keptBack(
  operation: Operation,
  relations: Awaited<ReturnType<typeof loadRelations>>,
  transaction: Parameters<typeof loadRelations>[0],
): Promise<TableCounts> {
  const relation = relations.get(operation.table);
  const rows = relation === undefined ? 0 : await countRows(transaction, relation.placement);
  return counts(operation.table, operation.kind === 'create_table' ? { retire: rows } : { keep: rows });
}

function operationsOf(context: RunContext): readonly Operation[] {
  return operationsIn(documentsOf(context.bundle.documents).forward);
}

function scopeOf(context: RunContext, world: EvolutionWorld): RunScope {
  const { forward, sets } = documentsOf(context.bundle.documents);
  const attribution: Attribution = forward.attribute;
  return { ...sets, context, world, attribution };
}

const BESIDE = ['expand', 'attribute', 'recompute', 'constrain', 'check'] as const;

/** Each stage over all operations, in order: what a stage builds may be read by the next stage of another table. */
function forwardSteps(world: () => Promise<EvolutionWorld>): readonly Step[] {
  const beside = BESIDE.map((verb): Step => ({
    mode: 'beside',
    name: verb,
    run: async (context) => {
      const scope = scopeOf(context, await world());
      const findings: Finding[] = [];
      for (const operation of operationsOf(context)) {
        findings.push(...((await verbsOf(operation)[verb]?.(operation, scope)) ?? []));
      }
      return { findings };
    },
  }));
  return [
    ...beside,
    {
      mode: 'decide',
      name: 'cut over',
      run: async (context, transaction): Promise<StepResult> => {
        const scope = scopeOf(context, await world());
        const findings: Finding[] = [];
        for (const operation of operationsOf(context)) {
          findings.push(...(await verbsOf(operation).cutOver(operation, scope, transaction)));
        }
        await recordDeployment(
          transaction,
          scope.to,
          documentsOf(context.bundle.documents).forward.to,
          context.runId,
        );
        return { findings };
      },
    },
  ];
}

function rollbackSteps(world: () => Promise<EvolutionWorld>): readonly Step[] {
  return [
    {
      mode: 'decide',
      name: 'cut back',
      run: async (context, transaction): Promise<StepResult> => {
        const scope = scopeOf(context, await world());
        const findings: Finding[] = [];
        for (const operation of operationsOf(context).toReversed()) {
          findings.push(...(await verbsOf(operation).rollBack(operation, scope, transaction)));
        }
        const { forward, sets } = documentsOf(context.bundle.documents);
        await recordDeployment(transaction, sets.from, forward.from ?? digestOfSet(EMPTY), context.runId);
        return { findings };
      },
    },
  ];
}

async function observe(
  context: RunContext,
  transaction: Parameters<MigrationKind['observe']>[1],
  world: EvolutionWorld,
): Promise<Observation> {
  const scope = scopeOf(context, world);
  const tables: TableCounts[] = [];
  const newWrites = [];
  for (const operation of operationsOf(context)) {
    const verbs = verbsOf(operation);
    tables.push(...(await observedCounts(verbs, operation, scope, transaction)));
    if (context.direction === 'rollback') {
      newWrites.push(...((await verbs.newWrites?.(operation, scope, transaction)) ?? []));
    }
  }
  return {
    tables: byName(tables),
    objects: objectsOf(documentsOf(context.bundle.documents).forward),
    witnesses: ['provenance_rows'],
    newWrites,
    checks: [{ name: 'foreign_keys_valid', status: 'pass' }],
    findings: [],
  };
}

/** On the way back a created table is gone: its rows are counted where they went, as planned. */
async function observedCounts(
  verbs: OperationVerbs<Operation>,
  operation: Operation,
  scope: RunScope,
  transaction: Parameters<MigrationKind['observe']>[1],
): Promise<readonly TableCounts[]> {
  if (scope.context.direction === 'rollback' && operation.kind === 'create_table') {
    return [
      counts(operation.table, {
        retire: await retiredRows(transaction, operation.table, scope.context.runId),
      }),
    ];
  }
  return verbs.observe(operation, scope, transaction);
}
