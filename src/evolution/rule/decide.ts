/**
 * Asks functions of the project about ambiguous rows, while a plan is drafted. What they answer is written into the bundle,
 * beside the file that they stand in: a plan or a run made from a bundle never runs code of it.
 */
import { refusal, type Finding, type Json, type JsonObject } from '../../base/index.ts';
import { readExactRow, sameJson, tableId } from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';
import type { Decision, Decisions } from '../attribution.ts';
import type { PlanScope } from '../operation/operation.ts';
import { computedRelation } from '../rebuild/coverage.ts';
import { listedKey, listedKeys, plannedLists } from '../rebuild/plan.ts';
import { isDecidable, oldRowDigest } from '../rebuild/ruled-ways.ts';
import type { Rebuilding } from '../rebuild/world.ts';

/** A function that says what becomes of one ambiguous row. */
export type RowRule = (row: AmbiguousRow) => RowAnswer | Promise<RowAnswer>;

/** What it is given; values are as JSON has them. */
export interface AmbiguousRow {
  readonly row: JsonObject;
  /** What the row's computation was recorded to read beside what was declared. */
  readonly reads: readonly {
    readonly subject: string;
    readonly columns: readonly string[];
    /** Null where the statement does not tell them. */
    readonly keys: readonly JsonObject[] | null;
    readonly rowCount: number;
  }[];
}

/** Values of the columns that the record does not tell, or what becomes of the row; undefined: it stays ambiguous. */
export type RowAnswer = 'recompute' | 'retire' | JsonObject | undefined;

/** A function with the file that it was read from. */
export interface FunctionRule {
  /** Below `rules/` in the bundle. */
  readonly path: string;
  readonly source: string;
  readonly call: RowRule;
}

/** Rows that are asked about at a time. */
const PAGE_ROWS = 1_000;
/** A file of a bundle may be 16 MiB; what functions said of more rows is for an expression to say. */
const MAX_DECISIONS = 50_000;

/** Asks every function, table by table in dependency order: what becomes of rows above may settle rows below. */
export async function decide(
  scope: PlanScope,
  functions: ReadonlyMap<string, FunctionRule>,
): Promise<{ readonly decisions: Decisions } | { readonly findings: readonly Finding[] }> {
  let decisions: Decisions = {};
  for (const table of scope.operations.map((each) => each.table)) {
    const rule = functions.get(table);
    if (rule === undefined) continue;
    const answers = await askTable({ ...scope, decisions }, table, rule);
    if ('findings' in answers) return answers;
    decisions = { ...decisions, [table]: answers.decisions };
  }
  return { decisions };
}

type Asked = {
  readonly key: JsonObject;
  readonly digest: string;
  readonly row: AmbiguousRow['row'];
  readonly reads: AmbiguousRow['reads'];
};

async function askTable(
  scope: PlanScope,
  table: string,
  { call }: FunctionRule,
): Promise<{ readonly decisions: readonly Decision[] } | { readonly findings: readonly Finding[] }> {
  const { lists, tables } = await plannedLists(scope);
  const of = tables.find(({ operation }) => operation.table === table);
  if (of === undefined) return { decisions: [] };
  // Before there are decisions no column takes any, so it is asked as if there were some.
  const world = { ...of.world, decisions: { [table]: [{ key: {}, row: '', is: 'retire' }] } };
  const columns = of.spec.columns
    .map(({ name }) => name)
    .filter((name) => isDecidable({ ...of, world }, name));
  const decisions: Decision[] = [];
  for (let last: JsonObject | undefined; ;) {
    const page = await pageOf(scope.transaction, { of, lists, last });
    for (const { key, digest, ...row } of page) {
      const is = await answerOf(call, row, columns);
      if (is !== undefined && typeof is === 'object' && 'fault' in is && is.fault instanceof RuleFault)
        return { findings: [faulty(table, key, is.fault)] };
      if (is !== undefined) decisions.push({ key, row: digest, is: is as string | JsonObject });
    }
    if (decisions.length > MAX_DECISIONS) return { findings: [tooMany(table)] };
    last = page.at(-1)?.key;
    if (page.length < PAGE_ROWS) return { decisions };
  }
}

async function pageOf(
  transaction: Queryable,
  {
    of,
    lists,
    last,
  }: { readonly of: Rebuilding; readonly lists: readonly Sql[]; readonly last: JsonObject | undefined },
): Promise<readonly Asked[]> {
  const [old] = of.pair.sources;
  const [source] = of.sources;
  if (old === undefined || source === undefined) return [];
  const keys = listedKeys(of);
  const order = sql.join(keys.map(({ column }) => sql`l.${column}`));
  const same = keys.map(({ name, column }) => sql`t.${sql.id(name)} = l.${column}`);
  const types = new Map(old.columns.map(({ name, type }) => [name, type]));
  const after =
    last === undefined
      ? sql``
      : sql`and (${order}) > (${sql.join(
          keys.map(
            ({ name }) =>
              sql`(${JSON.stringify(last)}::jsonb ->> ${name}::text)::${sql.raw(types.get(name) ?? 'text')}`,
          ),
        )})`;
  const page = await transaction.query<Omit<Asked, 'row'> & { readonly row: string }>(sql`
    with ${sql.join(lists)} select ${listedKey(of)} as key, to_jsonb(t)::text as row, ${oldRowDigest(of, sql`t`)} as digest,
      coalesce((select jsonb_agg(jsonb_build_object('subject', r.subject, 'columns', r.columns, 'keys', r.keys, 'rowCount', r.row_count)
        order by r.ordinal) from varve.recorded_read r where r.relation = ${computedRelation(of, 0) ?? null}::integer
        and r.key_hash = l."#hash" and r.spec = l."#spec"), '[]'::jsonb) as reads
    from ${of.world.listOf(of.operation.table)} l join ${tableId(source.placement)} t on ${sql.join(same, sql` and `)}
    where l."#class" = 'ambiguous' ${after} order by ${order} limit ${PAGE_ROWS}::integer`);
  return page.map((each) => ({ ...each, row: readExactRow(each.row, old) }));
}

/** Why an answer is none; what a function threw is told by its name, for its message may hold values. */
class RuleFault {
  readonly reason: string;
  readonly hint: string;

  constructor(reason: string, hint: string) {
    this.reason = reason;
    this.hint = hint;
  }
}

/** Asked twice, for it must answer the same. */
async function answerOf(
  call: RowRule,
  row: AmbiguousRow,
  columns: readonly string[],
): Promise<RowAnswer | { readonly fault: RuleFault }> {
  const fault = (reason: string, hint: string) => ({ fault: new RuleFault(reason, hint) });
  let answers: readonly unknown[];
  try {
    answers = [await call(structuredClone(row)), await call(structuredClone(row))];
  } catch (error) {
    const name = error instanceof Error ? error.name : typeof error;
    return fault(`it threw ${name}`, 'Have it return undefined for a row that it cannot decide.');
  }
  const [is, again] = answers;
  if (!sameJson(is, again))
    return fault('it answers otherwise when asked again', 'Use nothing but what it is given.');
  if (is === undefined || is === 'recompute' || is === 'retire') return is;
  if (typeof is !== 'object' || is === null || Array.isArray(is))
    return fault('no answer', "Return { COLUMN: value }, 'recompute', 'retire' or undefined.");
  const entries = Object.entries(is as Readonly<Record<string, unknown>>);
  const stray = entries.find(([name]) => !columns.includes(name));
  if (stray !== undefined)
    return fault(
      `a value for ${stray[0]}, which is not asked for`,
      `It may say: ${columns.join(', ') || 'no column'}.`,
    );
  const odd = entries.find(([, value]) => !isPlain(value));
  if (odd !== undefined)
    return fault(`no plain value for ${odd[0]}`, 'Return text, a number, a boolean or null.');
  return is as JsonObject;
}

function isPlain(value: unknown): value is Json {
  return (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isFinite(value))
  );
}

function faulty(table: string, key: JsonObject, { reason, hint }: RuleFault): Finding {
  return refusal('attribute_invalid', table, { detail: { reason, key }, hint });
}

function tooMany(table: string): Finding {
  return refusal('attribute_invalid', table, {
    detail: { reason: 'too many rows for a function', most: MAX_DECISIONS },
    hint: `Write the rule as an SQL expression: --attribute ${table}.COLUMN=EXPRESSION.`,
  });
}
