/** What all computations of one table in one run share, stored once. */
import type { JsonObject } from '../base/index.ts';
import { sql, type Queryable } from '../store/index.ts';
import type { CodeIdentity } from './code-digest.ts';
import { readsText } from './key-source.ts';
import type { Relation } from './relation.ts';

/** How far reads were held to their declaration. */
export type EnforcementLevel = 'pure' | 'isolated' | 'outside' | 'role' | 'statement' | 'none';

/** The shared part of computations. */
export interface ComputationSpec {
  readonly runId: number;
  readonly relation: Relation;
  readonly code: CodeIdentity;
  readonly enforcement: EnforcementLevel;
  readonly origin: 'computed' | 'attributed' | 'adopted';
  readonly attribution: JsonObject | null;
}

/** Stores the code where it is new; returns its id. */
export async function ensureCode(store: Queryable, code: CodeIdentity): Promise<number> {
  const [row] = await store.query<{ id: number }>(sql`
    insert into varve.code (digest, basis, packages, source)
    values (${code.digest}, ${code.basis}, ${JSON.stringify(code.packages)}::jsonb, ${code.source})
    on conflict (digest) do update set digest = excluded.digest returning id`);
  return row?.id ?? 0;
}

/** Stores it, and its code where that is new; returns its id. */
export async function insertComputationSpec(store: Queryable, spec: ComputationSpec): Promise<number> {
  const code = await ensureCode(store, spec.code);
  const [row] = await store.query<{ id: number }>(sql`
    insert into varve.computation_spec (run, relation, code, reads, enforcement, origin, attribution)
    values (${spec.runId}, ${spec.relation.id}, ${code}, ${readsText(spec.relation.spec)}::jsonb, ${spec.enforcement},
      ${spec.origin}, ${spec.attribution === null ? null : JSON.stringify(spec.attribution)}::jsonb)
    returning id`);
  return row?.id ?? 0;
}

/** How many keys of a relation have a computation. */
export async function countComputations(store: Queryable, relation: Relation): Promise<number> {
  const [row] = await store.query<{ count: bigint }>(
    sql.kept(sql`
    select count(*) as count from varve.computation where relation = ${relation.id}`),
  );
  return Number(row?.count ?? 0n);
}
