/**
 * A class of catalog objects as data: where its rows stand and what is said of each. From these lists both the digest
 * and the listing of objects are built, so that they cannot disagree.
 *
 * Rules that every class keeps (`pg-catalog/1`):
 * - no oid in a name or property: an oid becomes the name it stands for, under a search path that qualifies it;
 * - an order that says nothing is sorted (privileges, options, members);
 * - a property that is absent and one that was set to its default are one (`null` privileges and the built-in ones).
 *
 * `from` may name the relations of the statement around it: `space` (schemas in scope: `oid, nspname, nspowner, nspacl`),
 * `rel` (relations in scope: all of `pg_class` and the schema's name as `schema`).
 */
export interface CatalogClass {
  readonly kind: string;
  /** SQL of the schema's name; absent for objects of the database itself. */
  readonly schema?: string;
  /** SQL of the name of the relation that the object belongs to, in the same schema. */
  readonly table?: string;
  /** SQL of the name, unique in kind, schema and table. */
  readonly name: string;
  /** SQL of a place among siblings, which only the strict digest knows. */
  readonly position?: string;
  /** What follows FROM. */
  readonly from: string;
  /** SQL by name of property. */
  readonly properties: Readonly<Record<string, string>>;
}

/** Objects with smaller oids come with the server. */
export const FIRST_OWN_OID = 16384;

/** A role by name. */
export function role(oid: string): string {
  return `pg_get_userbyid(${oid})::text`;
}

/** A list of texts as JSON, sorted; null stays null and costs nothing. */
export function sorted(list: string): string {
  return `case when ${list} is not null then (select array_to_json(array_agg(x order by x collate "C"))::text from unnest(${list}) x) end`;
}

/**
 * Privileges, sorted; null where they are what the owner of such an object has anyway, for a GRANT and a REVOKE
 * leave written out what was not before. `type` is that of `acldefault`; without it there are no built-in ones.
 */
export function privileges(
  column: string,
  builtIn?: { readonly type: string; readonly owner: string },
): string {
  const texts = `(select array_to_json(array_agg(x::text order by x::text collate "C"))::text from unnest(${column}) x)`;
  if (builtIn === undefined) return `case when ${column} is not null then ${texts} end`;
  const usual = `acldefault('${builtIn.type}', ${builtIn.owner})`;
  return `case when ${column} is not null and not (${column} <@ ${usual} and ${column} @> ${usual}) then ${texts} end`;
}

/** A function by name, null where there is none. */
export function routine(oid: string): string {
  return `nullif(${oid}::regproc::text, '-')`;
}

/** A type by name, null where there is none. */
export function type(oid: string): string {
  return `nullif(${oid}::regtype::text, '-')`;
}
