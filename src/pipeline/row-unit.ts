/**
 * Units: what stands or falls together, and how a key that a person gives becomes one.
 *
 * | table | a unit is |
 * |---|---|
 * | imported, computed | what one make produced: the rows of one source key, part rows included |
 * | manual, lookup | one row |
 * | part | its master's unit |
 */
import { nearestName, refusal, type Finding, type JsonObject } from '../base/index.ts';
import { isStoreError, sql, type Queryable } from '../store/index.ts';
import { encodeKey } from './encode-row.ts';
import type { Key } from './key-source.ts';
import { loadFormerKeyNames, underPresentNames } from './key-names.ts';
import { loadGenerations, type Generation, type Relation, type Relations } from './relation.ts';
import type { TableSpec } from './spec.ts';
import { unknownTable } from './unknown-table.ts';
import { keysRecordset, ORDINAL } from './write-rows.ts';

/** The columns that name a unit. */
export function unitKey(spec: TableSpec): readonly string[] {
  return spec.form === undefined ? spec.primaryKey : spec.sourceKey;
}

/** The relation with its unit in the place of the key that a make is called for: what archiving goes by. */
export function unitRelation(relation: Relation): Relation {
  return { ...relation, spec: { ...relation.spec, sourceKey: unitKey(relation.spec) } };
}

/** The relation that a table's units belong to: of a part, its master's. Undefined where the name stands for nothing. */
export function masterOf(relations: Relations, table: string): Relation | undefined {
  const relation = relations.get(table);
  return relation?.spec.master === undefined ? relation : relations.get(relation.spec.master);
}

/** A unit that someone asked for. */
export interface AskedUnit {
  readonly status: 'ok';
  /** The relation that has it, with the columns of the unit as its source key. */
  readonly relation: Relation;
  readonly key: Key;
}

/** Either the unit, or why there is none of this name. */
export type UnitResult = AskedUnit | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * The unit of a table and a key as JSON; columns beside those of the unit are left out.
 *
 * Errors: refuses with `unknown_table`, `unknown_column` where a column is missing or strange, `value_invalid` where a value is none of its column.
 */
export async function askUnit(
  store: Queryable,
  relations: Relations,
  table: string,
  key: JsonObject,
): Promise<UnitResult> {
  const asked = relations.get(table);
  const owner = masterOf(relations, table);
  if (asked === undefined || owner === undefined) return refused(unknownTable(table, [...relations.keys()]));
  const strange = strangeColumn(asked.spec, key);
  if (strange !== undefined) return refused(strange);
  const relation = unitRelation(owner);
  const missing = relation.spec.sourceKey.find((column) => !Object.hasOwn(key, column));
  if (missing !== undefined) return refused(missingColumn(asked.spec, missing, relation.spec.sourceKey));
  const picked = Object.fromEntries(relation.spec.sourceKey.map((column) => [column, key[column]]));
  try {
    const columns = sql.join(relation.spec.sourceKey.map((column) => sql`k.${sql.id(column)}`));
    const [row] = await store.query(
      sql`select ${columns} from (${keysRecordset(relation.spec, [picked])}) k`,
    );
    return { status: 'ok', relation, key: row ?? picked };
  } catch (error) {
    if (!isStoreError(error) || !error.fields.sqlstate.startsWith('22')) throw error;
    return refused(badKey(asked.spec, relation.spec));
  }
}

/**
 * The same for a key as it was in any structure of the table: a result is asked about by the key that it had then. The
 * table's name now stands in the relation, whatever that of the structure is.
 *
 * At a moment, the structure of then goes first. Errors: those of `askUnit`, for the structure that goes first.
 */
export async function askUnitThen(
  store: Queryable,
  relations: Relations,
  table: string,
  { key, at }: { readonly key: JsonObject; readonly at: string | undefined },
): Promise<UnitResult> {
  let first: UnitResult | undefined;
  for await (const world of worldsOf(store, relations, table, at)) {
    const unit = await askUnit(store, world, table, key);
    const name = masterOf(relations, table)?.name;
    if (unit.status === 'ok') return { ...unit, relation: { ...unit.relation, name: name ?? table } };
    first ??= unit;
  }
  return first ?? askUnit(store, relations, table, key);
}

/** The relations with each structure of a table in its place, and with that of its master then. */
async function* worldsOf(
  store: Queryable,
  relations: Relations,
  table: string,
  at: string | undefined,
): AsyncGenerator<Relations, void, undefined> {
  if (at === undefined) yield relations;
  else {
    const then = (await loadGenerations(store, table, at)).find(({ sinceAt }) => isBefore(sinceAt, at));
    if (then !== undefined) yield await placed(store, relations, table, then);
  }
  for (const generation of await loadGenerations(store, table)) {
    yield await placed(store, relations, table, generation);
  }
}

function isBefore(sinceAt: string | null, at: string): boolean {
  return sinceAt === null || at === 'infinity' || Date.parse(sinceAt) <= Date.parse(at);
}

async function placed(
  store: Queryable,
  relations: Relations,
  table: string,
  generation: Generation,
): Promise<Relations> {
  const world = new Map(relations).set(table, generation);
  const { master } = generation.spec;
  const masters = master === undefined ? [] : await loadGenerations(store, master);
  const its = masters.find(({ sinceAt }) => isBefore(sinceAt, generation.untilAt ?? 'infinity'));
  return master === undefined || its === undefined ? world : world.set(master, its);
}

/**
 * The units of many keys of one table, in one statement, by the key that they have, or had at a moment; a key that names
 * none is left out.
 */
export async function askUnits(
  store: Queryable,
  relations: Relations,
  table: string,
  { keys, at }: { readonly keys: readonly JsonObject[]; readonly at: string | undefined },
): Promise<readonly Omit<AskedUnit, 'status'>[]> {
  const owner = masterOf(relations, table);
  if (owner === undefined || keys.length === 0) return [];
  const named = at === undefined ? await namedAsNow(store, relations, table, keys) : keys;
  for await (const world of worldsOf(store, relations, table, at)) {
    const units = await unitsIn(store, world, table, named);
    if (units.length > 0)
      return units.map((unit) => ({ ...unit, relation: { ...unit.relation, name: owner.name } }));
  }
  return [];
}

/** Keys of a table by what its columns are called now: one that was recorded before a rename is still that of the row. */
async function namedAsNow(
  store: Queryable,
  relations: Relations,
  table: string,
  keys: readonly JsonObject[],
): Promise<readonly JsonObject[]> {
  const relation = relations.get(table);
  const isWhole = (key: JsonObject): boolean =>
    relation?.spec.primaryKey.every((column) => Object.hasOwn(key, column)) === true;
  if (relation === undefined || keys.every(isWhole)) return keys;
  const names = await loadFormerKeyNames(store, relation.id);
  return keys.map((key) => (isWhole(key) ? key : underPresentNames(key, names)));
}

async function unitsIn(
  store: Queryable,
  relations: Relations,
  table: string,
  keys: readonly JsonObject[],
): Promise<readonly Omit<AskedUnit, 'status'>[]> {
  const owner = masterOf(relations, table);
  if (owner === undefined) return [];
  const relation = unitRelation(owner);
  const { sourceKey } = relation.spec;
  const whole = keys.filter((key) => sourceKey.every((column) => Object.hasOwn(key, column)));
  const picked = whole.map((key) => Object.fromEntries(sourceKey.map((column) => [column, key[column]])));
  if (picked.length === 0) return [];
  const columns = sql.join(sourceKey.map((column) => sql`k.${sql.id(column)}`));
  try {
    const rows = await store.query(sql`
      select ${columns} from (${keysRecordset(relation.spec, picked)}) k order by k.${sql.id(ORDINAL)}`);
    return rows.map((key) => ({ relation, key }));
  } catch (error) {
    if (!isStoreError(error) || !error.fields.sqlstate.startsWith('22')) throw error;
    // A recorded key may be none of its column by now; the others are asked about alone.
    const asked: Omit<AskedUnit, 'status'>[] = [];
    for (const key of whole) {
      const unit = await askUnit(store, relations, table, key);
      if (unit.status === 'ok') asked.push(unit);
    }
    return asked;
  }
}

/** A key in one spelling, to tell equal ones by. */
export function unitName(table: string, key: Key): string {
  return `${table} ${JSON.stringify(Object.entries(encodeKey(key)).toSorted(([left], [right]) => (left < right ? -1 : 1)))}`;
}

function refused(finding: Finding): UnitResult {
  return { status: 'refused', findings: [finding] };
}

function strangeColumn(spec: TableSpec, key: JsonObject): Finding | undefined {
  const known = spec.columns.map(({ name }) => name);
  const strange = Object.keys(key).find((name) => !known.includes(name));
  if (strange === undefined) return undefined;
  const nearest = nearestName(strange, spec.primaryKey);
  return refusal('unknown_column', `${spec.name}.${strange}`, {
    detail: nearest === undefined ? {} : { nearest },
    hint: `The key of ${spec.name} is ${spec.primaryKey.join(', ')}.`,
  });
}

function missingColumn(spec: TableSpec, column: string, needed: readonly string[]): Finding {
  return refusal('unknown_column', `${spec.name}.${column}`, {
    detail: { missing: column },
    hint: `Give a value for each of: ${needed.join(', ')}.`,
  });
}

function badKey(spec: TableSpec, unit: TableSpec): Finding {
  const types = spec.columns.filter(({ name }) => unit.sourceKey.includes(name));
  return refusal('value_invalid', spec.name, {
    detail: { expected: Object.fromEntries(types.map(({ name, type }) => [name, type])) },
    hint: 'Write each value of the key as its column takes it.',
  });
}
