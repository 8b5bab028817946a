/** What may decide over a row beside how its values are found: emptiness, types, foreign keys, tiers, makes, reads. */
import { tableId } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import { computedRelation } from './coverage.ts';
import type { Facts, Test } from './row-test.ts';
import {
  carriedValue,
  castTo,
  columnOf,
  copiedValue,
  foundColumns,
  isNumeric,
  oldAlias,
  oldKeyColumn,
  ruleOf,
} from './values.ts';
import { isDecidable, masterOf, type Ways } from './ways.ts';
import { rebuildOf, rebuilding, type Rebuilding } from './world.ts';

/** Everything that may decide over a row. */
export function testsOf(of: Rebuilding, facts: Facts, ways: Ways): readonly Test[] {
  return [
    ...ways.tests,
    ...emptyTests(of, ways),
    ...partnerTests(of),
    ...castTests(of, facts),
    ...repointTests(of),
    ...ruledKeyTests(of, ways),
    ...tierTests(of),
    ...madeTests(of),
    ...coverageTests(of, facts),
  ];
}

/** In a merge, a row without its partner. */
function partnerTests({ operation, pair }: Rebuilding): readonly Test[] {
  if (operation.from.length < 2) return [];
  return pair.sources.flatMap((source, index): readonly Test[] => {
    const [first] = source.primaryKey;
    return [
      {
        when: sql`${oldAlias(index)}.${sql.id(first ?? '')} is null`,
        becomes: 'ambiguous',
        why: `no partner: ${source.name}`,
        canStand: true,
      },
    ];
  });
}

/** Columns that may not be empty and would be. */
function emptyTests(of: Rebuilding, { values }: Ways): readonly Test[] {
  const { spec, operation, world } = of;
  const found = foundColumns(of);
  const otherwise: Test['becomes'] = spec.form === undefined ? 'ambiguous' : 'recompute';
  return spec.columns.flatMap((column): readonly Test[] => {
    if (column.nullable) return [];
    const source = operation.columns[column.name];
    const place = found.indexOf(column.name);
    const subject = `${spec.name}.${column.name}`;
    if (place >= 0) {
      const value = values[place];
      const isOwn =
        ruleOf(world.attribution, operation.table, column.name) !== undefined || source?.from === 'contents';
      if (isDecidable(of, column.name) && value !== undefined) {
        const when = sql`(d."#is" = 'values' and ${value} is null)`;
        return [{ when, becomes: 'ambiguous', why: `no value: ${subject}` }];
      }
      if (!isOwn || value === undefined) return [];
      return [{ when: sql`${value} is null`, becomes: 'ambiguous', why: `no value: ${subject}` }];
    }
    if (source?.from !== 'same' && source?.from !== 'cast') return [];
    const was = columnOf(of.pair.sources[source.source] ?? spec, source.column);
    const value = copiedValue(of, column.name, source);
    const isSure = was?.nullable !== true && operation.from.length === 1;
    if (isSure || value === undefined) return [];
    return [{ when: sql`${value} is null`, becomes: otherwise, why: `empty: ${subject}` }];
  });
}

/** Values that another type cannot hold as they are. */
function castTests(of: Rebuilding, { canJudgeText }: Facts): readonly Test[] {
  const { spec, operation } = of;
  return spec.columns.flatMap(({ name, type }): readonly Test[] => {
    const source = operation.columns[name];
    if (source?.from !== 'cast') return [];
    const old = sql`${oldAlias(source.source)}.${sql.id(source.column)}`;
    const back = castTo(castTo(old, source.was, type), type, source.was);
    const fits =
      canJudgeText && !(isNumeric(source.was) && isNumeric(type))
        ? sql`case when pg_input_is_valid(${old}::text, ${type}::text) then ${back} is not distinct from ${old} else false end`
        : sql`${back} is not distinct from ${old}`;
    return [
      {
        when: sql`(${old} is not null and not (${fits}))`,
        becomes: spec.form === undefined ? 'ambiguous' : 'recompute',
        why: `not a value of the new type: ${spec.name}.${name}`,
      },
    ];
  });
}

/** Foreign keys over columns that are there already, to a table that they did not lead to. */
function repointTests(of: Rebuilding): readonly Test[] {
  const { spec, pair, operation } = of;
  return spec.foreignKeys.flatMap((key): readonly Test[] => {
    const goesOn = pair.keys.some((matched) => matched[key.name] !== undefined);
    const copied = Object.keys(key.columns).map((child) => {
      const source = operation.columns[child];
      return source === undefined ? undefined : copiedValue(of, child, source);
    });
    if (goesOn || key.kind === 'part' || copied.some((value) => value === undefined)) return [];
    const rows = newRows(of, key.to);
    if (rows === undefined) return [];
    const same = Object.values(key.columns).map(
      (column, index) => sql`x.${sql.id(column)} = ${copied[index] ?? sql`null`}`,
    );
    const here = copied.map((value) => sql`${value ?? sql`null`} is not null`);
    return [
      {
        when: sql`(${sql.join(here, sql` and `)} and not exists (select from ${rows} x where ${sql.join(same, sql` and `)}))`,
        becomes: spec.form === undefined ? 'ambiguous' : 'recompute',
        why: `no such row: ${key.to}`,
      },
    ];
  });
}

/** Foreign keys that a rule of the bundle fills: what it gives must lead to a row. */
function ruledKeyTests(of: Rebuilding, { values }: Ways): readonly Test[] {
  const { spec, operation, world } = of;
  const found = foundColumns(of);
  return spec.foreignKeys.flatMap((key): readonly Test[] => {
    const children = Object.entries(key.columns);
    const isSaid = (child: string): boolean =>
      ruleOf(world.attribution, operation.table, child) !== undefined || isDecidable(of, child);
    if (!children.some(([child]) => isSaid(child))) return [];
    const rows = newRows(of, key.to);
    if (rows === undefined) return [];
    const pairs = children.map(([child, column]) => {
      const place = found.indexOf(child);
      const source = operation.columns[child];
      const own = source === undefined ? undefined : copiedValue(of, child, source);
      return { column, value: (place < 0 ? own : values[place]) ?? sql`null` };
    });
    const here = pairs.map(({ value }) => sql`${value} is not null`);
    const same = pairs.map(({ column, value }) => sql`x.${sql.id(column)} = ${value}`);
    return [
      {
        when: sql`(${sql.join(here, sql` and `)} and not exists (select from ${rows} x where ${sql.join(same, sql` and `)}))`,
        becomes: 'ambiguous',
        why: `no such row: ${key.to}`,
      },
    ];
  });
}

/** The keys that a table has on the new side, under its new column names; undefined where that is not known yet. */
function newRows({ world }: Rebuilding, table: string): Sql | undefined {
  const next = world.next.get(table);
  const pair = world.naming.pairs.get(table);
  const operation = rebuildOf(world, table);
  if (operation === undefined) return next === undefined ? undefined : tableId(next.placement);
  if (operation.from.length === 0) return next === undefined ? undefined : tableId(next.placement);
  const of = rebuilding(operation, world);
  const [old] = of.sources;
  if (old === undefined || pair === undefined) return undefined;
  const columns = of.spec.primaryKey.flatMap((column) => {
    const value = carriedValue(of, column);
    return value === undefined ? [] : [sql`${value} as ${sql.id(column)}`];
  });
  const on = old.spec.primaryKey.map((column, index) => sql`t.${sql.id(column)} = l.${oldKeyColumn(index)}`);
  return sql`(select ${sql.join(columns)} from ${world.listOf(table)} l join ${tableId(old.placement)} t on ${sql.join(on, sql` and `)}
    where l."#class" not in ('retire', 'ambiguous'))`;
}

/** What people wrote is computed, and compared with what they wrote. */
function tierTests({ operation, spec, world }: Rebuilding): readonly Test[] {
  const isMade = operation.changes.some((change) => change.kind === 'change_tier') && spec.form !== undefined;
  if (!isMade || world.attribution[operation.table] === 'keep') return [];
  return [{ when: sql`true`, becomes: 'recompute', why: `tier: ${spec.name}` }];
}

/** Columns that only the make knows, of the table or of a part of it. */
function madeTests(of: Rebuilding): readonly Test[] {
  const { spec, operation, world } = of;
  const own = made(of);
  const parts = Object.values(spec.parts).flatMap((name) => {
    const part = rebuildOf(world, name);
    if (part === undefined) return [];
    if (part.from.length === 0) return [{ column: name, isOpen: false }];
    return made(rebuilding(part, world)).map(({ column, isOpen }) => ({
      column: `${name}.${column}`,
      isOpen,
    }));
  });
  if (spec.master !== undefined && masterOf(of)?.form !== undefined) return [];
  if (spec.form === undefined) {
    return own
      .filter(({ isOpen }) => !isOpen)
      .map(({ column }) => ({
        when: sql`true`,
        becomes: 'ambiguous',
        why: `no value: ${spec.name}.${column}`,
      }));
  }
  const code = world.codeByTable.get(operation.table)?.digest ?? '';
  return [...own, ...parts].map(({ column, isOpen }) => ({
    // The same code gives no value to a column that came after it: then the default is what it would give.
    when:
      isOpen && computedRelation(of, 0) !== undefined
        ? sql`(select d.digest from varve.computation_spec s join varve.code d on d.id = s.code where s.id = c.spec) is distinct from ${code}`
        : sql`true`,
    becomes: 'recompute',
    why: `only the make knows: ${column.includes('.') ? column : `${spec.name}.${column}`}`,
  }));
}

function made({
  spec,
  operation,
  world,
}: Rebuilding): readonly { readonly column: string; readonly isOpen: boolean }[] {
  return spec.columns
    .filter(
      ({ name }) =>
        operation.columns[name]?.from === 'make' && ruleOf(world.attribution, spec.name, name) === undefined,
    )
    .map(({ name, nullable, default: value }) => ({ column: name, isOpen: nullable || value !== undefined }));
}

/** Reads of the new definition of which nothing is recorded. */
function coverageTests(of: Rebuilding, { variants }: Facts): readonly Test[] {
  if (of.spec.form === undefined || computedRelation(of, 0) === undefined) return [];
  return of.spec.reads.flatMap((read, index): readonly Test[] => {
    const known = variants.filter(({ coverage }) => coverage[index] !== 'unknown');
    const specs = known.filter(({ source }) => source === 0).flatMap((variant) => variant.specs);
    const others = known
      .filter(({ source }) => source > 0 && computedRelation(of, source) !== undefined)
      .flatMap((variant) => variant.specs);
    const covered = [
      sql`c.spec = any(${specs}::integer[])`,
      ...(others.length === 0 ? [] : [sql`c1.spec = any(${others}::integer[])`]),
    ];
    return [
      {
        // Rows that nothing computed are not judged by what a make read.
        when: sql`(c.spec is not null and not (${sql.join(covered, sql` or `)}))`,
        becomes: 'recompute',
        why: `read anew: ${read.table}`,
      },
    ];
  });
}
