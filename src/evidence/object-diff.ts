/**
 * The one comparison of catalogs: object by object where both sides list their objects, else by the digests of tables
 * and of kinds. It names what changed and never has a value: a property of an object is a digest here.
 */

/** One object of a catalog, as a listing has it. */
export type ObjectState = {
  readonly kind: string;
  /** `''` for objects of the database itself. */
  readonly schema: string;
  readonly table: string | null;
  readonly name: string;
  /** Its place among those of its table, where it has one. */
  readonly position: number | null;
  readonly digest: string;
  /** A digest by name of property; absent ones have no value. */
  readonly properties: Readonly<Record<string, string>>;
};

/** What differs. `properties` names what changed of an object; `position` is one of them, `(set)` stands for a digest of many. */
export type Difference = {
  readonly change: 'added' | 'removed' | 'changed';
  readonly kind: string;
  readonly schema: string;
  readonly table: string | null;
  readonly name: string | null;
  readonly properties: readonly string[];
};

/** What `diffFingerprints` needs of a fingerprint. */
export interface FingerprintState {
  readonly schemas: readonly {
    readonly schema: string;
    readonly kinds: readonly SetState<'kind'>[];
    readonly tables?: readonly SetState<'table'>[];
  }[];
  readonly objectList?: readonly ObjectState[];
}

type SetState<K extends string> = Readonly<Record<K, string>> & {
  readonly digest: string;
  readonly strictDigest: string;
};

/** What differs between two lists of objects, sorted by kind, schema, table and name. */
export function diffObjects(
  before: readonly ObjectState[],
  after: readonly ObjectState[],
): readonly Difference[] {
  const old = new Map(before.map((object) => [keyOf(object), object]));
  const now = new Map(after.map((object) => [keyOf(object), object]));
  return [...new Set([...old.keys(), ...now.keys()])]
    .sort()
    .flatMap((key) => diffObject(old.get(key), now.get(key)));
}

/** What differs between two fingerprints, as finely as both sides allow. */
export function diffFingerprints(before: FingerprintState, after: FingerprintState): readonly Difference[] {
  if (before.objectList !== undefined && after.objectList !== undefined) {
    return diffObjects(before.objectList, after.objectList);
  }
  return [
    ...diffSets(setsOf(before, 'kind'), setsOf(after, 'kind')),
    ...diffSets(setsOf(before, 'table'), setsOf(after, 'table')),
  ];
}

function diffObject(before: ObjectState | undefined, after: ObjectState | undefined): readonly Difference[] {
  const either = after ?? before;
  if (either === undefined) return [];
  const { kind, schema, table, name } = either;
  const of = { kind, schema, table, name };
  if (before === undefined) return [{ change: 'added', ...of, properties: [] }];
  if (after === undefined) return [{ change: 'removed', ...of, properties: [] }];
  const names = new Set([...Object.keys(before.properties), ...Object.keys(after.properties)]);
  const properties = [...names].filter(
    (property) => before.properties[property] !== after.properties[property],
  );
  if (before.position !== after.position) properties.push('position');
  if (properties.length === 0 && before.digest === after.digest) return [];
  return [{ change: 'changed', ...of, properties: properties.sort() }];
}

interface NamedSet {
  readonly of: Pick<Difference, 'kind' | 'schema' | 'table' | 'name'>;
  readonly digests: string;
}

function setsOf({ schemas }: FingerprintState, by: 'kind' | 'table'): ReadonlyMap<string, NamedSet> {
  return new Map(
    schemas.flatMap(({ schema, kinds, tables = [] }): [string, NamedSet][] =>
      by === 'kind'
        ? kinds.map(({ kind, digest, strictDigest }) => [
            JSON.stringify([schema, kind]),
            { of: { kind, schema, table: null, name: null }, digests: `${digest} ${strictDigest}` },
          ])
        : tables.map(({ table, digest, strictDigest }) => [
            JSON.stringify([schema, table]),
            { of: { kind: 'table', schema, table, name: null }, digests: `${digest} ${strictDigest}` },
          ]),
    ),
  );
}

function diffSets(
  before: ReadonlyMap<string, NamedSet>,
  after: ReadonlyMap<string, NamedSet>,
): readonly Difference[] {
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((key): readonly Difference[] => {
    const [old, now] = [before.get(key), after.get(key)];
    const of = (now ?? old)?.of;
    if (of === undefined || old?.digests === now?.digests) return [];
    if (old === undefined) return [{ change: 'added', ...of, properties: [] }];
    if (now === undefined) return [{ change: 'removed', ...of, properties: [] }];
    return [{ change: 'changed', ...of, properties: ['(set)'] }];
  });
}

function keyOf({ kind, schema, table, name }: ObjectState): string {
  return JSON.stringify([kind, schema, table, name]);
}
