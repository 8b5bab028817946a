/** What workers computed since a cutover is told of the old structure as well. */

import { keyHash, tableId, type Relation } from '../../pipeline/index.ts';
import { sql, type Sql, type Transaction } from '../../store/index.ts';

import { type Rebuilding } from './world.ts';

import { ownValue, type Back, type Into } from './image.ts';
/** What workers computed since is theirs in the old structure too, with the reads that led them. */
export async function carryComputations(
  transaction: Transaction,
  { of, next }: Back,
  { old }: Into,
  image: Sql,
): Promise<void> {
  const since = sql`select c.*, s.run, s.code, s.reads, s.enforcement from varve.computation c join varve.computation_spec s on s.id = c.spec
    join varve.run r on r.id = s.run where c.relation = ${next.id} and s.origin = 'computed' and r.kind <> 'evolution'`;
  await transaction.execute(sql`
    insert into varve.computation_spec (run, relation, code, reads, enforcement, origin, attribution)
    select distinct w.run, ${old.id}::integer, w.code, w.reads, w.enforcement, 'computed', jsonb_build_object('spec', w.spec)
    from (${since}) w where not exists (select from varve.computation_spec a
      where a.relation = ${old.id} and a.origin = 'computed' and (a.attribution ->> 'spec')::integer = w.spec)`);
  const units = sql`select distinct ${keyHash(sql`n`, of.spec.sourceKey)} as new_hash, ${keyHash(sql`i`, old.spec.sourceKey)} as old_hash
    from ${tableId(next.placement)} n join ${image} i on ${sameUnit(of, old)} where not i."#own"`;
  await transaction.execute(sql`
    insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select distinct on (u.old_hash) ${old.id}::integer, a.id, w.duration_us, u.old_hash, w.inputs, w.output
    from (${since}) w join (${units}) u on u.new_hash = w.key_hash
    join varve.computation_spec a on a.relation = ${old.id} and (a.attribution ->> 'spec')::integer = w.spec
    order by u.old_hash
    on conflict (relation, key_hash) do update set spec = excluded.spec, duration_us = excluded.duration_us,
      inputs = excluded.inputs, output = excluded.output`);
  await keepReads(transaction, of, old, { next, since, units });
}

function sameUnit(of: Rebuilding, old: Relation): Sql {
  const same = old.spec.sourceKey.flatMap((column) => {
    const value = ownValue(of, of.operation.from.indexOf(old.name), column);
    return value === undefined ? [] : [sql`${value} = i.${sql.id(column)}`];
  });
  return same.length === 0 ? sql`false` : sql.join(same, sql` and `);
}

/**
 * The new structure knows which row each of these results read: it is written down as a recorded read, so that the old
 * structure knows it too and the way forward need not ask again.
 */
async function keepReads(
  transaction: Transaction,
  of: Rebuilding,
  old: Relation,
  { next, since, units }: { readonly next: Relation; readonly since: Sql; readonly units: Sql },
): Promise<void> {
  const keys = of.spec.foreignKeys.filter(({ columns, name }) =>
    Object.keys(columns).some((column) => {
      const source = of.operation.columns[column];
      return source?.from === 'recorded' && source.reference === name;
    }),
  );
  for (const [ordinal, key] of keys.entries()) {
    const place = next.spec.reads.findIndex(
      ({ table, cardinality }) => table === key.to && cardinality !== 'many',
    );
    const read = next.spec.reads[place];
    if (read === undefined || (key.kind === 'secondary' && key.fills === undefined)) continue;
    const [first = ''] = Object.keys(key.columns);
    const found = sql`n.${sql.id(first)} is not null`;
    const pairs = Object.entries(key.columns).map(
      ([child, parent]) => sql`${parent}::text, n.${sql.id(child)}`,
    );
    await transaction.execute(sql`
      insert into varve.recorded_read
        (relation, key_hash, spec, ordinal, subject, declared, columns, keys, row_count, digest)
      select ${old.id}::integer, u.old_hash, a.id, ${ordinal}::smallint, ${key.to}, true, ${read.columns}::text[],
        case when ${found} then jsonb_build_array(jsonb_build_object(${sql.join(pairs)})) else '[]'::jsonb end,
        case when ${found} then 1 else 0 end,
        case when ${found} then sha256(substr(w.inputs, ${1 + 32 * place}, 32)) else sha256(''::bytea) end
      from (${since}) w join (${units}) u on u.new_hash = w.key_hash
      join varve.computation_spec a on a.relation = ${old.id} and (a.attribution ->> 'spec')::integer = w.spec
      join ${tableId(next.placement)} n on ${keyHash(sql`n`, next.spec.sourceKey)} = w.key_hash
      on conflict do nothing`);
  }
}
