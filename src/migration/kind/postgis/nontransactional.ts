/** Phases of mode `nontransactional`: steps beside the deciding transaction, each of one statement (M91). */
import { refusal, VarveError, type Finding, type JsonObject } from '../../../base/index.ts';
import { isStoreError, nodesBelow, sql, type Queryable, type Transaction } from '../../../store/index.ts';
import { isTransient, isUnreachable } from '../../failure.ts';
import type { BesideStep, RunContext } from '../../kind.ts';
import {
  clearing,
  isUnderWay,
  progressOf,
  readConcurrent,
  stateBefore,
  undoing,
  type Concurrent,
  type Progress,
} from './concurrent.ts';
import { subjectOf, type ScriptPhase, type Statement } from './script.ts';
import { refusedHint } from './sqlstate.ts';

/** A phase as a plan binds it. */
export interface BoundPhase extends JsonObject {
  readonly file: string;
  readonly mode: 'transactional' | 'nontransactional';
  readonly check?: string;
  readonly compensate?: string;
  /** What the statement does, and the state before it. */
  readonly concurrent?: JsonObject;
  readonly before?: JsonObject;
}

/** Why a phase of this mode cannot run so. */
export function phaseFaults(phases: readonly ScriptPhase[]): readonly Finding[] {
  return phases
    .filter(({ mode }) => mode === 'nontransactional')
    .flatMap(({ file, statements }): readonly Finding[] => {
      const [only, another] = statements;
      if (only !== undefined && another === undefined && readConcurrent(only) !== undefined) return [];
      const subject = subjectOf(file, only?.place ?? { line: 1, column: 1 });
      return [
        refusal('construct_refused', subject, {
          detail: { reason: another === undefined ? 'not_of_the_list' : 'several_statements' },
          hint: 'A nontransactional phase is one statement with schema-qualified names: CREATE, DROP or REINDEX INDEX CONCURRENTLY, DETACH PARTITION CONCURRENTLY, or ALTER TYPE ADD VALUE.',
        }),
      ];
    });
}

/** Statements of that list do not run in the deciding transaction. */
export function misplacedFindings(phases: readonly ScriptPhase[]): readonly Finding[] {
  return phases
    .filter(({ mode }) => mode === 'transactional')
    .flatMap(({ statements }) => statements)
    .filter((statement) => isConcurrent(statement))
    .map(({ file, place, ordinal }) =>
      refusal('construct_refused', subjectOf(file, place), {
        detail: { reason: 'not_in_transaction', statement: ordinal },
        hint: 'Put it into a file of its own, as a phase of mode nontransactional, or leave out CONCURRENTLY.',
      }),
    );
}

function isConcurrent({ node, text }: Statement): boolean {
  const { fields, type } = node;
  if (type === 'IndexStmt' || type === 'DropStmt') return fields['concurrent'] === true;
  if (type === 'ReindexStmt') return /\bconcurrently\b/iu.test(text);
  return [...nodesBelow(fields['cmds'])].some(
    (each) => each.type === 'PartitionCmd' && each.fields['concurrent'] === true,
  );
}

/** What is bound of such a phase beside its text. */
export async function boundOf(queryable: Queryable, { statements }: ScriptPhase): Promise<JsonObject> {
  const concurrent = statements[0] === undefined ? undefined : readConcurrent(statements[0]);
  if (concurrent === undefined) return {};
  return { concurrent: { ...concurrent }, before: await stateBefore(queryable, concurrent) };
}

/** The step of a phase. */
export function besideStep(
  phase: BoundPhase,
  read: (context: RunContext) => Promise<Statement | undefined>,
): BesideStep {
  return {
    mode: 'beside',
    name: phase.file,
    run: async (context) => {
      const statement = await read(context);
      if (statement === undefined) return { findings: [] };
      return { findings: await runBeside(context, phase, statement) };
    },
  };
}

async function runBeside(
  context: RunContext,
  phase: BoundPhase,
  statement: Statement,
): Promise<readonly Finding[]> {
  const { store } = context;
  await store.transaction({}, (transaction) => context.fence(transaction));
  const about = concurrentOf(phase);
  if (await isUnderWay(store, about)) {
    throw new VarveError('not_caught_up', {
      detail: { subject: phase.file },
      hint: 'Another session still runs this statement. Wait for it to end.',
    });
  }
  const found = await askProgress(store, phase);
  if (found === 'done') return [];
  if (found === 'partial') await clear(context, phase);
  try {
    await store.execute(sql.raw(statement.text));
  } catch (error) {
    if (!isStoreError(error) || isTransient(error) || isUnreachable(error)) throw error;
    const { sqlstate, schema, table, constraint } = error.fields;
    const names = Object.entries({ schema, table, constraint }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    return [
      refusal('statement_failed', subjectOf(statement.file, statement.place), {
        detail: { statement: statement.ordinal, sqlstate, ...Object.fromEntries(names) },
        hint: refusedHint(sqlstate, 'What it left is taken away.'),
      }),
    ];
  }
  await context.fault('P04_beside');
  const reached = await askProgress(store, phase);
  if (reached === 'done') return [];
  return [
    refusal('statement_failed', subjectOf(statement.file, statement.place), {
      detail: { statement: statement.ordinal, state: reached },
      hint: 'The statement ended, and its check does not say done. What it left is taken away.',
    }),
  ];
}

/** Takes away what these phases left, however far they came, the last first. */
export async function undoBeside(phases: readonly BoundPhase[], transaction: Transaction): Promise<void> {
  for (const phase of phases.toReversed()) {
    if (phase.mode !== 'nontransactional') continue;
    const statements =
      phase.compensate === undefined
        ? await undoing(transaction, concurrentOf(phase), phase.before ?? {})
        : (await askProgress(transaction, phase)) === 'absent'
          ? []
          : [phase.compensate];
    for (const text of statements) await transaction.execute(sql.raw(text));
  }
}

async function clear({ store }: RunContext, phase: BoundPhase): Promise<void> {
  const statements =
    phase.compensate === undefined ? await clearing(store, concurrentOf(phase)) : [phase.compensate];
  for (const text of statements) await store.execute(sql.raw(text));
}

/** How far it is: by its own query, where the phase has one. */
async function askProgress(queryable: Queryable, phase: BoundPhase): Promise<Progress> {
  const about = concurrentOf(phase);
  const byCatalog = await progressOf(queryable, about, phase.before ?? {});
  if (phase.check === undefined || byCatalog === 'partial') return byCatalog;
  const [row] = await queryable.query(sql.raw(phase.check));
  const answer = row === undefined ? undefined : Object.values(row)[0];
  return answer === 'done' || answer === 'absent' ? answer : 'partial';
}

function concurrentOf({ concurrent }: BoundPhase): Concurrent {
  return concurrent as unknown as Concurrent;
}

/** What these phases do, from their text: the table or type, and the physical indexes made, dropped and built anew. */
export function besideEffects(phases: readonly BoundPhase[]): {
  readonly tables: readonly string[];
  readonly types: readonly { readonly schema: string; readonly name: string }[];
  readonly indexCount: number;
  /** The tables of the indexes that are made and built anew. */
  readonly built: readonly string[];
} {
  // What is none of the list is refused, and has no effect that its text would tell.
  const all = phases.filter(
    ({ mode, concurrent }) => mode === 'nontransactional' && concurrent !== undefined,
  );
  const tablesOf = (phase: BoundPhase): readonly string[] => {
    const { verb, schema, name, part, partSchema } = concurrentOf(phase);
    if (verb === 'create index') return [`${schema}.${name}`];
    if (verb === 'detach') return [`${schema}.${name}`, `${partSchema}.${part}`];
    const table = phase.before?.['table'];
    return typeof table === 'string' ? [table] : [];
  };
  const building = all.filter((phase) => ['create index', 'reindex'].includes(concurrentOf(phase).verb));
  const verbs = all.map((phase) => concurrentOf(phase).verb);
  return {
    tables: [...new Set(all.flatMap(tablesOf))],
    built: [...new Set(building.flatMap(tablesOf))],
    types: all.flatMap((phase) => (concurrentOf(phase).verb === 'add value' ? [concurrentOf(phase)] : [])),
    indexCount: verbs.filter((verb) => verb !== 'detach' && verb !== 'add value').length,
  };
}
