/**
 * The measured state of documents, algorithm `document/1`. Of a column: it and the key by name and type, and the sum over all
 * rows of the key and the SHA-256 of the document's text. Key columns are called `k1`, `k2`, ... so that what a run has read can
 * be summed alike from its own table.
 */
import { digestOf, type Baseline, type Digest } from '../../../evidence/index.ts';
import { sql, sumDigest, sumRows, type Transaction } from '../../../store/index.ts';
import type { ColumnSource, ForwardDocument } from './bundle-document.ts';
import type { DocumentEngine } from './engine.ts';

/** Measures the documents. Equal documents under equal keys give an equal value. */
export async function measure(
  engine: DocumentEngine,
  transaction: Transaction,
  { source }: ForwardDocument,
): Promise<Baseline> {
  if (source.kind === 'column') return measureColumn(transaction, source);
  const { shape, tables } = await engine.measure(source);
  return baselineOf(digestOf(shape), await serverVersion(transaction), tables);
}

function baselineOf(fingerprint: Digest, version: string, tables: Baseline['tables']): Baseline {
  return {
    baseline_version: 'v1',
    algorithm: 'document/1',
    server_version: version,
    object_counts: { document: tables.reduce((sum, { rows }) => sum + rows, 0) },
    schema_fingerprint: { strict: fingerprint, logical: fingerprint },
    tables,
  };
}

/** The release of the store that the ledger is in. */
export async function serverVersion(transaction: Transaction): Promise<string> {
  const [version] = await transaction.query<{ major: string }>(
    sql`select (current_setting('server_version_num')::int / 10000)::text as major`,
  );
  return version?.major ?? '';
}

async function measureColumn(transaction: Transaction, source: ColumnSource): Promise<Baseline> {
  const [schema = '', table = ''] = source.table.split('.');
  const columns = await transaction.query<{ name: string; type: string; place: number | null }>(sql`
    select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
      array_position(i.indkey::smallint[], a.attnum) as place
    from pg_class c join pg_namespace s on s.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    left join pg_index i on i.indrelid = c.oid and i.indisprimary
    where s.nspname = ${schema} and c.relname = ${table} and a.attnum > 0 and not a.attisdropped
      and (a.attnum = any(i.indkey) or a.attname = ${source.column}) order by 3, 1`);
  const keys = columns.filter(({ place }) => place !== null);
  const fingerprint = digestOf(columns.map(({ name, type }) => ({ name, type })));
  const names = keys.map((_, at) => `k${at + 1}`);
  const rows = sql`(select ${sql.join(keys.map(({ name }, at) => sql`${sql.id(name)} as ${sql.id(names[at] ?? '')}`))},
    sha256(convert_to(${sql.id(source.column)}::text, 'UTF8')) as was
    from ${sql.id(schema, table)} where ${sql.id(source.column)} is not null)`;
  const isThere = keys.length > 0 && columns.some(({ name }) => name === source.column);
  const sum = isThere ? await sumRows(transaction, { from: rows, columns: [...names, 'was'] }) : undefined;
  const tables = sum === undefined ? [] : [{ table: source.table, rows: sum.rows, digest: sumDigest(sum) }];
  return baselineOf(fingerprint, await serverVersion(transaction), tables);
}
