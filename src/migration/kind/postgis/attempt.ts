/**
 * One try of the deciding transaction: what was measured before the first statement, and what the layers hold until the
 * commit. It is kept beside the transaction's handle and dies with it; a run that goes on in another process makes a new one.
 */
import { VarveError } from '../../../base/index.ts';
import type { Baseline } from '../../../evidence/index.ts';
import { sql, type Transaction } from '../../../store/index.ts';
import type { RunContext } from '../../kind.ts';
import { readAccess, type AccessState } from './access.ts';
import { measureOrThrow } from './baseline-of.ts';
import { armCapture, lendCapture, mayWriteRows, needsCapture, type Capture } from './capture.ts';
import { listCatalogObjects, type CatalogObject } from './catalog-objects.ts';
import { ownCatalogRows, type CatalogRow } from './catalog-rows.ts';
import { actAsLent, confinementIn } from './confine.ts';
import { installGuards, type Guards } from './guard.ts';
import { noteSnapshot, readNewWrites, type SinceForward } from './new-writes.ts';
import { countTables, type TableRows } from './own-versions.ts';
import { pinOwnNames, pinSettings, type Pins } from './pins.ts';
import { readScripts, type Statement } from './script.ts';
import { protectedTables, protectionOf, type Protection } from './protected.ts';
import { fullName, loadRelations, type Relations } from './relation.ts';
import { startCounting, type RowCounter } from './row-counts.ts';

/** What a try holds. */
export interface Attempt {
  readonly transactionId: string;
  readonly pins: Pins;
  readonly protection: Protection;
  readonly guards: Guards;
  readonly capture: Capture;
  /** On the way back: what others wrote since the run that is taken back. */
  readonly since: SinceForward | undefined;
  /** Before the first statement. */
  readonly relations: Relations;
  /** Rows that each allowed table had, by name. */
  readonly rowsBefore: ReadonlyMap<string, number>;
  /** Catalog rows that this transaction had written itself until then, such as those of the guards. */
  readonly ownRows: ReadonlySet<string>;
  readonly counter: RowCounter;
  /** Who may do what. */
  readonly access: AccessState;
  /** How often the database had something to say while the script ran (M126). */
  notices: number;
  /** The objects that there were, where no event trigger tells of what is dropped. */
  readonly objects: ReadonlyMap<string, CatalogObject> | undefined;
  /** On a store of one session: rows of every table (M89). */
  readonly tableRows: ReadonlyMap<number, TableRows> | undefined;
}

const attempts = new WeakMap<Transaction, Attempt>();
const baselines = new WeakMap<Transaction, Baseline>();
const relationsSeen = new WeakMap<Transaction, Relations>();

/** Keeps the first baseline of a transaction: how many rows a table had is known from it. */
export function keepBaseline(transaction: Transaction, baseline: Baseline): void {
  if (!baselines.has(transaction)) baselines.set(transaction, baseline);
}

/** Keeps the relations for the baseline that follows on the observation: nothing of the script runs in between. */
export function keepRelations(transaction: Transaction, relations: Relations): void {
  relationsSeen.set(transaction, relations);
}

/** Those that were kept, once; else as they are. */
export async function relationsNow(transaction: Transaction): Promise<Relations> {
  const kept = relationsSeen.get(transaction);
  relationsSeen.delete(transaction);
  return kept ?? (await loadRelations(transaction));
}

/** Measures, keeps, guards, confines and pins, in this order, before the first statement. */
export async function beginAttempt(context: RunContext, transaction: Transaction): Promise<void> {
  const { scope } = context.bundle.declaration;
  const { concurrentSessions, cancelStatement } = context.store.capabilities;
  const relations = await loadRelations(transaction);
  const baseline =
    baselines.get(transaction) ?? (await measureOrThrow(transaction, scope, context.settings, relations));
  const tableRows = concurrentSessions ? undefined : await countTables(transaction, relations);
  const protection = protectionOf(scope, context.settings);
  const confinement = confinementIn(context.bound);
  const statements = await statementsOf(context);
  const writesRows = statements.some(mayWriteRows);
  const capture = await armCapture(transaction, { runId: context.runId, scope, relations, writesRows });
  const { forward, runId } = context;
  if (forward === undefined) await noteSnapshot(transaction, runId);
  else await transaction.query(sql`select set_config('varve.capture_of', ${forward.runId}, true)`);
  const since =
    forward === undefined
      ? undefined
      : await readNewWrites(transaction, { runId, forward, begun: baseline, relations });
  // A change of what a schema allows throws away every plan that the server's sessions keep, so it is made for those who need it.
  if (confinement !== undefined && needsCapture(context.direction, statements))
    await lendCapture(transaction, confinement.lends);
  const armer = confinement === undefined ? 'session' : 'roles';
  const allowed = new Set(
    context.exceptions.flatMap(({ code, subject }) => (code === 'protected_domain_changed' ? [subject] : [])),
  );
  const denied = protectedTables(relations, protection).filter((each) => !allowed.has(fullName(each)));
  const guards = await installGuards(transaction, denied, armer);
  // As when it is observed: what is compared has to be written alike.
  await pinOwnNames(transaction);
  const ownRows = await ownCatalogRows(transaction, guards);
  const access = await readAccess(transaction);
  const objects = guards.watches ? undefined : await listCatalogObjects(transaction);
  if (confinement !== undefined) await actAsLent(context.store, transaction, confinement);
  const pins = await pinSettings(transaction, {
    allowedSchemas: scope.allowed_schemas,
    canStop: cancelStatement,
  });
  const [row] = await transaction.query<{ id: string }>(sql`select pg_current_xact_id()::text as id`);
  attempts.set(transaction, {
    transactionId: row?.id ?? '',
    pins,
    protection,
    guards,
    capture,
    since,
    relations,
    rowsBefore: new Map(baseline.tables.map(({ table, rows }) => [table, rows])),
    ownRows: new Set(ownRows.map(placeOf)),
    objects,
    access,
    notices: 0,
    counter: await startCounting(transaction),
    tableRows,
  });
}

/** The statements of this direction that run in the transaction. */
export async function statementsOf({ bundle, direction }: RunContext): Promise<readonly Statement[]> {
  const { forward, rollback } = await readScripts(bundle);
  const phases = direction === 'rollback' ? rollback : forward;
  return phases.flatMap(({ mode, statements }) => (mode === 'transactional' ? statements : []));
}

/** The try that this transaction is. */
export function attemptOf(transaction: Transaction): Attempt {
  const attempt = attempts.get(transaction);
  if (attempt !== undefined) return attempt;
  throw new VarveError('internal', { hint: 'Report this: a transaction was observed that was not begun.' });
}

/** Which row of which catalog, and which version of it. */
export function placeOf({ catalog, place }: CatalogRow): string {
  return `${catalog} ${place}`;
}
