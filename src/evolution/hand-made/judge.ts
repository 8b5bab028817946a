/** Which of the objects that people put on a table come along to the table that takes its place, and which cannot. */
import { refusal, type Finding } from '../../base/index.ts';
import { sameJson, type Placement, type Relation, type Relations } from '../../pipeline/index.ts';
import type { Queryable } from '../../store/index.ts';
import { incomingKeys, type IncomingKey } from '../foreign-keys.ts';
import { heirOf } from '../naming.ts';
import { ruleOf } from '../rebuild/values.ts';
import { rebuildOf, rebuilding, rebuildsOf, type Rebuilding } from '../rebuild/world.ts';
import { asText, handMadeOf, ownIndexes, uniqueSetsOf, type HandMade } from './hand-made.ts';

/** An object that comes along: with the names that its columns have by then. */
export interface Carried {
  readonly object: HandMade;
  /** Old column to the new one. */
  readonly columns: Readonly<Record<string, string>>;
  /** Of a foreign key: the table that it leads to, by its new name if definitions know it, and the columns there. */
  readonly target?: { readonly table: string | Placement; readonly referenced: readonly string[] };
}

/** What becomes of the objects of one source. */
export interface Judged {
  readonly carried: readonly Carried[];
  readonly findings: readonly Finding[];
}

/** Judges the objects of all sources of a rebuild that are this table's to carry: of a split, the first table's that can. */
export async function judgeHandMade(store: Queryable, of: Rebuilding): Promise<Judged> {
  const all = await Promise.all(
    of.sources.map((relation, index) => judgeSource(store, of, { relation, index })),
  );
  return {
    carried: all.flatMap(({ carried }) => carried),
    findings: all.flatMap(({ findings }) => findings),
  };
}

interface Source {
  readonly relation: Relation;
  readonly index: number;
}

/** Judges the objects of one source. */
export async function judgeSource(store: Queryable, of: Rebuilding, source: Source): Promise<Judged> {
  const { world } = of;
  const objects = await handMadeOf(store, source.relation, { set: world.from, standing: world.old });
  const heirs = rebuildsOf(world)
    .filter(({ from }) => from.includes(source.relation.name))
    .map((operation) => rebuilding(operation, world));
  const carried: Carried[] = [];
  const findings: Finding[] = [];
  for (const object of objects) {
    const ways = heirs.map((heir) => ({
      heir,
      way: carry(object, heir, {
        ...source,
        index: heir.operation.from.indexOf(source.relation.name),
      }),
    }));
    const first = ways.find(({ way }) => typeof way === 'object');
    if (first !== undefined && typeof first.way === 'object') {
      if (first.heir.operation.table === of.operation.table) carried.push(first.way);
      continue;
    }
    const [{ heir, way } = { heir: undefined, way: undefined }] = ways;
    if (heir?.operation.table === of.operation.table && typeof way === 'string') {
      findings.push(finding(of, source.relation, object, way));
    }
  }
  return { carried, findings };
}

/** What is the old structure's own, whatever becomes of its columns. */
const STAYING: readonly HandMade['kind'][] = ['generated', 'publication', 'statistics'];

/** How an object comes along; a word that says why it does not. */
function carry(object: HandMade, of: Rebuilding, source: Source): Carried | string {
  if (STAYING.includes(object.kind)) return 'kind';
  const columns: Record<string, string> = {};
  for (const column of object.columns) {
    const place = placeOf(of, source.index, column);
    if (place === undefined) return 'column_gone';
    if (!place.isSame && !isValueBlind(object)) return 'column_changed';
    columns[column] = place.now;
  }
  if (object.target === null) return { object, columns };
  const target = targetOf(object, of, source);
  return typeof target === 'string' ? target : { object, columns, target };
}

/** Whether it does not matter to an object what its columns hold. */
function isValueBlind({ kind, isPlain }: HandMade): boolean {
  return isPlain && (kind === 'index' || kind === 'unique');
}

interface Place {
  readonly now: string;
  /** Whether the values are those that stood there. */
  readonly isSame: boolean;
}

/** Where a column of the old table went. */
function placeOf(of: Rebuilding, index: number, column: string): Place | undefined {
  const { pair, operation, spec, world } = of;
  const now = Object.entries(pair.columns[index] ?? {}).find(([, was]) => was === column)?.[0];
  const source = now === undefined ? undefined : operation.columns[now];
  if (now === undefined || source === undefined) return undefined;
  if (source.from !== 'same' && source.from !== 'cast' && source.from !== 'parent') return undefined;
  if (source.source !== index && !spec.primaryKey.includes(now)) return undefined;
  return { now, isSame: source.from === 'same' && ruleOf(world.attribution, spec.name, now) === undefined };
}

function targetOf(
  { target }: HandMade,
  of: Rebuilding,
  { relation, index }: Source,
): NonNullable<Carried['target']> | string {
  if (target === null) return 'kind';
  const place: Placement = { schema: target.schema, table: target.table };
  if (sameJson(place, relation.placement)) {
    return led(of, index, target.referenced, of.operation.table);
  }
  const own = [...of.world.old.values()].find(({ placement }) => sameJson(placement, place));
  if (own === undefined) return { table: place, referenced: target.referenced };
  const heir = heirOf(of.world.naming, own.name);
  if (heir === undefined) return 'table_gone';
  const operation = rebuildOf(of.world, heir);
  if (operation === undefined) return { table: heir, referenced: target.referenced };
  return led(rebuilding(operation, of.world), operation.from.indexOf(own.name), target.referenced, heir);
}

/** Columns of a table that is built anew, as a foreign key may lead to them. */
function led(
  to: Rebuilding,
  index: number,
  columns: readonly string[],
  table: string,
): NonNullable<Carried['target']> | string {
  const places = columns.map((column) => placeOf(to, index, column));
  const referenced = places.flatMap((place) => (place === undefined ? [] : [place.now]));
  if (referenced.length < columns.length) return 'column_gone';
  if (places.some((place) => place?.isSame === false && !isWhole(to, place.now))) return 'column_changed';
  return { table, referenced };
}

/** Between whole numbers of any size a foreign key may lead. */
function isWhole({ spec, operation }: Rebuilding, column: string): boolean {
  const source = operation.columns[column];
  const whole = /^(?:small|big)?int(?:eger|2|4|8)?$/u;
  const type = spec.columns.find(({ name }) => name === column)?.type ?? '';
  return source?.from === 'cast' && whole.test(source.was) && whole.test(type);
}

/** Indexes that the new definition makes by itself are not made twice. */
export function isMadeAnyway({ object, columns }: Carried, { spec, world }: Rebuilding): boolean {
  const now = asText(object.columns.map((column) => columns[column] ?? column));
  const isBare = / USING btree \([\w", ]+\)$/u.test(object.definition);
  if (object.kind === 'unique') return uniqueSetsOf(spec).map(asText).includes(now);
  if (object.kind !== 'index' || object.isUniqueIndex || !isBare) return false;
  return [...ownIndexes(spec, world.to), spec.primaryKey].map(asText).includes(now);
}

/** Foreign keys by hand that lead to a source and would lead nowhere: of other tables, or of tables that stay. */
export async function strandedKeys(
  store: Queryable,
  of: Rebuilding,
  judged: Judged,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [index, relation] of of.sources.entries()) {
    const [first] = rebuildsOf(of.world).filter(({ from }) => from.includes(relation.name));
    if (first?.table !== of.operation.table) continue;
    for (const key of await incomingKeys(store, relation.placement)) {
      const why = stranded(of, { index, relation, key, judged });
      if (why !== undefined) findings.push(strandedFinding(of, key, why));
    }
  }
  return findings;
}

function stranded(
  of: Rebuilding,
  given: {
    readonly index: number;
    readonly relation: Relation;
    readonly key: IncomingKey;
    readonly judged: Judged;
  },
): string | undefined {
  const { index, relation, key, judged } = given;
  const child = ownerOf(of.world.old, key);
  if (child !== undefined) {
    // What the definitions say is theirs to change; a table that is built anew tells of its own.
    if (rebuildsOf(of.world).some(({ from }) => from.includes(child.name))) return undefined;
    if (isDefined(child, key, relation.name)) return undefined;
  }
  const target = led(of, index, key.referenced, of.operation.table);
  if (typeof target === 'string') return target;
  const sets = [
    ...uniqueSetsOf(of.spec),
    ...judged.carried
      .filter(({ object }) => object.isUnique)
      .map(({ object, columns }) => object.columns.map((column) => columns[column] ?? column)),
  ];
  return sets.map(asText).includes(asText(target.referenced)) ? undefined : 'not_unique';
}

/** The table of definitions that stands there. */
export function ownerOf(standing: Relations, { schema, table }: Placement): Relation | undefined {
  return [...standing.values()].find(({ placement }) => sameJson(placement, { schema, table }));
}

/** Whether a foreign key is one of the table's definition. */
export function isDefined(child: Relation, { columns, referenced }: IncomingKey, to: string): boolean {
  const pairs = Object.fromEntries(columns.map((column, index) => [column, referenced[index] ?? '']));
  return child.spec.foreignKeys.some(
    (key) =>
      key.to === to &&
      Object.keys(key.columns).length === columns.length &&
      Object.entries(key.columns).every(([own, parent]) => pairs[own] === parent),
  );
}

const REASON: Readonly<Record<string, string>> = {
  column_gone: 'a column of it is gone',
  column_changed: 'a column of it gets other values or another type',
  table_gone: 'the table that it leads to is gone',
  not_unique: 'what it leads to is not unique any more',
  kind: 'it stays with the old structure',
};

/** What changes no row and keeps none out is told; all else is in the way. */
function finding(
  { operation }: Rebuilding,
  relation: Relation,
  { kind, name, isUniqueIndex, columns }: HandMade,
  why: string,
): Finding {
  const detail = { kind, name, columns, why };
  const table = relation.name;
  if (STAYING.includes(kind) || (kind === 'index' && !isUniqueIndex)) {
    const hint =
      kind === 'publication'
        ? `Add ${operation.table} to the publication ${name} after the apply: ${REASON[why] ?? why}.`
        : kind === 'generated'
          ? `Let the column ${name} be filled again after the apply, if rows are written without it: what the database gave it stays with the old structure.`
          : `Create the ${kind} ${name} again after the apply if it is still of use: ${REASON[why] ?? why}.`;
    return { ...refusal('stays_behind', table, { detail, hint }), severity: 'warning' };
  }
  const what = kind === 'index' ? `index ${name}` : `constraint ${name}`;
  return refusal('dependents_in_the_way', table, {
    detail,
    hint: `Drop the ${what} of ${table}, or keep what it needs: ${REASON[why] ?? why}.`,
  });
}

function strandedFinding({ operation }: Rebuilding, key: IncomingKey, why: string): Finding {
  const name = `${key.schema}.${key.table}`;
  return refusal('dependents_in_the_way', operation.table, {
    detail: { kind: 'foreign key', name, constraint: key.name, why },
    hint: `Drop the foreign key ${key.name} of ${name}: ${REASON[why] ?? why}.`,
  });
}
