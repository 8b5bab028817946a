/**
 * Computations that are staged are written while rows are, each on a connection of its own where the store has several. Nothing of
 * them is asked of the new rows, so whoever wrote the rows then helps: computations are written from the first page of the list
 * on, and from the last one back, until both meet.
 *
 * Each end tells its own progress in the transaction of its batch. What lies between two marks is open: one that is stopped
 * anywhere goes on there, and at most one batch of each end is written twice.
 */
import type { Finding } from '../../base/index.ts';
import { sql, type Transaction } from '../../store/index.ts';
import type { Rebuild, RunScope } from '../operation/operation.ts';
import { atOnce } from './at-once.ts';
import { indexList, keyList } from './list-index.ts';
import { listedPages } from './list.ts';
import { markOf, setMark, type Marked } from './mark.ts';
import { takePages, type End, type OpenPages } from './open-pages.ts';
import { dropStaged, stagedMark, writeStaged } from './stage.ts';
import { prepareSpecs, useMachine } from './write.ts';
import { builtOf, listPlacement, rebuilding, runWorld, type Rebuilding } from './world.ts';

/** Lines whose computations are written in one transaction: two may be under way. */
const BATCH_LINES = 100_000;

/** Tells how much of what is written of a table is. */
export type Tell = (what: 'rows' | 'computations', done: number, total: number) => void;

/** What is written beside staged computations. */
interface Staged {
  readonly tell: Tell;
  readonly rows: () => Promise<readonly Finding[]>;
  /** See `prepareSpecs`. */
  readonly specs: readonly number[];
}

/** Writes rows, which `rows` does with all that comes once they are there, and staged computations; then the list is as any other. */
export async function attributeStaged(
  operation: Rebuild,
  scope: RunScope,
  { tell, rows, specs }: Staged,
): Promise<readonly Finding[]> {
  await alone(operation, scope, (transaction, of) =>
    prepareSpecs(transaction, of, scope, sql`${specs}::integer[]`),
  );
  const open = await openPages(operation, scope);
  const write = (end: End): Promise<void> => writeFrom(end, operation, scope, { tell, open });
  const findings = await atOnce<readonly Finding[]>([
    async () => {
      const found = await rows();
      if (found.length > 0) return found;
      await alone(operation, scope, indexList);
      await write('back');
      return [];
    },
    async () => {
      await write('front');
      return [];
    },
  ]);
  if (findings.flat().length === 0) await alone(operation, scope, settleStaged);
  return findings.flat();
}

async function openPages(operation: Rebuild, scope: RunScope): Promise<OpenPages> {
  const { store } = scope.context;
  const of = rebuilding(operation, await runWorld(store, scope));
  const { total, step } = await listedPages(store, listPlacement(builtOf(of)), BATCH_LINES);
  const last = await markOf(store, stagedMark(of, 'back'));
  return {
    from: progressOf(await markOf(store, stagedMark(of, 'front'))),
    to: last === undefined ? total : progressOf(last),
    total,
    step,
  };
}

async function writeFrom(
  end: End,
  operation: Rebuild,
  scope: RunScope,
  { tell, open }: { readonly tell: Tell; readonly open: OpenPages },
): Promise<void> {
  const { context } = scope;
  for (let pages = takePages(open, end); pages !== undefined; pages = takePages(open, end)) {
    context.signal.throwIfAborted();
    const { fromPage, toPage } = pages;
    await alone(operation, scope, async (transaction, of) => {
      await writeStaged(transaction, of, { fromPage, toPage });
      await setMark(
        transaction,
        stagedMark(of, end),
        `computations ${String(end === 'front' ? toPage : fromPage)}`,
      );
    });
    await context.fault('E02_attributed');
    tell('computations', open.total - (open.to - open.from), open.total);
  }
}

/** Staged computations are written. */
async function settleStaged(transaction: Transaction, of: Rebuilding): Promise<void> {
  await keyList(transaction, of);
  await dropStaged(transaction, of);
  await setMark(transaction, computationsMark(of), `computations ${DONE}`);
}

/** What tells how many computations are written where none are staged. */
export function computationsMark(of: Rebuilding): Marked {
  return { ...listPlacement(builtOf(of)), column: '#hash' };
}

/** Does something to a table that is built in a transaction of its own. */
export async function alone(
  operation: Rebuild,
  { context, ...scope }: RunScope,
  work: (transaction: Transaction, of: Rebuilding) => Promise<void>,
): Promise<void> {
  await context.store.transaction({}, async (transaction) => {
    await context.fence(transaction);
    await useMachine(transaction);
    await work(transaction, rebuilding(operation, await runWorld(transaction, { context, ...scope })));
  });
}

/** In a mark, in the place of a page: everything is written, and what it was written from may be gone. */
const DONE = 'done';

/** The page that a mark such as `rows 4096` tells. */
export function progressOf(mark: string | undefined): number {
  const [, page = '0'] = (mark ?? '').split(' ');
  return page === DONE ? Number.MAX_SAFE_INTEGER : Number(page);
}
