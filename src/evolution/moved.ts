/** Whether a bundle still is the way from what is deployed to what the project defines. */
import { canonicalJson, refusal, type Finding, type JsonObject } from '../base/index.ts';
import {
  digestOfSet,
  sameJson,
  type deployedSet,
  type DefinitionSet,
  type Hints,
} from '../pipeline/index.ts';
import { attestationsIn, withAttested } from './attestation.ts';
import { EMPTY, operationsIn, type Documents, type ForwardDocument } from './documents.ts';
import { findOperations } from './find-operations.ts';
import type { EvolutionWorld, Operation } from './operation/operation.ts';

/** Why a bundle is no way from what is deployed to what the project defines. */
export function movedFindings(
  documents: Documents,
  given: { readonly deployed: Awaited<ReturnType<typeof deployedSet>>; readonly world: EvolutionWorld },
): readonly Finding[] {
  const moved = [
    ...deployedMoved(documents.forward.from, given.deployed?.digest),
    ...definitionsMoved(documents.forward, given.world),
  ];
  // What others deployed or somebody edited since explains all the rest.
  return moved.length > 0
    ? moved
    : documentsEdited(documents, { deployed: given.deployed?.set, world: given.world });
}

/** That another set is deployed than was planned upon. */
export function deployedMoved(expected: string | null, found: string | undefined): readonly Finding[] {
  if ((found ?? null) === expected) return [];
  return [
    refusal('plan_changed', 'definitions', {
      detail: { planned: expected, deployed: found ?? null },
      hint: 'Another set of definitions was deployed since. Run `varve plan` again and apply that.',
    }),
  ];
}

function definitionsMoved(forward: ForwardDocument, world: EvolutionWorld): readonly Finding[] {
  const hint = 'The project’s definitions were edited since. Run `varve plan` again and apply that.';
  if (world.definitions.digest !== forward.to) {
    return [
      refusal('definitions_moved', 'definitions', {
        detail: { planned: forward.to, present: world.definitions.digest },
        hint,
      }),
    ];
  }
  return Object.entries(forward.code)
    .filter(([table, digest]) => world.codeByTable.get(table)?.digest !== digest)
    .map(([table, digest]) =>
      refusal('definitions_moved', table, {
        detail: { planned: digest, present: world.codeByTable.get(table)?.digest ?? null },
        hint,
      }),
    );
}

/** What a table that is taken over would be, if it did not stand there. */
function unadopted(operation: Operation): Operation {
  return operation.kind === 'adopt_table' ? { kind: 'create_table', table: operation.table } : operation;
}

/**
 * A bundle is text that somebody may have written or altered, and much of it becomes part of statements: so it is held to
 * what its own definitions lead to.
 */
function documentsEdited(
  { forward, sets }: Documents,
  { deployed, world }: { readonly deployed: DefinitionSet | undefined; readonly world: EvolutionWorld },
): readonly Finding[] {
  const hints = forward.hints as unknown as Hints;
  const found = findOperations(deployed, sets.to, { hints, attribution: forward.attribute });
  const { operations } = withAttested(found, world, attestationsIn(forward));
  const isOwn =
    digestOfSet(sets.to) === forward.to &&
    sameJson(deployed ?? EMPTY, sets.from) &&
    canonicalJson(operations as unknown as readonly JsonObject[]) ===
      canonicalJson(operationsIn(forward).map(unadopted) as unknown as readonly JsonObject[]);
  if (isOwn) return [];
  return [
    refusal('bundle_invalid', 'forward.json', {
      detail: { reason: 'not_of_its_definitions' },
      hint: 'Its operations are not those that lie between its definitions. Run `varve plan` again and apply that.',
    }),
  ];
}
