import { digestOf, verifyAll } from '../../src/evidence/index.ts';
import { measure } from '../../src/evolution/baseline.ts';
import { folderReader, readStatus, type RunnerOptions } from '../../src/migration/index.ts';
import { loadRelations } from '../../src/pipeline/index.ts';
import { sql, type Store } from '../../src/store/index.ts';

/** What has to be the same whichever way a state was reached: structure, rows, and what is recorded of each row. */
export interface LiveState {
  readonly baseline: string;
  readonly definitions: string;
  readonly computations: string;
}

/** The measured state of all live tables. */
export async function liveState(store: Store): Promise<LiveState> {
  const relations = [...(await loadRelations(store)).values()];
  const baseline = await store.transaction({ isolation: 'repeatable read', readOnly: true }, (transaction) =>
    measure(
      transaction,
      relations.map(({ spec }) => spec),
    ),
  );
  const computations = await store.query(sql`
    select r.name, encode(c.key_hash, 'hex') as key, encode(c.inputs, 'hex') as inputs, encode(c.output, 'hex') as output,
      s.origin, d.digest as code, s.reads
    from varve.computation c join varve.relation r on r.id = c.relation join varve.computation_spec s on s.id = c.spec
    join varve.code d on d.id = s.code where r.state = 'live' order by 1, 2`);
  const [deployed] = await store.query<{ digest: string }>(sql`
    select s.digest from varve.deployment d join varve.definition_set s on s.id = d.definition_set order by d.id desc limit 1`);
  return {
    baseline: digestOf(baseline),
    definitions: deployed?.digest ?? '',
    computations: digestOf(computations as never),
  };
}

/** Whether nothing is half done: no building left, every run decided and closed once, all evidence verified offline. */
export async function settledState(options: RunnerOptions): Promise<object> {
  const [runs] = await options.store.query(sql`
    select count(distinct run_id)::int = count(*) filter (where phase = 'closed') as closed,
      count(distinct run_id)::int = count(*) filter (where phase in ('committed', 'undone')) as decided
    from varve.ledger`);
  return {
    ...runs,
    unfinished: (await readStatus(options)).unfinished,
    findings: (await verifyAll(folderReader(options.root))).findings,
    left: await leftovers(options.store),
  };
}

/** What `settledState` gives when all is well. */
export const SETTLED = { closed: true, decided: true, unfinished: [], findings: [], left: [] } as const;

/** Tables and relations that were built or copied and are still there. */
export async function leftovers(store: Store): Promise<readonly object[]> {
  return store.query(sql`
    select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('varve_build', 'varve_copy') and c.relkind = 'r'
    union all select name from varve.relation where state not in ('live', 'retired', 'let_go')`);
}
