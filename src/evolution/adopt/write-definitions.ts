/** Definition files of drafted tables: TypeScript that type-checks and is laid out as prettier does. */
import { checkedColumn, ownColumns, type Draft } from './draft.ts';
import { sameSet } from './draft-key.ts';
import { inexpressible, nameOf, type DraftKey, type DraftTable } from './draft-table.ts';
import { columnText } from './column-text.ts';
import { memberName, objectCode, printCode, quoted, type Code } from './source-text.ts';
import type { StandingColumn } from './standing-table.ts';
import type { Finding } from '../../base/index.ts';

/** What is written beside the tables themselves. */
export interface WriteOptions {
  /** The outside program that makes are; each is given the name of its table. Undefined: makes that are not known yet. */
  readonly command: readonly string[] | undefined;
  readonly mode: 'once' | 'lines';
  /** The rows of lookups, by `schema.name` as they stand; a lookup without them is defined as manual. */
  readonly contents: ReadonlyMap<string, readonly Readonly<Record<string, unknown>>[]>;
  /** The member of `stores` in the configuration. */
  readonly store: string;
}

/** Files by path. */
export interface WrittenDefinitions {
  readonly files: Readonly<Record<string, string>>;
  readonly findings: readonly Finding[];
}

/** Writes the definitions and the configuration that names them. */
export function writeDefinitions(draft: Draft, options: WriteOptions): WrittenDefinitions {
  const findings: Finding[] = [];
  for (const table of draft.tables) {
    if (table.tier !== 'lookup' || options.contents.has(nameOf(table.standing))) continue;
    const hint =
      'It is defined as manual: its rows stay data. Write them as `contents` to version them with the code.';
    const what = 'its rows are too many, or of a kind, to stand in code';
    findings.push({ ...inexpressible(nameOf(table.standing), what, hint), severity: 'info' });
    table.tier = 'manual';
  }
  const groups = groupSchemas(draft.tables);
  const names = nameConstants(draft.tables, groups);
  const world: World = { draft, options, groups, names };
  const files = groups.map((group) => [filePath(group), fileText(world, group)] as const);
  return { files: { ...Object.fromEntries(files), 'varve.config.ts': configText(world) }, findings };
}

/** Schemas that are defined in one file: those whose tables refer to each other in both directions. */
type Group = readonly string[];

interface World {
  readonly draft: Draft;
  readonly options: WriteOptions;
  readonly groups: readonly Group[];
  readonly names: Names;
}

/** What is called how in the files. */
interface Names {
  readonly constantOf: ReadonlyMap<DraftTable, string>;
  readonly pipelineOf: ReadonlyMap<string, string>;
}

function groupSchemas(tables: readonly DraftTable[]): readonly Group[] {
  const schemas = [...new Set(tables.map(({ schema }) => schema))].toSorted();
  const reach = new Map(schemas.map((schema) => [schema, reachable(tables, schema)]));
  const groups: string[][] = [];
  for (const schema of schemas) {
    const group = groups.find(
      ([first = '']) => reach.get(first)?.has(schema) && reach.get(schema)?.has(first),
    );
    if (group === undefined) groups.push([schema]);
    else group.push(schema);
  }
  return groups;
}

function reachable(tables: readonly DraftTable[], start: string): ReadonlySet<string> {
  const found = new Set([start]);
  // A set gives what is added to it meanwhile.
  for (const schema of found) {
    for (const table of tables.filter((each) => each.schema === schema)) {
      [...table.parents, ...table.references].forEach(({ to }) => found.add(to.schema));
    }
  }
  return found;
}

function nameConstants(tables: readonly DraftTable[], groups: readonly Group[]): Names {
  const constantOf = new Map<DraftTable, string>();
  const pipelineOf = new Map<string, string>();
  const takenPipelines = new Set(RESERVED);
  for (const schema of groups.flat()) {
    pipelineOf.set(schema, free(lower(words(schema)), takenPipelines, 'Pipeline'));
  }
  // One set of names for all files: what is imported needs no other name then.
  const taken = new Set<string>();
  for (const table of tables.filter(({ master }) => master === undefined)) {
    const name = upper(words(table.name));
    const another = upper([...words(table.schema), ...words(table.name)]);
    constantOf.set(table, free(taken.has(name) ? another : name, taken, 'Table'));
  }
  return { constantOf, pipelineOf };
}

const RESERVED: readonly string[] = [
  't',
  'part',
  'pipeline',
  'command',
  'adopted',
  'defineConfig',
  ...'break case catch class const continue debugger default delete do else enum export extends false finally for function if import in instanceof new null return super switch this throw true try typeof var void while with yield let static await implements interface package private protected public'.split(
    ' ',
  ),
];

function words(name: string): readonly string[] {
  return name.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '');
}

function upper(parts: readonly string[]): string {
  const name = parts.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return /^\p{L}/u.test(name) ? name : `Table${name}`;
}

function lower(parts: readonly string[]): string {
  const name = upper(parts);
  return name.charAt(0).toLowerCase() + name.slice(1);
}

function free(name: string, taken: Set<string>, suffix: string): string {
  let found = name;
  for (let count = 2; taken.has(found); count += 1) {
    found = count === 2 && RESERVED.includes(name) ? `${name}${suffix}` : `${name}${String(count)}`;
  }
  taken.add(found);
  return found;
}

function filePath([first = '']: Group): string {
  return `pipeline/${words(first).join('-') || 'schema'}.ts`;
}

function configText({ groups, names, options }: World): string {
  const imports = groups.map((group) => {
    const constants = group.map((schema) => names.pipelineOf.get(schema) ?? '');
    return importText(constants, `./${filePath(group)}`);
  });
  const pipelines = groups.flat().map((schema) => names.pipelineOf.get(schema) ?? '');
  const config: Code = {
    kind: 'object',
    members: [
      ['stores', { kind: 'object', members: [['main', options.store]] }],
      ['pipelines', { kind: 'list', items: pipelines }],
    ],
  };
  return `import { defineConfig } from 'varve/pipeline';
${imports.join('\n')}

export default defineConfig(${printCode(config, 0, 'export default defineConfig('.length, 2)});
`;
}

function importText(names: readonly string[], from: string): string {
  const line = `import { ${names.join(', ')} } from '${from}';`;
  return line.length <= 110
    ? line
    : `import {\n${names.map((name) => `  ${name},\n`).join('')}} from '${from}';`;
}

function fileText(world: World, group: Group): string {
  const { names, draft } = world;
  const tables = draft.tables.filter(({ schema }) => group.includes(schema));
  const own = group.map(
    (schema) => `export const ${names.pipelineOf.get(schema) ?? ''} = pipeline(${quoted(schema)});`,
  );
  const definitions = tables
    .filter(({ master }) => master === undefined)
    .map((table) => definitionText(world, table));
  const body = [...own, ...definitions].join('\n\n');
  const used = ['adopted', 'command', 'part', 'pipeline', 't'].filter((name) =>
    new RegExp(`(?<![\\w.'"])${name}[.(]`, 'u').test(body),
  );
  const imports = [importText(used, 'varve/pipeline'), ...foreignImports(world, group, tables)];
  return `${imports.join('\n')}\n\n${body}\n`;
}

function foreignImports(world: World, group: Group, tables: readonly DraftTable[]): readonly string[] {
  const { groups, names } = world;
  const targets = new Set(
    tables
      .flatMap(({ parents, references }) => [...parents, ...references])
      .map(({ to }) => to.master ?? to)
      .filter(({ schema }) => !group.includes(schema)),
  );
  return groups.flatMap((other) => {
    const used = [...targets].filter(({ schema }) => other.includes(schema));
    const constants = used.map((table) => names.constantOf.get(table) ?? '').toSorted();
    return constants.length === 0
      ? []
      : [importText(constants, `./${filePath(other).slice('pipeline/'.length)}`)];
  });
}

function definitionText(world: World, table: DraftTable): string {
  const { names, draft } = world;
  const constant = names.constantOf.get(table) ?? '';
  const shared = sharedParents(world, table);
  const parts = draft.tables.filter(({ master }) => master === table);
  const head = `export const ${constant} = ${names.pipelineOf.get(table.schema) ?? ''}.${table.tier}(`;
  const options = objectCode([
    ...sharedMembers(world, table, shared),
    ['parts', parts.length === 0 ? undefined : partsCode(world, parts)],
    ...makeMembers(world, table, shared),
    ['contents', contentsCode(world, table)],
  ]);
  const first = `${quoted(table.name)}, `;
  const text = printCode(options, 0, head.length + first.length, 2);
  const constants = [...shared].map(([key, name]) => {
    const before = `const ${name} = `;
    return `${before}${printCode(keyCode(world, key), 0, before.length, 1)};\n`;
  });
  return `${constants.join('')}${head}${first}${text});`;
}

/** Parents of a computed table that lead to one table in several ways: a read of one of them is told by its constant. */
function sharedParents(world: World, table: DraftTable): ReadonlyMap<DraftKey, string> {
  if (!['computed', 'imported'].includes(table.tier)) return new Map();
  const several = table.parents.filter(({ to }, _, all) => all.filter((each) => each.to === to).length > 1);
  const constant = lower(words(world.names.constantOf.get(table) ?? ''));
  return new Map(several.map((key, at) => [key, `${constant}Parent${String(at + 1)}`]));
}

type Members = readonly (readonly [string, Code | undefined])[];

function sharedMembers(world: World, table: DraftTable, shared: ReadonlyMap<DraftKey, string>): Members {
  const { standing } = table;
  const own = ownColumns(table);
  const key = standing.primaryKey.flatMap((name) => own.filter((column) => column.name === name));
  const columns = own.filter((column) => !key.includes(column));
  const parents = table.parents.map((each) => shared.get(each) ?? keyCode(world, each));
  const uniques = otherUniques(table, own);
  return [
    ['comment', standing.comment === null || standing.comment === '' ? undefined : quoted(standing.comment)],
    ['within', table.within === undefined ? undefined : quoted(table.within.label)],
    ['parents', parents.length === 0 ? undefined : { kind: 'list', items: parents }],
    ['key', columnsCode(table, key)],
    ['references', referencesCode(world, table)],
    ['columns', columnsCode(table, columns)],
    ['uniques', uniques.length === 0 ? undefined : { kind: 'list', items: uniques }],
  ];
}

function otherUniques(
  { standing, parents, references }: DraftTable,
  own: readonly StandingColumn[],
): readonly Code[] {
  const keys = [...parents, ...references].map(({ columns }) => Object.keys(columns));
  return standing.uniques
    .filter((unique) => !keys.some((key) => sameSet(key, unique)))
    .filter((unique) => unique.length > 1 || !own.some(({ name }) => name === unique[0]))
    .map((unique): Code => ({ kind: 'list', items: unique.map(quoted) }));
}

function columnsCode(table: DraftTable, columns: readonly StandingColumn[]): Code | undefined {
  if (columns.length === 0) return undefined;
  const { checks, uniques } = table.standing;
  const members = columns.map((column): readonly [string, Code] => {
    const own = checks.filter((check) => checkedColumn(table, check) === column.name);
    const isUnique = uniques.some((unique) => unique.length === 1 && unique[0] === column.name);
    return [column.name, { kind: 'chain', links: columnText(column, own, isUnique).chain }];
  });
  return { kind: 'object', members };
}

function referencesCode(world: World, table: DraftTable): Code | undefined {
  if (table.references.length === 0) return undefined;
  const taken = new Set<string>();
  const members = table.references.map((key): readonly [string, Code] => [
    free(referenceName(key), taken, 'Reference'),
    keyCode(world, key),
  ]);
  return { kind: 'object', members };
}

/** After the table, or, where the columns are renamed, after the first that is. */
function referenceName({ columns, to }: DraftKey): string {
  const renamed = Object.entries(columns).find(([child, parent]) => child !== parent)?.[0];
  return lower(words(renamed === undefined ? to.name : renamed.replace(/_id$/u, '')));
}

/** `Mouse.as({ mouse_id: 'dam' }).optional()` */
function keyCode({ names }: World, key: DraftKey): Code {
  const renamed = Object.entries(key.columns)
    .filter(([child, parent]) => child !== parent)
    .map(([child, parent]) => [parent, quoted(child)] as const);
  return {
    kind: 'reference',
    table: tableText(names, key.to),
    names: renamed.length === 0 ? undefined : objectCode(renamed),
    calls: [...(key.isOptional ? ['.optional()'] : []), ...(key.isUnique ? ['.unique()'] : [])],
  };
}

function tableText({ constantOf }: Names, table: DraftTable): string {
  if (table.master === undefined) return constantOf.get(table) ?? '';
  const label = memberName(table.label);
  return `${constantOf.get(table.master) ?? ''}.parts${label === table.label ? `.${label}` : `[${label}]`}`;
}

function partsCode(world: World, parts: readonly DraftTable[]): Code {
  return {
    kind: 'object',
    members: parts.map((table) => [
      table.label,
      { kind: 'call', name: 'part', argument: objectCode(sharedMembers(world, table, new Map())) },
    ]),
  };
}

/** Reads the parents, which is what a make of DataJoint is given the key of. */
function makeMembers(
  { names, options }: World,
  table: DraftTable,
  shared: ReadonlyMap<DraftKey, string>,
): Members {
  if (!['computed', 'imported'].includes(table.tier)) return [];
  const taken = new Set<string>();
  const reads = table.parents.map((key): readonly [string, Code] => {
    const name = shared.has(key) ? referenceName(key) : lower(words(key.to.label || key.to.name));
    const plain = name.replaceAll(/[^\w]/gu, '_');
    return [free(plain, taken, 'Read'), shared.get(key) ?? tableText(names, key.to)];
  });
  return [
    ['reads', { kind: 'object', members: reads }],
    ['make', makeCode(options, table)],
  ];
}

function makeCode({ command, mode }: WriteOptions, table: DraftTable): Code {
  if (command === undefined) return 'adopted()';
  const argv = [...command, `${table.schema}.${table.name}`].map(quoted);
  if (mode === 'lines') return `command([${argv.join(', ')}], { mode: 'lines' })`;
  return { kind: 'call', name: 'command', argument: { kind: 'list', items: argv } };
}

function contentsCode({ options }: World, table: DraftTable): Code | undefined {
  if (table.tier !== 'lookup') return undefined;
  const rows = options.contents.get(nameOf(table.standing)) ?? [];
  const items = rows.map((row) =>
    objectCode(
      Object.entries(row).map(([name, value]) => [name, value === null ? undefined : valueCode(value)]),
    ),
  );
  return { kind: 'list', items };
}

/** Whether a value of a row can be written as code. */
export function isWritable(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isWritable);
  return value === null || ['string', 'boolean', 'bigint'].includes(typeof value);
}

function valueCode(value: unknown): Code {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'bigint') return `${value.toString()}n`;
  if (Array.isArray(value)) return { kind: 'list', items: value.map(valueCode) };
  return JSON.stringify(value);
}
