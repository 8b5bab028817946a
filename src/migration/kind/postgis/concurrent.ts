/**
 * Statements that cannot run in a transaction, or whose effect has to be committed before it is used (M91): a closed list. Each
 * says by the catalog how far it is, and how what it left is taken away. A check of one's own words is a query that gives
 * `done`, `absent` or `partial`.
 *
 * | statement | done | partial | taken away by |
 * |---|---|---|---|
 * | CREATE INDEX CONCURRENTLY | the index is valid and ready | it is there, and is not (M92) | dropping it |
 * | DROP INDEX CONCURRENTLY | it is gone | it is there, and not valid | making it anew as it was |
 * | REINDEX INDEX CONCURRENTLY | another index has its name | what is left of the build stands | nothing: its content is the same |
 * | DETACH PARTITION CONCURRENTLY | it is no partition any more | it is half-way | attaching it again |
 * | ALTER TYPE ADD VALUE | the value is there | never | nothing can: the run goes on, or is not proved |
 */
import type { JsonObject } from '../../../base/index.ts';
import {
  fieldsOf,
  isTree,
  listOf,
  namesOf,
  quoteIdentifier,
  sql,
  textOf,
  type Queryable,
  type Tree,
} from '../../../store/index.ts';
import type { Statement } from './script.ts';

/** How far one is. */
export type Progress = 'done' | 'absent' | 'partial';

/** What such a statement does, from its text. */
export interface Concurrent {
  readonly verb: 'create index' | 'drop index' | 'reindex' | 'detach' | 'add value';
  /** Of the table or type that it names; of an index to drop or build anew, of the index. */
  readonly schema: string;
  readonly name: string;
  /** The index to make, the partition to detach (with its schema), the value to add. */
  readonly part: string;
  readonly partSchema: string;
}

/** Reads one of the list; undefined for any other, and where a name lacks its schema: no path holds outside the transaction. */
export function readConcurrent({ kind, node }: Statement): Concurrent | undefined {
  const found = READERS[kind]?.(node.fields);
  return found === undefined || found.schema === '' || found.name === '' ? undefined : found;
}

const READERS: Readonly<Record<string, (fields: Tree) => Concurrent | undefined>> = {
  IndexStmt: (fields) => {
    const index = textOf(fields['idxname']);
    if (fields['concurrent'] !== true || index === '') return undefined;
    const table = nameOf(fields['relation']);
    return { verb: 'create index', ...table, part: index, partSchema: table.schema };
  },
  DropStmt: (fields) => {
    const [first, another] = listOf(fields['objects']);
    if (fields['concurrent'] !== true || fields['removeType'] !== 'OBJECT_INDEX' || another !== undefined)
      return undefined;
    const names = namesOf(fieldsOf(first, 'List')?.['items']);
    return {
      verb: 'drop index',
      schema: names.at(-2) ?? '',
      name: names.at(-1) ?? '',
      part: '',
      partSchema: '',
    };
  },
  ReindexStmt: (fields) => {
    const words = listOf(fields['params']).map((each) => fieldsOf(each, 'DefElem')?.['defname']);
    if (fields['kind'] !== 'REINDEX_OBJECT_INDEX' || !words.includes('concurrently')) return undefined;
    return { verb: 'reindex', ...nameOf(fields['relation']), part: '', partSchema: '' };
  },
  AlterTableStmt: (fields) => {
    const [first, another] = listOf(fields['cmds']);
    const partition = fieldsOf(fieldsOf(first, 'AlterTableCmd')?.['def'], 'PartitionCmd');
    if (partition?.['concurrent'] !== true || another !== undefined) return undefined;
    const part = nameOf(partition['name']);
    if (part.schema === '') return undefined;
    return { verb: 'detach', ...nameOf(fields['relation']), part: part.name, partSchema: part.schema };
  },
  AlterEnumStmt: (fields) => {
    const names = namesOf(fields['typeName']);
    const value = textOf(fields['newVal']);
    if (value === '' || textOf(fields['oldVal']) !== '') return undefined;
    return {
      verb: 'add value',
      schema: names.at(-2) ?? '',
      name: names.at(-1) ?? '',
      part: value,
      partSchema: '',
    };
  },
};

function nameOf(relation: unknown): { readonly schema: string; readonly name: string } {
  const fields = isTree(relation) ? relation : {};
  return { schema: textOf(fields['schemaname']), name: textOf(fields['relname']) };
}

/** What has to be known of the state before it, so that it can be told how far it is and be taken back; part of the plan. */
export async function stateBefore(queryable: Queryable, { verb, ...of }: Concurrent): Promise<JsonObject> {
  if (verb === 'drop index' || verb === 'reindex') {
    const [row] = await queryable.query<{ oid: string; definition: string; table: string }>(sql`
      select x.oid::text as oid, pg_get_indexdef(x.oid) as definition, n.nspname || '.' || t.relname as "table"
      from pg_class x join pg_namespace n on n.oid = x.relnamespace join pg_index i on i.indexrelid = x.oid join pg_class t on t.oid = i.indrelid
      where n.nspname = ${of.schema} and x.relname = ${of.name}`);
    return row === undefined ? {} : { ...row };
  }
  if (verb !== 'detach') return {};
  const [row] = await queryable.query<{ bound: string }>(sql`
    select pg_get_expr(c.relpartbound, c.oid) as bound from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${of.partSchema} and c.relname = ${of.part} and c.relispartition`);
  return row === undefined ? {} : { bound: row.bound };
}

/** How far it is, by the catalog alone. */
export async function progressOf(
  queryable: Queryable,
  about: Concurrent,
  before: JsonObject,
): Promise<Progress> {
  const { verb, schema, name, part, partSchema } = about;
  if (verb === 'create index') {
    const index = await indexState(queryable, partSchema, part);
    return index === undefined ? 'absent' : index.isValid ? 'done' : 'partial';
  }
  if (verb === 'drop index') {
    const index = await indexState(queryable, schema, name);
    return index === undefined ? 'done' : index.isValid ? 'absent' : 'partial';
  }
  if (verb === 'reindex') {
    if ((await leftovers(queryable, schema, name)).length > 0) return 'partial';
    const index = await indexState(queryable, schema, name);
    return index !== undefined && index.oid !== before['oid'] ? 'done' : 'absent';
  }
  if (verb === 'detach') {
    const [row] = await queryable.query<{ pending: boolean }>(sql`
      select h.inhdetachpending as pending from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${partSchema} and c.relname = ${part}`);
    return row === undefined ? 'done' : row.pending ? 'partial' : 'absent';
  }
  const rows = await queryable.query(sql`
    select from pg_enum e join pg_type t on t.oid = e.enumtypid join pg_namespace n on n.oid = t.typnamespace
    where n.nspname = ${schema} and t.typname = ${name} and e.enumlabel = ${part}`);
  return rows.length > 0 ? 'done' : 'absent';
}

/** Whether another session is still at it, such as that of a runner that was killed. */
export async function isUnderWay(queryable: Queryable, about: Concurrent): Promise<boolean> {
  const rows = await queryable.query(sql`
    select from pg_stat_progress_create_index p join pg_class t on t.oid = p.relid join pg_namespace n on n.oid = t.relnamespace
    where n.nspname = ${about.schema} and t.relname = ${about.name} and p.pid <> pg_backend_pid()`);
  return rows.length > 0;
}

/** Statements that take away a partial effect, so that it can be begun again; none of them in a transaction. */
export async function clearing(queryable: Queryable, about: Concurrent): Promise<readonly string[]> {
  const { verb, schema, name, part, partSchema } = about;
  if (verb === 'create index') return [`drop index concurrently if exists ${quoted(partSchema, part)}`];
  if (verb === 'reindex') {
    const left = await leftovers(queryable, schema, name);
    return left.map((index) => `drop index concurrently if exists ${quoted(schema, index)}`);
  }
  if (verb === 'detach')
    return [`alter table ${quoted(schema, name)} detach partition ${quoted(partSchema, part)} finalize`];
  return [];
}

/** Statements that lead back from whatever it left, in a transaction. */
export async function undoing(
  queryable: Queryable,
  about: Concurrent,
  before: JsonObject,
): Promise<readonly string[]> {
  const { verb, schema, name, part, partSchema } = about;
  const progress = await progressOf(queryable, about, before);
  if (verb === 'create index') return progress === 'absent' ? [] : [`drop index ${quoted(partSchema, part)}`];
  if (verb === 'reindex') {
    const left = await leftovers(queryable, schema, name);
    return left.map((index) => `drop index ${quoted(schema, index)}`);
  }
  if (progress === 'absent') return [];
  if (verb === 'drop index') {
    const definition = textOf(before['definition']);
    return [
      ...(progress === 'partial' ? [`drop index ${quoted(schema, name)}`] : []),
      ...(definition === '' ? [] : [definition]),
    ];
  }
  if (verb === 'detach') {
    const bound = textOf(before['bound']);
    const finish = `alter table ${quoted(schema, name)} detach partition ${quoted(partSchema, part)} finalize`;
    const attach = `alter table ${quoted(schema, name)} attach partition ${quoted(partSchema, part)} ${bound}`;
    return [...(progress === 'partial' ? [finish] : []), ...(bound === '' ? [] : [attach])];
  }
  return [];
}

interface IndexState {
  readonly oid: string;
  readonly isValid: boolean;
}

/** An index that is not valid, or not ready, is never done, whatever IF NOT EXISTS says (M92). */
async function indexState(
  queryable: Queryable,
  schema: string,
  name: string,
): Promise<IndexState | undefined> {
  const [row] = await queryable.query<IndexState & Record<string, unknown>>(sql`
    select x.oid::text as oid, i.indisvalid and i.indisready and i.indislive as "isValid"
    from pg_class x join pg_namespace n on n.oid = x.relnamespace join pg_index i on i.indexrelid = x.oid
    where n.nspname = ${schema} and x.relname = ${name}`);
  return row;
}

/** What a build of an index anew leaves when it fails. */
async function leftovers(queryable: Queryable, schema: string, name: string): Promise<readonly string[]> {
  const rows = await queryable.query<{ name: string }>(sql`
    select x.relname::text as name from pg_class x join pg_namespace n on n.oid = x.relnamespace join pg_index i on i.indexrelid = x.oid
    where n.nspname = ${schema} and starts_with(x.relname::text, left(${name}, 57) || '_cc') and x.relname ~ '_cc(new|old)[0-9]*$' and not i.indisvalid order by 1`);
  return rows.map(({ name: left }) => left);
}

function quoted(...names: readonly string[]): string {
  return names.map(quoteIdentifier).join('.');
}
