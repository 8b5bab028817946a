import type { Pair } from '../naming.ts';
import { addColumn } from './add-column.ts';
import type { Change, ChangeType, ChangeWorld, ColumnSource } from './change.ts';
import { changeReads } from './change-reads.ts';
import { changeTier } from './change-tier.ts';
import { constrain } from './constrain.ts';
import { declareReference } from './declare-reference.ts';
import { dropColumn } from './drop-column.ts';
import { dropReference } from './drop-reference.ts';
import { followKey } from './follow-key.ts';
import { goWithMaster } from './go-with-master.ts';
import { insertTable } from './insert-table.ts';
import { mergeTables } from './merge-tables.ts';
import { moveTable } from './move-table.ts';
import { narrowKey } from './narrow-key.ts';
import { renameColumn } from './rename-column.ts';
import { repointReference } from './repoint-reference.ts';
import { retypeColumn } from './retype-column.ts';
import { splitTable } from './split-table.ts';
import { widenKey } from './widen-key.ts';

/** In the order in which they are told. */
const TYPES = {
  move_table: moveTable,
  split_table: splitTable,
  merge_tables: mergeTables,
  insert_table: insertTable,
  change_tier: changeTier,
  declare_reference: declareReference,
  widen_key: widenKey,
  narrow_key: narrowKey,
  follow_key: followKey,
  repoint_reference: repointReference,
  drop_reference: dropReference,
  rename_column: renameColumn,
  retype_column: retypeColumn,
  add_column: addColumn,
  drop_column: dropColumn,
  constrain,
  change_reads: changeReads,
  go_with_master: goWithMaster,
} as const satisfies { readonly [K in Change['kind']]: ChangeType<Extract<Change, { kind: K }>> };

/** Everything that is different about a table. */
export function changesOf(pair: Pair, world: ChangeWorld): readonly Change[] {
  // Of a table that is new, that is all there is to tell.
  if (pair.sources.length === 0) return insertTable.find(pair, world);
  return Object.values(TYPES).flatMap((type): readonly Change[] => type.find(pair, world));
}

/** A change in words. */
export function describeChange(change: Change, table: string): string {
  return typeOf(change).describe(change, table);
}

/** Where each column of the new table comes from. */
export function columnSources(
  pair: Pair,
  changes: readonly Change[],
  world: ChangeWorld,
): Readonly<Record<string, ColumnSource>> {
  const same = pair.columns.toReversed().map((columns, index): Record<string, ColumnSource> => {
    const source = pair.columns.length - 1 - index;
    return Object.fromEntries(
      Object.entries(columns).map(([now, was]) => [now, copied(pair, { source, now, was }, world)]),
    );
  });
  const brought = changes.map((change) => typeOf(change).values?.(change, pair, world) ?? {});
  if (pair.sources.length === 0) return {};
  const all = new Map([...same, ...brought].flatMap((sources) => Object.entries(sources)));
  return Object.fromEntries(
    pair.spec.columns.map(({ name }) => [name, all.get(name) ?? ({ from: 'make' } as const)]),
  );
}

/** A column that a rule is there for is not the same one: where its value does not fit, the rule gives another. */
function copied(
  pair: Pair,
  { source, now, was }: { readonly source: number; readonly now: string; readonly was: string },
  { attribution }: ChangeWorld,
): ColumnSource {
  if (attribution[`${pair.spec.name}.${now}`] === undefined) return { from: 'same', source, column: was };
  const type = pair.sources[source]?.columns.find(({ name }) => name === was)?.type ?? 'text';
  return { from: 'cast', source, column: was, was: type };
}

function typeOf(change: Change): ChangeType<Change> {
  // Each entry takes exactly the changes of its own kind, which is the one it is looked up by.
  return TYPES[change.kind] as unknown as ChangeType<Change>;
}
