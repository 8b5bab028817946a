/**
 * The rules of a bundle, judged before anything of them runs: a bundle is text that somebody wrote, and an expression in it
 * becomes part of statements.
 *
 * What `expression.ts` lets through by its text is looked up here: functions and operators must be immutable, or stable and
 * known to look at nothing but their arguments; the database itself says whether the types fit.
 */
import { nearestName, refusal, type Finding, type JsonObject } from '../../base/index.ts';
import { tableId, type Relations } from '../../pipeline/index.ts';
import { isStoreError, sql, type Sql, type StoreError, type Transaction } from '../../store/index.ts';
import { isFunctionRule, type Attribution, type Decisions } from '../attribution.ts';
import type { Naming, Pair } from '../naming.ts';
import type { Operation, Rebuild } from '../operation/operation.ts';
import { readExpression, ruleValue, type ExpressionNames } from './expression.ts';

/** What rules are judged against. */
export interface RuleScope {
  readonly operations: readonly Operation[];
  readonly naming: Naming;
  readonly attribution: Attribution;
  readonly relations: Relations;
  readonly decisions: Decisions;
}

/** What a rule for a table may say. */
export const TABLE_RULES = ['recompute', 'recompute-all', 'retire', 'keep'] as const;

/** Why the rules cannot be used; none where they can. */
export async function checkRules(transaction: Transaction, scope: RuleScope): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [subject, rule] of Object.entries(scope.attribution)) {
    if (typeof rule !== 'string') {
      findings.push(invalid(subject, { reason: 'no text' }, 'Write a rule as text.'));
      continue;
    }
    const column = ruledColumn(subject, scope);
    if (column !== undefined)
      findings.push(...(await checkColumn(transaction, { ...column, subject, rule })));
    else if (!isTable(subject, scope.operations)) findings.push(notAffected(subject, scope));
    else if (!TABLE_RULES.some((word) => word === rule) && !isFunctionRule(rule))
      findings.push(unknownRule(subject, rule));
  }
  return [...findings, ...faultyDecisions(scope)];
}

/** What is written of functions' answers must be answers, and of tables that have such a rule. */
function faultyDecisions({ attribution, decisions }: RuleScope): readonly Finding[] {
  const isObject = (value: unknown): value is JsonObject =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const tables: unknown = decisions;
  const isSound =
    isObject(tables) &&
    Object.entries(tables).every(
      ([table, list]) =>
        isFunctionRule(attribution[table]) &&
        Array.isArray(list) &&
        list.every(
          (each: unknown) =>
            isObject(each) &&
            isObject(each['key']) &&
            typeof each['row'] === 'string' &&
            (each['is'] === 'recompute' || each['is'] === 'retire' || isObject(each['is'])),
        ),
    );
  if (isSound) return [];
  return [
    refusal('bundle_invalid', 'decisions.json', {
      detail: { reason: 'no_decisions' },
      hint: 'Run `varve plan` again with the rule; do not edit what it wrote.',
    }),
  ];
}

/**
 * Does work that evaluates the rules. Where the database fails over a value, and a rule by itself fails likewise, that is a
 * finding: an expression may divide by what is zero in some rows.
 */
export async function evaluatingRules<T>(
  transaction: Transaction,
  scope: RuleScope,
  work: () => Promise<T>,
): Promise<{ readonly value: T } | { readonly findings: readonly Finding[] }> {
  const ruled = Object.entries(scope.attribution).flatMap(([subject, rule]) => {
    const column = ruledColumn(subject, scope);
    return column === undefined ? [] : [{ ...column, subject, rule }];
  });
  const isDecided = Object.keys(scope.decisions).length > 0;
  if (ruled.length === 0 && !isDecided) return { value: await work() };
  try {
    return { value: await transaction.savepoint(work) };
  } catch (error) {
    if (!isStoreError(error) || !isOfValues(error)) throw error;
    const findings: Finding[] = [];
    for (const one of ruled) findings.push(...(await evaluate(transaction, one, 'every row')));
    if (findings.length === 0 && isDecided)
      findings.push(
        invalid(
          'decisions.json',
          { reason: 'a value that is none of its column', sqlstate: error.fields.sqlstate },
          'Have the function return values of the types of its columns.',
        ),
      );
    if (findings.length === 0) throw error;
    return { findings };
  }
}

interface RuledColumn {
  readonly subject: string;
  readonly rule: string;
  readonly pair: Pair;
  readonly type: string;
  /** The old rows; undefined where the table is new and has none. */
  readonly rows: Sql | undefined;
}

function ruledColumn(
  subject: string,
  { operations, naming, relations }: RuleScope,
): Pick<RuledColumn, 'pair' | 'type' | 'rows'> | undefined {
  for (const operation of operations.filter((each) => each.kind === 'rebuild')) {
    const pair = naming.pairs.get(operation.table);
    const spec = pair?.spec.columns.find(({ name }) => `${operation.table}.${name}` === subject);
    if (pair === undefined || spec === undefined) continue;
    return { pair, type: spec.type, rows: oldRows(operation, relations) };
  }
  return undefined;
}

function oldRows({ from }: Rebuild, relations: Relations): Sql | undefined {
  const relation = relations.get(from[0] ?? '');
  return relation === undefined ? undefined : tableId(relation.placement);
}

async function checkColumn(transaction: Transaction, ruled: RuledColumn): Promise<readonly Finding[]> {
  const { subject, rule, pair, rows } = ruled;
  if (rows === undefined)
    return [invalid(subject, { reason: 'a new table has no old row' }, 'Leave this rule out.')];
  const columns = (pair.sources[0]?.columns ?? []).map(({ name }) => name);
  const reading = await readExpression(rule, columns);
  if (reading.status === 'refused') {
    const { reason, position, hint } = reading;
    return [invalid(subject, { reason, ...(position === undefined ? {} : { position }) }, hint)];
  }
  const unusable = await unusableName(transaction, reading.names);
  if (unusable !== undefined)
    return [
      invalid(subject, unusable, 'Use what gives the same value for the same row, whenever it is asked.'),
    ];
  return evaluate(transaction, ruled, 'no row');
}

/** Functions that are stable for what the session sets alone, such as the time zone; varve's sessions all set the same. */
const STABLE = [
  'concat',
  'concat_ws',
  'date_part',
  'date_trunc',
  'extract',
  'format',
  'json_build_array',
  'json_build_object',
  'jsonb_build_array',
  'jsonb_build_object',
  'make_timestamptz',
  'timezone',
  'to_char',
  'to_date',
  'to_json',
  'to_jsonb',
  'to_timestamp',
] as const;

/** The first name that may not stand in a rule: of all that it could mean, none may do more than compute. */
async function unusableName(
  transaction: Transaction,
  { functions, operators, types }: ExpressionNames,
): Promise<JsonObject | undefined> {
  for (const { name, argumentCount } of functions) {
    const [found] = await transaction.query<{ known: boolean; usable: boolean }>(sql`
      select count(*) > 0 as known, coalesce(bool_and(p.prokind = 'f' and not p.proretset and not p.prosecdef and (p.provolatile = 'i'
        or (p.provolatile = 's' and n.nspname = 'pg_catalog' and p.proname = any(${STABLE}::text[])))), false) as usable
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where ${named(name, sql`p.proname`, sql`pg_function_is_visible(p.oid)`)}
        and (p.provariadic <> 0 or ${argumentCount}::integer between p.pronargs - p.pronargdefaults and p.pronargs)`);
    if (found?.known !== true) return { reason: 'no such function', name: name.join('.') };
    if (!found.usable) return { reason: 'a function that does more than compute', name: name.join('.') };
  }
  for (const name of operators) {
    const [found] = await transaction.query<{ usable: boolean }>(sql`
      select coalesce(bool_and(p.provolatile <> 'v' and (p.provolatile = 'i' or n.nspname = 'pg_catalog')), false) as usable
      from pg_operator o join pg_namespace n on n.oid = o.oprnamespace join pg_proc p on p.oid = o.oprcode
      where ${named(name, sql`o.oprname`, sql`pg_operator_is_visible(o.oid)`)}`);
    if (found?.usable !== true) return { reason: 'no operator that only computes', name: name.join('.') };
  }
  for (const name of types) {
    // A domain may check by a function, and the names of database objects are looked up in its catalog.
    const [found] = await transaction.query<{ usable: boolean }>(sql`
      select coalesce(bool_and(t.typtype in ('b', 'e', 'r', 'm') and t.typname not like 'reg%' and not exists (
        select from pg_cast c join pg_proc p on p.oid = c.castfunc where c.casttarget = t.oid and p.provolatile = 'v')), false) as usable
      from pg_type t join pg_namespace n on n.oid = t.typnamespace
      where ${named(name, sql`t.typname`, sql`pg_type_is_visible(t.oid)`)}`);
    if (found?.usable !== true) return { reason: 'no type that only holds values', name: name.join('.') };
  }
  return undefined;
}

function named(name: readonly string[], column: Sql, visible: Sql): Sql {
  const own = name.at(-1) ?? '';
  const schema = name.length > 1 ? name.slice(0, -1).join('.') : undefined;
  return schema === undefined
    ? sql`${column} = ${own} and ${visible}`
    : sql`${column} = ${own} and n.nspname = ${schema}`;
}

/** Has the database parse a rule, or compute it for all old rows. */
async function evaluate(
  transaction: Transaction,
  { subject, rule, pair, type, rows }: RuledColumn,
  of: 'every row' | 'no row',
): Promise<readonly Finding[]> {
  const columns = sql.join((pair.sources[0]?.columns ?? []).map(({ name }) => sql`t.${sql.id(name)}`));
  // Counted, so that nothing of it is left out as unneeded.
  const statement = sql`select count(value) as count from (select ${ruleValue(rule, type)} as value
    from (select ${columns} from ${rows ?? sql``} t ${of === 'no row' ? sql`where false` : sql``}) old offset 0) v`;
  try {
    await transaction.savepoint(() => transaction.query(statement));
    return [];
  } catch (error) {
    if (!isStoreError(error) || !(isOfValues(error) || isOfTypes(error))) throw error;
    const { sqlstate } = error.fields;
    const reason = REASONS[sqlstate] ?? (isOfTypes(error) ? 'its types do not fit' : 'it fails on some rows');
    const hint =
      of === 'no row'
        ? 'Correct the expression, or cast it to the type of the column.'
        : 'Write it so that it has a value, or null, for every row: case when ... end, nullif(...).';
    return [invalid(subject, { reason, sqlstate, type }, hint)];
  }
}

const REASONS: Readonly<Partial<Record<string, string>>> = {
  '22003': 'a number out of the range of its type',
  '22007': 'no date or time',
  '22008': 'a date or time out of range',
  '22012': 'division by zero',
  '22P02': 'a text that is no value of the type',
  '42804': 'its type does not fit the column',
  '42846': 'its type cannot be cast to that of the column',
  '42883': 'no such operator or function for these types',
};

function isOfValues({ fields }: StoreError): boolean {
  return fields.sqlstate.startsWith('22') || fields.sqlstate === '54000';
}

function isOfTypes({ fields }: StoreError): boolean {
  return fields.sqlstate.startsWith('42');
}

function isTable(subject: string, operations: readonly Operation[]): boolean {
  return operations.some(({ table }) => table === subject);
}

function unknownRule(subject: string, rule: string): Finding {
  return invalid(
    subject,
    { reason: 'no such rule', rule },
    `Write ${TABLE_RULES.join(', ')} for a table, or an SQL expression for one of its columns: --attribute ${subject}.COLUMN=EXPRESSION.`,
  );
}

function notAffected(subject: string, { operations }: RuleScope): Finding {
  const subjects = operations.flatMap((each) => [
    each.table,
    ...(each.kind === 'rebuild' ? Object.keys(each.columns).map((column) => `${each.table}.${column}`) : []),
  ]);
  const nearest = nearestName(subject, subjects);
  const hint =
    nearest === undefined
      ? 'Name a table that this plan changes, or a column of one, after --attribute.'
      : `Write ${nearest}.`;
  return invalid(subject, { reason: 'nothing that this plan changes' }, hint);
}

function invalid(subject: string, detail: JsonObject, hint: string): Finding {
  return refusal('attribute_invalid', subject, { detail, hint });
}
