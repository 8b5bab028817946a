/** Values that come from what became of the rows above. */
import type { ForeignKeySpec, TableSpec } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import { placeOfOldKey } from './old-rows.ts';
import { IN_PLACE, type Test } from './row-test.ts';
import { changesKey, foundColumn, foundColumns, isNarrower, oldKeyColumn } from './values.ts';
import { NO_WAY, type Way } from './way.ts';
import { rebuildOf, rebuilding, type Rebuilding } from './world.ts';

/** Rows above that went elsewhere: what became of them decides over the row below, and their new key goes along. */
export function parentWays(of: Rebuilding): Way {
  const { pair, spec, world } = of;
  const [old] = pair.sources;
  if (old === undefined) return NO_WAY;
  const joins: Sql[] = [];
  const values = new Map<string, Sql>();
  const tests: Test[] = [];
  for (const [index, now] of spec.foreignKeys.entries()) {
    const was = pair.keys[0]?.[now.name];
    const operation = rebuildOf(world, now.to);
    if (was === undefined || operation === undefined || operation.from.length === 0) continue;
    const parent = rebuilding(operation, world);
    if (!isFollowed(of, now, parent)) continue;
    const m = sql.raw(`m${String(index)}`);
    const on = Object.entries(was.columns).flatMap(([child, column]) => {
      const place = placeOfOldKey(parent, was.to, column);
      return place === undefined ? [] : [sql`${m}.${oldKeyColumn(place)} = t.${sql.id(child)}`];
    });
    joins.push(sql`left join ${world.listOf(now.to)} ${m} on ${sql.join(on, sql` and `)}`);
    for (const [child, column] of Object.entries(now.columns)) {
      const value = parentValue(parent, { m, was, column });
      if (of.operation.columns[child]?.from === 'parent' && value !== undefined) values.set(child, value);
    }
    const here = sql.join(
      Object.keys(was.columns).map((child) => sql`t.${sql.id(child)} is not null`),
      sql` and `,
    );
    const isPlaced = placed(now, was, { m, parent });
    tests.push(...parentTests(of, now, { m, here, parent, isPlaced }));
  }
  return { joins, values, tests };
}

/** Whether what became of the row above matters: its key moved, or its fate is that of its part. */
function isFollowed(of: Rebuilding, key: ForeignKeySpec, parent: Rebuilding): boolean {
  return changesKey(parent) || (key.kind === 'part' && masterOf(of)?.form !== undefined);
}

/** The table that a part belongs to, as it is defined now. */
export function masterOf({ spec, world }: Rebuilding): TableSpec | undefined {
  return world.to.tables.find(({ name }) => name === spec.master);
}

/** The new value of a column of the row above, by its line in the list. */
function parentValue(
  parent: Rebuilding,
  { m, was, column }: { readonly m: Sql; readonly was: ForeignKeySpec; readonly column: string },
): Sql | undefined {
  const place = foundColumns(parent).indexOf(column);
  if (place >= 0) return sql`${m}.${foundColumn(place)}`;
  const index = parent.operation.from.indexOf(was.to);
  const former = parent.pair.columns[index]?.[column];
  const child = Object.entries(was.columns).find(([, target]) => target === former)?.[0];
  return child === undefined ? undefined : sql`t.${sql.id(child)}`;
}

/** That the row above is computed anew under a key that is known already, and that no other row comes to have. */
function placed(
  now: ForeignKeySpec,
  was: ForeignKeySpec,
  { m, parent }: { readonly m: Sql; readonly parent: Rebuilding },
): Sql {
  if (isNarrower(parent)) return sql`false`;
  const key = Object.values(now.columns).map((column) => parentValue(parent, { m, was, column }));
  const known = key.map((value) => (value === undefined ? sql`false` : sql`${value} is not null`));
  const why = sql`split_part(${m}."#why", ':', 1) = any(${Object.values(IN_PLACE)}::text[])`;
  return sql.join([why, ...known], sql` and `);
}

interface Above {
  readonly m: Sql;
  readonly here: Sql;
  readonly parent: Rebuilding;
  readonly isPlaced: Sql;
}

function parentTests(
  of: Rebuilding,
  key: ForeignKeySpec,
  { m, here, parent, isPlaced }: Above,
): readonly Test[] {
  const isMade = of.spec.form !== undefined;
  const isPart = key.kind === 'part' && masterOf(of)?.form !== undefined;
  const about = key.to;
  const lost: Test['becomes'] = isPart || isMade ? 'recompute' : 'ambiguous';
  const moved = changesKey(parent);
  return [
    {
      when: sql`${here} and (${m}."#class" is null or ${m}."#class" = 'ambiguous')`,
      becomes: 'ambiguous',
      why: `row above undecided: ${about}`,
    },
    {
      when: sql`${here} and ${m}."#class" = 'retire'`,
      becomes:
        isPart || isMade || of.world.attribution[of.operation.table] === 'retire' ? 'retire' : 'ambiguous',
      why: `row above retired: ${about}`,
    },
    ...(isPart || moved
      ? [
          {
            when: sql`${here} and ${m}."#class" = 'recompute' ${isPart ? sql`` : sql`and not (${isPlaced})`}`,
            becomes: lost,
            why: `row above computed anew: ${about}`,
          },
        ]
      : []),
  ];
}
