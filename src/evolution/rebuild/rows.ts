/**
 * What becomes of each row: one SELECT for a rebuilt table, with a line for every old row.
 *
 * | column | holds |
 * |---|---|
 * | `o0`, `o1`, ... | the old primary key |
 * | `v0`, `v1`, ... | values that were found for it: see `foundColumns` |
 * | `#class` | keep, rekey, backfill, recompute, retire, ambiguous |
 * | `#why` | the fact that decides, as a word and a table or column; empty where nothing stands against keeping |
 * | `#spec`, `#duration`, `#hash` | how it was computed: null where nothing did |
 *
 * Every test that may decide is listed with what it decides, the gravest first; the first one that holds gives class and
 * reason. Nothing is ever invented: a value comes from the old row, from a recorded read, from the row above, or from a
 * rule of the bundle; else the row is ambiguous, or computed anew where a make can.
 */
import { sql, type Sql } from '../../store/index.ts';
import { computationColumns, oldKeys, sources } from './old-rows.ts';
import type { Facts, Test } from './row-test.ts';
import { testsOf } from './row-tests.ts';
import { copiedValue, foundColumn, foundColumns, isNarrower, oldKeyColumn, ruleOf } from './values.ts';
import { newUniqueSets } from './uniqueness.ts';
import { isDecided } from './ruled-ways.ts';
import { waysOf, type Ways } from './ways.ts';
import type { Rebuilding } from './world.ts';

/** What a classification is asked for beside the header. */
export interface Wanted {
  /** Keeps to some old rows `t` of the first source. */
  readonly only?: Sql;
  /** More columns, over the aliases of a plain one; see `isPlain`. */
  readonly more?: readonly Sql[];
}

/** Whether no row is decided by other rows of its table, so that one SELECT without another around it does. */
export function isPlain(of: Rebuilding): boolean {
  return !shared(of) && newUniqueSets(of).length === 0;
}

/** The SELECT of the header. */
export function classifiedRows(of: Rebuilding, facts: Facts, { only, more = [] }: Wanted = {}): Sql {
  const found = foundColumns(of);
  const ways = waysOf(of, found, facts);
  const tests = testsOf(of, facts, ways).toSorted((left, right) => rank(left) - rank(right));
  const whens = tests.map((test) => ({ when: test.when, class: resolved(of, test), why: test.why }));
  const unique = newUniqueSets(of);
  const keys = sql.join(oldKeys(of).map((key, index) => sql`${key} as ${oldKeyColumn(index)}`));
  const values = ways.values.map((value, index) => sql`, ${value} as ${foundColumn(index)}`);
  const pick = (value: (one: (typeof whens)[number]) => Sql, otherwise: string): Sql =>
    whens.length === 0
      ? sql.raw(text(otherwise))
      : sql`case ${sql.join(
          whens.map((one) => sql`when ${one.when} then ${value(one)}`),
          sql` `,
        )} else ${sql.raw(text(otherwise))} end`;
  const rows = sql`
    select ${keys}${sql.join(values, sql``)}, ${pick((one) => classSql(of, one.class), baseClass(of))} as "#class",
      ${pick(({ why }) => sql.raw(text(why)), '')} as "#why", ${computationColumns(of)}
      ${shared(of) ? sql`, ${sharedKey(of)} as "#new"` : sql``}${uniqueKeys(of, ways, unique)}${sql.join(
        more.map((each) => sql`, ${each}`),
        sql``,
      )}
    from ${sources(of, only)} ${sql.join(ways.joins, sql` `)}`;
  const alone = shared(of) ? withoutCollisions(of, rows, unique.length) : rows;
  return unique.length === 0 ? alone : withoutTwins(of, alone, unique);
}

/** A function of the bundle may have said what becomes of an ambiguous row. */
function classSql(of: Rebuilding, name: string): Sql {
  const word = sql.raw(text(name));
  if (name !== 'ambiguous' || !isDecided(of)) return word;
  return sql`case when d."#is" in ('recompute', 'retire') then d."#is" else ${word} end`;
}

const RANK = { ambiguous: 0, retire: 1, recompute: 2 } as const;

function rank({ becomes }: Test): number {
  return RANK[becomes];
}

/** A rule of the bundle decides what the record does not. */
function resolved(
  { operation, world, spec }: Rebuilding,
  { becomes, canStand }: Pick<Test, 'becomes' | 'canStand'>,
): string {
  if (becomes !== 'ambiguous') return becomes;
  const said = world.attribution[operation.table];
  const rule = said === 'recompute-all' ? 'recompute' : said;
  if (rule === 'retire') return 'retire';
  if (rule === 'keep' && canStand === true) return 'keep';
  return rule === 'recompute' && (spec.form !== undefined || spec.master !== undefined) ? rule : becomes;
}

/** What a row is that nothing stands against. */
export function baseClass(of: Rebuilding): 'keep' | 'rekey' | 'backfill' {
  const { spec, operation } = of;
  const brought = (column: string): boolean => {
    const source = operation.columns[column];
    const isRuled = ruleOf(of.world.attribution, operation.table, column) !== undefined;
    return isRuled || (source?.from !== 'same' && source?.from !== 'cast');
  };
  if (spec.primaryKey.some(brought) || isNarrower(of)) return 'rekey';
  const found = foundColumns(of)
    .filter(brought)
    .map((column) => operation.columns[column]?.from);
  if (found.length === 0) return 'keep';
  return found.every((from) => from === 'parent') ? 'rekey' : 'backfill';
}

function text(word: string): string {
  return `'${word.replaceAll("'", "''")}'::text`;
}

/** Whether two old rows may meet on one new key. */
function shared(of: Rebuilding): boolean {
  return of.operation.from.length > 0 && isNarrower(of);
}

function sharedKey(of: Rebuilding): Sql {
  const values = of.spec.primaryKey.map((column) => {
    const source = of.operation.columns[column];
    const value = source === undefined ? undefined : copiedValue(of, column, source);
    return value ?? sql`null`;
  });
  return sql`row(${sql.join(values)})::text`;
}

/** Two rows on one key: which of them it is, nobody knows. */
function withoutCollisions(of: Rebuilding, rows: Sql, uniqueCount: number): Sql {
  const found = foundColumns(of)
    .map((column, index) => ({ column, index }))
    .filter(({ column }) => of.spec.primaryKey.includes(column))
    .map(({ index }) => sql`, y.${foundColumn(index)}`);
  const alone = sql`y."#class" in ('ambiguous', 'retire', 'recompute') or count(*) filter (where y."#class" not in ('ambiguous', 'retire', 'recompute'))
    over (partition by y."#new"${sql.join(found, sql``)}) = 1`;
  const columns = [
    ...oldKeys(of).map((_, index) => oldKeyColumn(index)),
    ...foundColumns(of).map((_, index) => foundColumn(index)),
  ].map((column) => sql`y.${column}`);
  const collided = resolved(of, { becomes: 'ambiguous' });
  return sql`select ${sql.join(columns)},
      case when ${alone} then y."#class" else ${sql.raw(text(collided))} end as "#class",
      case when ${alone} then y."#why" else ${sql.raw(text(`another row on its key: ${of.spec.name}`))} end as "#why",
      y."#spec", y."#duration", y."#hash"${uniqueColumns(uniqueCount)}
    from (${rows}) y`;
}

/** The values of each set that is to be unique, as one text; null where one of them is empty, which is like nothing else. */
function uniqueKeys(of: Rebuilding, { values }: Ways, sets: readonly (readonly string[])[]): Sql {
  const found = foundColumns(of);
  const columns = sets.map((names, index) => {
    const now = names.map((column) => {
      const place = found.indexOf(column);
      const source = of.operation.columns[column];
      const value =
        place >= 0 ? values[place] : source === undefined ? undefined : copiedValue(of, column, source);
      return value ?? sql`null`;
    });
    const empty = now.map((value) => sql`${value} is null`);
    return sql`, case when not (${sql.join(empty, sql` or `)}) then row(${sql.join(now)})::text end as ${uniqueKey(index)}`;
  });
  return sql.join(columns, sql``);
}

function uniqueKey(index: number): Sql {
  return sql.id(`#unique ${String(index)}`);
}

function uniqueColumns(count: number): Sql {
  return sql.join(
    Array.from({ length: count }, (_, index) => sql`, y.${uniqueKey(index)}`),
    sql``,
  );
}

/** Two rows with values of which there may be one: which of them it is, nobody knows. */
function withoutTwins(of: Rebuilding, rows: Sql, sets: readonly (readonly string[])[]): Sql {
  const carried = sql`y."#class" not in ('ambiguous', 'retire', 'recompute')`;
  const twin = (index: number): Sql =>
    sql`(${carried} and y.${uniqueKey(index)} is not null and count(*) filter (where ${carried}) over (partition by y.${uniqueKey(index)}) > 1)`;
  const pick = (value: (names: readonly string[]) => string, otherwise: Sql): Sql =>
    sql`case ${sql.join(
      sets.map((names, index) => sql`when ${twin(index)} then ${sql.raw(text(value(names)))}`),
      sql` `,
    )} else ${otherwise} end`;
  const columns = [
    ...oldKeys(of).map((_, index) => oldKeyColumn(index)),
    ...foundColumns(of).map((_, index) => foundColumn(index)),
  ].map((column) => sql`y.${column}`);
  const collided = resolved(of, { becomes: 'ambiguous' });
  return sql`select ${sql.join(columns)}, ${pick(() => collided, sql`y."#class"`)} as "#class",
      ${pick((names) => `another row with the same: ${of.spec.name} (${names.join(', ')})`, sql`y."#why"`)} as "#why",
      y."#spec", y."#duration", y."#hash"
    from (${rows}) y`;
}
