import { compileSql, type Sql } from '../store/index.ts';
import { commandOf } from './command/command.ts';
import { buildSpec, type AnyOptions, type Built } from './build-spec.ts';
import type { Columns, RowOf } from './column.ts';
import { definitionError } from './definition-error.ts';
import { encodeContents } from './encode-row.ts';
import { hintOf, type HintOptions, type TableHint } from './hint.ts';
import { tableMethods } from './reference.ts';
import { retryPolicyOf, type RetryPolicy } from './retry-policy.ts';
import { splitName, type TableSpec, type Tier } from './spec.ts';
import type {
  AnyMake,
  AnyTable,
  LookupOptions,
  MadeOptions,
  Parent,
  ParentKey,
  Part,
  PartOptions,
  Parts,
  PartTables,
  Plain,
  ReadSource,
  ReferenceRow,
  Table,
  TableDefinition,
  TableOptions,
} from './table.ts';

/** No members. */
type None = Record<never, never>;
type References = Readonly<Record<string, Parent>>;
type Keys<Ps extends readonly Parent[], Key extends Columns> = Plain<ParentKey<Ps> & RowOf<Key>>;
type Rows<Ps extends readonly Parent[], Refs, Key extends Columns, Cols extends Columns> = Plain<
  ParentKey<Ps> & RowOf<Key> & ReferenceRow<Refs> & RowOf<Cols>
>;

/** A database schema and the tables that are defined in it, in the order of definition. */
export interface Pipeline {
  readonly kind: 'pipeline';
  readonly schema: string;
  /** Its tables so far, parts included. */
  readonly tables: readonly AnyTable[];
  /** A table that people or programs fill. */
  readonly manual: <
    const Ps extends readonly Parent[] = [],
    Refs extends References = None,
    Key extends Columns = None,
    Cols extends Columns = None,
    Pts extends Parts = None,
  >(
    name: string,
    options: TableOptions<Ps, Refs, Key, Cols> & { readonly parts?: Pts },
  ) => Table<Keys<Ps, Key>, Rows<Ps, Refs, Key, Cols>, PartTables<Keys<Ps, Key>, Pts>>;
  /** A table whose rows stand in the code. */
  readonly lookup: <
    const Ps extends readonly Parent[] = [],
    Refs extends References = None,
    Key extends Columns = None,
    Cols extends Columns = None,
  >(
    name: string,
    options: LookupOptions<Ps, Refs, Key, Cols>,
  ) => Table<Keys<Ps, Key>, Rows<Ps, Refs, Key, Cols>, None>;
  /** A table whose make reads outside the database. */
  readonly imported: MakingFactory;
  /** A table whose make reads its declared reads and nothing else. */
  readonly computed: MakingFactory;
}

/** Defines a table that is filled by its make. */
export type MakingFactory = <
  const Ps extends readonly Parent[],
  Reads extends Readonly<Record<string, ReadSource>>,
  Refs extends References = None,
  Key extends Columns = None,
  Cols extends Columns = None,
  Pts extends Parts = None,
>(
  name: string,
  options: MadeOptions<Ps, Refs, Key, Cols, Pts, Reads>,
) => Table<Keys<Ps, Key>, Rows<Ps, Refs, Key, Cols>, PartTables<Keys<Ps, Key>, Pts>>;

/** The options of any tier as the factories see them once types have done their work. */
interface LooseOptions extends AnyOptions, HintOptions {
  readonly parts?: Parts;
  readonly make?: AnyMake;
  readonly makeWith?: AnyMake;
  readonly query?: Sql;
  readonly strict?: TableSpec['strict'];
  readonly derives?: TableSpec['derives'];
  readonly timeoutSeconds?: number;
  readonly retry?: Partial<RetryPolicy>;
  readonly isolate?: boolean;
  readonly contents?: readonly Readonly<Record<string, unknown>>[];
}

/**
 * Begins a pipeline: the tables of one database schema.
 *
 * Errors: throws `definition_invalid` at the definition that cannot stand.
 * Example:
 * ```ts
 * import { pipeline, t } from 'varve/pipeline';
 * const lab = pipeline('lab');
 * const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.double() } });
 * const Grade = lab.computed('grade', {
 *   parents: [Mouse],
 *   columns: { heavy: t.boolean() },
 *   reads: { mouse: Mouse },
 *   make: ({ mouse }) => ({ heavy: mouse.weight > 30 }),
 * });
 * console.log(Grade.spec.name, Grade.spec.primaryKey); // lab.grade [ 'mouse' ]
 * ```
 */
export function pipeline(schema: string): Pipeline {
  assertName(schema, schema);
  const tables: AnyTable[] = [];
  const factory = (tier: Tier) =>
    function define(name: string, options: LooseOptions): AnyTable {
      assertName(`${schema}.${name}`, name);
      if (tables.some((table) => table.spec.name === `${schema}.${name}`)) {
        throw definitionError(`${schema}.${name}`, 'it is defined twice', 'Give one of them another name.');
      }
      const table = defineTable(`${schema}.${name}`, tier, options, callerFile(define));
      tables.push(table, ...table.definition.parts);
      return table;
    };
  return {
    kind: 'pipeline',
    schema,
    tables,
    manual: factory('manual') as unknown as Pipeline['manual'],
    lookup: factory('lookup') as unknown as Pipeline['lookup'],
    imported: factory('imported') as unknown as MakingFactory,
    computed: factory('computed') as unknown as MakingFactory,
  };
}

/** Declares a part: a table whose rows belong to one row of its master and are written with it. */
export function part<
  const Ps extends readonly Parent[] = [],
  Refs extends References = None,
  Key extends Columns = None,
  Cols extends Columns = None,
  const Within extends string = never,
>(options: PartOptions<Ps, Refs, Key, Cols, Within>): Part<Keys<Ps, Key>, Rows<Ps, Refs, Key, Cols>, Within> {
  return Object.freeze({ kind: 'part' as const, options });
}

function defineTable(name: string, tier: Tier, options: LooseOptions, file: string | undefined): AnyTable {
  const built = buildSpec(name, tier, options);
  const making = makingSpec(name, tier, options, built);
  const hint = hintOf(name, options, built.columns);
  const master = tableOf({ ...built.spec, ...making }, built, options, { file, hint });
  const parts = defineParts(master, options.parts ?? {}, file);
  const spec: TableSpec = {
    ...master.spec,
    parts: Object.fromEntries(Object.entries(parts).map(([label, table]) => [label, table.spec.name])),
  };
  const definition = { ...master.definition, spec, parts: Object.values(parts) };
  // The master object must be the very one that its parts hold, so it is completed, not copied.
  return Object.freeze(Object.assign(master, { spec, definition, parts }));
}

function makingSpec(name: string, tier: Tier, options: LooseOptions, built: Built): Partial<TableSpec> {
  const contents =
    options.contents === undefined ? {} : { contents: encodeContents(name, built.columns, options.contents) };
  if (tier !== 'imported' && tier !== 'computed') return contents;
  const forms = (['make', 'makeWith', 'query'] as const).filter((form) => options[form] !== undefined);
  const [form, another] = forms;
  if (form === undefined || another !== undefined) {
    throw definitionError(
      name,
      form === undefined ? 'it has no make' : `it has ${forms.join(' and ')}`,
      'Give exactly one of make, makeWith and query.',
    );
  }
  if (built.spec.sourceKey.length === 0) {
    throw definitionError(
      name,
      'it has no parents, so there is no key to compute',
      'Name at least one parent.',
    );
  }
  assertIsolable(name, form, options);
  assertCommand(name, options);
  if (options.query !== undefined && !Array.isArray((options.query as Partial<Sql>).parts)) {
    throw definitionError(name, 'its query is plain text', 'Write it with the tag: sql`select ...`.');
  }
  return {
    form,
    strict: options.strict ?? 'enforce',
    ...(options.derives === undefined ? {} : { derives: options.derives }),
    ...(options.query === undefined ? {} : { query: compileSql(options.query).text }),
  };
}

/** A make that reads the database by itself needs its address, and a query is the database's own work. */
function assertIsolable(name: string, form: string, { isolate }: LooseOptions): void {
  if (isolate !== undefined && typeof isolate !== 'boolean') {
    throw definitionError(
      name,
      '`isolate` is neither true nor false',
      'Write isolate: true, or leave it out.',
    );
  }
  if (isolate !== true || form === 'make') return;
  throw definitionError(
    name,
    `\`isolate\` goes with make, and it has ${form}`,
    form === 'makeWith'
      ? 'Declare what it reads and give a make, or leave `isolate` out.'
      : 'Leave `isolate` out: a query runs in the database and reads what it declares.',
  );
}

/** A command knows no database handle, and what it reaches is not for varve to bound. */
function assertCommand(name: string, { make, makeWith, isolate }: LooseOptions): void {
  if (commandOf(makeWith) !== undefined) {
    throw definitionError(name, 'makeWith is an outside command', 'Give it as `make`, with what it reads.');
  }
  if (isolate !== true || commandOf(make) === undefined) return;
  throw definitionError(
    name,
    '`isolate` goes with a make of this project, and it has an outside command',
    'Leave `isolate` out, and start the command within walls of its own, such as a container.',
  );
}

function defineParts(
  master: AnyTable,
  parts: Parts,
  file: string | undefined,
): Readonly<Record<string, AnyTable>> {
  const tables: Record<string, AnyTable> = {};
  for (const [label, { options }] of Object.entries(parts)) {
    const owner = options.within === undefined ? master : tables[options.within];
    if (owner === undefined) {
      throw definitionError(
        `${master.spec.name} parts.${label}`,
        `it lies within "${options.within ?? ''}", which is no part declared before it`,
        'Declare the enclosing part first.',
      );
    }
    const name = `${master.spec.name}__${label}`;
    assertName(name, splitName(name).table);
    const built = buildSpec(name, 'part', options, owner);
    const spec = { ...built.spec, master: master.spec.name };
    const hint = hintOf(name, options, built.columns, partBefore(master, label));
    tables[label] = Object.freeze(tableOf(spec, built, options, { file, hint, owner }));
  }
  return tables;
}

/** The name that a part had under its master's name before. */
function partBefore(master: AnyTable, label: string): string | undefined {
  const { hint } = master.definition;
  return hint?.how === 'renamed' ? `${hint.from[0] ?? ''}__${label}` : undefined;
}

/** What a table has beside its options. */
interface Surroundings {
  readonly file: string | undefined;
  readonly hint: TableHint | undefined;
  /** The master or enclosing part of a part. */
  readonly owner?: AnyTable;
}

function tableOf(
  spec: TableSpec,
  built: Built,
  options: LooseOptions,
  { file, hint, owner }: Surroundings,
): AnyTable {
  const named = [...(options.parents ?? []), ...Object.values(options.references ?? {})];
  const definition: TableDefinition = {
    spec,
    tier: spec.tier,
    columns: built.columns,
    make: options.make,
    makeWith: options.makeWith,
    query: options.query,
    timeoutSeconds: options.timeoutSeconds ?? 600,
    retry: retryPolicyOf(spec.name, options.retry),
    isolate: options.isolate === true,
    file,
    hint,
    parents: [
      ...(owner === undefined ? [] : [owner]),
      ...named.map((parent) => (parent.kind === 'table' ? parent : parent.table)),
    ],
    parts: [],
  };
  const table: AnyTable = {
    kind: 'table',
    spec,
    definition,
    parts: {},
    ...tableMethods(() => table),
  } as unknown as AnyTable;
  return table;
}

function assertName(subject: string, name: string): void {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes >= 1 && bytes <= 63 && !name.includes('.') && name.isWellFormed() && !name.includes('\0')) return;
  throw definitionError(subject, 'a name has 1 to 63 bytes and no dot', 'Choose another name.');
}

/** The file of whoever called the factory; makes are looked up there to digest their code. */
function callerFile(factory: (...args: never[]) => unknown): string | undefined {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, factory);
  const frame = holder.stack?.split('\n')[1];
  return frame === undefined
    ? undefined
    : /\(?((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*?):\d+:\d+\)?$/.exec(frame)?.[1];
}
