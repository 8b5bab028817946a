/**
 * Why a row is in its class: the fact that decides, what is recorded of how the row was computed, where each input of it is
 * known from under the new definition, and what becomes of the rows above it. Only reads.
 */
import { nearestName, refusal, type Finding, type JsonObject } from '../base/index.ts';
import type { RunnerOptions } from '../migration/index.ts';
import { readBundle } from '../migration/index.ts';
import {
  deployedSet,
  history,
  loadNamePeriods,
  loadRecordingTimes,
  loadRelations,
  presentName,
  tableId,
  why,
  type ReadSpec,
  type RowOrigin,
} from '../pipeline/index.ts';
import { isStoreError, sql, type Row, type Sql, type Transaction } from '../store/index.ts';
import type { Attribution } from './attribution.ts';
import { findOperations } from './find-operations.ts';
import { documentsOf, operationsIn } from './documents.ts';
import { movedFindings } from './moved.ts';
import { heirOf } from './naming.ts';
import type { EvolutionWorld, PlanScope } from './operation/operation.ts';
import { computedRelation, variantsOf, type Coverage, type Variant } from './rebuild/coverage.ts';
import { placeOfOldKey } from './rebuild/old-rows.ts';
import { listedKey, listedKeys, plannedLists } from './rebuild/plan.ts';
import { foundColumn, foundColumns, oldKeyColumn, typeOf } from './rebuild/values.ts';
import { rebuilding, rebuildOf, type Rebuilding } from './rebuild/world.ts';
import { checkRules, evaluatingRules } from './rule/check-rules.ts';

/** What is asked: a row, or without a key the rows of a table that cannot stay as they are. */
export interface ExplainQuestion {
  /** By its new name or its old one. */
  readonly table: string;
  /** The key that the row has now. */
  readonly key?: JsonObject;
  /** A bundle that was planned or applied; default: what lies between the definitions and what is deployed. */
  readonly migrationId?: string;
  readonly attribution?: Attribution;
  /** Of a whole table: so many rows at most, after so many. Default 20 and 0. */
  readonly limit?: number;
  readonly offset?: number;
}

/** The answer. */
export type ExplainOutcome =
  | { readonly status: 'row'; readonly row: ExplainedRow }
  | {
      readonly status: 'rows';
      readonly table: string;
      readonly rows: readonly ListedRow[];
      readonly total: number;
    }
  | { readonly status: 'applied'; readonly row: AppliedRow }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** A row with its class. */
export interface ListedRow {
  readonly key: JsonObject;
  readonly class: string;
  /** The fact that decides; empty where nothing stands against keeping it. */
  readonly why: string;
}

/** Everything that decides over a row. */
export interface ExplainedRow extends ListedRow {
  readonly table: string;
  /** The table whose row it is now. */
  readonly from: string;
  /** Names of the columns that get a value that the old row has not, with the way in which it is found. */
  readonly found: readonly { readonly column: string; readonly from: string; readonly isFound: boolean }[];
  /** How it was computed; null where nothing is recorded of that. */
  readonly computation: {
    readonly run: string;
    readonly code: string;
    readonly origin: string;
    readonly durationUs: number;
  } | null;
  /** What it was seen to read beside what was declared. */
  readonly recorded: readonly RecordedInput[];
  /** What the new definition reads. */
  readonly inputs: readonly ExplainedInput[];
  readonly above: readonly ({ readonly table: string } & Partial<ListedRow>)[];
}

/** A read that was recorded. */
export interface RecordedInput {
  /** The table, as it was called then. */
  readonly subject: string;
  /** What it is called now, where that is another name. */
  readonly now?: string;
  readonly declared: boolean;
  readonly columns: readonly string[];
  /** Null where the statement does not tell them. */
  readonly keys: readonly JsonObject[] | null;
  readonly rowCount: number;
  readonly digest: string;
}

/** A read of the new definition, with where its input is known from. */
export interface ExplainedInput {
  readonly read: string;
  readonly table: string;
  readonly columns: readonly string[];
  /**
   * `recorded`: the digest was recorded; `recorded_read`: through the row that was read undeclared; `narrowed`: recorded with
   * key columns that are no more; `present`: what stands there now; `unknown`: nothing is recorded of it.
   */
  readonly known: 'recorded' | 'recorded_read' | 'narrowed' | 'present' | 'unknown';
  /** The recorded digest. */
  readonly digest: string | null;
}

/** A row after its evolution. */
export interface AppliedRow {
  readonly table: string;
  readonly origin: RowOrigin;
  /** The same as it was before, where a row of this key was there. */
  readonly before: RowOrigin | null;
}

/**
 * Explains a row of a plan, or lists the rows of a table that cannot stay as they are.
 *
 * Errors: refuses with `unknown_table`, `value_invalid`, `row_missing`, and with what refuses the plan itself.
 */
export async function explainEvolution(
  options: RunnerOptions,
  world: EvolutionWorld,
  question: ExplainQuestion,
): Promise<ExplainOutcome> {
  const applied = await appliedQuestion(options, question);
  if (applied !== undefined) return explainApplied(options, question, applied);
  return options.store.transaction({ isolation: 'repeatable read', readOnly: true }, async (transaction) => {
    const scope = await scopeOf(transaction, options, { world, question });
    if ('findings' in scope) return { status: 'refused', findings: scope.findings };
    const answer = await evaluatingRules(transaction, scope, () => answerFor(scope, question));
    return 'findings' in answer ? { status: 'refused', findings: answer.findings } : answer.value;
  });
}

/** The time of the deployment of a bundle that was applied and stands. */
async function appliedQuestion(
  { store, root }: RunnerOptions,
  { migrationId }: ExplainQuestion,
): Promise<{ readonly deployedAt: string } | undefined> {
  if (migrationId === undefined) return undefined;
  const reading = await readBundle(root, migrationId);
  if (reading.status === 'refused') return undefined;
  const { forward } = documentsOf(reading.bundle.documents);
  const [last] = await store.query<{ digest: string; at: string }>(sql`
    select s.digest, d.deployed_at as at from varve.deployment d join varve.definition_set s on s.id = d.definition_set
    order by d.id desc limit 1`);
  return last?.digest === forward.to ? { deployedAt: last.at } : undefined;
}

async function explainApplied(
  { store }: RunnerOptions,
  { table, key }: ExplainQuestion,
  { deployedAt }: { readonly deployedAt: string },
): Promise<ExplainOutcome> {
  if (key === undefined) {
    const hint = 'It is applied, and no row waits any more: ask about one with --key.';
    return refused(refusal('usage', table, { detail: { reason: 'no key' }, hint }));
  }
  const now = await why(store, table, key);
  if (now.status === 'refused') return now;
  const versions = await history(store, table, { key });
  const earlier =
    versions.status === 'ok'
      ? versions.versions.find(({ until }) => until !== null && Date.parse(until) <= Date.parse(deployedAt))
      : undefined;
  const since = earlier?.since ?? null;
  const before = since === null ? undefined : await why(store, table, key, { asOf: since });
  return {
    status: 'applied',
    row: { table, origin: now.origin, before: before?.status === 'ok' ? before.origin : null },
  };
}

/** What a plan looks at, with the rules judged. */
async function scopeOf(
  transaction: Transaction,
  { root }: RunnerOptions,
  { world, question }: { readonly world: EvolutionWorld; readonly question: ExplainQuestion },
): Promise<Scope | { readonly findings: readonly Finding[] }> {
  const deployed = await deployedSet(transaction);
  const common = {
    codeByTable: world.codeByTable,
    transaction,
    relations: await loadRelations(transaction),
    planned: new Map(),
    decisions: {},
  };
  const { findings: asked, ...scope } = await partsOf();
  if (asked.length > 0) return { findings: asked };
  const findings = await checkRules(transaction, scope);
  return findings.length > 0 ? { findings } : scope;

  async function partsOf(): Promise<Scope & { readonly findings: readonly Finding[] }> {
    const { migrationId, attribution = {} } = question;
    const empty = { version: 1, tables: [] } as const;
    if (migrationId === undefined) {
      const { set, hints } = world.definitions;
      const found = findOperations(deployed?.set, set, { hints, attribution });
      const from = deployed?.set ?? empty;
      return { ...common, ...found, from, to: set, attribution };
    }
    const reading = await readBundle(root, migrationId);
    if (reading.status === 'refused') {
      const none = findOperations(undefined, empty);
      return { ...common, from: empty, to: empty, ...none, attribution, findings: reading.findings };
    }
    const documents = documentsOf(reading.bundle.documents);
    const { forward, naming, sets, decisions } = documents;
    const moved = movedFindings(documents, { deployed, world });
    const operations = operationsIn(forward);
    return {
      ...common,
      ...sets,
      operations,
      naming,
      decisions,
      attribution: forward.attribute,
      findings: moved,
    };
  }
}

async function answerFor(scope: Scope, question: ExplainQuestion): Promise<ExplainOutcome> {
  const name = scope.naming.pairs.has(question.table) ? question.table : heirOf(scope.naming, question.table);
  const { key } = question;
  const { lists, tables } = await plannedLists(
    scope,
    key === undefined || name === undefined
      ? undefined
      : {
          table: name,
          only: (asked) =>
            sql.join(
              (asked.pair.sources[0]?.primaryKey ?? []).map(
                (column) => sql`t.${sql.id(column)} = ${keyValue(asked, column, key)}`,
              ),
              sql` and `,
            ),
        },
  );
  const of = tables.find(({ operation }) => operation.table === name);
  if (of === undefined) return refused(notRebuilt(question.table, tables));
  return key === undefined ? listRows(scope, { of, lists }, question) : explainRow(scope, { of, lists, key });
}

function notRebuilt(table: string, tables: readonly Rebuilding[]): Finding {
  const names = tables.map(({ operation }) => operation.table);
  const nearest = nearestName(table, names);
  return refusal('unknown_table', table, {
    detail: { reason: 'no rows of it change' },
    hint:
      names.length === 0
        ? 'This plan changes no rows.'
        : nearest === undefined
          ? `This plan changes rows of: ${names.join(', ')}.`
          : `Ask for ${nearest}.`,
  });
}

/** What a plan looks at, in a transaction in which something may fail alone. */
interface Scope extends PlanScope {
  readonly transaction: Transaction;
}

interface Asked {
  readonly of: Rebuilding;
  readonly lists: readonly Sql[];
}

async function listRows(
  { transaction }: Scope,
  { of, lists }: Asked,
  { limit = 20, offset = 0 }: ExplainQuestion,
): Promise<ExplainOutcome> {
  const order = sql.join(listedKeys(of).map(({ column }) => column));
  const rows = await transaction.query<{ key: JsonObject; class: string; why: string; total: bigint }>(sql`
    with ${sql.join(lists)} select ${listedKey(of)} as key, "#class" as class, "#why" as why, count(*) over () as total
    from ${of.world.listOf(of.operation.table)} where "#class" in ('ambiguous', 'recompute')
    order by "#class", ${order} limit ${limit}::integer offset ${offset}::integer`);
  return {
    status: 'rows',
    table: of.operation.table,
    rows: rows.map(({ key, class: name, why: fact }) => ({ key, class: name, why: fact })),
    total: Number(rows[0]?.total ?? 0n),
  };
}

type Line = {
  readonly key: JsonObject;
  readonly class: string;
  readonly why: string;
  readonly spec: number | null;
  readonly hash: Uint8Array | null;
  readonly found: readonly boolean[];
};

async function explainRow(
  scope: Scope,
  { of, lists, key }: Asked & { readonly key: JsonObject },
): Promise<ExplainOutcome> {
  const line = await lineOf(scope, { of, lists, key });
  if ('finding' in line) return refused(line.finding);
  const found = foundColumns(of).map((column, index) => ({
    column,
    from: of.world.attribution[`${of.operation.table}.${column}`] === undefined ? wayOf(of, column) : 'rule',
    isFound: line.found[index] === true,
  }));
  const row: ExplainedRow = {
    table: of.operation.table,
    from: of.operation.from.join(', '),
    key: line.key,
    class: line.class,
    why: line.why,
    found,
    computation: await computationOf(scope, line),
    recorded: await recordedOf(scope, of, line),
    inputs: await inputsOf(scope, of, line),
    above: await aboveOf(scope, { of, lists, key }),
  };
  return { status: 'row', row };
}

function wayOf({ operation }: Rebuilding, column: string): string {
  const source = operation.columns[column];
  if (source === undefined) return 'unknown';
  return 'table' in source ? `${source.from}: ${source.table}` : source.from;
}

/** A value of a key, as a value of its column. */
function keyValue(of: Rebuilding, name: string, key: JsonObject): Sql {
  const [old] = of.pair.sources;
  const value = key[name];
  const text =
    value === undefined || value === null ? null : typeof value === 'string' ? value : JSON.stringify(value);
  return sql`${text}::text::${sql.raw(old === undefined ? 'text' : typeOf(old, name))}`;
}

async function lineOf(
  { transaction }: Scope,
  { of, lists, key }: Asked & { readonly key: JsonObject },
): Promise<Line | { readonly finding: Finding }> {
  const same = listedKeys(of).map(({ name, column }) => sql`${column} = ${keyValue(of, name, key)}`);
  const values = foundColumns(of).map((_, index) => sql`${foundColumn(index)} is not null`);
  try {
    const [line] = await transaction.savepoint(() =>
      transaction.query<Line>(sql`
        with ${sql.join(lists)} select ${listedKey(of)} as key, "#class" as class, "#why" as why, "#spec" as spec, "#hash" as hash,
          array[${sql.join(values)}]::boolean[] as found
        from ${of.world.listOf(of.operation.table)} where ${sql.join(same, sql` and `)}`),
    );
    if (line !== undefined) return line;
    const hint =
      'Ask for a row that is there: varve plan --explain TABLE lists those that cannot stay as they are.';
    return { finding: refusal('row_missing', of.operation.table, { hint }) };
  } catch (error) {
    const fields = listedKeys(of).map(({ name }) => name);
    if (!isStoreError(error, '22P02', '22003', '22007', '22008')) throw error;
    return {
      finding: refusal('value_invalid', of.operation.table, {
        detail: { sqlstate: error.fields.sqlstate },
        hint: `Write values of the types of ${fields.join(', ')} after --key.`,
      }),
    };
  }
}

async function computationOf(
  { transaction }: Scope,
  { spec, hash }: Line,
): Promise<ExplainedRow['computation']> {
  if (spec === null || hash === null) return null;
  const [row] = await transaction.query<{ run: string; code: string; origin: string; duration: number }>(sql`
    select r.name as run, d.digest as code, s.origin, c.duration_us as duration
    from varve.computation_spec s join varve.run r on r.id = s.run join varve.code d on d.id = s.code
    join varve.computation c on c.spec = s.id and c.key_hash = ${hash} where s.id = ${spec}::integer limit 1`);
  if (row === undefined) return null;
  return { run: row.run, code: row.code, origin: row.origin, durationUs: row.duration };
}

async function recordedOf(
  { transaction }: Scope,
  of: Rebuilding,
  { spec, hash }: Line,
): Promise<readonly RecordedInput[]> {
  const relation = computedRelation(of, 0);
  if (spec === null || hash === null || relation === undefined) return [];
  const rows = await transaction.query<RecordedInput & Row>(sql`
    select subject, declared, columns, keys, row_count::integer as "rowCount", 'sha256:' || encode(digest, 'hex') as digest
    from varve.recorded_read where relation = ${relation}::integer and key_hash = ${hash} and spec = ${spec}::integer
    order by ordinal`);
  if (rows.length === 0) return [];
  const periods = await loadNamePeriods(transaction);
  const times = await loadRecordingTimes(transaction, sql`s.id = ${spec}::integer`);
  return rows.map((row) => {
    const now = presentName(periods, row.subject, times.get(spec));
    return now === undefined || now === row.subject ? row : { ...row, now };
  });
}

async function inputsOf(
  { transaction }: Scope,
  of: Rebuilding,
  { spec, hash }: Line,
): Promise<readonly ExplainedInput[]> {
  const variants = await variantsOf(transaction, of);
  const variant = variants.find(({ specs }) => spec !== null && specs.includes(spec));
  const [row] =
    spec === null || hash === null
      ? []
      : await transaction.query<{ digests: readonly string[] }>(sql`
          select array(select 'sha256:' || encode(substr(c.inputs, 1 + 32 * n, 32), 'hex')
            from generate_series(0, length(c.inputs) / 32 - 1) n order by n) as digests
          from varve.computation c where c.spec = ${spec}::integer and c.key_hash = ${hash}`);
  return of.spec.reads.map((read, index) =>
    explainedInput(read, variant, { index, digests: row?.digests ?? [] }),
  );
}

function explainedInput(
  { name, table, columns }: ReadSpec,
  variant: Variant | undefined,
  { index, digests }: { readonly index: number; readonly digests: readonly string[] },
): ExplainedInput {
  const coverage = variant?.coverage[index];
  const digest = digests[placeOf(coverage)] ?? null;
  return { read: name, table, columns, known: knownBy(coverage, digest), digest };
}

function placeOf(coverage: Coverage | undefined): number {
  if (typeof coverage === 'number') return coverage;
  if (typeof coverage !== 'object') return -1;
  return 'narrowed' in coverage ? coverage.narrowed : coverage.nothing;
}

/** The digest of a read that found no row. */
const NO_ROW = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

function knownBy(coverage: Coverage | undefined, digest: string | null): ExplainedInput['known'] {
  if (coverage === undefined) return 'unknown';
  if (typeof coverage === 'number') return 'recorded';
  if (typeof coverage === 'object') {
    if ('narrowed' in coverage) return 'narrowed';
    return digest === NO_ROW ? 'recorded' : 'unknown';
  }
  return coverage === 'recorded' ? 'recorded_read' : coverage;
}

/** What becomes of the rows that it belongs to. */
async function aboveOf(
  { transaction }: Scope,
  { of, lists, key }: Asked & { readonly key: JsonObject },
): Promise<ExplainedRow['above']> {
  const [old] = of.pair.sources;
  const [source] = of.sources;
  if (old === undefined || source === undefined) return [];
  const above: ({ readonly table: string } & Partial<ListedRow>)[] = [];
  for (const now of of.spec.foreignKeys) {
    const was = of.pair.keys[0]?.[now.name];
    if (was === undefined) continue;
    const operation = rebuildOf(of.world, now.to);
    if (operation === undefined || operation.from.length === 0) {
      above.push({ table: now.to, class: 'keep', why: 'its rows stay where they stand' });
      continue;
    }
    const parent = rebuilding(operation, of.world);
    const on = Object.entries(was.columns).flatMap(([child, column]) => {
      const place = placeOfOldKey(parent, was.to, column);
      return place === undefined ? [] : [sql`m.${oldKeyColumn(place)} = t.${sql.id(child)}`];
    });
    const same = old.primaryKey.map((column) => sql`t.${sql.id(column)} = ${keyValue(of, column, key)}`);
    const rows = await transaction.query<{ key: JsonObject; class: string; why: string }>(sql`
      with ${sql.join(lists)} select m.key, m."#class" as class, m."#why" as why from ${tableId(source.placement)} t
      join (select *, ${listedKey(parent)} as key from ${of.world.listOf(now.to)}) m on ${sql.join(on, sql` and `)}
      where ${sql.join(same, sql` and `)}`);
    above.push(...rows.map((row) => ({ table: now.to, ...row })));
  }
  return above;
}

function refused(finding: Finding): ExplainOutcome {
  return { status: 'refused', findings: [finding] };
}
