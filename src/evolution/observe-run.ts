/** What a run touched, asked in its deciding transaction. */
import type { Finding } from '../base/index.ts';
import type { TableCounts } from '../evidence/index.ts';
import {
  exactMeasures,
  measuresOfCounts,
  type NewWrites,
  type Observation,
  type RunContext,
  type Touched,
} from '../migration/index.ts';
import {
  loadRelations,
  splitName,
  type Relation,
  type Relations,
  type TableSpec,
} from '../pipeline/index.ts';
import { sql, type Transaction } from '../store/index.ts';
import { documentsOf, objectsOf } from './documents.ts';
import type { EvolutionWorld } from './operation/operation.ts';
import { verbsOf } from './operation/verbs.ts';
import { ENFORCEMENT, oneEach } from './plan-operations.ts';
import { settleLists, turnedOut } from './rebuild/cut-over.ts';
import { operationsOf, scopeOf } from './run-steps.ts';

/** What a run did, before it is decided; `carried` is what its deciding steps took along. */
export async function observe(
  context: RunContext,
  transaction: Transaction,
  { world, carried }: { readonly world: EvolutionWorld; readonly carried: readonly NewWrites[] },
): Promise<Observation> {
  const rowsByTable = new Map(carried.map(({ table, rows }) => [table, rows]));
  const held = await loadRelations(transaction);
  const scope = { ...scopeOf(context, world), carried: rowsByTable, held };
  const tables: TableCounts[] = [];
  const newWrites: NewWrites[] = [];
  const findings: Finding[] = [];
  for (const operation of operationsOf(context)) {
    const verbs = verbsOf(operation);
    if (context.direction === 'forward' && operation.kind === 'rebuild')
      findings.push(...(await turnedOut(operation, scope, transaction)));
    tables.push(...(await verbs.observe(operation, scope, transaction)));
    if (context.direction === 'rollback') {
      newWrites.push(...((await verbs.newWrites?.(operation, scope, transaction)) ?? []));
    }
  }
  if (context.direction === 'forward') {
    newWrites.push(...carried.filter(({ rows }) => rows > 0));
    const old = new Map([...held, ...(await retiredBy(context, transaction))]);
    await settleLists(scope, transaction, old);
  }
  const counted = oneEach(tables);
  const objects = objectsOf(documentsOf(context.bundle.documents).forward);
  return {
    tables: counted,
    objects,
    witnesses: ['provenance_rows'],
    enforcement: ENFORCEMENT,
    measures: exactMeasures(measuresOfCounts(counted, objects)),
    touched: touchedByRows(counted, objects),
    newWrites,
    checks: [{ name: 'foreign_keys_valid', status: 'pass' }],
    findings,
  };
}

/** Every touched table, with the rows of it that do not stay as they were. */
function touchedByRows(tables: readonly TableCounts[], objects: readonly string[]): readonly Touched[] {
  return objects.map((object) => {
    const { schema, table: name } = splitName(object);
    const counts = tables.find(({ table }) => table === object);
    const { rekey = 0, backfill = 0, recompute = 0, retire = 0 } = counts ?? {};
    return { kind: 'table', schema, name, change: 'changed', rows: rekey + backfill + recompute + retire };
  });
}

/** The structures that this run retired, by the names that they had. */
async function retiredBy({ runId }: RunContext, transaction: Transaction): Promise<Relations> {
  const rows = await transaction.query<{
    id: number;
    name: string;
    spec: TableSpec;
    schema: string;
    table: string;
  }>(sql`
    select id, name, spec, physical_schema as schema, physical_name as "table" from varve.relation
    where until_run = ${runId} and state = 'retired'`);
  return new Map(
    rows.map(({ id, name, spec, schema, table }): [string, Relation] => [
      name,
      { id, name, spec, state: 'retired', placement: { schema, table } },
    ]),
  );
}
