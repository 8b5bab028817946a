/** Foreign keys whose columns varve fills itself: what their own sources say must be what was read. */
import { readPlan, type ForeignKeySpec, type ReadSpec } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import type { Test } from './row-test.ts';
import type { Rebuilding } from './world.ts';

/** For each new foreign key that is filled: rows that its sources lead elsewhere are computed anew. */
export function fillTests(
  of: Rebuilding,
  keys: readonly ForeignKeySpec[],
  row: Sql,
  valueOf: (child: string) => Sql | undefined,
): readonly Test[] {
  const filled = keys.filter(({ fills }) => fills !== undefined);
  if (filled.length === 0 || of.spec.sourceKey.some((column) => !isUnmoved(of, column))) return [];
  const reads = of.spec.reads.filter((read) => isStanding(of, read));
  const { fillByColumn, joins } = readPlan({ ...of.spec, reads }, of.world.next, row);
  const differing = filled.flatMap((key) =>
    Object.keys(key.columns).flatMap((child) => {
      const [fill, value] = [fillByColumn.get(child), valueOf(child)];
      return fill === undefined || value === undefined ? [] : [{ fill, value, to: key.to }];
    }),
  );
  return differing.map(({ fill, value, to }) => ({
    when: sql`exists (select from (select ${value} as value) v ${joins} where ${fill} is distinct from v.value)`,
    becomes: 'recompute',
    why: `its sources lead elsewhere: ${to}`,
  }));
}

/** Whether a column of the key is called as before, so that the old row answers for the new one. */
function isUnmoved({ operation }: Rebuilding, column: string): boolean {
  const source = operation.columns[column];
  return source?.from === 'same' && source.column === column && source.source === 0;
}

/** Whether a read can be made now: its table stays where it stands, and so do those that lead to it. */
function isStanding(of: Rebuilding, read: ReadSpec): boolean {
  if (!of.world.next.has(read.table) || of.world.next.get(read.table)?.state === 'building') return false;
  return Object.values(read.match).every((origin) => {
    if (origin.kind === 'key') return true;
    const other = of.spec.reads.find(({ name }) => name === origin.read);
    return other !== undefined && isStanding(of, other);
  });
}
