import type { Finding, Json, JsonObject } from '../base/index.ts';
import type { Assumed } from './assumed.ts';
import { declaredPlaces, type Model, type Places, type Plan } from './model.ts';
import { isPlaceAllowed, withMembersAt } from './place.ts';
import type { Segments } from './pointer.ts';
import { extendProvenance, placeProvenance, type HistoryEntry, type Provenance } from './provenance.ts';
import type { Residue } from './residue-row.ts';
import { placeResidue } from './residue.ts';
import type { Version } from './version.ts';

/** Where provenance and residue stand in documents of a version; undefined is beside them. Without one: where they may. */
export function placesIn(model: Model, version: Version | undefined): Places {
  const key = version ?? '';
  const known = model.placesByVersion.get(key);
  if (known !== undefined) return known;
  const places = allowedPlaces(declaredPlaces(model.policy), version, model);
  model.placesByVersion.set(key, places);
  return places;
}

function allowedPlaces(declared: Places, version: Version | undefined, model: Model): Places {
  const json = version === undefined ? undefined : model.versions.get(version)?.snapshot?.json;
  if (json === undefined) return declared;
  const { provenance, residue } = declared;
  const isOpen = (at: readonly string[], type: string | undefined): boolean =>
    isPlaceAllowed(json, json, at, type);
  return {
    provenance:
      provenance !== undefined && isOpen([...provenance, 'migration_history'], 'array')
        ? provenance
        : undefined,
    residue:
      residue !== undefined && isOpen([...residue.at, `${residue.prefix}x`], undefined) ? residue : undefined,
  };
}

/** What a move leaves behind. */
export interface Leaving {
  readonly plan: Plan;
  readonly at: string;
  readonly run: string | undefined;
  readonly assumed: readonly Assumed[];
  readonly residue: Residue;
  readonly stale: Residue;
}

/** A moved document with its residue and provenance in their places, or beside it. */
export function settle(
  model: Model,
  document: Json,
  before: Provenance | undefined,
  { plan, at, run, assumed, residue, stale }: Leaving,
): {
  readonly document: Json;
  readonly residue: Residue;
  readonly provenance: Provenance;
  readonly assumed: readonly Assumed[];
  readonly findings: readonly Finding[];
} {
  const places = placesIn(model, plan.to);
  const kept =
    places.residue === undefined
      ? { members: {}, residue }
      : placeResidue(document, places.residue.at, places.residue.prefix, residue);
  const pointers = residue.filter(({ step }) => step !== '').map(({ pointer }) => pointer);
  const entry: HistoryEntry = {
    from: plan.from,
    to: plan.to,
    plan: plan.digest,
    ...(run === undefined ? {} : { run }),
    at,
    ...(assumed.length === 0 ? {} : { assumed }),
    ...(pointers.length === 0 ? {} : { residue: pointers }),
  };
  const provenance = extendProvenance(before, entry);
  const noted =
    places.provenance === undefined ? undefined : placeProvenance(document, places.provenance, provenance);
  const isWanted = {
    provenance: model.policy.provenance !== 'beside',
    residue: model.policy.residue !== 'beside',
  };
  const outside = kept.residue.filter((row) => row.kept === undefined && row.value !== undefined);
  const findings = [
    ...(noted === undefined && isWanted.provenance ? [beside(model, plan.to, 'provenance')] : []),
    ...(outside.length > 0 && isWanted.residue ? [beside(model, plan.to, 'residue')] : []),
    ...(stale.length > 0 ? [staleFinding(model, plan.to, stale)] : []),
  ];
  const placed = putMembers(document, places, kept.members, noted ?? {});
  return { document: placed, residue: kept.residue, provenance, assumed, findings };
}

/** Both at once where they stand in one object, as they do by default. */
function putMembers(document: Json, places: Places, residue: JsonObject, provenance: JsonObject): Json {
  const [at, other] = [places.residue?.at ?? [], places.provenance ?? []];
  const isOnePlace = at.length === other.length && at.every((name, index) => name === other[index]);
  if (isOnePlace) return putAt(document, at, { ...residue, ...provenance });
  return putAt(putAt(document, at, residue), other, provenance);
}

function putAt(document: Json, place: Segments, members: JsonObject): Json {
  return Object.keys(members).length === 0 ? document : withMembersAt(document, place, members);
}

function beside(model: Model, version: Version, what: 'provenance' | 'residue'): Finding {
  return {
    code: 'kept_beside',
    severity: 'warning',
    subject: `${model.name} ${version}`,
    detail: { what },
    hint: 'Store it beside the document, and give it back with the next call.',
  };
}

function staleFinding(model: Model, version: Version, stale: Residue): Finding {
  return {
    code: 'residue_stale',
    severity: 'warning',
    subject: `${model.name} ${version}`,
    detail: { pointers: stale.map(({ pointer }) => pointer) },
    hint: 'Compare both by hand: the edited value stands, what was kept is still among the residue.',
  };
}
