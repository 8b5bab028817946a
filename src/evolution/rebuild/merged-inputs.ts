/**
 * The inputs of a row that several computations went into: one whose halves read different states of the same input is of no
 * state, and counts as stale.
 */
import { keyHash } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import { computedRelation, type Variant } from './coverage.ts';
import { computationKey } from './old-rows.ts';
import type { Rebuilding } from './world.ts';

/** What the other sources of a merge recorded of the row `n`. */
export interface OtherInputs {
  readonly joins: Sql;
  /** The digest of a new read on which all agree that recorded one; `own` is null where the first one did not. */
  readonly agreed: (read: number, own: Sql) => Sql;
}

const ZERO = sql`decode(repeat('00', 32), 'hex')`;

/** Undefined where the rows have one source, or no other one was computed. */
export function otherInputs(
  of: Rebuilding,
  variant: Variant,
  variants: readonly Variant[],
): OtherInputs | undefined {
  const others = of.sources.flatMap((_, source) => {
    const relation = source === variant.source ? undefined : computedRelation(of, source);
    const key = computationKey(of, source)?.flatMap((column) => newName(of, source, column) ?? []);
    if (relation === undefined || key === undefined) return [];
    return [
      {
        relation,
        key,
        its: variants.filter((each) => each.source === source),
        alias: sql.raw(`w${String(source)}`),
      },
    ];
  });
  if (others.length === 0) return undefined;
  const joins = others.map(
    ({ relation, key, alias }) =>
      sql`left join varve.computation ${alias} on ${alias}.relation = ${relation} and ${alias}.key_hash = ${keyHash(sql`n`, key)}`,
  );
  return {
    joins: sql.join(joins, sql` `),
    agreed: (read, own) => {
      const all = others.flatMap(({ its, alias }) => {
        const digests = its.flatMap(({ coverage, specs }) => {
          const place = coverage[read];
          if (typeof place !== 'number') return [];
          return [
            sql`when ${alias}.spec = any(${specs}::integer[]) then substr(${alias}.inputs, ${1 + 32 * place}, 32)`,
          ];
        });
        return digests.length === 0 ? [] : [sql`case ${sql.join(digests, sql` `)} end`];
      });
      const known = sql`array_remove(array[${sql.join([own, ...all])}]::bytea[], null)`;
      return sql`(select case when count(distinct d) > 1 then ${ZERO} else (array_agg(d))[1] end from unnest(${known}) d)`;
    },
  };
}

function newName({ pair }: Rebuilding, source: number, column: string): string | undefined {
  return Object.entries(pair.columns[source] ?? {}).find(([, was]) => was === column)?.[0];
}
