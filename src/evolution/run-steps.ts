/** The steps of a run, there and back; see `migration/kind.ts` for when each is called. */
import type { Finding } from '../base/index.ts';
import type { NewWrites, RunContext, Step, StepResult } from '../migration/index.ts';
import { digestOfSet, loadRelations, recordDeployment, type DefinitionSet } from '../pipeline/index.ts';
import type { Transaction } from '../store/index.ts';
import { buildOrder } from './build-order.ts';
import { documentsOf, EMPTY, objectsOf, operationsIn } from './documents.ts';
import { validateKeys } from './foreign-keys.ts';
import { notedTables } from './new-writes.ts';
import type { EvolutionWorld, Operation, RunScope } from './operation/operation.ts';
import { verbsOf } from './operation/verbs.ts';
import { catchUpBeside, catchUpInside } from './rebuild/catch-up.ts';
import { tidy } from './rebuild/cut-over.ts';
import { runWorld } from './rebuild/world.ts';

/** The operations of a run. */
export function operationsOf(context: RunContext): readonly Operation[] {
  return operationsIn(documentsOf(context.bundle.documents).forward);
}

/** What the verbs of a run may use. */
export function scopeOf(context: RunContext, world: EvolutionWorld): RunScope {
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
export function forwardSteps(world: () => Promise<EvolutionWorld>): readonly Step[] {
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
        const running = await runWorld(transaction, scope);
        const caughtUp = await catchUpInside(scope, transaction, running);
        if (caughtUp.length > 0) return { findings: caughtUp };
        const noted = await notedTables(running, transaction);
        const findings = await decideBy(['leave', 'enter'], scope, transaction);
        if (findings.length > 0) return { findings };
        await context.fault('E06_renamed');
        const { forward } = documentsOf(context.bundle.documents);
        await recordDeployment(transaction, scope.to, forward.to, context.runId);
        return { findings, carried: writesOf(noted) };
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

/** The way back: all of it is decided at once. */
export function rollbackSteps(world: () => Promise<EvolutionWorld>): readonly Step[] {
  return [
    {
      mode: 'decide',
      name: 'cut back',
      run: async (context, transaction): Promise<StepResult> => {
        const scope = { ...scopeOf(context, await world()), held: await loadRelations(transaction) };
        const findings = await decideBy(
          ['carryBack', 'leaveBack', 'enterBack', 'joinBack'],
          scope,
          transaction,
        );
        if (findings.length > 0) return { findings };
        const { forward, sets } = documentsOf(context.bundle.documents);
        await recordDeployment(transaction, sets.from, forward.from ?? digestOfSet(EMPTY), context.runId);
        return { findings, carried: writesOf(scope.carried) };
      },
    },
    validateStep(),
  ];
}

function writesOf(rowsByTable: ReadonlyMap<string, number>): readonly NewWrites[] {
  return [...rowsByTable].map(([table, rows]) => ({ table, rows }));
}
