/** What may decide over a row beside how its values are found: emptiness, types, foreign keys, tiers, makes, reads. */
import { NOTHING, type ColumnSpec } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import { computedRelation } from './coverage.ts';
import { fitsType, leads, repointedKeys } from './fitting.ts';
import { IN_PLACE, type Facts, type Test } from './row-test.ts';
import { becomesMade, columnOf, copiedValue, foundColumns, oldAlias, ruleOf } from './values.ts';
import { masterOf } from './parent-ways.ts';
import { isDecidable } from './ruled-ways.ts';
import type { Ways } from './ways.ts';
import { rebuildOf, rebuilding, type Rebuilding } from './world.ts';

/** Everything that may decide over a row. */
export function testsOf(of: Rebuilding, facts: Facts, ways: Ways): readonly Test[] {
  // A row that may stand without its partner still has to have what it may not lack.
  const isKept = of.world.attribution[of.operation.table] === 'keep';
  return [
    ...ways.tests,
    ...(isKept ? [] : partnerTests(of)),
    ...emptyTests(of, ways),
    ...(isKept ? partnerTests(of) : []),
    ...castTests(of, facts),
    ...leadTests(of, ways),
    ...conditionTests(of, ways),
    ...tierTests(of),
    ...everyRow(of),
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
      // A row that the code says no more goes: that it has no value there is no question.
      const isThere =
        source?.from === 'contents' ? sql`k.${sql.id(spec.primaryKey[0] ?? '')} is not null and ` : sql``;
      return [{ when: sql`${isThere}${value} is null`, becomes: 'ambiguous', why: `no value: ${subject}` }];
    }
    if (source?.from !== 'same' && source?.from !== 'cast') return [];
    const was = columnOf(of.pair.sources[source.source] ?? spec, source.column);
    const value = copiedValue(of, column.name, source);
    const isSure = was?.nullable !== true && operation.from.length === 1;
    if (isSure || value === undefined) return [];
    return [{ when: sql`${value} is null`, becomes: otherwise, why: `empty: ${subject}` }];
  });
}

/** Values that another type cannot hold as they are, where no rule gives another one. */
function castTests(of: Rebuilding, facts: Facts): readonly Test[] {
  const { spec, operation, world } = of;
  return spec.columns.flatMap(({ name, type }): readonly Test[] => {
    const source = operation.columns[name];
    if (source?.from !== 'cast' || ruleOf(world.attribution, spec.name, name) !== undefined) return [];
    return [
      {
        when: sql`not (${fitsType(source, type, facts)})`,
        becomes: spec.form === undefined ? 'ambiguous' : 'recompute',
        why: `not a value of the new type: ${spec.name}.${name}`,
      },
    ];
  });
}

/** Foreign keys whose values nobody has looked up yet: those that lead to another table now, and those that a rule gives. */
function leadTests(of: Rebuilding, { values }: Ways): readonly Test[] {
  const { spec, world } = of;
  const found = foundColumns(of);
  const repointed = new Set(repointedKeys(of));
  return spec.foreignKeys.flatMap((key): readonly Test[] => {
    const children = Object.keys(key.columns);
    const isRuled = children.some(
      (child) => ruleOf(world.attribution, spec.name, child) !== undefined || isDecidable(of, child),
    );
    if (!isRuled && !repointed.has(key)) return [];
    const now = children.flatMap((child) => {
      const source = of.operation.columns[child];
      const place = found.indexOf(child);
      const value =
        place >= 0 ? values[place] : source === undefined ? undefined : copiedValue(of, child, source);
      return value === undefined ? [] : [value];
    });
    const led = now.length === children.length ? leads(of, key, now) : undefined;
    if (led === undefined) return [];
    return [
      {
        when: sql`not ${led}`,
        becomes: spec.form === undefined || isRuled ? 'ambiguous' : 'recompute',
        why: `no such row: ${key.to}`,
      },
    ];
  });
}

/** Conditions of columns that the old structure did not hold, over the new row. */
function conditionTests(of: Rebuilding, { values }: Ways): readonly Test[] {
  const { spec, operation } = of;
  const found = foundColumns(of);
  const row = spec.columns.map(({ name, type }) => {
    const source = operation.columns[name];
    const place = found.indexOf(name);
    const value =
      place >= 0 ? values[place] : source === undefined ? undefined : copiedValue(of, name, source);
    return sql`${value ?? sql`null::${sql.raw(type)}`} as ${sql.id(name)}`;
  });
  return spec.columns.flatMap((column): readonly Test[] => {
    const conditions = newConditions(of, column);
    if (conditions.length === 0) return [];
    return [
      {
        when: sql`exists (select from (select ${sql.join(row)}) n where not (${sql.join(conditions, sql` and `)}))`,
        becomes: spec.form === undefined ? 'ambiguous' : 'recompute',
        why: `against its condition: ${spec.name}.${column.name}`,
      },
    ];
  });
}

function newConditions({ operation, pair, spec }: Rebuilding, column: ColumnSpec): readonly Sql[] {
  const source = operation.columns[column.name];
  if (source === undefined || source.from === 'default' || source.from === 'make') return [];
  const isCopied = source.from === 'same' && operation.from.length === 1;
  const was = isCopied ? columnOf(pair.sources[0] ?? spec, source.column) : undefined;
  const { check, members = [] } = column;
  const isKnown = was?.name === column.name && was.check === check;
  const isWithin = was?.members?.every((member) => members.includes(member)) === true;
  return [
    // A check is SQL that the definition's author wrote, as trusted as the definition itself.
    ...(check === undefined || isKnown ? [] : [sql`(${sql.raw(check)})`]),
    ...(column.members === undefined || isWithin
      ? []
      : [sql`${sql.id(column.name)} = any(${column.members}::text[])`]),
  ];
}

/** A make that gives other values than before: the bundle says so, and nothing is kept. */
function everyRow({ operation, spec, world }: Rebuilding): readonly Test[] {
  if (world.attribution[operation.table] !== 'recompute-all' || spec.form === undefined) return [];
  return [{ when: sql`true`, becomes: 'recompute', why: `${IN_PLACE.rule}: ${spec.name}` }];
}

/** What people wrote is computed, and compared with what they wrote. */
function tierTests(of: Rebuilding): readonly Test[] {
  const { operation, spec, world } = of;
  if (!becomesMade(of) || world.attribution[operation.table] === 'keep') return [];
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
    why: `${IN_PLACE.make}: ${column.includes('.') ? column : `${spec.name}.${column}`}`,
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
    const nothings = variants.flatMap(({ coverage, specs, source }) => {
      const place = coverage[index];
      if (typeof place !== 'object' || !('nothing' in place)) return [];
      const c = sql.raw(source === 0 ? 'c' : `c${String(source)}`);
      const input = sql`substr(${c}.inputs, ${1 + 32 * place.nothing}, 32)`;
      return computedRelation(of, source) === undefined
        ? []
        : [sql`(${c}.spec = any(${specs}::integer[]) and ${input} = ${NOTHING})`];
    });
    const known = variants.filter(({ coverage }) => {
      const place = coverage[index];
      return place !== 'unknown' && !(typeof place === 'object' && 'nothing' in place);
    });
    const specs = known.filter(({ source }) => source === 0).flatMap((variant) => variant.specs);
    const others = known
      .filter(({ source }) => source > 0 && computedRelation(of, source) !== undefined)
      .flatMap((variant) => variant.specs);
    const covered = [
      sql`c.spec = any(${specs}::integer[])`,
      ...(others.length === 0 ? [] : [sql`c1.spec = any(${others}::integer[])`]),
      ...nothings,
    ];
    return [
      {
        // Rows that nothing computed are not judged by what a make read.
        when: sql`(c.spec is not null and not (${sql.join(covered, sql` or `)}))`,
        becomes: 'recompute',
        why: `${IN_PLACE.read}: ${read.table}`,
      },
    ];
  });
}
