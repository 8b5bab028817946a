/**
 * Whether the new make gives the values that were kept, on a sample: the proof, before the cutover, that the make was
 * only told its dependency and not changed otherwise. `varve verify --full` proves it for every row.
 */
import { refusal, type Finding } from '../base/index.ts';
import type { ReadSpec, Relation, Relations } from '../pipeline/index.ts';
import { sql, type Sql, type Store } from '../store/index.ts';
import type { RunScope } from './operation/operation.ts';
import { compareKeys, recomputeKeys } from './recompute-keys.ts';
import { freshKeys } from './sample-keys.ts';

/** Keys that are computed again for the sample, of each code that computed kept rows. */
const SAMPLE_KEYS = 100;

/** What a sample is taken of. */
export interface Sampled {
  readonly next: Relation;
  readonly relations: Relations;
  /** A query of the source keys of all carried rows with their hashes, `#hash`. */
  readonly hashed: Sql;
}

/** Computes kept rows again, in a copy, from what they were attributed to; a row that comes out otherwise is a refusal. */
export async function sampleDiffers(
  store: Store,
  { context, world }: RunScope,
  { next, relations, hashed }: Sampled,
): Promise<readonly Finding[]> {
  const given = { relation: next, relations };
  const keys = await sampledKeys(store, { next, relations, hashed });
  if (keys.length === 0) {
    await context.fault('E04_sampled');
    return [];
  }
  await using sample = await recomputeKeys(store, world, {
    ...given,
    label: context.runId,
    keys,
    signal: context.signal,
  });
  await context.fault('E04_sampled');
  const { result } = sample;
  if (result.status === 'refused' || result.findings.length > 0) return result.findings;
  const compared = await compareKeys(store, given, sample);
  // A key that is none any more was not computed, and is no longer wrong.
  const differing = compared.filter(({ isEqual, isComputed }) => isComputed && !isEqual).length;
  if (differing === 0) return [];
  return [
    refusal('make_changed', next.name, {
      detail: { sample: result.tables[0]?.computed ?? 0, differing },
      hint: `The new make gives other values than the rows that would be kept. Change only how it reads, or have every row computed anew: --attribute ${next.name}=recompute-all.`,
    }),
  ];
}

/**
 * By hash: spread over the table, and the same keys when asked again. Rows whose inputs moved since are stale, not wrong.
 * Code by code: rows that an earlier version of the make left may be few, and are the likeliest to differ. Each is compared
 * with the present under the reads that it is recorded with, which may be of fewer columns than are read now.
 */
async function sampledKeys(store: Store, { next, relations, hashed }: Sampled): Promise<readonly Sql[]> {
  const codes = await store.query<{
    code: number;
    reads: readonly ReadSpec[];
    specs: readonly number[];
  }>(sql`
    select w.code, s.reads, array_agg(s.id) as specs from varve.computation_spec s
    join varve.computation_spec w on w.id = (s.attribution ->> 'spec')::integer
    where s.relation = ${next.id} and s.origin = 'attributed' group by 1, 2 order by 1, 2`);
  return codes.map((each) => freshKeys({ relation: next, relations, ...each, hashed, size: SAMPLE_KEYS }));
}
