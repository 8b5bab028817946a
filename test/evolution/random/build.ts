import { createHash } from 'node:crypto';
import { sql as ksql, type Kysely } from 'kysely';
import {
  definitionsOf,
  part,
  pipeline,
  t,
  type AnyTable,
  type CodeIdentity,
  type Definitions,
  type Pipeline,
} from '../../../src/pipeline/index.ts';
import { codeOf, isUndeclared, partsOf, runMake, written, type Inputs, type Values } from './make.ts';
import {
  columnName,
  keyColumns,
  nameOf,
  primaryKey,
  tableOf,
  type Column,
  type Key,
  type Model,
  type Read,
  type Table,
} from './model.ts';

/** Told of each call of a make: the table's id and the key. */
export type Called = (table: string, key: Values) => void;

/** Definitions and code of a model. */
export interface Built {
  readonly definitions: Definitions;
  readonly codeByTable: ReadonlyMap<string, CodeIdentity>;
}

/** Methods of tables and references, of which the compiler cannot know the columns here. */
interface Loose {
  readonly renamedFrom: (names: Readonly<Record<string, string>>) => Loose;
  readonly as: (names: Readonly<Record<string, string>>) => Loose;
  readonly optional: () => Loose;
  readonly from: (fills: Readonly<Record<string, unknown>>) => Loose;
  readonly column: (name: string) => unknown;
  readonly columns: (...names: readonly string[]) => Loose;
  readonly all: () => Loose;
  readonly parts: Readonly<Record<string, AnyTable>>;
}

/** Builds the definitions of a model; what is called otherwise than in the model before is declared as renamed. */
export function build(model: Model, before: Model | undefined, called: Called): Built {
  const pipelines = new Map<string, Pipeline>();
  const built = new Map<string, AnyTable>();
  for (const table of model.tables) {
    if (table.master !== undefined) continue;
    const schema = pipelines.get(table.schema) ?? pipeline(table.schema);
    pipelines.set(table.schema, schema);
    const define = schema[table.tier as 'manual'];
    const made = define(table.name, optionsOf({ model, before, built, called }, table) as never) as AnyTable;
    built.set(table.id, made);
    for (const each of partsOf(model, table)) {
      const partTable = (made as unknown as Loose).parts[each.name];
      if (partTable !== undefined) built.set(each.id, partTable);
    }
  }
  const result = definitionsOf([...pipelines.values()]);
  if (result.status === 'refused') throw new TypeError(JSON.stringify(result.findings));
  return { definitions: result.definitions, codeByTable: codes(model) };
}

function codes(model: Model): ReadonlyMap<string, CodeIdentity> {
  return new Map(
    model.tables
      .filter(({ make }) => make !== undefined)
      .map((table) => {
        const source = codeOf(model, table);
        const digest = `sha256:${createHash('sha256').update(source).digest('hex')}` as const;
        return [nameOf(model, table), { digest, basis: 'text', packages: {}, source }];
      }),
  );
}

interface Building {
  readonly model: Model;
  readonly before: Model | undefined;
  readonly built: ReadonlyMap<string, AnyTable>;
  readonly called: Called;
}

function optionsOf(building: Building, table: Table): object {
  const { model } = building;
  const keys = new Map(table.keys.map((key) => [key.id, keyOf(building, table, key.id)]));
  const kind = (wanted: string) => table.keys.filter((key) => key.kind === wanted);
  const parts = partsOf(model, table);
  return {
    ...hintOf(building, table),
    parents: kind('primary').map(({ id }) => keys.get(id)),
    key: columnsOf(building, table, table.key),
    references: Object.fromEntries(kind('secondary').map(({ id, label }) => [label, keys.get(id)])),
    columns: columnsOf(building, table, table.columns),
    ...(table.comment === undefined ? {} : { comment: table.comment }),
    ...(parts.length === 0
      ? {}
      : {
          parts: Object.fromEntries(
            parts.map((each) => [each.name, part(optionsOf(building, each) as never)]),
          ),
        }),
    ...(table.contents === undefined
      ? {}
      : { contents: table.contents.map((row) => contentsOf(table, row)) }),
    ...(table.make === undefined ? {} : makingOf(building, table, keys)),
  };
}

function contentsOf(table: Table, row: Readonly<Record<string, number | null>>): Values {
  return Object.fromEntries(
    [...table.key, ...table.columns].map((column) => [column.name, written(column, row[column.id] ?? null)]),
  );
}

const TYPES = { integer: t.integer, bigint: t.bigint, text: t.text } as const;

function columnsOf({ before }: Building, table: Table, columns: readonly Column[]): object {
  const known = new Map(
    ancestors(before, table).flatMap((old) => [...old.key, ...old.columns].map(({ id, name }) => [id, name])),
  );
  return Object.fromEntries(
    columns.map((column) => {
      const { id, name, type, nullable, default: value } = column;
      const former = known.get(id);
      let made = TYPES[type]() as ReturnType<typeof t.integer>;
      if (nullable === true) made = made.nullable() as never;
      if (value !== undefined) made = made.default(written(column, value) as never);
      if (former !== undefined && former !== name) made = made.renamedFrom(former);
      return [name, made];
    }),
  );
}

/** The tables before that a table's rows come from. */
export function ancestors(before: Model | undefined, table: Table): readonly Table[] {
  const ids = table.mergedFrom ?? [table.splitFrom ?? table.id];
  return (before?.tables ?? []).filter(({ id }) => ids.includes(id));
}

function hintOf({ model, before }: Building, table: Table): object {
  if (before === undefined) return {};
  const names = (ids: readonly string[]) => ids.map((id) => nameOf(before, tableOf(before, id)));
  if (table.splitFrom !== undefined) return { splitFrom: names([table.splitFrom])[0] };
  if (table.mergedFrom !== undefined) return { mergedFrom: names(table.mergedFrom) };
  const old = before.tables.find(({ id }) => id === table.id);
  if (old === undefined || nameOf(before, old) === nameOf(model, table)) return {};
  if (table.master !== undefined && old.master === table.master && old.name === table.name) return {};
  return { renamedFrom: nameOf(before, old) };
}

function keyOf(building: Building, table: Table, id: string): Loose {
  const { model, built } = building;
  const key = table.keys.find((each) => each.id === id);
  const target = key === undefined ? undefined : built.get(key.to);
  if (key === undefined || target === undefined) throw new TypeError(`no foreign key ${id}`);
  const columns = primaryKey(model, tableOf(model, key.to));
  let made = target as unknown as Loose;
  const { suffix, filledBy } = key;
  if (suffix !== undefined) {
    made = made.as(Object.fromEntries(columns.map((column) => [column, `${column}_${suffix}`])));
  }
  const former = formerColumns(building, table, key);
  if (former !== undefined) made = made.renamedFrom(former);
  if (filledBy !== undefined) {
    const source = built.get(filledBy.table) as unknown as Loose;
    const filling = source.column(columnName(model, filledBy));
    made = made.from(Object.fromEntries(columns.map((column) => [column, filling])));
  }
  return key.optional === true ? made.optional() : made;
}

/** What the columns of a foreign key were called: where another one led to the same table, that must be said. */
function formerColumns(
  { model, before }: Building,
  table: Table,
  key: Key,
): Readonly<Record<string, string>> | undefined {
  const old = before?.tables.find(({ id }) => id === table.id);
  const was = old?.keys.find(({ id }) => id === key.id);
  if (before === undefined || old === undefined || was === undefined || was.to !== key.to) return undefined;
  if (was.suffix === key.suffix || old.keys.filter(({ to }) => to === was.to).length < 2) return undefined;
  const [now, then] = [keyColumns(model, key), keyColumns(before, was)].map((columns) =>
    Object.entries(columns),
  );
  return Object.fromEntries(
    (now ?? []).flatMap(([, column], index) => {
      const former = then?.[index]?.[0];
      return former === undefined ? [] : [[column, former]];
    }),
  );
}

function makingOf(building: Building, table: Table, keys: ReadonlyMap<string, Loose>): object {
  const { model, called } = building;
  const declared = table.reads.filter((read) => !isUndeclared(read));
  const reads = Object.fromEntries(declared.map((read) => [read.name, readOf(building, read, keys)]));
  const run = (inputs: Inputs, key: Values) => {
    called(table.id, key);
    return runMake(model, table, inputs);
  };
  if (declared.length === table.reads.length) {
    return { reads, make: (inputs: Inputs, { key }: { readonly key: Values }) => run(inputs, key) };
  }
  return {
    reads,
    strict: 'observe',
    makeWith: async (db: Kysely<Readonly<Record<string, Values>>>, { key }: { readonly key: Values }) =>
      run(await observedInputs(building, table, db), key),
  };
}

function readOf({ model, built }: Building, read: Read, keys: ReadonlyMap<string, Loose>): Loose {
  const target = built.get(read.table) as unknown as Loose;
  const names = read.columns?.map((column) => columnName(model, { table: read.table, column }));
  if (read.how === 'all') return names === undefined ? target.all() : target.columns(...names).all();
  if (names !== undefined) return target.columns(...names);
  return keys.get(read.by ?? '') ?? target;
}

/** What a make that reads by itself reads: its declared rows, and the rows that nobody knows of. */
async function observedInputs(
  { model }: Building,
  table: Table,
  db: Kysely<Readonly<Record<string, Values>>>,
): Promise<Inputs> {
  const inputs: Record<string, Values | null | readonly Values[]> = {};
  for (const { name, how } of table.reads.filter((read) => !isUndeclared(read))) {
    const rows: readonly Values[] = await db.selectFrom(name).selectAll().execute();
    inputs[name] = how === 'all' ? rows : (rows[0] ?? null);
  }
  for (const read of table.reads.filter(isUndeclared)) {
    const target = tableOf(model, read.table);
    const key = primaryKey(model, target);
    const from = ksql`${ksql.id(target.schema, target.name)}`;
    const wanted = read.namedBy === undefined ? undefined : namedValue(model, table, read.namedBy, inputs);
    const rows = await (
      read.how === 'newest'
        ? ksql<Values>`select * from ${from} order by ${ksql.join(key.map((column) => ksql`${ksql.id(column)} desc`))} limit 1`
        : ksql<Values>`select * from ${from} where ${ksql.id(key[0] ?? '')} = ${wanted}`
    ).execute(db);
    inputs[read.name] = rows.rows[0] ?? null;
  }
  return inputs;
}

/** The value of a column of a declared single read. */
export function namedValue(
  model: Model,
  table: Table,
  named: NonNullable<Read['namedBy']>,
  inputs: Inputs,
): Values[string] {
  const read = table.reads.find(
    ({ table: of, how }) => of === named.table && (how === 'key' || how === 'above'),
  );
  const row = inputs[read?.name ?? ''] as Values | null;
  return row?.[columnName(model, named)] ?? null;
}
