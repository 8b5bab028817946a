import { type Finding } from '../../base/index.ts';
import { sql, type Queryable } from '../../store/index.ts';
import type { Definitions } from '../definition-set.ts';
import { splitName } from '../spec.ts';
import { loadNamePeriods, presentName } from '../table-names.ts';
import { readRemedy } from './remedy.ts';

/**
 * What makes were seen to read at run time without declaring it, table by table, of the computations that hold now.
 * A read that is declared by now is left out.
 *
 * Shape: `[{ code: 'undeclared_read', severity: 'warning', subject: 'audit.verdict', detail: { reads: 'audit.policy', keys: 3364, columns: ['allows'] }, hint: 'Add ...' }]`
 * Units: `keys` counts computed keys, not reads.
 */
export async function checkRecordedReads(
  store: Queryable,
  definitions: Definitions,
): Promise<readonly Finding[]> {
  const rows = await store.query<RecordedRow>(sql`
    select r.name, d.subject, count(distinct d.key_hash) as keys,
      array(select distinct c from unnest(array_agg(array_to_string(d.columns, chr(31)))) g, string_to_table(g, chr(31)) c order by c) as columns
    from varve.recorded_read d
    join varve.relation r on r.id = d.relation and r.state = 'live'
    join varve.computation c on c.relation = d.relation and c.key_hash = d.key_hash and c.spec = d.spec
    where not d.declared and d.subject not like 'file:%'
    group by r.name, d.subject order by r.name, d.subject`);
  if (rows.length === 0) return [];
  const periods = await loadNamePeriods(store);
  return rows.flatMap((row) =>
    undeclared(definitions, { ...row, subject: presentName(periods, row.subject, undefined) ?? row.subject }),
  );
}

interface RecordedRow extends Record<string, unknown> {
  readonly name: string;
  readonly subject: string;
  readonly keys: bigint;
  readonly columns: readonly string[];
}

function undeclared(definitions: Definitions, row: RecordedRow): readonly Finding[] {
  const reader = definitions.tableByName.get(row.name);
  if (reader === undefined || reader.spec.reads.some(({ table }) => table === row.subject)) return [];
  const { schema, table } = splitName(row.subject);
  const names = { tables: [...definitions.tableByName.values()], constantByTable: new Map<string, string>() };
  return [
    {
      code: 'undeclared_read',
      severity: 'warning',
      subject: row.name,
      detail: { reads: row.subject, keys: Number(row.keys), columns: row.columns },
      hint: readRemedy(reader, { schema, name: table }, names),
    },
  ];
}
