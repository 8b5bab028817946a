/** How many rows of each rebuilt table are in which class: one statement over all of them, which only reads. */
import type { Finding, JsonObject } from '../../base/index.ts';
import type { TableCounts } from '../../evidence/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';
import { dependents } from '../dependents.ts';
import { judgeHandMade, strandedKeys } from '../hand-made/judge.ts';
import { counts, type PlannedRebuild, type PlanScope, type Rebuild } from '../operation/operation.ts';
import { factsOf, judgesText } from './facts.ts';
import { classifiedRows, isPlain } from './rows.ts';
import { oldKeyColumn, typeOf } from './values.ts';
import { readAsOther } from '../change/retype-column.ts';
import { unforeseen } from './inserted-ways.ts';
import { plannedWorld, rebuilding, rebuildsOf, type Rebuilding, type RebuildWorld } from './world.ts';

/** All rebuilds, by table; where it is known that the rows are as they were counted before, they are not counted again. */
export async function planRebuilds(
  scope: PlanScope,
  known?: readonly TableCounts[],
): Promise<ReadonlyMap<string, PlannedRebuild>> {
  const { lists, tables } = await plannedLists(scope);
  if (tables.length === 0) return new Map();
  if (known !== undefined) return asKnown(scope.transaction, tables, known);
  const select = (selects: readonly Sql[]): Promise<readonly PlannedRow[]> =>
    scope.transaction.query<PlannedRow>(
      sql`with ${sql.join(lists)} ${sql.join(selects, sql` union all `)} order by 1, 2, 3, 5`,
    );
  const counted = await select(tables.map(countsSelect));
  const open = tables.filter(({ operation }) =>
    counted.some((row) => row.table === operation.table && row.class === 'ambiguous'),
  );
  const rows = open.length === 0 ? counted : [...counted, ...(await select(open.map(keysSelect)))];
  const planned = new Map<string, PlannedRebuild>();
  for (const of of tables) {
    const own = rows.filter(({ table }) => table === of.operation.table);
    const ofTable = own.filter(({ key }) => key === null);
    planned.set(of.operation.table, {
      counts: countsOf(of.operation, ofTable),
      findings: await inTheWay(scope.transaction, of),
      questions: questionsOf(of),
      ambiguousKeys: own
        .filter(({ key }) => key !== null)
        .toSorted((left, right) => Number(left.rows - right.rows))
        .flatMap(({ key }) => (key === null ? [] : [key])),
      reasons: ofTable
        .filter(({ why }) => why !== '')
        .map(({ class: name, why, rows: count }) => ({ class: name, why, rows: Number(count) })),
    });
  }
  return planned;
}

async function asKnown(
  transaction: Queryable,
  tables: readonly Rebuilding[],
  known: readonly TableCounts[],
): Promise<ReadonlyMap<string, PlannedRebuild>> {
  const planned = new Map<string, PlannedRebuild>();
  for (const of of tables) {
    const { table } = of.operation;
    planned.set(table, {
      counts: known.find((each) => each.table === table) ?? counts(table),
      findings: await inTheWay(transaction, of),
      questions: questionsOf(of),
      ambiguousKeys: [],
      reasons: [],
    });
  }
  return planned;
}

function questionsOf(of: Rebuilding): readonly string[] {
  const { table, changes } = of.operation;
  return [
    ...unforeseen(of).map(
      (inserted) =>
        `rows of ${table} get the key of the one row that ${inserted} will have for each; where it will have several, they are computed anew for each of these`,
    ),
    ...changes.flatMap((change) =>
      change.kind === 'retype_column' ? (readAsOther(change, table, of.world.to.tables) ?? []) : [],
    ),
  ];
}

/** A count of rows; or a key of an ambiguous one, with its place in `rows`. */
type PlannedRow = {
  readonly table: string;
  readonly class: string;
  readonly why: string;
  readonly key: JsonObject | null;
  readonly rows: bigint;
};

function countsSelect({ operation, world }: Rebuilding): Sql {
  return sql`select ${operation.table}::text as "table", "#class" as class, "#why" as why, null::jsonb as key, count(*) as rows
    from ${world.listOf(operation.table)} group by 2, 3`;
}

/** How many keys of ambiguous rows a plan names. */
export const NAMED_KEYS = 20;

function keysSelect(of: Rebuilding): Sql {
  const { operation, world } = of;
  const order = sql.join(listedKeys(of).map(({ column }) => column));
  return sql`select ${operation.table}::text as "table", "#class" as class, "#why" as why, key, place as rows from (
    select "#class", "#why", ${listedKey(of)} as key, row_number() over (order by ${order}) as place
    from ${world.listOf(operation.table)} where "#class" = 'ambiguous' order by ${order} limit ${NAMED_KEYS}::integer) a`;
}

/** The old primary key as it stands in a list. */
export function listedKeys({ pair }: Rebuilding): readonly { readonly name: string; readonly column: Sql }[] {
  return (pair.sources[0]?.primaryKey ?? []).map((name, index) => ({ name, column: oldKeyColumn(index) }));
}

/** The same as one JSON object, in which no digit of a bigint or a numeric is lost: they are text there. */
export function listedKey(of: Rebuilding): Sql {
  const [old] = of.pair.sources;
  const pairs = listedKeys(of).map(({ name, column }) => {
    const isWide = old !== undefined && /^(bigint|numeric)\b/u.test(typeOf(old, name));
    return sql`${name}::text, ${isWide ? sql`${column}::text` : column}`;
  });
  return sql`jsonb_build_object(${sql.join(pairs)})`;
}

/** One row that is asked for, by its old key. */
export interface OneRow {
  readonly table: string;
  /** Over an old row `t`. */
  readonly only: (of: Rebuilding) => Sql;
}

/** How often lists may be written out within each other before each is better made once. */
const INLINED = 200;

/**
 * The lists of all rebuilds as parts of one WITH, each after those it looks at. For one row, they are parts that the database
 * looks into: it finds that row and those above it by their keys, instead of going over the tables.
 */
export async function plannedLists(
  scope: PlanScope,
  one?: OneRow,
): Promise<{
  readonly world: RebuildWorld;
  readonly lists: readonly Sql[];
  readonly tables: readonly Rebuilding[];
}> {
  const operations = rebuildsOf(scope);
  const names = new Map(operations.map(({ table }, index) => [table, sql.raw(`list_${String(index)}`)]));
  const world = plannedWorld(scope, (table) => names.get(table) ?? sql`null`);
  const tables = operations
    .filter(({ from }) => from.length > 0)
    .map((operation) => rebuilding(operation, world));
  const lists: Sql[] = [];
  const isInlined = one !== undefined && writtenOut(tables, one.table) <= INLINED;
  const how = sql.raw(isInlined ? 'not materialized' : '');
  const canJudgeText = await judgesText(scope.transaction);
  for (const of of tables) {
    const facts = await factsOf(scope.transaction, of, canJudgeText);
    const isAsked = one?.table === of.operation.table && isPlain(of);
    const rows = classifiedRows(of, facts, isAsked ? { only: one.only(of) } : {});
    // Kept where others look at it as well, else part of what counts it, in which processes share the work.
    lists.push(sql`${world.listOf(of.operation.table)} as ${how} (${rows})`);
  }
  return { world, lists, tables };
}

/** How many lists stand in that of a table, each as often as a way leads to it. */
function writtenOut(tables: readonly Rebuilding[], asked: string): number {
  const counted = new Map<string, number>();
  for (const { operation, spec } of tables) {
    const above = spec.foreignKeys.map(({ to }) => (to === spec.name ? 0 : (counted.get(to) ?? 0)));
    counted.set(operation.table, 1 + above.reduce((sum, each) => sum + each, 0));
  }
  return counted.get(asked) ?? 0;
}

function countsOf(
  { table }: Rebuild,
  rows: readonly { readonly class: string; readonly rows: bigint }[],
): TableCounts {
  const count = (name: string): number =>
    rows.filter((row) => row.class === name).reduce((sum, row) => sum + Number(row.rows), 0);
  return counts(table, {
    keep: count('keep'),
    rekey: count('rekey'),
    backfill: count('backfill'),
    recompute: count('recompute'),
    retire: count('retire'),
    ambiguous: count('ambiguous'),
  });
}

async function inTheWay(transaction: Queryable, of: Rebuilding): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const relation of of.sources) findings.push(...(await dependents(transaction, relation)));
  const judged = await judgeHandMade(transaction, of);
  return [...findings, ...judged.findings, ...(await strandedKeys(transaction, of, judged))];
}
