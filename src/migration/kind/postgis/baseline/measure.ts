/**
 * The baseline of kind `postgis` (M32): the digest (`pg-catalog/1`, M97) of the catalog in scope, that of every class of
 * objects anywhere, the objects in scope one by one, the rows of tables in scope as sums (M102), those of protected tables under
 * a key. Equal state gives equal bytes (M33).
 *
 * A way back is held to the catalog in scope: what others made elsewhere since is no reason to refuse it (M99).
 *
 * A run reads the catalog four times, and each time for a reason of its own:
 *
 * | when | what would go unseen without it |
 * |---|---|
 * | before it is opened (`plan`) | drift, and a plan that holds no more: both are refused before anything is written |
 * | first in its transaction | what others changed since: that snapshot is a later one, and both baselines have to be of it |
 * | last in its transaction, nothing of the script runs any more | what the script did that no other layer saw |
 * | after the commit | a commit that is not what was judged |
 *
 * Measured inside the run's transaction, which is REPEATABLE READ, so that both baselines of a run differ by its own
 * writes only; given a store, in one snapshot of its own.
 */
import type { Finding } from '../../../../base/index.ts';
import { digestOf, type Baseline, type BaselineTable } from '../../../../evidence/index.ts';
import {
  CATALOG_ALGORITHM,
  surveyCatalog,
  type CatalogScope,
  type Fingerprint,
  type Survey,
} from '../../../../provenance/index.ts';
import {
  keyedDigest,
  keyIdOfSecret,
  readPinned,
  sql,
  sumDigest,
  sumRows,
  type Rows,
  type Store,
  type Transaction,
} from '../../../../store/index.ts';
import { protectedKeyFindings, type ProtectedRows } from './protected-key.ts';

/** What a baseline covers beyond the digest of the whole catalog. */
export interface BaselineSubject extends ProtectedRows {
  /** The digest of the catalog is that of these objects, and they are listed one by one. */
  readonly scope: CatalogScope;
  /** Further objects that are listed, so that a difference names them; no digest that a way back is held to has them. */
  readonly watched?: CatalogScope;
  /** `schema.table`: their rows are summed. One that does not exist is left out. */
  readonly tables: readonly string[];
}

/** A baseline, or why there is none. */
export type BaselineOutcome =
  | { readonly status: 'measured'; readonly baseline: Baseline }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * Measures.
 *
 * Errors: refuses with `protected_key_unusable` where rows are protected and the key is missing or short, or where the
 * server would write parameters to its log.
 */
export async function measureBaseline(
  database: Store | Transaction,
  subject: BaselineSubject,
): Promise<BaselineOutcome> {
  return await readPinned(database, async (reader): Promise<BaselineOutcome> => {
    const findings = await protectedKeyFindings(reader, subject);
    if (findings.length > 0) return { status: 'refused', findings };
    const { whole, inScope, objects } = await surveySubject(reader, subject);
    const tables = await digestTables(reader, subject.tables, async (_, rows) => {
      const sum = await sumRows(reader, rows);
      return { rows: sum.rows, digest: sumDigest(sum) };
    });
    const guarded = await measureProtected(reader, subject);
    const positions = await sequencePositions(
      reader,
      objects
        .filter(({ kind, schema }) => kind === 'sequence' && subject.scope.schemas?.includes(schema) === true)
        .map(({ schema, name }) => [schema, name]),
    );
    return {
      status: 'measured',
      baseline: {
        baseline_version: 'v1',
        algorithm: CATALOG_ALGORITHM,
        server_version: String(whole.major),
        object_counts: countsOf(whole),
        schema_fingerprint: { strict: inScope.strictDigest, logical: inScope.digest },
        classes: whole.schemas.flatMap(({ schema, kinds }) =>
          kinds.map(({ kind, objects: count, digest, strictDigest }) => ({
            schema,
            kind,
            objects: count,
            strict: strictDigest,
            logical: digest,
          })),
        ),
        objects: objects.map((object) => ({ ...object })),
        sequence_positions: positions,
        tables,
        ...(guarded === undefined ? {} : { protected_fingerprint: guarded }),
      },
    };
  });
}

/** The catalog as a baseline has it: all of it, what is in scope, and the objects in scope and those that are watched. */
export async function surveySubject(
  reader: Store | Transaction,
  { scope, watched }: Pick<BaselineSubject, 'scope' | 'watched'>,
): Promise<Survey> {
  return await surveyCatalog(reader, { scope, listed: joinScopes(scope, watched) });
}

function joinScopes(left: CatalogScope, right: CatalogScope = {}): CatalogScope {
  return {
    schemas: [...new Set([...(left.schemas ?? []), ...(right.schemas ?? [])])],
    tables: [...(left.tables ?? []), ...(right.tables ?? [])],
  };
}

function countsOf({ schemas }: Fingerprint): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind, objects } of schemas.flatMap(({ kinds }) => kinds)) {
    counts[kind] = (counts[kind] ?? 0) + objects;
  }
  return counts;
}

type Digest = (table: string, rows: Rows) => Promise<{ readonly rows: number; readonly digest: string }>;

/** The rows of each of these tables that exists and stores rows, by name. */
async function digestTables(
  reader: Transaction,
  names: readonly string[],
  digest: Digest,
): Promise<readonly BaselineTable[]> {
  const found: BaselineTable[] = [];
  for (const table of [...new Set(names)].sort()) {
    const dot = table.indexOf('.');
    const [schema, name] = [table.slice(0, dot), table.slice(dot + 1)];
    const columns = await reader.query<{
      name: string;
    }>(sql`select a.attname::text as name from pg_attribute a
      join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema} and c.relname = ${name} and c.relkind in ('r', 'p', 'm') and a.attnum > 0 and not a.attisdropped`);
    const [there] = columns.length > 0 ? [{ there: true }] : await tableExists(reader, schema, name);
    if (there?.there !== true) continue;
    // Rows of inheritance children are those of another table; partitions are the table's own.
    const partitioned = await isPartitioned(reader, schema, name);
    const from = partitioned ? sql.id(schema, name) : sql`only ${sql.id(schema, name)}`;
    const { rows, digest: value } = await digest(table, {
      from,
      columns: columns.map((column) => column.name),
    });
    found.push({ table, rows, digest: value });
  }
  return found;
}

/** A table may have no column at all. */
async function tableExists(
  reader: Transaction,
  schema: string,
  name: string,
): Promise<readonly { readonly there: boolean }[]> {
  return await reader.query<{
    there: boolean;
  }>(sql`select true as there from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = ${name} and c.relkind in ('r', 'p', 'm')`);
}

async function isPartitioned(reader: Transaction, schema: string, name: string): Promise<boolean> {
  const [row] = await reader.query<{
    partitioned: boolean;
  }>(sql`select c.relkind = 'p' as partitioned from pg_class c
    join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} and c.relname = ${name}`);
  return row?.partitioned === true;
}

async function measureProtected(
  reader: Transaction,
  { protectedTables, protectedKey: key }: BaselineSubject,
): Promise<Baseline['protected_fingerprint']> {
  if (protectedTables.length === 0 || key === undefined) return undefined;
  const tables = await digestTables(reader, protectedTables, (table, rows) =>
    keyedDigest(reader, rows, { key, purpose: table }),
  );
  const value = digestOf(tables.map(({ table, rows, digest }) => ({ table, rows, digest })));
  return { value, key_id: keyIdOfSecret(key), tables };
}

/** Where sequences stand, as one digest: whoever counts with them changes it. */
async function sequencePositions(
  reader: Transaction,
  sequences: readonly (readonly [schema: string, name: string])[],
): Promise<string> {
  const positions = await reader.query<{ sequence: string; position: string | null }>(sql`
    select s || '.' || n as sequence, (select last_value::text from pg_sequences q where q.schemaname = s and q.sequencename = n) as position
    from unnest(${sequences.map(([schema]) => schema)}::text[], ${sequences.map(([, name]) => name)}::text[]) u (s, n)
    order by s collate "C", n collate "C"`);
  return digestOf(positions.map(({ sequence, position }) => ({ sequence, position })));
}
