/**
 * Where a document came from: the first version it had, and each move since.
 *
 * ```json
 * { "migrated_from": "0.0.1",
 *   "migration_history": [{ "from": "0.0.1", "to": "1.0.0", "plan": "sha256:...", "at": "2026-05-12T09:14:07.000Z",
 *                           "assumed": [{ "pointer": "/success", "reason": "..." }], "residue": ["/draft"] }] }
 * ```
 *
 * The newest 20 moves stand one by one; older ones are rolled into one, which says how many they were.
 */
import type { Json, JsonObject } from '../base/index.ts';
import type { Digest } from '../evidence/index.ts';
import type { Assumed } from './assumed.ts';
import { hasRoom, withoutEmptyAt } from './place.ts';
import { valueAt, withValueAt, type Pointer, type Segments } from './pointer.ts';
import { isArray, isObject, withoutMember } from './value.ts';
import type { Version } from './version.ts';

/** One move of a document. */
export type HistoryEntry = {
  readonly from: Version;
  readonly to: Version;
  readonly plan: Digest;
  /** Id of the run it was part of. */
  readonly run?: string;
  readonly at: string;
  readonly assumed?: readonly Assumed[];
  /** Where what found no place had stood. */
  readonly residue?: readonly Pointer[];
  /** How many moves this entry stands for. */
  readonly rolled?: number;
};

/** Where a document came from. */
export type Provenance = {
  readonly migrated_from: Version;
  readonly migration_history: readonly HistoryEntry[];
};

const FROM = 'migrated_from';
const HISTORY = 'migration_history';
const NEWEST = 20;

/** The provenance after one more move. */
export function extendProvenance(before: Provenance | undefined, entry: HistoryEntry): Provenance {
  const history = [...(before?.migration_history ?? []), entry];
  return { migrated_from: before?.migrated_from ?? entry.from, migration_history: rolledUp(history) };
}

function rolledUp(history: readonly HistoryEntry[]): readonly HistoryEntry[] {
  const surplus = history.length - NEWEST;
  const [first] = history;
  const isRolled = first?.rolled !== undefined;
  const last = history[surplus - 1];
  if (surplus < 1 || (surplus === 1 && isRolled) || first === undefined || last === undefined) return history;
  const old = history.slice(0, surplus);
  const assumed = old.flatMap((entry) => entry.assumed ?? []);
  const residue = old.flatMap((entry) => entry.residue ?? []);
  const rolled: HistoryEntry = {
    from: first.from,
    to: last.to,
    plan: last.plan,
    at: last.at,
    ...(assumed.length === 0 ? {} : { assumed }),
    ...(residue.length === 0 ? {} : { residue }),
    rolled: old.reduce((count, entry) => count + (entry.rolled ?? 1), 0),
  };
  return [rolled, ...history.slice(surplus)];
}

/** The document without its provenance, and that. What only looks like one stays where it is. */
export function takeProvenance(
  document: Json,
  place: Segments,
): { readonly document: Json; readonly provenance: Provenance | undefined } {
  const object = valueAt(document, place);
  const provenance = isObject(object) ? readProvenance(object) : undefined;
  if (!isObject(object) || provenance === undefined) return { document, provenance: undefined };
  const rest = withoutMember(withoutMember(object, FROM), HISTORY);
  const written = withValueAt(document, place, rest) ?? document;
  return { document: withoutEmptyAt(written, place), provenance };
}

function readProvenance(object: JsonObject): Provenance | undefined {
  const [from, history] = [object[FROM], object[HISTORY]];
  if (typeof from !== 'string' || !isArray(history) || !history.every(isEntry)) return undefined;
  return { migrated_from: from, migration_history: history as readonly HistoryEntry[] };
}

function isEntry(entry: Json): boolean {
  return isObject(entry) && ['from', 'to', 'plan', 'at'].every((name) => typeof entry[name] === 'string');
}

/** The members that hold provenance at a place; undefined where something else stands there. */
export function placeProvenance(
  document: Json,
  place: Segments,
  provenance: Provenance,
): Readonly<Record<string, Json>> | undefined {
  const object = valueAt(document, place);
  const isTaken = isObject(object) && (Object.hasOwn(object, FROM) || Object.hasOwn(object, HISTORY));
  if (isTaken || !hasRoom(document, place)) return undefined;
  return { [FROM]: provenance.migrated_from, [HISTORY]: provenance.migration_history };
}
