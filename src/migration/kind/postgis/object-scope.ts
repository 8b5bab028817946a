/** Scope of what is no table: functions, types, sequences, schemas, extensions. */
import { refusal, type Finding } from '../../../base/index.ts';
import type { Scope } from '../../declaration.ts';

/** Something that stands for itself. */
export interface FreeObject {
  /** Such as `function`, `type`, `sequence`, `schema`, `extension`. */
  readonly kind: string;
  /** Empty where it stands in none. */
  readonly schema: string;
  /** Of a function with the types of its arguments: `area(integer)`. */
  readonly name: string;
}

const IN_SCHEMAS: readonly string[] = [
  'function',
  'type',
  'sequence',
  'operator',
  'operator class',
  'operator family',
  'collation',
  'conversion',
  'text search configuration',
  'text search dictionary',
  'text search parser',
  'text search template',
];

/** What is out of scope; roles, databases, replication and the like always are (M15, M16, M21). */
export function objectScopeFindings(scope: Scope, objects: readonly FreeObject[]): readonly Finding[] {
  return objects
    .filter((object) => !isInScope(scope, object))
    .map((object) =>
      refusal('scope_violation', wordsOf(object), {
        detail: { kind: object.kind },
        hint: hintOf(object),
      }),
    );
}

/** Whether an extension is allowed, and with it everything that it brings. */
export function isExtensionAllowed(
  { allowed_objects = [], forbidden_objects = [] }: Scope,
  name: string,
): boolean {
  return allowed_objects.includes(name) && !forbidden_objects.includes(name);
}

function isInScope(scope: Scope, { kind, schema, name }: FreeObject): boolean {
  const { allowed_schemas, forbidden_schemas, allowed_objects = [], forbidden_objects = [] } = scope;
  if (kind === 'schema') return allowed_schemas.includes(name) && !forbidden_schemas.includes(name);
  if (kind === 'extension') return isExtensionAllowed(scope, name);
  if (!IN_SCHEMAS.includes(kind) || schema === 'varve') return false;
  const bare = name.replace(/\(.*$/su, '');
  const names = [name, bare, `${schema}.${name}`, `${schema}.${bare}`];
  const isNamed = (list: readonly string[]): boolean => names.some((each) => list.includes(each));
  if (forbidden_schemas.includes(schema) || isNamed(forbidden_objects)) return false;
  return allowed_schemas.includes(schema) && isNamed(allowed_objects);
}

/** `function lab.area(integer)`. */
export function wordsOf({ kind, schema, name }: FreeObject): string {
  const named = schema === '' ? name : `${schema}.${name}`;
  return named === '' ? kind : `${kind} ${named}`;
}

function hintOf({ kind }: FreeObject): string {
  if (kind === 'schema') return 'Declare it under scope.allowed_schemas in a new bundle, or leave it alone.';
  return kind === 'extension' || IN_SCHEMAS.includes(kind)
    ? 'Declare it under scope.allowed_objects in a new bundle, or leave it alone.'
    : 'Leave it alone: no scope can allow this.';
}
