/** Changes that people and workers made to the old tables meanwhile are carried over to the new ones. */
import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import { tableId, type Placement } from '../../pipeline/index.ts';
import { sql, type Queryable, type Transaction } from '../../store/index.ts';
import { isAnyNoted, takeNotes, type TakenNotes } from '../capture.ts';
import { changeSum } from '../row-sum.ts';
import type { RunScope } from '../operation/operation.ts';
import { sameNewKey, collectAgain, listAgain, takeOut, watchedOf, type Refreshed } from './list.ts';
import { markOf, marksOf, setMark } from './mark.ts';
import { listedKey, NAMED_KEYS } from './plan.ts';
import { CARRIED, isWithMaster, prepareSpecs, writeComputations, writeRows } from './write.ts';
import {
  builtOf,
  listPlacement,
  rebuilding,
  rebuildsOf,
  type Rebuilding,
  type RebuildWorld,
} from './world.ts';

/** What came of carrying over. */
export interface CarriedOver {
  readonly findings: readonly Finding[];
  /** Tables that got rows which have to be computed. */
  readonly toCompute: readonly string[];
}

/**
 * Carries over what was noted, in the one snapshot of this transaction: rows go children first and come parents first, so
 * that what hangs together is there together. Tables that are not listed yet are left to their list, and so are the notes of
 * their sources: what they tell was written by others all the same, and is told of once the list is there.
 */
export async function carryOver(
  transaction: Transaction,
  scope: RunScope,
  world: RebuildWorld,
): Promise<CarriedOver> {
  const built = rebuildsOf(scope)
    .filter(({ from }) => from.length > 0)
    .map((operation) => rebuilding(operation, world));
  const marks = await marksOf(transaction, built.map(listOf));
  const listed = built.filter((_, index) => marks[index] !== undefined);
  const sources = new Map(listed.flatMap((of) => of.sources.map((relation) => [relation.id, relation])));
  if (!(await isAnyNoted(transaction, [...sources.values()]))) return { findings: [], toCompute: [] };
  const again = await refresh(transaction, listed, await takeAll(transaction, listed));
  const findings: Finding[] = [];
  const toCompute: string[] = [];
  for (const { of, after } of again) {
    if (of.spec.form !== undefined && !isWithMaster(of)) {
      await prepareSpecs(
        transaction,
        of,
        scope,
        sql`array(select l."#spec" from ${tableId(listPlacement(builtOf(of)))} l where ${CARRIED} and l."#n" > ${after}::bigint)`,
      );
      await writeComputations(transaction, of, { after });
    }
    const open = await openLines(transaction, of, after);
    if (open.ambiguous > 0)
      findings.push(undecided(of, open.ambiguous, await openKeys(transaction, of, after)));
    const isToCompute = open.recompute > 0 && !isWithMaster(of);
    if (isToCompute) toCompute.push(of.operation.table);
    await noteChange(transaction, of, isToCompute);
  }
  return { findings, toCompute };
}

function listOf(of: Rebuilding): Placement {
  return listPlacement(builtOf(of));
}

async function refresh(
  transaction: Transaction,
  listed: readonly Rebuilding[],
  taken: ReadonlyMap<number, TakenNotes>,
): Promise<readonly Refreshed[]> {
  const again = new Map<string, Refreshed>();
  for (const of of listed) {
    const each = await collectAgain(transaction, of, { before: again, taken });
    if (each !== undefined) again.set(of.operation.table, each);
  }
  const ordered = [...again.values()];
  for (const each of ordered.toReversed()) await takeOut(transaction, each);
  for (const each of ordered) {
    await listAgain(transaction, each);
    await writeRows(transaction, each.of, { after: each.after });
    await sumWritten(transaction, each);
  }
  return ordered;
}

async function sumWritten(transaction: Transaction, { of, after }: Refreshed): Promise<void> {
  const next = builtOf(of);
  await changeSum(transaction, next, {
    columns: next.spec.columns.map(({ name }) => name),
    rows: sql`select n.* from ${tableId(next.placement)} n where exists (
      select from ${tableId(listPlacement(next))} l
      where ${CARRIED} and l."#n" > ${after}::bigint and ${sameNewKey(of, 'l')})`,
    by: 'putting in',
  });
}

/** What was noted of each source, taken once: several tables may come from it. */
async function takeAll(
  transaction: Transaction,
  listed: readonly Rebuilding[],
): Promise<ReadonlyMap<number, TakenNotes>> {
  const taken = new Map<number, TakenNotes>();
  for (const of of listed) {
    for (const watched of watchedOf(of)) {
      if (!taken.has(watched.relation.id))
        taken.set(watched.relation.id, await takeNotes(transaction, watched));
    }
  }
  return taken;
}

/** That rows were listed again: from here on counts differ from those of the plan, and are told apart. */
async function noteChange(transaction: Queryable, of: Rebuilding, isToCompute: boolean): Promise<void> {
  const place = listPlacement(builtOf(of));
  const mark = await markOf(transaction, place);
  if (isToCompute) await setMark(transaction, place, 'open');
  else if (mark === 'listed') await setMark(transaction, place, 'changed');
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

async function openKeys(
  transaction: Queryable,
  of: Rebuilding,
  after: number,
): Promise<readonly JsonObject[]> {
  const rows = await transaction.query<{ key: JsonObject }>(sql`
    select ${listedKey(of)} as key from ${tableId(listPlacement(builtOf(of)))}
    where "#class" = 'ambiguous' and "#n" > ${after}::bigint order by "#n" limit ${NAMED_KEYS}::integer`);
  return rows.map(({ key }) => key);
}

function undecided({ operation }: Rebuilding, rows: number, keys: readonly JsonObject[]): Finding {
  return refusal('concurrent_change', operation.table, {
    detail: { rows, keys },
    hint: 'Rows came meanwhile that nothing attributes. Stop writing to the old structure, or plan again with a rule for them.',
  });
}
