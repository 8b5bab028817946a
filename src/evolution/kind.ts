/**
 * The migration kind `pipeline`: from the deployed set of definitions to the edited one.
 *
 * The bundle's `forward.json` holds both sets' digests, the new set whole, the operations and the rules for ambiguous
 * rows; `rollback.json` the old set. The makes themselves come from the project, and must have the code that was
 * planned: a migration never runs code that nobody looked at.
 */
import { canonicalJson, refusal, type Finding, type JsonObject } from '../base/index.ts';
import type { TableCounts } from '../evidence/index.ts';
import {
  exactMeasures,
  measuresOfCounts,
  type Enforcement,
  type KindPlan,
  type MigrationKind,
  type NewWrites,
  type Observation,
  type RunContext,
  type Step,
  type StepResult,
  type Touched,
} from '../migration/index.ts';
import {
  deployedSet,
  digestOfSet,
  loadRelations,
  recordDeployment,
  sameJson,
  splitName,
  type DefinitionSet,
  type Hints,
  type Relation,
  type Relations,
  type TableSpec,
} from '../pipeline/index.ts';
import { sql, type Queryable, type Transaction } from '../store/index.ts';
import { measure } from './baseline.ts';
import { attestationsIn, withAttested } from './attestation.ts';
import { buildOrder } from './build-order.ts';
import { costOf, type Cost } from './cost.ts';
import { validateKeys } from './foreign-keys.ts';
import { findOperations } from './find-operations.ts';
import { nameSets, type Naming } from './naming.ts';
import type { Attribution, Decisions } from './attribution.ts';
import type { EvolutionWorld, Operation, OperationPlan, PlanScope, RunScope } from './operation/operation.ts';
import { verbsOf } from './operation/verbs.ts';
import { retireVerbs } from './let-go.ts';
import { notedTables, writtenSince } from './new-writes.ts';
import { catchUpBeside, catchUpInside } from './rebuild/catch-up.ts';
import { settleLists, tidy, turnedOut } from './rebuild/cut-over.ts';
import { planRebuilds } from './rebuild/plan.ts';
import { checkRules, evaluatingRules } from './rule/check-rules.ts';

/** `forward.json`. */
export interface ForwardDocument extends JsonObject {
  readonly format: 'pipeline/1';
  /** Digest of the deployed set; null where nothing was deployed. */
  readonly from: string | null;
  readonly to: string;
  readonly set: JsonObject;
  readonly operations: readonly JsonObject[];
  readonly attribute: Attribution;
  /** What the definitions say of where tables and columns come from. */
  readonly hints: JsonObject;
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
      return planForward(documents, { transaction: context.transaction, world: await world(), counted });
    },
    apply: () => forwardSteps(world),
    rollback: () => rollbackSteps(world),
    observe: async (context, transaction) => observe(context, transaction, await world()),
    undo: async (context, transaction) => {
      const scope = scopeOf(context, await world());
      const operations = operationsOf(context).toReversed();
      const noted =
        context.direction === 'forward' ? await notedTables(scope, transaction) : new Map<string, number>();
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

/** What every run of this kind is held by. */
const ENFORCEMENT: Enforcement = {
  level: 'observed',
  layers: ['provenance_rows', 'row_digests'],
  role: 'none',
};

/** A bundle's documents, as they are worked with. */
export interface Documents {
  readonly forward: ForwardDocument;
  readonly naming: Naming;
  readonly decisions: Decisions;
  readonly sets: { readonly from: DefinitionSet; readonly to: DefinitionSet };
}

/** The operations as `findOperations` wrote them; the bundle's digest holds them to that. */
export function operationsIn(forward: ForwardDocument): readonly Operation[] {
  return forward.operations as unknown as readonly Operation[];
}

const EMPTY: DefinitionSet = { version: 1, tables: [] };

/** Reads the documents of a bundle; whether they are what they claim is for `movedFindings` to say. */
export function documentsOf(documents: Readonly<Record<string, JsonObject>>): Documents {
  const forward = documents['forward.json'] as ForwardDocument;
  const rollback = documents['rollback.json'] as RollbackDocument;
  const from = rollback.to === null ? EMPTY : (rollback.set as unknown as DefinitionSet);
  const to = forward.set as unknown as DefinitionSet;
  const naming = nameSets(from, to, forward.hints as unknown as Hints);
  const decisions = (documents['decisions.json']?.['tables'] ?? {}) as unknown as Decisions;
  return { forward, naming, decisions, sets: { from, to } };
}

/**
 * The specs of the tables that operations touch, the old one where there is one. A redefinition, an adoption and an attested
 * code touch what the catalog says and no table: people write to it all the while, and no proof of equality may hang on that.
 */
function affectedSpecs(
  forward: ForwardDocument,
  from: DefinitionSet,
  to: DefinitionSet,
): readonly TableSpec[] {
  const names = operationsIn(forward).flatMap((operation): readonly string[] => {
    // Their rows stay where they stand, and people write to them all the while: no proof may hang on that.
    if (['adopt_table', 'attest_code', 'redefine', 'rename_table'].includes(operation.kind)) return [];
    return operation.kind === 'rebuild' ? [operation.table, ...operation.from] : [operation.table];
  });
  return [...new Set(names)].flatMap((name) => {
    const spec =
      from.tables.find((candidate) => candidate.name === name) ??
      to.tables.find((candidate) => candidate.name === name);
    return spec === undefined ? [] : [spec];
  });
}

async function planForward(
  { forward, naming, sets, decisions }: Documents,
  {
    transaction,
    world,
    counted,
  }: {
    readonly transaction: Transaction;
    readonly world: EvolutionWorld;
    readonly counted: Counted | undefined;
  },
): Promise<KindPlan> {
  const deployed = await deployedSet(transaction);
  const moved = movedFindings({ forward, naming, sets, decisions }, { deployed, world });
  // With another set deployed the operations mean nothing, so they are not asked.
  if (moved.length > 0) return planned(forward, [], moved);
  const operations = operationsIn(forward);
  const given = {
    ...sets,
    naming,
    operations,
    attribution: forward.attribute,
    decisions,
    codeByTable: world.codeByTable,
  };
  const outcome = counted ?? (await planOperations(transaction, given));
  if ('findings' in outcome) return planned(forward, [], outcome.findings);
  const plan = planned(forward, outcome.plans, []);
  const { reasons, cost, ambiguousKeys } = outcome;
  return { ...plan, shown: { ...plan.shown, reasons, cost }, ambiguousKeys };
}

/** What the operations would do, counted in one snapshot. */
export interface Counted {
  readonly plans: readonly OperationPlan[];
  readonly reasons: readonly JsonObject[];
  readonly cost: Cost | null;
  readonly ambiguousKeys: Readonly<Record<string, readonly JsonObject[]>>;
}

/** What each operation would do, the rebuilds together; or why the rules of the bundle cannot be used. */
export async function planOperations(
  transaction: Transaction,
  given: Omit<PlanScope, 'transaction' | 'relations' | 'planned'>,
): Promise<Counted | { readonly findings: readonly Finding[] }> {
  const relations = await loadRelations(transaction);
  const bare: PlanScope = { ...given, transaction, relations, planned: new Map() };
  const unusable = await checkRules(transaction, bare);
  if (unusable.length > 0) return { findings: unusable };
  const rebuilds = await evaluatingRules(transaction, bare, () => planRebuilds(bare));
  if ('findings' in rebuilds) return rebuilds;
  const plans: OperationPlan[] = [];
  for (const operation of given.operations) {
    plans.push(await verbsOf(operation).plan(operation, { ...bare, planned: rebuilds.value }));
  }
  const reasons = [...rebuilds.value].flatMap(([table, each]) =>
    each.reasons.map((reason) => ({ table, ...reason })),
  );
  const ambiguousKeys = Object.fromEntries(
    [...rebuilds.value].map(([table, each]) => [table, each.ambiguousKeys]),
  );
  return { plans, reasons, cost: await costOf(bare, rebuilds.value), ambiguousKeys };
}

function planned(
  forward: ForwardDocument,
  plans: readonly OperationPlan[],
  findings: readonly Finding[],
): KindPlan {
  const tables = oneEach(plans.flatMap((plan) => plan.tables));
  const objects = objectsOf(forward);
  return {
    bound: {
      from: forward.from,
      to: forward.to,
      operations: forward.operations,
      code: forward.code,
      states: plans.map(({ bound }) => bound),
    },
    tables,
    objects,
    enforcement: ENFORCEMENT,
    measures: measuresOfCounts(tables, objects),
    shown: { operations: wordsOf(forward, plans), questions: questionsOf(plans) },
    rollbackClass: 'lossless',
    findings: [...findings, ...plans.flatMap((plan) => plan.findings)],
  };
}

/** The operations in words, with what makes them needed where that is counted. */
function wordsOf(forward: ForwardDocument, plans: readonly OperationPlan[]): readonly string[] {
  return operationsIn(forward).flatMap((operation, index) => {
    const reads = plans[index]?.reads;
    const words = verbsOf(operation).describe(operation).split('\n');
    if (typeof reads !== 'number') return words;
    const told = `   (read ${reads.toLocaleString('en')} times without being declared)`;
    return words.map((line) => (/^(declare|widen) /u.test(line) ? `${line}${told}` : line));
  });
}

/** What the plan cannot answer itself. */
function questionsOf(plans: readonly OperationPlan[]): readonly string[] {
  const ambiguous = plans
    .flatMap(({ tables }) => tables)
    .filter(({ ambiguous }) => ambiguous > 0)
    .map(
      ({ table, ambiguous }) =>
        `${ambiguous} rows of ${table} cannot be attributed by what is recorded: say which rule holds: --attribute ${table}=recompute, ${table}=retire, or --attribute ${table}.COLUMN=EXPRESSION`,
    );
  return [...ambiguous, ...plans.flatMap(({ questions = [] }) => questions)];
}

/** Every table that is touched, by its new name and, where it is another one, by its old. */
function objectsOf(forward: ForwardDocument): readonly string[] {
  const names = operationsIn(forward).flatMap((operation) => {
    if (operation.kind === 'rebuild') return [operation.table, ...operation.from];
    return operation.kind === 'rename_table' ? [operation.table, operation.was] : [operation.table];
  });
  return [...new Set(names)].toSorted();
}

/** One line a table: two operations of one table tell of the same rows, and the first one tells more. */
function oneEach(tables: readonly TableCounts[]): readonly TableCounts[] {
  const first = new Map<string, TableCounts>();
  for (const each of tables) if (!first.has(each.table)) first.set(each.table, each);
  return [...first.values()].toSorted((left, right) => (left.table < right.table ? -1 : 1));
}

/** Why a bundle is no way from what is deployed to what the project defines. */
export function movedFindings(
  documents: Documents,
  given: { readonly deployed: Awaited<ReturnType<typeof deployedSet>>; readonly world: EvolutionWorld },
): readonly Finding[] {
  const moved = [
    ...deployedMoved(documents.forward.from, given.deployed?.digest),
    ...definitionsMoved(documents.forward, given.world),
  ];
  // What others deployed or somebody edited since explains all the rest.
  return moved.length > 0
    ? moved
    : documentsEdited(documents, { deployed: given.deployed?.set, world: given.world });
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

/** What a table that is taken over would be, if it did not stand there. */
function unadopted(operation: Operation): Operation {
  return operation.kind === 'adopt_table' ? { kind: 'create_table', table: operation.table } : operation;
}

/**
 * A bundle is text that somebody may have written or altered, and much of it becomes part of statements: so it is held to
 * what its own definitions lead to.
 */
function documentsEdited(
  { forward, sets }: Documents,
  { deployed, world }: { readonly deployed: DefinitionSet | undefined; readonly world: EvolutionWorld },
): readonly Finding[] {
  const hints = forward.hints as unknown as Hints;
  const found = findOperations(deployed, sets.to, { hints, attribution: forward.attribute });
  const { operations } = withAttested(found, world, attestationsIn(forward));
  const isOwn =
    digestOfSet(sets.to) === forward.to &&
    sameJson(deployed ?? EMPTY, sets.from) &&
    canonicalJson(operations as unknown as readonly JsonObject[]) ===
      canonicalJson(operationsIn(forward).map(unadopted) as unknown as readonly JsonObject[]);
  if (isOwn) return [];
  return [
    refusal('bundle_invalid', 'forward.json', {
      detail: { reason: 'not_of_its_definitions' },
      hint: 'Its operations are not those that lie between its definitions. Run `varve plan` again and apply that.',
    }),
  ];
}

async function planBack(forward: ForwardDocument, transaction: Queryable): Promise<KindPlan> {
  const deployed = await deployedSet(transaction);
  const relations = await loadRelations(transaction);
  const findings = deployedMoved(forward.to, deployed?.digest);
  if (findings.length > 0) return planned(forward, [], findings);
  const operations = operationsIn(forward);
  const tables: TableCounts[] = [];
  for (const operation of operations) {
    tables.push(...(await verbsOf(operation).planBack(operation, { transaction, relations, operations })));
  }
  const counted = oneEach(tables);
  const plan = planned(forward, [], findings);
  return { ...plan, tables: counted, measures: measuresOfCounts(counted, plan.objects) };
}

function operationsOf(context: RunContext): readonly Operation[] {
  return operationsIn(documentsOf(context.bundle.documents).forward);
}

function scopeOf(context: RunContext, world: EvolutionWorld): RunScope {
  const { forward, naming, sets, decisions } = documentsOf(context.bundle.documents);
  return {
    ...sets,
    naming,
    operations: operationsIn(forward),
    context,
    world,
    attribution: forward.attribute,
    decisions,
    held: new Map(),
    incoming: new Map(),
    byHand: new Map(),
    carried: new Map(),
  };
}

/** What readers do not see: all new structures, then table by table what is in them, then the proof. */
function forwardSteps(world: () => Promise<EvolutionWorld>): readonly Step[] {
  const beside = (verb: 'expand' | 'build' | 'constrain' | 'check'): Step => ({
    mode: 'beside',
    name: verb,
    run: async (context) => {
      const scope = scopeOf(context, await world());
      const findings: Finding[] = [];
      for (const operation of buildOrder(scope.operations, scope.to)) {
        findings.push(...((await verbsOf(operation)[verb]?.(operation, scope)) ?? []));
        if (findings.length > 0) break;
      }
      return { findings };
    },
  });
  const catchUp = {
    mode: 'beside',
    run: async (context: RunContext) => ({ findings: await catchUpBeside(scopeOf(context, await world())) }),
  } as const;
  return [
    beside('expand'),
    beside('build'),
    { ...catchUp, name: 'catch up once' },
    beside('constrain'),
    beside('check'),
    // Last, so that little is left to do when writers wait.
    { ...catchUp, name: 'catch up', beforeEachTry: true },
    {
      mode: 'decide',
      name: 'cut over',
      run: async (context, transaction): Promise<StepResult> => {
        const held = await loadRelations(transaction);
        const scope = { ...scopeOf(context, await world()), held };
        const caughtUp = await catchUpInside(scope, transaction);
        if (caughtUp.length > 0) return { findings: caughtUp };
        CARRIED_BY_RUN.set(context.runId, new Map(await notedTables(scope, transaction)));
        const findings = await decideBy(['leave', 'enter'], scope, transaction);
        if (findings.length > 0) return { findings };
        await context.fault('E06_renamed');
        const { forward } = documentsOf(context.bundle.documents);
        await recordDeployment(transaction, scope.to, forward.to, context.runId);
        return { findings };
      },
    },
    validateStep(),
    tidyStep(),
  ];
}

type DecidingVerb = 'leave' | 'enter' | 'carryBack' | 'leaveBack' | 'enterBack' | 'joinBack';

/** Each verb over all operations before the next: tables go children first, and come parents first. */
async function decideBy(
  verbs: readonly DecidingVerb[],
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  for (const verb of verbs) {
    const isGoing = verb === 'leaveBack' || verb === 'carryBack';
    const { operations: all, from } = scope;
    const operations = verb === 'leave' ? leavingOrder(all, from) : isGoing ? all.toReversed() : all;
    for (const operation of operations) {
      const findings = (await verbsOf(operation)[verb]?.(operation, scope, transaction)) ?? [];
      if (findings.length > 0) return findings;
    }
  }
  return [];
}

/**
 * Children before parents as the old structures stand, wherever the new ones do: a structure that leaves takes the foreign
 * keys of those below it away, and theirs must be written down by then.
 */
function leavingOrder(operations: readonly Operation[], from: DefinitionSet): readonly Operation[] {
  const places = new Map(from.tables.map(({ name }, index) => [name, index]));
  const place = (operation: Operation): number => {
    const { table } = operation;
    const names =
      operation.kind === 'rebuild'
        ? operation.from
        : [operation.kind === 'rename_table' ? operation.was : table];
    return Math.min(...names.map((name) => places.get(name) ?? places.size), places.size);
  };
  return operations.toSorted((left, right) => place(right) - place(left));
}

/** Foreign keys that lead to new structures hold new rows at once; that the others hold is looked at when nobody waits. */
function validateStep(): Step {
  return {
    mode: 'after',
    name: 'validate',
    run: async (context) => {
      const names = new Set(objectsOf(documentsOf(context.bundle.documents).forward));
      const relations = [...(await loadRelations(context.store)).values()].filter(({ name }) =>
        names.has(name),
      );
      await context.store.transaction({}, async (transaction) => {
        await context.fence(transaction);
        await validateKeys(
          transaction,
          relations.map(({ placement }) => placement),
        );
      });
      return { findings: [] };
    },
  };
}

/** What told of changes meanwhile. */
function tidyStep(): Step {
  return {
    mode: 'after',
    name: 'tidy up',
    alsoAfterUndo: true,
    run: async (context) => {
      await tidy(context);
      return { findings: [] };
    },
  };
}

function rollbackSteps(world: () => Promise<EvolutionWorld>): readonly Step[] {
  return [
    {
      mode: 'decide',
      name: 'cut back',
      run: async (context, transaction): Promise<StepResult> => {
        const scope = {
          ...scopeOf(context, await world()),
          held: await loadRelations(transaction),
          carried: carriedOf(context),
        };
        const findings = await decideBy(
          ['carryBack', 'leaveBack', 'enterBack', 'joinBack'],
          scope,
          transaction,
        );
        if (findings.length > 0) return { findings };
        const { forward, sets } = documentsOf(context.bundle.documents);
        await recordDeployment(transaction, sets.from, forward.from ?? digestOfSet(EMPTY), context.runId);
        return { findings };
      },
    },
    validateStep(),
  ];
}

async function observe(
  context: RunContext,
  transaction: Transaction,
  world: EvolutionWorld,
): Promise<Observation> {
  const scope = { ...scopeOf(context, world), carried: carriedOf(context) };
  const tables: TableCounts[] = [];
  const newWrites: NewWrites[] = [];
  const findings: Finding[] = [];
  for (const operation of operationsOf(context)) {
    const verbs = verbsOf(operation);
    if (context.direction === 'forward' && operation.kind === 'rebuild')
      findings.push(...(await turnedOut(operation, scope, transaction)));
    tables.push(...(await verbs.observe(operation, scope, transaction)));
    if (context.direction === 'rollback') {
      newWrites.push(...((await verbs.newWrites?.(operation, scope, transaction)) ?? []));
    }
  }
  if (context.direction === 'forward') {
    for (const [table, rows] of scope.carried) if (rows > 0) newWrites.push({ table, rows });
    await settleLists({ ...scope, held: await heldBefore(scope, transaction) }, transaction);
  }
  const counted = oneEach(tables);
  const objects = objectsOf(documentsOf(context.bundle.documents).forward);
  return {
    tables: counted,
    objects,
    witnesses: ['provenance_rows'],
    enforcement: ENFORCEMENT,
    measures: exactMeasures(measuresOfCounts(counted, objects)),
    touched: touchedByRows(counted, objects),
    newWrites,
    checks: [{ name: 'foreign_keys_valid', status: 'pass' }],
    findings,
  };
}

/** Every touched table, with the rows of it that do not stay as they were. */
function touchedByRows(tables: readonly TableCounts[], objects: readonly string[]): readonly Touched[] {
  return objects.map((object) => {
    const { schema, table: name } = splitName(object);
    const counts = tables.find(({ table }) => table === object);
    const { rekey = 0, backfill = 0, recompute = 0, retire = 0 } = counts ?? {};
    return { kind: 'table', schema, name, change: 'changed', rows: rekey + backfill + recompute + retire };
  });
}

/** The structures that this run retired, by the names that they had. */
async function heldBefore({ context }: RunScope, transaction: Transaction): Promise<Relations> {
  const live = await loadRelations(transaction);
  const rows = await transaction.query<{
    id: number;
    name: string;
    spec: TableSpec;
    schema: string;
    table: string;
  }>(sql`
    select id, name, spec, physical_schema as schema, physical_name as "table" from varve.relation
    where until_run = ${context.runId} and state = 'retired'`);
  const retired = rows.map(({ id, name, spec, schema, table }): [string, Relation] => [
    name,
    { id, name, spec, state: 'retired', placement: { schema, table } },
  ]);
  return new Map([...live, ...retired]);
}

/**
 * What was carried, by table: by the way back, or of others' writes by the way forward. Between the step that does and the
 * look at what it did, which are in one transaction.
 */
const CARRIED_BY_RUN = new Map<string, Map<string, number>>();

function carriedOf({ runId }: RunContext): Map<string, number> {
  const carried = CARRIED_BY_RUN.get(runId) ?? new Map<string, number>();
  CARRIED_BY_RUN.set(runId, carried);
  return carried;
}
