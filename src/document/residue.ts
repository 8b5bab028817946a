/**
 * Residue within a document: each value under its old name with a prefix, and beside them a list of what belongs where.
 *
 * ```json
 * { "context": { "metadata": { "legacy_draft": true,
 *     "migration_residue": [{ "step": "1.0.0>1.1.0", "op": "0", "at": "", "slot": 0, "pointer": "/draft",
 *                             "kept": "/context/metadata/legacy_draft" }] } } }
 * ```
 *
 * A name that the document already has is left alone: the value is then kept beside the document.
 */
import type { Json, JsonObject } from '../base/index.ts';
import { hasRoom, withoutEmptyAt } from './place.ts';
import { pointerToSegments, segmentsToPointer, valueAt, withValueAt, type Segments } from './pointer.ts';
import type { Residue, ResidueRow } from './residue-row.ts';
import { isArray, isObject, withoutMember } from './value.ts';

const LIST = 'migration_residue';

/** The document without the residue in it, and that, with its values. */
export function takeResidue(
  document: Json,
  place: Segments,
): { readonly document: Json; readonly residue: Residue } {
  const object = valueAt(document, place);
  const rows = isObject(object) ? readRows(object, document) : undefined;
  if (!isObject(object) || rows === undefined) return { document, residue: [] };
  let rest: JsonObject = withoutMember(object, LIST);
  for (const { kept } of rows) {
    const name = kept === undefined ? undefined : pointerToSegments(kept).at(-1);
    if (name !== undefined) rest = withoutMember(rest, name);
  }
  const written = withValueAt(document, place, rest) ?? document;
  return { document: withoutEmptyAt(written, place), residue: rows.map(({ kept: _kept, ...row }) => row) };
}

/** Undefined where the list is none of ours, or names a value that is gone. */
function readRows(object: JsonObject, document: Json): Residue | undefined {
  const list = object[LIST];
  if (!isArray(list) || !list.every(isRow)) return undefined;
  return (list as Residue).map((row) => {
    if (row.kept === undefined) return row;
    const value = valueAt(document, pointerToSegments(row.kept));
    return value === undefined ? row : { ...row, value };
  });
}

function isRow(row: Json): boolean {
  return (
    isObject(row) &&
    ['step', 'op', 'at', 'pointer'].every((name) => typeof row[name] === 'string') &&
    typeof row['slot'] === 'number'
  );
}

/** What of residue finds a place in a document: members to put there, and the rows that say so. */
export interface PlacedResidue {
  readonly members: Readonly<Record<string, Json>>;
  readonly residue: Residue;
}

/** The members that hold residue at a place; each row says where its value is kept, or nothing. */
export function placeResidue(
  document: Json,
  place: Segments,
  prefix: string,
  residue: Residue,
): PlacedResidue {
  const outside = { members: {}, residue };
  if (residue.length === 0) return outside;
  const object = valueAt(document, place);
  const theirs = isObject(object) ? object : {};
  if (Object.hasOwn(theirs, LIST) || !hasRoom(document, place)) return outside;
  const members: Record<string, Json> = {};
  const rows = residue.map((row): ResidueRow => {
    if (row.value === undefined) return row;
    const name = freeName(prefix + (pointerToSegments(row.pointer).at(-1) ?? 'document'), theirs, members);
    if (name === undefined) return row;
    members[name] = row.value;
    return { ...row, kept: segmentsToPointer([...place, name]) };
  });
  const inside = rows.filter((row) => row.kept !== undefined || row.value === undefined);
  if (inside.length === 0) return outside;
  members[LIST] = inside.map(({ value: _value, ...row }) => row);
  return { members, residue: rows };
}

/** Undefined where the document has a member of that name; a number is added only to names of our own. */
function freeName(
  name: string,
  theirs: JsonObject,
  ours: Readonly<Record<string, Json>>,
): string | undefined {
  let free = name;
  for (let count = 2; Object.hasOwn(ours, free); count += 1) free = `${name}_${count}`;
  return Object.hasOwn(theirs, free) || free === '__proto__' ? undefined : free;
}
