import type { JsonObject } from '../base/index.ts';
import type { Digest } from '../evidence/index.ts';
import type { Model } from './model.ts';
import { valueDigest } from './value.ts';

/**
 * What of a document type decides the result of a run: its steps, snapshots and places.
 *
 * A validator that prints no JSON Schema counts by its presence; its code cannot be digested.
 */
export function typeDigest(model: Model): Digest {
  const steps = model.graph.edges
    .filter(({ isForward }) => isForward)
    .map(({ step }) => step.digest)
    .toSorted();
  const snapshots: JsonObject = Object.fromEntries(
    [...model.versions].map(([version, { snapshot }]) => [
      version,
      snapshot === undefined ? null : (snapshot.json ?? 'a validator'),
    ]),
  );
  const { provenance = null, residue = null, unknownFields = null } = model.policy;
  return valueDigest({
    name: model.name,
    current: model.current,
    steps,
    snapshots,
    aliases: model.aliases.map((alias) => ({ ...alias })),
    policy: { provenance, residue, unknownFields },
  });
}
