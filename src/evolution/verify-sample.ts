/**
 * The same proof on a sample: some keys of each computed table computed again, in a copy, from what its parents hold now.
 *
 * Keys are taken in the order of their digests from a place that the seed says, so they are spread over the table like
 * drawn ones, and are the same when asked again. Each code that computed rows gives as many: rows that an earlier version
 * of the make left may be few, and are the likeliest to be wrong.
 *
 * What n keys without a difference prove: with 95 % confidence, at most 3/n of the keys of that code are wrong (the rule
 * of three: with more, all n would be right in fewer than 5 of 100 samples). They prove nothing of keys that are stale, which are told apart, nor of
 * keys that have no row. When all keys of a code are taken, none is wrong.
 */
import { hex, refusal, type Finding, type JsonObject } from '../base/index.ts';
import { names, relationOf, tableId, type Relation } from '../pipeline/index.ts';
import { sql, type Sql, type Store } from '../store/index.ts';
import { movedKeys } from './moved-keys.ts';
import type { EvolutionWorld } from './operation/operation.ts';
import { compareKeys, recomputeKeys, type ComparedKey, type KeysToRecompute } from './recompute-keys.ts';
import { hashedKeys, seededOrder } from './sample-keys.ts';
import { NAMED_KEYS, rowsStale } from './verify.ts';
import { verifyScope, type VerifyOptions } from './verify-scope.ts';

/** Keys of each code where nothing else is said: with none wrong, at most 1.5 % are. */
export const DEFAULT_SAMPLE = 200;

/** How large the sample is, and which. */
export interface SampleOptions extends VerifyOptions {
  /** Keys of each recorded code of a table. Default {@link DEFAULT_SAMPLE}. */
  readonly size?: number;
  /** Another seed, other keys. */
  readonly seed?: string;
}

/** The sample of the rows that one code computed. */
export interface SampledCode extends JsonObject {
  /** Digest of the code; null: keys of which no computation is recorded. */
  readonly code: string | null;
  readonly isPresent: boolean;
  readonly keys: number;
  readonly sampled: number;
  readonly equal: number;
  /** Other than recomputed, but inputs or code moved since. */
  readonly stale: number;
  readonly differing: number;
  /** The share of wrong keys at most, at 95 %, of those that are not stale; null where some differ or none was compared. */
  readonly wrongAtMost: number | null;
}

/** The sample of one table. */
export interface SampledTable extends JsonObject {
  readonly table: string;
  readonly seed: string;
  readonly codes: readonly SampledCode[];
}

/** Equal as far as the sample goes; stale; or where not. */
export type SampleResult =
  | {
      readonly status: 'equal' | 'stale' | 'different';
      readonly tables: readonly SampledTable[];
      readonly findings: readonly Finding[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** Computes a sample of each computed table again and compares it with what stands, rows of parts included. */
export async function verifySample(
  store: Store,
  world: EvolutionWorld,
  options: SampleOptions,
): Promise<SampleResult> {
  const scope = await verifyScope(store, world, options);
  if (scope.status === 'refused') return scope;
  const { relations, wanted } = scope;
  const sampled: Sampled[] = [];
  for (const spec of wanted) {
    const given = { relation: relationOf(relations, spec.name), relations };
    const result = await sampleTable(store, world, { ...given, options });
    if ('status' in result) return result;
    sampled.push(result);
  }
  const findings = sampled.flatMap((each) => each.findings);
  const some = (name: 'differing' | 'stale'): boolean =>
    sampled.some(({ table }) => table.codes.some((code) => code[name] > 0));
  return {
    status: some('differing') ? 'different' : some('stale') ? 'stale' : 'equal',
    tables: sampled.map(({ table }) => table),
    findings,
  };
}

interface Sampled {
  readonly table: SampledTable;
  readonly findings: readonly Finding[];
}

type Given = Pick<KeysToRecompute, 'relation' | 'relations'> & { readonly options: SampleOptions };

async function sampleTable(
  store: Store,
  world: EvolutionWorld,
  { relation, relations, options }: Given,
): Promise<Sampled | { readonly status: 'refused'; readonly findings: readonly Finding[] }> {
  const { seed = '', size = DEFAULT_SAMPLE, signal, progress } = options;
  const given = { relation, relations };
  await using sample = await recomputeKeys(store, world, {
    ...given,
    label: `varve verify ${hex(world.environment.randomBytes(8))}`,
    keys: [sampleOf(relation, { seed, size })],
    signal,
    progress: (computed, total) => progress?.({ table: relation.name, computed, total }),
  });
  const { result } = sample;
  if (result.status === 'refused') return result;
  const compared = await compareKeys(store, given, sample);
  const present = world.codeByTable.get(relation.name)?.digest;
  const moved = await movedKeys(store, {
    ...given,
    keys: sql`select * from ${tableId(sample.keys)}`,
    code: present,
  });
  const rows = await store.query<{ key: string }>(
    sql`select encode("#hash", 'hex') as key from (${moved}) m`,
  );
  const stale = new Set(rows.map(({ key }) => key));
  const codes = (await codesOf(store, relation)).map((code) =>
    judge(code, { present, compared: compared.filter((key) => key.code === code.id), stale }),
  );
  const wrong = compared.filter((key) => !key.isEqual && !stale.has(key.key));
  return {
    table: { table: relation.name, seed, codes: codes.filter(({ keys }) => keys > 0) },
    findings: [...result.findings, ...findingsOf(relation.name, codes, wrong)],
  };
}

/** A query of so many keys of each code. */
function sampleOf(relation: Relation, { seed, size }: { readonly seed: string; readonly size: number }): Sql {
  return sql`select ${names(relation.spec.sourceKey)}, "#hash", "#code" from (
      select k.*, s.code as "#code",
        row_number() over (partition by s.code order by ${seededOrder(sql`k."#hash"`, seed)}) as "#place"
      from (${hashedKeys(relation)}) k
      left join varve.computation c on c.relation = ${relation.id} and c.key_hash = k."#hash"
      left join varve.computation_spec s on s.id = c.spec) k
    where "#place" <= ${size}`;
}

interface RecordedCode {
  readonly id: number | null;
  readonly digest: string | null;
  readonly keys: number;
}

/** The codes that computed the rows of a table, with the number of keys of each, those of none last. */
async function codesOf(store: Store, relation: Relation): Promise<readonly RecordedCode[]> {
  const recorded = await store.query<{ id: number; digest: string; keys: bigint }>(sql`
    select d.id, d.digest, count(*) as keys from varve.computation c
    join varve.computation_spec s on s.id = c.spec join varve.code d on d.id = s.code
    where c.relation = ${relation.id} group by 1, 2 order by 1 desc`);
  const [all] = await store.query<{ keys: bigint }>(sql`
    select count(*) as keys from (${hashedKeys(relation)}) k`);
  const known = recorded.reduce((sum, { keys }) => sum + Number(keys), 0);
  return [
    ...recorded.map((code) => ({ ...code, keys: Number(code.keys) })),
    { id: null, digest: null, keys: Math.max(0, Number(all?.keys ?? 0n) - known) },
  ];
}

function judge(
  code: RecordedCode,
  found: {
    readonly present: string | undefined;
    readonly compared: readonly ComparedKey[];
    readonly stale: ReadonlySet<string>;
  },
): SampledCode {
  const { compared } = found;
  const equal = compared.filter(({ isEqual }) => isEqual).length;
  const stale = compared.filter(({ isEqual, key }) => !isEqual && found.stale.has(key)).length;
  const differing = compared.length - equal - stale;
  const proved = compared.length - stale;
  return {
    code: code.digest,
    isPresent: code.digest === found.present,
    keys: code.keys,
    sampled: compared.length,
    equal,
    stale,
    differing,
    wrongAtMost:
      differing > 0 || proved === 0 ? null : compared.length >= code.keys ? 0 : Math.min(1, 3 / proved),
  };
}

function findingsOf(
  table: string,
  codes: readonly SampledCode[],
  wrong: readonly ComparedKey[],
): readonly Finding[] {
  const count = (name: 'sampled' | 'stale'): number => codes.reduce((sum, code) => sum + code[name], 0);
  const keys = wrong.slice(0, NAMED_KEYS).map(({ key, stored, computed }) => ({ key, stored, computed }));
  return [
    ...(wrong.length === 0
      ? []
      : [
          refusal('verify_differs', table, {
            detail: { sampled: count('sampled'), differing: wrong.length, keys },
            hint: 'Inputs and code are as recorded, so these rows were changed by hand, read what nothing declares, or come from a make that gives another result each time. `varve verify --full` finds all of them.',
          }),
        ]),
    ...(count('stale') === 0 ? [] : [rowsStale(table, count('stale'))]),
  ];
}
