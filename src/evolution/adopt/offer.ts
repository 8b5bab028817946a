/** Tables that a plan would create and that stand in the database already, under their names or those of DataJoint. */
import { refusal, type Finding } from '../../base/index.ts';
import { splitName, type DefinitionSet, type Placement, type TableSpec } from '../../pipeline/index.ts';
import type { Store } from '../../store/index.ts';
import type { Operation } from '../operation/operation.ts';
import { standingNames } from './adopted-name.ts';
import { compareStanding } from './compare.ts';
import { readStandingTables, type StandingTable } from './standing-table.ts';

/** The operations with adoptions in the place of creations; or that somebody has to say which of the two is meant. */
export interface Offer {
  readonly operations: readonly Operation[];
  readonly findings: readonly Finding[];
}

/** Looks for tables to take over; `adopt` undefined: only tells of them. */
export async function offerAdoption(
  store: Store,
  operations: readonly Operation[],
  { set, adopt }: { readonly set: DefinitionSet; readonly adopt: boolean },
): Promise<Offer> {
  const specs = operations.flatMap(({ kind, table }) =>
    kind === 'create_table' ? set.tables.filter(({ name }) => name === table) : [],
  );
  if (specs.length === 0) return { operations, findings: [] };
  const standing = await candidates(store, specs, set);
  const found = new Map(specs.flatMap((spec) => match(spec, set, standing)));
  const placements = Object.fromEntries(
    [...found].map(([table, { schema, name }]): [string, Placement] => [table, { schema, table: name }]),
  );
  if (!adopt) return { operations, findings: told(specs, found, placements) };
  return {
    operations: operations.map((operation) => {
      const stands = operation.kind === 'create_table' ? found.get(operation.table) : undefined;
      if (stands === undefined) return operation;
      const { schema, name } = stands;
      return { kind: 'adopt_table', table: operation.table, schema, name, placements };
    }),
    findings: [],
  };
}

async function candidates(
  store: Store,
  specs: readonly TableSpec[],
  set: DefinitionSet,
): Promise<readonly StandingTable[]> {
  const tables = specs.flatMap((spec) =>
    namesOf(spec, set).map((name) => ({ schema: splitName(spec.name).schema, name })),
  );
  return store.transaction({ isolation: 'repeatable read', readOnly: true }, (transaction) =>
    readStandingTables(transaction, { tables }),
  );
}

function namesOf({ name, tier, master }: TableSpec, set: DefinitionSet): readonly string[] {
  const masterTier = set.tables.find((each) => each.name === master)?.tier;
  return standingNames(splitName(name).table, tier, masterTier);
}

/** The table under its own name first: a prefix is another program's way of saying it. */
function match(
  spec: TableSpec,
  set: DefinitionSet,
  standing: readonly StandingTable[],
): readonly (readonly [string, StandingTable])[] {
  const { schema } = splitName(spec.name);
  const [first] = namesOf(spec, set).flatMap((name) =>
    standing.filter((each) => each.schema === schema && each.name === name),
  );
  return first === undefined ? [] : [[spec.name, first]];
}

/** A table of the very name is for `create_table` to refuse; one with a prefix, of the same structure, is told here. */
function told(
  specs: readonly TableSpec[],
  found: ReadonlyMap<string, StandingTable>,
  placements: Readonly<Record<string, Placement>>,
): readonly Finding[] {
  return specs.flatMap((spec) => {
    const stands = found.get(spec.name);
    if (stands === undefined) return [];
    const isSame = compareStanding(spec, stands, (each) => placements[each]).every(
      ({ severity }) => severity !== 'error',
    );
    const isOfName = stands.name === splitName(spec.name).table;
    if (!isSame && !isOfName) return [];
    const hint = isSame
      ? 'Take it over as it stands, its rows untouched: `varve plan --adopt`. Or rename one of them.'
      : 'Rename one of them, or write the definition as the table stands; `varve plan --adopt` says how they differ.';
    return [
      refusal('table_exists', spec.name, { detail: { standsAs: `${stands.schema}.${stands.name}` }, hint }),
    ];
  });
}
