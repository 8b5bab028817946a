/**
 * What lies between two definition sets, as operations in dependency order.
 *
 * | the two definitions of a table | operation |
 * |---|---|
 * | it is new | `create_table`; `rebuild` where other tables are given its rows, or its master is built anew |
 * | nothing about its rows is different | none; `redefine` where the catalog says something else |
 * | only its own name is different | `rename_table` |
 * | the contents of a lookup | `sync_contents` |
 * | anything else | `rebuild` |
 * | it is gone | `remove_table`, unless others take its rows over |
 *
 * Nothing is guessed: a table or column that looks like another one that is gone is asked about.
 */
import { refusal, type Finding } from '../base/index.ts';
import {
  dependenciesOf,
  sameJson,
  type DefinitionSet,
  type Hints,
  type ReadSpec,
  type TableSpec,
} from '../pipeline/index.ts';
import type { ChangeWorld } from './change/change.ts';
import { changesOf, columnSources } from './change/changes.ts';
import { pairOf } from './rebuild/world.ts';
import { movedReads, nameSets, underNewNames, type Naming, type Pair } from './naming.ts';
import { mayRetire, type Attribution } from './attribution.ts';
import type { Operation, Rebuild } from './operation/operation.ts';

/** The operations in the order in which they are carried out, or why there are none. */
export interface FoundOperations {
  readonly operations: readonly Operation[];
  readonly naming: Naming;
  readonly findings: readonly Finding[];
}

/** Compares two sets; `from` is undefined where nothing is deployed yet. */
export function findOperations(
  from: DefinitionSet | undefined,
  to: DefinitionSet,
  { hints = {}, attribution = {} }: { readonly hints?: Hints; readonly attribution?: Attribution } = {},
): FoundOperations {
  const before = from ?? { version: 1, tables: [] };
  const naming = nameSets(before, to, hints);
  const world: ChangeWorld = { from: before, to, naming, attribution };
  const rebuilt = rebuiltTables(world);
  const operations = [
    ...removedTables(world).map((table): Operation => ({ kind: 'remove_table', table })),
    ...to.tables.flatMap((spec) => operationsOf(spec, world, rebuilt)),
  ];
  return { operations, naming, findings: [...unknownHints(hints, before, to), ...questions(world)] };
}

/** Old tables whose rows no table takes over. */
function removedTables({ from, naming }: ChangeWorld): readonly string[] {
  return from.tables
    .toReversed()
    .map(({ name }) => name)
    .filter((name) => !naming.heirs.has(name));
}

function operationsOf(
  spec: TableSpec,
  world: ChangeWorld,
  rebuilt: ReadonlySet<string>,
): readonly Operation[] {
  const pair = pairOf(world.naming, spec.name);
  const contents = spec.contents !== undefined && !sameJson(contentsUnder(pair), spec.contents);
  const table = spec.name;
  const synced: readonly Operation[] =
    contents && pair.sources.length > 0 ? [{ kind: 'sync_contents', table }] : [];
  if (rebuilt.has(table)) return [rebuildOf(pair, world), ...synced];
  const [old] = pair.sources;
  if (old === undefined) return [{ kind: 'create_table', table }];
  if (old.name !== table) return [{ kind: 'rename_table', table, was: old.name }, ...synced];
  const members = differing(old, spec).filter((member) => member !== 'contents');
  if (members.length === 0) return synced;
  const under = underNewNames(pair, world.naming);
  const follows = under !== undefined && sameJson(under, spec);
  return [{ kind: 'redefine', table, ...(follows ? { follows: true as const } : {}) }, ...synced];
}

/** The rows of a lookup as the code had them, under the names that its columns have now. */
function contentsUnder({ sources, columns }: Pair): TableSpec['contents'] {
  const byOld = new Map(Object.entries(columns[0] ?? {}).map(([now, was]) => [was, now]));
  return sources[0]?.contents?.map((row) =>
    Object.fromEntries(Object.entries(row).map(([column, value]) => [byOld.get(column) ?? column, value])),
  );
}

function rebuildOf(pair: Pair, world: ChangeWorld): Rebuild {
  const changes = changesOf(pair, world);
  return {
    kind: 'rebuild',
    table: pair.spec.name,
    from: pair.sources.map(({ name }) => name),
    changes,
    columns: columnSources(pair, changes, world),
  };
}

/** Tables that get a structure of their own, built beside: those that are different, and all that must go with them. */
function rebuiltTables(world: ChangeWorld): ReadonlySet<string> {
  const { to, naming } = world;
  const rebuilt = new Set(
    to.tables.map(({ name }) => name).filter((name) => isReshaped(pairOf(naming, name), world)),
  );
  for (;;) {
    const more = to.tables.filter((spec) => !rebuilt.has(spec.name) && goesAlong(spec, world, rebuilt));
    if (more.length === 0) return rebuilt;
    for (const { name } of more) rebuilt.add(name);
  }
}

function goesAlong(spec: TableSpec, world: ChangeWorld, rebuilt: ReadonlySet<string>): boolean {
  const { naming, attribution } = world;
  const pair = pairOf(naming, spec.name);
  // A part's rows are written with those of its master, and the other way round.
  if (spec.master !== undefined && rebuilt.has(spec.master)) return true;
  if (spec.form !== undefined && Object.values(spec.parts).some((part) => rebuilt.has(part))) return true;
  if (pair.sources.length === 0) return isInserted(spec.name, world) || isNeeded(spec.name, world, rebuilt);
  // Rows above may go away.
  return spec.foreignKeys.some(({ to }) => rebuilt.has(to) && mayRetire(attribution[to]));
}

/** Whether rows of other tables are given rows of this new one, which must be there before them. */
function isInserted(name: string, { naming }: ChangeWorld): boolean {
  return [...naming.pairs.values()].some(
    ({ sources, spec, keys }) =>
      sources.length > 0 &&
      spec.foreignKeys.some(
        (key) => key.to === name && !keys.some((matched) => matched[key.name] !== undefined),
      ),
  );
}

/** Whether a table that is built beside cannot be filled before this new one is there. */
function isNeeded(name: string, { to }: ChangeWorld, rebuilt: ReadonlySet<string>): boolean {
  return to.tables.some((spec) => rebuilt.has(spec.name) && dependenciesOf(spec).has(name));
}

/** Whether the rows of a table cannot stay where they stand. */
function isReshaped(pair: Pair, { naming }: ChangeWorld): boolean {
  if (pair.sources.length === 0) return false;
  const [old] = pair.sources;
  if (old !== undefined && (naming.heirs.get(old.name)?.length ?? 0) > 1) return true;
  const under = underNewNames(pair, naming);
  if (under === undefined || old === undefined) return true;
  if (Object.entries(pair.columns[0] ?? {}).some(([now, was]) => now !== was)) return true;
  const members = differing(under, pair.spec).filter((member) => !SAYING.includes(member));
  return members.some((member) => {
    if (member === 'reads') return pair.spec.form !== undefined && isReadOtherwise(old, pair, naming);
    if (member === 'foreignKeys') return !sameJson(bareKeys(under), bareKeys(pair.spec));
    if (member === 'columns') return !sameJson(bareColumns(under), bareColumns(pair.spec));
    if (member === 'parts') return Object.keys(under.parts).join() !== Object.keys(pair.spec.parts).join();
    if (member === 'tier') return isOtherTier(under, pair.spec);
    return true;
  });
}

/** Between tables that people fill, and between those that makes fill, the tier is a word. */
function isOtherTier(old: TableSpec, spec: TableSpec): boolean {
  return (
    (old.form === undefined) !== (spec.form === undefined) || (old.tier === 'part') !== (spec.tier === 'part')
  );
}

/** Members that say something about the same rows: no row changes when they do. */
const SAYING: readonly (keyof TableSpec)[] = [
  'comment',
  'strict',
  'derives',
  'contents',
  'form',
  'query',
  'name',
];

function differing(old: TableSpec, spec: TableSpec): readonly (keyof TableSpec)[] {
  const members = [...new Set([...Object.keys(old), ...Object.keys(spec)])] as (keyof TableSpec)[];
  return members.filter((member) => !sameJson(old[member], spec[member]));
}

/** Without what only names them or says where a make's values come from. */
function bareKeys({ foreignKeys }: TableSpec): readonly unknown[] {
  return foreignKeys
    .map(({ to, columns, kind, optional, unique }) => ({ to, columns, kind, optional, unique }))
    .toSorted((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
}

function bareColumns({ columns }: TableSpec): readonly unknown[] {
  return columns.map((column) => ({ ...column, comment: undefined }));
}

/** Whether reads differ by more than columns that tables above get: the digests of inputs stand in the order of the reads. */
function isReadOtherwise(old: TableSpec, pair: Pair, naming: Naming): boolean {
  const names = (reads: readonly ReadSpec[]): string => reads.map(({ name }) => name).join();
  return names(old.reads) !== names(pair.spec.reads) || movedReads(old, pair, naming).length > 0;
}

/** What looks like a rename that nobody declared: a guess would be wrong one day, and dropping loses the rows from sight. */
function questions(world: ChangeWorld): readonly Finding[] {
  const { from, to, naming, attribution } = world;
  const created = to.tables.filter(
    (spec) => spec.master === undefined && pairOf(naming, spec.name).sources.length === 0,
  );
  const tables = removedTables(world).flatMap((name): readonly Finding[] => {
    const old = from.tables.find((spec) => spec.name === name);
    const alike = created.find((spec) => old !== undefined && old.master === undefined && isAlike(old, spec));
    if (alike === undefined || attribution[name] === 'retire') return [];
    return [
      refusal('rename_unclear', alike.name, {
        detail: { gone: name, new: alike.name },
        hint: `Say renamedFrom: '${name}' in the definition of ${alike.name} if it is the same table; if not, --attribute ${name}=retire.`,
      }),
    ];
  });
  return [
    ...tables,
    ...[...naming.pairs.values()].flatMap((pair) => [
      ...columnQuestions(pair, world),
      ...referenceQuestions(pair, world),
    ]),
  ];
}

/** Foreign keys of which the old ones are gone that led to the same table: which went on as which, nobody said. */
function referenceQuestions(pair: Pair, { attribution, naming }: ChangeWorld): readonly Finding[] {
  const [old, another] = pair.sources;
  if (old === undefined || another !== undefined) return [];
  const { spec, keys, columns } = pair;
  const matched = Object.values(keys[0] ?? {});
  const kept = Object.values(columns[0] ?? {});
  const gone = old.foreignKeys.filter(
    (was) => !matched.includes(was) && Object.keys(was.columns).every((column) => !kept.includes(column)),
  );
  return spec.foreignKeys.flatMap((now): readonly Finding[] => {
    const own = Object.keys(now.columns).filter((column) => columns[0]?.[column] === undefined);
    const isSaid = [spec.name, ...own.map((column) => `${spec.name}.${column}`)].some(
      (name) => attribution[name] !== undefined,
    );
    if (now.kind === 'part' || keys[0]?.[now.name] !== undefined || own.length === 0 || isSaid) return [];
    const candidates = gone.filter(
      (was) => naming.pairs.get(now.to)?.sources.some(({ name }) => name === was.to) === true,
    );
    const [first] = candidates;
    if (first === undefined) return [];
    const example = Object.entries(now.columns)
      .map(([, column], index) => `${column}: '${Object.keys(first.columns)[index] ?? column}'`)
      .join(', ');
    return [
      refusal('rename_unclear', `${spec.name}.${own.join(', ')}`, {
        detail: {
          reference: now.name,
          gone: candidates.map((was) => Object.keys(was.columns).join(', ')),
          new: own.join(', '),
        },
        hint: `Say which foreign key it was: .renamedFrom({ ${example} }) on the reference ${now.name}; if it was none of them, name its value with --attribute ${spec.name}.${own[0] ?? ''}=..., or what becomes of the rows with --attribute ${spec.name}=recompute.`,
      }),
    ];
  });
}

function isAlike(old: TableSpec, spec: TableSpec): boolean {
  const shape = ({ columns, primaryKey }: TableSpec): unknown => [
    columns.map(({ name, type }) => [name, type]),
    primaryKey,
  ];
  return sameJson(shape(old), shape(spec));
}

function columnQuestions(pair: Pair, { attribution }: ChangeWorld): readonly Finding[] {
  const [old, another] = pair.sources;
  if (old === undefined || another !== undefined) return [];
  const { spec } = pair;
  const byKey = (table: TableSpec): ReadonlySet<string> =>
    new Set(table.foreignKeys.flatMap(({ columns }) => Object.keys(columns)));
  const kept = new Set(Object.values(pair.columns[0] ?? {}));
  const gone = old.columns.filter(({ name }) => !kept.has(name) && !byKey(old).has(name));
  const added = spec.columns.filter(
    ({ name }) => pair.columns[0]?.[name] === undefined && !byKey(spec).has(name),
  );
  return added.flatMap((column): readonly Finding[] => {
    const alike = gone.find(({ type, nullable }) => type === column.type && nullable === column.nullable);
    const subject = `${spec.name}.${column.name}`;
    if (alike === undefined || attribution[subject] !== undefined || attribution[spec.name] !== undefined)
      return [];
    return [
      refusal('rename_unclear', subject, {
        detail: { gone: alike.name, new: column.name },
        hint: `Say .renamedFrom('${alike.name}') if it is the same column; if not, name its value with --attribute ${subject}=..., or what becomes of the rows with --attribute ${spec.name}=recompute.`,
      }),
    ];
  });
}

/** A declared origin that is nowhere: neither deployed now nor the table itself. */
function unknownHints(hints: Hints, from: DefinitionSet, to: DefinitionSet): readonly Finding[] {
  const before = new Set(from.tables.map(({ name }) => name));
  return Object.entries(hints).flatMap(([table, hint]) => {
    if (before.has(table) || before.size === 0) return [];
    return hint.from
      .filter((name) => !before.has(name) && name !== table && !to.tables.some((spec) => spec.name === name))
      .map((name) =>
        refusal('unknown_table', table, {
          detail: { from: name },
          hint: `No table ${name} is deployed that ${table} could come from: correct its name, or leave it out.`,
        }),
      );
  });
}
