/**
 * The make of a table is another now, and says the same: its rows keep what they were computed from and get its code, once
 * a sample of each earlier code came out equal. Nothing is computed anew, no row is touched, and nothing below is stale.
 *
 * | a computation by an earlier code | becomes |
 * |---|---|
 * | with the reads of the present definition | attributed to the present code, by rule `attested`, with size and seed of the sample |
 * | with inputs that moved since | the same, and stays stale by its inputs |
 * | with other reads | stays as it is, and stale |
 * | of a code of which no row with present inputs is left | the same: nothing can be shown of it |
 *
 * Until the deciding transaction only specs are there that no computation has. That transaction moves computations to
 * them page by page; it locks nothing but these, so only a populate of the same table waits for it.
 */
import { refusal, VarveError, type Finding } from '../../base/index.ts';
import { ensureCode, loadRelations, readsText, relationOf, type Relation } from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql, type Transaction } from '../../store/index.ts';
import { dropCopies } from '../copy.ts';
import { countRows } from '../count-rows.ts';
import { fencedStore } from '../fenced-store.ts';
import { compareKeys, recomputeKeys, type ComparedKey } from '../recompute-keys.ts';
import { freshKeys } from '../sample-keys.ts';
import {
  asPlanned,
  counts,
  type AttestCode,
  type OperationPlan,
  type OperationVerbs,
  type PlanScope,
  type RunScope,
} from './operation.ts';

/** Computations moved by one statement. */
const PAGE_KEYS = 50_000;

/** Keeps every row, and says that the present make would have given it. */
export const attestCode: OperationVerbs<AttestCode> = {
  kind: 'attest_code',
  describe: ({ table, sample }) => `attest     ${table}   (on ${String(sample)} keys of each earlier code)`,
  plan,
  planBack: async ({ table }, { relations, transaction }) => [
    counts(table, { keep: await countRows(transaction, relationOf(relations, table).placement) }),
  ],
  build,
  enter,
  observe: async ({ table }, { context, held }, transaction) => {
    const { placement } = relationOf(held, table);
    const rows = await countRows(transaction, placement);
    const planned = context.tables.find((each) => each.table === table)?.keep ?? 0;
    return [asPlanned(counts(table, { keep: planned }), counts(table, { keep: rows }))];
  },
  enterBack,
  undo: async (_, { context }, transaction) => {
    await dropCopies(transaction, context.runId);
    await transaction.execute(sql`delete from varve.computation_spec where ${attestedBy(context.runId)}`);
  },
};

async function plan(operation: AttestCode, { transaction, relations }: PlanScope): Promise<OperationPlan> {
  const relation = relationOf(relations, operation.table);
  const codes = await earlierCodes(transaction, relation, operation.code);
  const findings =
    codes.length > 0
      ? []
      : [
          refusal('nothing_to_attest', operation.table, {
            hint: 'Every row was computed by the present code, or with other reads than the present ones: see `varve stale`.',
          }),
        ];
  return {
    tables: [counts(operation.table, { keep: await countRows(transaction, relation.placement) })],
    findings,
    bound: {
      relation: relation.id,
      codes: codes.map(({ digest, keys }) => ({ code: digest, keys: Number(keys) })),
    },
  };
}

interface EarlierCode extends Record<string, unknown> {
  readonly code: number;
  readonly digest: string;
  readonly keys: bigint;
  readonly specs: readonly number[];
}

/** The other codes that computed keys of a table with its present reads. */
async function earlierCodes(
  store: Queryable,
  relation: Relation,
  present: string,
): Promise<readonly EarlierCode[]> {
  return store.query<EarlierCode>(sql`
    select d.id as code, d.digest, sum(n.keys)::bigint as keys, array_agg(s.id order by s.id) as specs
    from (select spec, count(*) as keys from varve.computation where relation = ${relation.id} group by 1) n
    join varve.computation_spec s on s.id = n.spec join varve.code d on d.id = s.code
    where d.digest <> ${present} and s.reads = ${readsText(relation.spec)}::jsonb
    group by 1, 2 order by 1`);
}

/** Computes the sample, and writes down for each code that came out equal what it is attested by. */
async function build(operation: AttestCode, scope: RunScope): Promise<readonly Finding[]> {
  const { context, world } = scope;
  const store = fencedStore(context);
  const relations = await loadRelations(store);
  const given = { relation: relationOf(relations, operation.table), relations };
  const codes = await earlierCodes(store, given.relation, operation.code);
  await using sample = await recomputeKeys(store, world, {
    ...given,
    label: context.runId,
    keys: codes.map(({ code, specs }) =>
      freshKeys({ ...given, specs, code, size: operation.sample, seed: operation.seed }),
    ),
    signal: context.signal,
    progress: (done, total) =>
      context.progress({ step: `attest ${operation.table}`, done, total: total ?? done }),
  });
  await context.fault('E04_sampled');
  const { result } = sample;
  if (result.status === 'refused' || result.findings.length > 0) return result.findings;
  const compared = await compareKeys(store, given, sample);
  const findings = codes.flatMap((code) => differs(operation, code, compared));
  if (findings.length > 0) return findings;
  const sizes = codes.map(({ code }) => compared.filter((key) => key.code === code).length);
  await store.transaction({}, async (transaction) => {
    for (const [at, code] of codes.entries()) {
      await attest(transaction, operation, scope, { relation: given.relation, code, size: sizes[at] ?? 0 });
    }
  });
  return [];
}

function differs(
  { table, seed }: AttestCode,
  { code, digest }: EarlierCode,
  compared: readonly ComparedKey[],
): readonly Finding[] {
  const own = compared.filter((key) => key.code === code);
  const differing = own.filter(({ isEqual }) => !isEqual).length;
  if (differing === 0) return [];
  return [
    refusal('make_changed', table, {
      detail: { code: digest, sample: own.length, differing, seed },
      hint: 'The present make gives other values than this code did, so nothing is attested: let `varve populate` compute these rows again, or take the change of the make back.',
    }),
  ];
}

interface Attested {
  readonly relation: Relation;
  readonly code: Pick<EarlierCode, 'specs'>;
  /** Keys of this code that came out equal. */
  readonly size: number;
}

/** The specs of a code once more, with the present code and the reason. Those that are there stay. */
async function attest(
  transaction: Transaction,
  operation: AttestCode,
  { context, world }: RunScope,
  { relation, code, size }: Attested,
): Promise<void> {
  const present = world.codeByTable.get(operation.table);
  if (present === undefined)
    throw new VarveError('internal', { hint: 'Report this: a computed table has no code identity.' });
  if (size === 0) return;
  const codeId = await ensureCode(transaction, present);
  await transaction.execute(sql`
    insert into varve.computation_spec (run, relation, code, reads, enforcement, origin, attribution)
    select s.run, ${relation.id}, ${codeId}, s.reads, s.enforcement, 'attributed',
      jsonb_build_object('rule', 'attested', 'migration', ${context.bundle.id}::text, 'run', ${context.runId}::text,
        'spec', s.id, 'code', d.digest, 'sample', ${size}::integer, 'seed', ${operation.seed}::text)
    from varve.computation_spec s join varve.code d on d.id = s.code
    where s.id = any(${code.specs}::integer[]) and s.id not in (
      select (attribution ->> 'spec')::integer from varve.computation_spec where ${attestedBy(context.runId)})`);
}

/** That a spec was written by this run. */
function attestedBy(runId: string): Sql {
  return sql`origin = 'attributed' and attribution ->> 'rule' = 'attested' and attribution ->> 'run' = ${runId}`;
}

async function enter(
  operation: AttestCode,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const { context } = scope;
  const relation = relationOf(await loadRelations(transaction), operation.table);
  const sizes = await transaction.query<{ digest: string; size: number }>(sql`
    select distinct attribution ->> 'code' as digest, (attribution ->> 'sample')::integer as size
    from varve.computation_spec where relation = ${relation.id} and ${attestedBy(context.runId)}`);
  // A worker of the old definitions may have computed more since the sample, with the code that was sampled.
  for (const code of await earlierCodes(transaction, relation, operation.code)) {
    const size = sizes.find(({ digest }) => digest === code.digest)?.size ?? 0;
    await attest(transaction, operation, scope, { relation, code, size });
  }
  await moveSpecs(transaction, relation, {
    pairs: sql`select (attribution ->> 'spec')::integer as "from", id as "to"
      from varve.computation_spec where ${attestedBy(context.runId)}`,
    afterPage: () => context.fault('E02_attributed'),
  });
  return [];
}

/** Back to the specs that they had. What was computed since has specs of its own, and keeps them. */
async function enterBack(
  { table }: AttestCode,
  { context }: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const relation = relationOf(await loadRelations(transaction), table);
  await moveSpecs(transaction, relation, {
    pairs: sql`select id as "from", (attribution ->> 'spec')::integer as "to"
      from varve.computation_spec where ${attestedBy(context.forward?.runId ?? '')}`,
  });
  return [];
}

interface SpecMove {
  /** A query of specs `from` and `to`. */
  readonly pairs: Sql;
  readonly afterPage?: () => Promise<void>;
}

/** Page by page in the order of the index, in which writers of computations take their rows too. */
async function moveSpecs(
  transaction: Transaction,
  { id }: Relation,
  { pairs, afterPage }: SpecMove,
): Promise<void> {
  let after: Uint8Array = new Uint8Array();
  for (;;) {
    const [end] = await transaction.query<{ key: Uint8Array }>(sql`
      select key_hash as key from varve.computation where relation = ${id} and key_hash > ${after}
      order by key_hash offset ${PAGE_KEYS - 1} limit 1`);
    const upTo = end === undefined ? sql`true` : sql`key_hash <= ${end.key}`;
    await transaction.execute(sql`
      with page as materialized (
        select c.key_hash, p."to" from varve.computation c join (${pairs}) p on p."from" = c.spec
        where c.relation = ${id} and key_hash > ${after} and ${upTo} order by c.key_hash for no key update of c)
      update varve.computation c set spec = page."to" from page
      where c.relation = ${id} and c.key_hash = page.key_hash`);
    await afterPage?.();
    if (end === undefined) return;
    after = end.key;
  }
}
