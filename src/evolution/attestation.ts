/** What a person says of a changed make: that it gives what the earlier ones gave. A sample has to show it. */
import { refusal, type Finding, type JsonObject } from '../base/index.ts';
import { unknownTable } from '../pipeline/index.ts';
import type { FoundOperations } from './find-operations.ts';
import type { AttestCode, EvolutionWorld, Operation } from './operation/operation.ts';
import { DEFAULT_SAMPLE } from './verify-sample.ts';

/** A computed table whose make changed, and how to look at it. */
export interface Attestation {
  readonly table: string;
  /** Keys of each earlier code that are computed again. Default {@link DEFAULT_SAMPLE}. */
  readonly sample?: number;
  readonly seed?: string;
}

/** The attestations of a bundle, from its `forward.json`. */
export function attestationsIn(forward: JsonObject): readonly Required<Attestation>[] {
  const operations = (forward['operations'] ?? []) as unknown as readonly Operation[];
  return operations.flatMap((operation) =>
    operation.kind === 'attest_code'
      ? [{ table: operation.table, sample: operation.sample, seed: operation.seed }]
      : [],
  );
}

/** The operations that were found, and one for each make that is attested, after them. */
export function withAttested(
  found: FoundOperations,
  world: EvolutionWorld,
  attest: readonly Attestation[],
): FoundOperations {
  const findings = attest.flatMap(({ table }) => refused(table, found, world));
  if (findings.length > 0) return { ...found, operations: [], findings: [...found.findings, ...findings] };
  const once = attest.filter(({ table }, at) => attest.findIndex((other) => other.table === table) === at);
  const attested = once.map(({ table, sample = DEFAULT_SAMPLE, seed = '' }): AttestCode => ({
    kind: 'attest_code',
    table,
    code: world.codeByTable.get(table)?.digest ?? '',
    sample,
    seed,
  }));
  return { ...found, operations: [...found.operations, ...attested] };
}

function refused(table: string, found: FoundOperations, world: EvolutionWorld): readonly Finding[] {
  const known = world.definitions.set.tables
    .filter(({ name, tier }) => tier === 'computed' && world.codeByTable.has(name))
    .map(({ name }) => name);
  if (!known.includes(table)) return [unknownTable(table, known)];
  const other = found.operations.find((operation) => operation.table === table);
  if (other === undefined) return [];
  return [
    refusal('operation_unavailable', table, {
      detail: { operation: other.kind },
      hint: 'Plan and apply the change of its definition first, then attest its make.',
    }),
  ];
}
