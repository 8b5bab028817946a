/**
 * Changes that people and workers made to the old tables meanwhile are carried over: beside, as often as is worth while, and
 * a last time inside the deciding transaction, when writers wait.
 */
import { refusal, VarveError, type Finding } from '../../base/index.ts';
import { tableId } from '../../pipeline/index.ts';
import { sql, type Queryable, type Transaction } from '../../store/index.ts';
import { countNotes, takeNotes, type TakenNotes } from '../capture.ts';
import type { RunScope } from '../operation/operation.ts';
import { groupOf, isWithMaster, prepareSpecs, writeComputations, writeRows } from './attribute.ts';
import { recompute } from './complete.ts';
import { markOf, refreshList, setMark, watchedOf, type Refreshed } from './list.ts';
import {
  builtOf,
  listPlacement,
  rebuilding,
  rebuildsOf,
  runWorld,
  type Rebuilding,
  type RebuildWorld,
} from './world.ts';

/** Notes that are left to the deciding transaction. */
const FEW_NOTES = 1_000;
const ROUNDS = 20;

/** Carries over what came, beside, until little is left. */
export async function catchUpBeside(scope: RunScope): Promise<readonly Finding[]> {
  const { context } = scope;
  for (let round = 1; round <= ROUNDS; round += 1) {
    context.signal.throwIfAborted();
    const refreshed = await context.store.transaction({}, async (transaction) => {
      await context.fence(transaction);
      return carryOver(transaction, scope);
    });
    if (refreshed.findings.length > 0) return refreshed.findings;
    for (const table of refreshed.toCompute) {
      const operation = rebuildsOf(scope).find((each) => each.table === table);
      const findings = operation === undefined ? [] : await recompute(operation, scope);
      if (findings.length > 0) return findings;
    }
    if ((await notesLeft(context.store, scope)) <= FEW_NOTES && refreshed.toCompute.length === 0) return [];
  }
  return [];
}

/**
 * Keeps writers out of the old tables and carries over the rest.
 *
 * Errors: throws `not_caught_up` where rows came that have to be computed first; the decision is tried again after that.
 */
export async function catchUpInside(scope: RunScope, transaction: Transaction): Promise<readonly Finding[]> {
  const world = await runWorld(transaction, scope);
  const sources = new Map(
    rebuildsOf(scope).flatMap((operation) =>
      rebuilding(operation, world).sources.map((relation) => [relation.id, relation] as const),
    ),
  );
  // In one order, so that two of them cannot wait for each other. Readers go on.
  for (const [, { placement }] of [...sources].toSorted(([left], [right]) => left - right)) {
    await transaction.execute(sql`lock table ${tableId(placement)} in share row exclusive mode`);
  }
  const { findings, toCompute } = await carryOver(transaction, scope);
  if (findings.length > 0 || toCompute.length === 0) return findings;
  throw new VarveError('not_caught_up', {
    detail: { tables: toCompute },
    hint: 'Rows came that have to be computed first: apply goes on by itself, or run it again.',
  });
}

interface CarriedOver {
  readonly findings: readonly Finding[];
  /** Tables that got rows which have to be computed. */
  readonly toCompute: readonly string[];
}

async function carryOver(transaction: Transaction, scope: RunScope): Promise<CarriedOver> {
  const world = await runWorld(transaction, scope);
  const before = new Map<string, Refreshed>();
  const taken = await takeAll(transaction, scope, world);
  const findings: Finding[] = [];
  const toCompute: string[] = [];
  for (const operation of rebuildsOf(scope)) {
    if (operation.from.length === 0) continue;
    const of = rebuilding(operation, world);
    const refreshed = await refreshList(transaction, of, { before, taken });
    if (refreshed === undefined) continue;
    before.set(operation.table, refreshed);
    await writeRows(transaction, of, { from: refreshed.after + 1, to: Number.MAX_SAFE_INTEGER });
    await noteChange(transaction, of);
  }
  for (const { of, after } of before.values()) {
    if (of.spec.form !== undefined && !isWithMaster(of)) {
      await prepareSpecs(transaction, of, scope);
      await writeComputations(transaction, of, { from: after + 1, to: Number.MAX_SAFE_INTEGER });
    }
    const open = await openLines(transaction, of, after);
    if (open.ambiguous > 0) findings.push(undecided(of, open.ambiguous));
    if (open.recompute > 0 && groupOf(of).length > 0 && !isWithMaster(of)) toCompute.push(of.operation.table);
  }
  return { findings, toCompute };
}

/** What was noted of each source, taken once: several tables may come from it. */
async function takeAll(
  transaction: Transaction,
  scope: RunScope,
  world: RebuildWorld,
): Promise<ReadonlyMap<number, TakenNotes>> {
  const taken = new Map<number, TakenNotes>();
  for (const operation of rebuildsOf(scope)) {
    for (const watched of watchedOf(rebuilding(operation, world))) {
      if (!taken.has(watched.relation.id))
        taken.set(watched.relation.id, await takeNotes(transaction, watched));
    }
  }
  return taken;
}

/** That rows were listed again: from here on counts differ from those of the plan, and are told apart. */
async function noteChange(transaction: Queryable, of: Rebuilding): Promise<void> {
  const place = listPlacement(builtOf(of));
  if ((await markOf(transaction, place)) === 'listed') await setMark(transaction, place, 'changed');
}

async function openLines(
  transaction: Queryable,
  of: Rebuilding,
  after: number,
): Promise<{ readonly ambiguous: number; readonly recompute: number }> {
  const [row] = await transaction.query<{ ambiguous: bigint; recompute: bigint }>(sql`
    select count(*) filter (where "#class" = 'ambiguous') as ambiguous, count(*) filter (where "#class" = 'recompute') as recompute
    from ${tableId(listPlacement(builtOf(of)))} where "#n" > ${after}::bigint`);
  return { ambiguous: Number(row?.ambiguous ?? 0n), recompute: Number(row?.recompute ?? 0n) };
}

function undecided({ operation }: Rebuilding, rows: number): Finding {
  return refusal('concurrent_change', operation.table, {
    detail: { rows },
    hint: 'Rows came meanwhile that nothing attributes. Stop writing to the old structure, or plan again with a rule for them.',
  });
}

async function notesLeft(store: Queryable, scope: RunScope): Promise<number> {
  const world = await runWorld(store, scope);
  let notes = 0;
  const seen = new Set<number>();
  for (const operation of rebuildsOf(scope)) {
    for (const relation of rebuilding(operation, world).sources) {
      if (seen.has(relation.id)) continue;
      seen.add(relation.id);
      notes += await countNotes(store, relation);
    }
  }
  return notes;
}
