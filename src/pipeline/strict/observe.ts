/**
 * What a `makeWith` under observation read beside its declared reads, row by row where its statements tell.
 *
 * Each statement is followed by its companions (see `companion.ts`) in the same transaction. At the end of the make, what
 * several statements read of one relation is one record: all keys, all columns, and one digest of those rows. A relation
 * of which any statement does not tell the rows counts as read whole.
 */
import { VarveError, type Json } from '../../base/index.ts';
import {
  isStoreError,
  quoteIdentifier,
  sql,
  type Row,
  type Sql,
  type Transaction,
} from '../../store/index.ts';
import { columnsNamed, companionOf, keyColumn, placeRelations, type Companion } from './companion.ts';
import type { FunctionCatalog } from './function-rule.ts';
import { keyJson } from './key-json.ts';
import { loadPrinter, node, type Parse, type Tree } from './parse-tree.ts';
import { fillTemplate, templateOf, type Template } from './placeholder.ts';
import { rowDigest, rowsDigest } from '../read-plan.ts';
import { tablesUnder, type NameSpace, type Relation } from './relation.ts';
import type { ReadRelation, StatementFacts } from './statement.ts';

/** A relation that a make read without declaring it. */
export interface ObservedRead {
  /** `schema.table` as the definitions call it, where they know it. */
  readonly subject: string;
  readonly declared: boolean;
  /** Those that the statements name, in the table's order. */
  readonly columns: readonly string[];
  /** The primary keys of the rows that were read; null: any row of the table may have been. */
  readonly keys: readonly Readonly<Record<string, Json>>[] | null;
  readonly rowCount: number;
  /** `sha256:<hex>` over the digests of the rows that were read, of these columns, as for a declared read of many. */
  readonly digest: string;
}

/** What is to be observed of one statement. */
export interface Observation {
  readonly sightings: readonly Sighting[];
  /** The statement with relations at their places; undefined where all stand at the names that it says. */
  readonly rewritten: Template | undefined;
}

/** One place where the statement names one relation. */
interface Sighting {
  readonly relation: Relation;
  readonly columns: readonly string[];
  /** Becomes undefined when the database finds no meaning in it. */
  companion: Template | undefined;
  isTried: boolean;
}

/** More keys than this are no longer told apart: the whole table counts as read. */
const MAX_KEYS = 10_000;

/** A relation of the statement with what it is. */
export interface FoundRelation {
  readonly read: ReadRelation;
  readonly relation: Relation;
}

/** Prepares the observation of a statement; `found` are its undeclared relations. */
export async function prepareObservation(
  transaction: Transaction,
  facts: StatementFacts,
  found: readonly FoundRelation[],
  tools: {
    readonly text: string;
    readonly parse: Parse;
    readonly functions: FunctionCatalog;
    readonly space: NameSpace;
  },
): Promise<Observation> {
  const print = await loadPrinter();
  const placementByNode = new Map(found.map(({ read, relation }) => [read.node, relation.placed]));
  const placed = (tree: Tree): string | undefined => print(placeRelations(tree, placementByNode));
  const asTemplate = (text: string): Template => templateOf(text, tools.parse(text));
  const sightings: Sighting[] = [];
  for (const { read, relation } of found) {
    if (relation.isView) {
      const tables = await tablesUnder(transaction, tools.space, relation);
      sightings.push(...tables.map((table) => sighting(table, table.columns, undefined)));
    } else {
      const key = relation.primaryKey.map(({ name }) => name);
      const companion = companionOf(read, key, tools.functions);
      const columns = columnsNamed(facts.select, read, relation.columns);
      const text = companion === undefined ? undefined : companionText(companion, placed);
      sightings.push(sighting(relation, columns, text === undefined ? undefined : asTemplate(text)));
    }
  }
  if (found.some(isMoved)) {
    const rewritten = placed(node('SelectStmt', facts.select));
    if (rewritten === undefined) throw unprintable(found);
    return { sightings, rewritten: asTemplate(rewritten) };
  }
  const qualified = withSchemas(tools.text, found);
  return { sightings, rewritten: qualified === tools.text ? undefined : asTemplate(qualified) };
}

/** Whether the relation stands under another name than the statement says. */
function isMoved({ read, relation: { placed } }: FoundRelation): boolean {
  return read.name !== placed.table || (read.schema !== undefined && read.schema !== placed.schema);
}

/**
 * The text with the schema before each name that has none. The search path could find it too, but there the functions of
 * those schemas would be found as well, and a function may read what no one sees.
 */
function withSchemas(text: string, found: readonly FoundRelation[]): string {
  let bytes = Buffer.from(text, 'utf8');
  const bare = found.filter(({ read }) => read.schema === undefined);
  for (const { read, relation } of bare.toSorted(
    (left, right) => right.read.byteOffset - left.read.byteOffset,
  )) {
    const schema = Buffer.from(`${quoteIdentifier(relation.placed.schema)}.`, 'utf8');
    bytes = Buffer.concat([bytes.subarray(0, read.byteOffset), schema, bytes.subarray(read.byteOffset)]);
  }
  return bytes.toString('utf8');
}

function companionText(companion: Companion, print: (tree: Tree) => string | undefined): string | undefined {
  const statement = print(companion.statement);
  if (statement === undefined || companion.first === undefined) return statement;
  const first = print(companion.first);
  return first === undefined ? undefined : `${statement} fetch first (${first}) rows with ties`;
}

function unprintable(found: readonly FoundRelation[]): VarveError {
  return new VarveError('statement_refused', {
    detail: { kind: 'syntax', found: 'a form that cannot be carried over to where the tables stand now' },
    hint: `Declare the reads of ${found.map(({ relation }) => relation.name).join(', ')}, or write the statement more simply.`,
  });
}

function sighting(relation: Relation, columns: readonly string[], companion: Template | undefined): Sighting {
  return { relation, columns, companion, isTried: false };
}

/** Collects what one make read. */
export interface Recorder {
  /** After a statement ran: which rows did it read? */
  readonly observe: (
    transaction: Transaction,
    observation: Observation,
    values: readonly unknown[],
  ) => Promise<void>;
  readonly reads: (transaction: Transaction) => Promise<readonly ObservedRead[]>;
}

/** All that was seen of one relation. */
interface Seen {
  readonly relation: Relation;
  readonly columns: Set<string>;
  keys: Map<string, Readonly<Record<string, Json>>> | null;
}

/** An empty recorder. */
export function createRecorder(): Recorder {
  const recordByName = new Map<string, Seen>();

  async function observeOne(
    transaction: Transaction,
    seen: Sighting,
    values: readonly unknown[],
  ): Promise<void> {
    const record = recordByName.get(seen.relation.name) ?? {
      relation: seen.relation,
      columns: new Set(),
      keys: new Map(),
    };
    recordByName.set(seen.relation.name, record);
    for (const column of seen.columns) record.columns.add(column);
    if (record.keys === null) return;
    const rows = await runCompanion(transaction, seen, values);
    if (rows === undefined || rows.length > MAX_KEYS) record.keys = null;
    for (const row of rows ?? []) {
      const key = Object.fromEntries(
        seen.relation.primaryKey.map(({ name }, index) => [name, keyJson(row[keyColumn(index)])]),
      );
      record.keys?.set(JSON.stringify(key), key);
    }
    if (record.keys !== null && record.keys.size > MAX_KEYS) record.keys = null;
  }

  return {
    observe: async (transaction, { sightings }, values) => {
      for (const seen of sightings) await observeOne(transaction, seen, values);
    },
    reads: async (transaction) => {
      const reads: ObservedRead[] = [];
      for (const record of recordByName.values()) reads.push(await summaryOf(transaction, record));
      return reads.toSorted((left, right) => (left.subject < right.subject ? -1 : 1));
    },
  };
}

async function runCompanion(
  transaction: Transaction,
  seen: Sighting,
  values: readonly unknown[],
): Promise<readonly Row[] | undefined> {
  if (seen.companion === undefined) return undefined;
  const statement = distinctKeys(seen, fillTemplate(seen.companion, values));
  if (seen.isTried) return transaction.query(statement);
  try {
    const rows = await transaction.savepoint(() => transaction.query(statement));
    seen.isTried = true;
    return rows;
  } catch (error) {
    // 42P01, 42703: it refers to a row around it. Any other form that does not stand alone is a matter of syntax too.
    if (!isStoreError(error) || !error.fields.sqlstate.startsWith('42')) throw error;
    seen.companion = undefined;
    return undefined;
  }
}

/** An outer join that found no row gives a key of nulls, which is none. */
function distinctKeys(seen: Sighting, companion: Sql): Sql {
  const names = seen.relation.primaryKey.map((_, index) => sql.id(keyColumn(index)));
  const [first] = names;
  return sql`select distinct ${sql.join(names)} from (${companion}) rows
    where ${first ?? sql`true`} is not null order by ${sql.join(names)} limit ${MAX_KEYS + 1}`;
}

async function summaryOf(transaction: Transaction, { relation, columns, keys }: Seen): Promise<ObservedRead> {
  const table = sql.id(relation.placed.schema, relation.placed.table);
  const named = relation.columns.filter((column) => columns.has(column));
  const rows = keys === null ? table : sql`(${rowsOfKeys(relation, table, [...keys.values()])})`;
  const [row] = await transaction.query<{ rowCount: number; digest: Uint8Array }>(
    sql`select count(*)::double precision as "rowCount", ${digestOf(relation, named)} as digest from ${rows} t`,
  );
  return {
    subject: relation.name,
    declared: false,
    columns: named,
    keys: keys === null ? null : [...keys.values()],
    rowCount: row?.rowCount ?? 0,
    digest: `sha256:${Buffer.from(row?.digest ?? []).toString('hex')}`,
  };
}

/** Without a primary key there is no order but that of the digests: not every type has one. */
function digestOf({ primaryKey }: Relation, columns: readonly string[]): Sql {
  const alias = sql`t`;
  const key = primaryKey.map(({ name }) => name);
  if (key.length > 0) return rowsDigest(alias, columns, key);
  const row = rowDigest(alias, columns);
  return sql`sha256(coalesce(string_agg(${row}, ''::bytea order by ${row}), ''::bytea))`;
}

function rowsOfKeys(relation: Relation, table: Sql, keys: readonly Json[]): Sql {
  const { primaryKey } = relation;
  const types = sql.join(primaryKey.map(({ name, type }) => sql`${sql.id(name)} ${sql.raw(type)}`));
  const equal = sql.join(
    primaryKey.map(({ name }) => sql`r.${sql.id(name)} = k.${sql.id(name)}`),
    sql` and `,
  );
  return sql`select r.* from ${table} r join jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as k(${types}) on ${equal}`;
}
