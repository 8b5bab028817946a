/** Where two documents differ, as far as a run has to answer for it. */
import { refusal, type Finding, type Json } from '../../base/index.ts';
import { DEFAULT_PLACE, DEFAULT_PREFIX, type Model } from '../model.ts';
import { escapeSegment } from '../pointer.ts';
import { isArray, isObject } from '../value.ts';

/** JSON Pointers below which a run may change something, but for those below the forbidden ones. */
export interface AllowedPaths {
  readonly allowed: readonly string[];
  readonly forbidden?: readonly string[];
}

/** Pointers that differ and are allowed by none of the list; version, provenance and residue are the run's own. */
export function pointersOutside(
  model: Model,
  { allowed, forbidden = [] }: AllowedPaths,
  before: Json,
  after: Json,
): readonly string[] {
  if (allowed.includes('') && forbidden.length === 0) return [];
  const found: string[] = [];
  collect('', before, after, found);
  return found.filter(
    (pointer) =>
      !isOwn(model, pointer) &&
      (forbidden.some((each) => isBelow(pointer, each)) || !allowed.some((each) => isBelow(pointer, each))),
  );
}

/** Pointers that differ between two texts, the run's own left out; those within an array by the array. */
export function changedPointers(model: Model, before: string, after: string): readonly string[] {
  const found: string[] = [];
  collect('', parseJson(before), parseJson(after), found);
  const arrays = found
    .filter((pointer) => !isOwn(model, pointer))
    .map((pointer) => pointer.replace(/\/\d+(?:\/.*)?$/u, ''));
  return [...new Set(arrays)];
}

/** Why a document whose pointers outside of the allowed ones differ is not written. */
export function outOfScope(model: Model, pointers: readonly string[]): Finding {
  return refusal('scope_violation', model.name, {
    detail: { pointers: pointers.slice(0, 20) },
    hint: 'Declare these pointers under scope.allowed_paths in a new bundle, or correct the step.',
  });
}

/** A text that was read before. */
export function parseJson(text: string): Json {
  return JSON.parse(text.replace(/^\uFEFF/u, '')) as Json;
}

function isBelow(pointer: string, allowed: string): boolean {
  return pointer === allowed || pointer.startsWith(`${allowed}/`);
}

const OWN_NAMES = ['migrated_from', 'migration_history', 'migration_residue'];

function isOwn({ rule, policy }: Model, pointer: string): boolean {
  const fields = rule.at === undefined ? ['/schema_version'] : [rule.at].flat();
  if (fields.some((field) => isBelow(pointer, field))) return true;
  const residue = policy.residue === 'beside' ? undefined : policy.residue;
  const places = [policy.provenance ?? DEFAULT_PLACE, residue?.at ?? DEFAULT_PLACE];
  const prefix = residue?.prefix ?? DEFAULT_PREFIX;
  return places.some((place) => {
    if (!pointer.startsWith(`${place}/`)) return false;
    const [name = ''] = pointer.slice(place.length + 1).split('/');
    return OWN_NAMES.includes(name) || name.startsWith(prefix);
  });
}

/** An object that came or went is looked into: what it holds is what came or went. */
function collect(pointer: string, before: Json | undefined, after: Json | undefined, found: string[]): void {
  if (before === after) return;
  const [left, right] = [before ?? NONE, after ?? NONE];
  if (isObject(left) && isObject(right)) {
    const names = new Set([...Object.keys(left), ...Object.keys(right)]);
    if (names.size === 0 && (before === undefined || after === undefined)) found.push(pointer);
    for (const name of names)
      collect(`${pointer}/${escapeSegment(name)}`, memberOf(left, name), memberOf(right, name), found);
    return;
  }
  if (isArray(left) && isArray(right) && left.length === right.length) {
    left.forEach((item, at) => collect(`${pointer}/${at}`, item, right[at], found));
    return;
  }
  found.push(pointer);
}

const NONE: Json = {};

function memberOf(object: Readonly<Record<string, Json>>, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
