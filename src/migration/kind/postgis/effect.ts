/**
 * Everything that the deciding transaction did, put together from what the layers saw: gross, by what was reached in the end,
 * whatever view or rule led there (M25, M83).
 */
import { refusal, type Finding } from '../../../base/index.ts';
import { sql, type Queryable, type Transaction } from '../../../store/index.ts';
import type { Scope } from '../../declaration.ts';
import type { Measure, Touched } from '../../kind.ts';
import { placeOf, type Attempt } from './attempt.ts';
import { goneObjects, listCatalogObjects, type CatalogObject } from './catalog-objects.ts';
import { ownCatalogRows, type CatalogRow } from './catalog-rows.ts';
import type { BuiltIndex } from './large.ts';
import { isExtensionAllowed, type FreeObject } from './object-scope.ts';
import { fullName, isIndex, isTable, loadRelations, type Relation, type Relations } from './relation.ts';
import { rowsOf, type RowCounts } from './row-counts.ts';
import { readSeenDdl, type SeenDdl } from './seen-ddl.ts';

/** One table that was touched. */
export interface TouchedTable {
  /** `schema.table`. */
  readonly name: string;
  readonly change: string;
  readonly rows: number;
}

/** The effect. */
export interface Effect {
  readonly relations: Relations;
  readonly counts: ReadonlyMap<number, RowCounts>;
  /** Tables whose file is another one. */
  readonly rebuilt: ReadonlySet<number>;
  /** Sorted by name. */
  readonly tables: readonly TouchedTable[];
  readonly partOf: Readonly<Record<string, string>>;
  readonly objects: readonly FreeObject[];
  readonly measures: Readonly<Record<string, Measure>>;
  /** Indexes built on tables that were there before. */
  readonly built: readonly BuiltIndex[];
  /** Rows by every name that a touched table has or had. */
  readonly counted: Readonly<Record<string, number>>;
  readonly touched: readonly Touched[];
  readonly findings: readonly Finding[];
}

/** Reads it, while the transaction can still be aborted. */
export async function readEffect(transaction: Transaction, attempt: Attempt, scope: Scope): Promise<Effect> {
  const relations = await loadRelations(transaction);
  const rows = (await ownCatalogRows(transaction, attempt.guards)).filter(
    (row) => !attempt.ownRows.has(placeOf(row)),
  );
  const seen = attempt.guards.watches ? await readSeenDdl(transaction) : [];
  const strangers = await nameStrangers(transaction, rows, [attempt.relations, relations]);
  return effectOf({
    attempt,
    scope,
    relations,
    rows,
    seen,
    strangers,
    gone:
      attempt.objects === undefined
        ? []
        : goneObjects(attempt.objects, await listCatalogObjects(transaction)),
    counts: attempt.counter.counts(),
  });
}

interface Sights {
  readonly attempt: Attempt;
  readonly scope: Scope;
  readonly relations: Relations;
  readonly rows: readonly CatalogRow[];
  readonly seen: readonly SeenDdl[];
  /** Objects that are there no more, where event triggers do not tell. */
  readonly gone: readonly CatalogObject[];
  /** Relations of the server's own schemas that were changed. */
  readonly strangers: ReadonlyMap<number, string>;
  readonly counts: ReadonlyMap<number, RowCounts>;
}

function effectOf(sights: Sights): Effect {
  const { attempt, scope, relations, counts } = sights;
  const files = rewrittenFiles(attempt.relations, relations);
  const rebuilt = new Set([...files].filter((oid) => isTableNumber(relations, oid)));
  const isOfExtension = relationsOfExtensions(sights);
  const lookUp = (oid: number): Relation | undefined => relations.get(oid) ?? attempt.relations.get(oid);
  const byName = new Map<
    string,
    { changes: Set<string>; rows: number; isUpperBound: boolean; isFree: boolean }
  >();
  const note = (oid: number, change: string, more = 0, isUpperBound = false): void => {
    const own = lookUp(oid);
    const table = own === undefined ? undefined : (lookUp(own.table) ?? own);
    const name =
      table === undefined ? (sights.strangers.get(oid) ?? droppedName(sights.seen, oid)) : fullName(table);
    if (name === undefined) return;
    const known = byName.get(name) ?? { changes: new Set(), rows: 0, isUpperBound: false, isFree: true };
    known.changes.add(change);
    byName.set(name, {
      changes: known.changes,
      rows: known.rows + more,
      isUpperBound: known.isUpperBound || isUpperBound,
      isFree: known.isFree && isOfExtension(table?.oid ?? oid),
    });
  };
  for (const [oid, each] of counts) if (!isNoting(lookUp(oid), each)) note(oid, 'rows', rowsOf(each));
  for (const oid of rebuilt) note(oid, 'rewritten', rowsBefore(sights, oid), counts.has(oid));
  for (const [oid, relation] of attempt.relations) {
    if (relations.has(oid)) continue;
    note(
      oid,
      isTable(relation) ? 'dropped' : 'changed',
      isTable(relation) ? rowsBefore(sights, oid) : 0,
      counts.has(oid),
    );
  }
  for (const oid of relations.keys()) if (!attempt.relations.has(oid)) note(oid, 'created');
  for (const { relation } of sights.gone) if (relation !== null) note(relation, 'changed');
  for (const { relation } of sights.rows) if (relation !== null) note(relation, 'changed');
  for (const { objectId, event, objectType } of sights.seen)
    if (objectId !== null && objectType !== null && RELATION_TYPES.includes(objectType))
      note(objectId, event === 'rewrite' ? 'rewritten' : 'changed');
  for (const { tableId } of sights.seen) if (tableId !== null) note(tableId, 'changed');
  for (const table of droppedParts(sights.seen)) noteName(byName, table);
  const tables = [...byName]
    .filter(([name, { isFree }]) => !isFree && !isSequenceName(sights, name))
    .map(([name, { changes, rows }]) => ({ name, change: mainChange(changes), rows }))
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const indexes = indexDelta(sights, files);
  const objects = freeObjects(sights, scope);
  const all = [...byName.values()];
  const total = all.reduce((sum, { rows }) => sum + rows, 0);
  return {
    relations,
    counts,
    rebuilt,
    tables,
    partOf: partsOf(relations, attempt.relations),
    objects,
    measures: {
      max_table_count_touched: { value: tables.length, isUpperBound: false },
      max_index_count_delta: { value: indexes.length, isUpperBound: false },
      max_row_backfill: { value: total, isUpperBound: all.some(({ isUpperBound }) => isUpperBound) },
    },
    built: builtIndexes(sights, indexes),
    counted: Object.fromEntries([
      ...formerNames(sights),
      ...[...byName].map(([name, { rows }]): [string, number] => [name, rows]),
    ]),
    touched: touchedLines(tables, indexes, objects),
    findings: unnamedFindings(sights.seen),
  };
}

function builtIndexes(sights: Sights, indexes: readonly IndexChange[]): readonly BuiltIndex[] {
  return indexes.flatMap(({ index, change }) => {
    const table = sights.attempt.relations.get(index.table);
    return change === 'dropped' || table === undefined
      ? []
      : [{ table: fullName(table), rows: rowsBefore(sights, table.oid) }];
  });
}

/** A table that was renamed is called by its old name in the log of what was done before that. */
function formerNames({ attempt, relations, counts }: Sights): readonly (readonly [string, number])[] {
  return [...counts].flatMap(([oid, each]) => {
    const [before, after] = [attempt.relations.get(oid), relations.get(oid)];
    if (before === undefined || after === undefined || fullName(before) === fullName(after)) return [];
    return [[fullName(before), rowsOf(each)] as const];
  });
}

/** The triggers themselves only add to what they note and keep; a script that takes lines away touches it. */
function isNoting(relation: Relation | undefined, { updated, deleted }: RowCounts): boolean {
  return relation?.schema === 'varve' && NOTED.includes(relation.name) && updated + deleted === 0;
}

const NOTED: readonly string[] = ['seen_ddl', 'captured', 'captured_row', 'run_snapshot'];

const RELATION_TYPES: readonly string[] = [
  'table',
  'view',
  'materialized view',
  'foreign table',
  'index',
  'table column',
  'partitioned table',
  'partitioned index',
];

function isTableNumber(relations: Relations, oid: number): boolean {
  const relation = relations.get(oid);
  return relation !== undefined && isTable(relation);
}

/** Relations with another file than before (L6). */
function rewrittenFiles(before: Relations, after: Relations): ReadonlySet<number> {
  return new Set(
    [...after].flatMap(([oid, { fileNode }]) => {
      const then = before.get(oid)?.fileNode;
      return then === undefined || then === fileNode ? [] : [oid];
    }),
  );
}

/** All rows that it had (M23); of a table that nobody counted, more than any limit. */
function rowsBefore({ attempt }: Sights, oid: number): number {
  const relation = attempt.relations.get(oid);
  if (relation === undefined || !['r', 'm'].includes(relation.kind)) return 0;
  return attempt.rowsBefore.get(fullName(relation)) ?? Number.MAX_SAFE_INTEGER;
}

/** What an allowed extension brings is allowed with it. */
function relationsOfExtensions({ rows, scope }: Sights): (oid: number) => boolean {
  const brought = new Set(
    rows
      .filter(({ extension }) => extension !== null && isExtensionAllowed(scope, extension))
      .map(({ relation }) => relation),
  );
  return (oid) => brought.has(oid);
}

/** A table that came and went in this transaction. */
function droppedName(seen: readonly SeenDdl[], oid: number): string | undefined {
  const drop = seen.find(
    (each) => each.event === 'drop' && each.objectId === oid && each.objectType === 'table',
  );
  const [schema, name] = drop?.names ?? [];
  return schema === undefined || name === undefined ? undefined : `${schema}.${name}`;
}

const PARTS: readonly string[] = [
  'trigger',
  'rule',
  'policy',
  'table constraint',
  'table column',
  'default value',
];

/** The tables that dropped triggers, constraints, policies and columns stood on: of these no row is left (M20). */
function droppedParts(seen: readonly SeenDdl[]): readonly string[] {
  return seen.flatMap(({ event, objectType, names }) => {
    if (event !== 'drop' || objectType === null || !PARTS.includes(objectType)) return [];
    const [schema, table] = names ?? [];
    return schema === undefined || table === undefined ? [] : [`${schema}.${table}`];
  });
}

function noteName(
  byName: Map<string, { changes: Set<string>; rows: number; isUpperBound: boolean; isFree: boolean }>,
  name: string,
): void {
  const known = byName.get(name) ?? {
    changes: new Set<string>(),
    rows: 0,
    isUpperBound: false,
    isFree: false,
  };
  known.changes.add('changed');
  byName.set(name, known);
}

/** A sequence of its own is an object, no table. */
function isSequenceName({ attempt, relations }: Sights, name: string): boolean {
  return [...relations.values(), ...attempt.relations.values()].some(
    (each) => each.kind === 'S' && each.table === each.oid && fullName(each) === name,
  );
}

const CHANGES = ['dropped', 'created', 'rewritten', 'changed', 'rows'];

function mainChange(changes: ReadonlySet<string>): string {
  return CHANGES.find((change) => changes.has(change)) ?? 'changed';
}

interface IndexChange {
  readonly index: Relation;
  readonly change: 'created' | 'dropped' | 'rebuilt';
}

/** Physical indexes made, dropped and built anew, those of constraints and partitions included (M24). */
function indexDelta(
  { attempt, relations, seen }: Sights,
  files: ReadonlySet<number>,
): readonly IndexChange[] {
  const before = attempt.relations;
  const physical = (all: Relations): readonly Relation[] =>
    [...all.values()].filter((each) => isIndex(each) && each.kind === 'i' && each.schema !== 'varve');
  const rewrites = new Set(seen.flatMap(({ event, objectId }) => (event === 'rewrite' ? [objectId] : [])));
  // TRUNCATE gives a table's indexes new files, and builds nothing.
  const isBuilt = (index: Relation): boolean =>
    !attempt.guards.watches || !files.has(index.table) || rewrites.has(index.table);
  const created = physical(relations).filter(({ oid }) => !before.has(oid));
  const dropped = physical(before).filter(({ oid }) => !relations.has(oid));
  const rebuilt = physical(relations).filter(
    (each) => before.has(each.oid) && files.has(each.oid) && isBuilt(each),
  );
  return [
    ...created.map((index): IndexChange => ({ index, change: 'created' })),
    ...dropped.map((index): IndexChange => ({ index, change: 'dropped' })),
    ...rebuilt.map((index): IndexChange => ({ index, change: 'rebuilt' })),
    ...passingIndexes(seen, before, relations),
  ];
}

/** Indexes that came and went in between: each is one made and one dropped. */
function passingIndexes(
  seen: readonly SeenDdl[],
  before: Relations,
  after: Relations,
): readonly IndexChange[] {
  return seen.flatMap(({ event, objectType, objectId, names }): readonly IndexChange[] => {
    if (
      event !== 'drop' ||
      objectType !== 'index' ||
      objectId === null ||
      before.has(objectId) ||
      after.has(objectId)
    )
      return [];
    const [schema = '', name = ''] = names ?? [];
    // The server's own part of a table with long values; it goes with its table, and is no index of anybody's.
    if (schema === 'pg_toast') return [];
    const index: Relation = {
      oid: objectId,
      schema,
      name,
      kind: 'i',
      fileNode: 0,
      table: objectId,
      root: null,
      isChild: false,
      estimatedRows: 0,
    };
    return [
      { index, change: 'created' },
      { index, change: 'dropped' },
    ];
  });
}

/** Functions, types, schemas, extensions and the rest, which need a place of their own in scope. */
function freeObjects(sights: Sights, scope: Scope): readonly FreeObject[] {
  const { rows, seen, attempt, relations } = sights;
  const isBrought = (extension: string | null, kind: string): boolean =>
    extension !== null && kind !== 'extension' && isExtensionAllowed(scope, extension);
  const written = rows
    .filter(({ relation, extension, kind }) => relation === null && !isBrought(extension, kind))
    .filter(({ kind, name }) => kind !== 'schema' || !OF_SESSION.test(name))
    .map(({ kind, schema, name }) => ({ kind, schema, name: asWritten(name, attempt.pins) }));
  const dropped = seen.flatMap(({ event, objectType, schema, names }): readonly FreeObject[] => {
    if (
      event !== 'drop' ||
      objectType === null ||
      RELATION_TYPES.includes(objectType) ||
      PARTS.includes(objectType)
    )
      return [];
    if (
      ['toast table', 'sequence'].includes(objectType) ||
      (objectType === 'type' && isRowType(attempt.relations, names))
    )
      return [];
    const name = ownName(names?.at(-1) ?? '');
    // The lists of a type go with it.
    return name.endsWith('[]') ? [] : [{ kind: objectType, schema: schema ?? '', name }];
  });
  const gone = sights.gone
    .filter(({ relation }) => relation === null)
    .map(({ kind, schema, name }) => ({ kind, schema, name }));
  const sequences = changedSequences(attempt.relations, relations, rows);
  const unique = new Map(
    [...written, ...dropped, ...sequences, ...gone].map((each) => [
      `${each.kind} ${each.schema} ${each.name}`,
      each,
    ]),
  );
  return [...unique.values()];
}

/** The types of arguments as the script names them: without the schemas in which it finds them. */
function asWritten(name: string, { search_path: path }: Attempt['pins']): string {
  const found = path?.match(/"(?:[^"]|"")*"|[^, ]+/gu) ?? [];
  return found.reduce((text, schema) => {
    const bare = schema.startsWith('"') ? schema.slice(1, -1) : schema;
    return text
      .replaceAll(`"${bare}".`, '')
      .replaceAll(new RegExp(`(?<![\\w$".])${escaped(bare)}\\.`, 'gu'), '');
  }, name);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/gu, '\\$&');
}

/** The schemas of a session's temporary tables, which the server makes when it first needs them, and nobody else can. */
const OF_SESSION = /^pg_(?:toast_)?temp_\d+$/u;

/** A type is told as `schema.name`, each part in quotes where it needs them. */
function ownName(name: string): string {
  const quoted = /(?:^|\.)"((?:[^"]|"")*)"(\[\])?$/u.exec(name);
  if (quoted !== null) return `${(quoted[1] ?? '').replaceAll('""', '"')}${quoted[2] ?? ''}`;
  return name.slice(name.lastIndexOf('.') + 1);
}

/** The type of a table's rows, or of lists of them, goes with the table. */
function isRowType(before: Relations, names: readonly string[] | null): boolean {
  const name = names?.at(-1)?.replace(/\[\]$/u, '') ?? '';
  return [...before.values()].some((each) => each.name === name || `${each.schema}.${each.name}` === name);
}

function changedSequences(
  before: Relations,
  after: Relations,
  rows: readonly CatalogRow[],
): readonly FreeObject[] {
  const changed = new Set(rows.map(({ relation }) => relation));
  const all = [...after.values(), ...[...before.values()].filter(({ oid }) => !after.has(oid))];
  return all
    .filter((each) => each.kind === 'S' && each.table === each.oid)
    .filter(({ oid }) => changed.has(oid) || !after.has(oid) || !before.has(oid))
    .map(({ schema, name }) => ({ kind: 'sequence', schema, name }));
}

function partsOf(...known: readonly Relations[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    known.flatMap((relations) =>
      [...relations.values()].flatMap((each) => {
        const root = each.root === null || each.root === each.oid ? undefined : relations.get(each.root);
        return root === undefined ? [] : [[fullName(each), fullName(root)]];
      }),
    ),
  );
}

function touchedLines(
  tables: readonly TouchedTable[],
  indexes: readonly IndexChange[],
  objects: readonly FreeObject[],
): readonly Touched[] {
  return [
    ...tables.map(({ name, change, rows }) => {
      const dot = name.indexOf('.');
      return { kind: 'table', schema: name.slice(0, dot), name: name.slice(dot + 1), change, rows };
    }),
    ...indexes.map(({ index, change }) => ({
      kind: 'index',
      schema: index.schema,
      name: index.name,
      change,
      rows: null,
    })),
    ...objects.map(({ kind, schema, name }) => ({ kind, schema, name, change: 'changed', rows: null })),
  ];
}

/** Statements of which the server never says what they touched, and the parser does. */
const PARSED_TAGS: readonly string[] = ['GRANT', 'REVOKE'];

/** A NULL identity denies: the server does not say what was touched. */
function unnamedFindings(seen: readonly SeenDdl[]): readonly Finding[] {
  return seen
    .filter(
      ({ event, identity, tag }) => event === 'command' && identity === null && !PARSED_TAGS.includes(tag),
    )
    .map(({ tag, objectType }) =>
      refusal('scope_violation', tag, {
        detail: { kind: objectType ?? 'unknown', reason: 'unnamed_object' },
        hint: 'The server does not say what this statement touched, so no scope can allow it.',
      }),
    );
}

/** Relations that belong to the server itself. Its toast tables and temporary tables are passed over: their owners are seen. */
async function nameStrangers(
  queryable: Queryable,
  rows: readonly CatalogRow[],
  known: readonly Relations[],
): Promise<ReadonlyMap<number, string>> {
  const unknown = rows.flatMap(({ relation }) =>
    relation === null || known.some((relations) => relations.has(relation)) ? [] : [relation],
  );
  if (unknown.length === 0) return new Map();
  const found = await queryable.query<{ oid: number; name: string }>(sql`
    select c.oid, n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = any(${[...new Set(unknown)]}::oid[]) and n.nspname !~ '^pg_(toast|temp_|toast_temp_)' and c.relkind <> 'c'`);
  return new Map(found.map(({ oid, name }) => [oid, name]));
}
