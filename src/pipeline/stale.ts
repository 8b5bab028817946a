import type { Finding, JsonObject } from '../base/index.ts';
import { cascade, type WalkedTable } from '../provenance/index.ts';
import { sql, type Queryable, type Row, type Sql, type Store } from '../store/index.ts';
import type { CodeIdentity } from './code-digest.ts';
import type { Definitions } from './definition-set.ts';
import { encodeKey } from './encode-row.ts';
import { graphOf } from './graph.ts';
import { staleKeys, type Key, type StaleKey, type StaleReason } from './key-source.ts';
import { loadRelations, mismatches, relationOf, type Relation, type Relations } from './relation.ts';
import type { TableSpec } from './spec.ts';
import { unknownTable } from './unknown-table.ts';
import { keysRecordset } from './write-rows.ts';

/** A package whose version is not the recorded one; null: it was not, or is not, used. */
export interface MovedPackage {
  readonly name: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** Why a row no longer is what would be computed now. */
export type WhyStale =
  | { readonly kind: 'inputs'; readonly reads: readonly { readonly read: string; readonly table: string }[] }
  | {
      readonly kind: 'code';
      readonly recordedDigest: string;
      readonly presentDigest: string;
      /** Whether the code itself differs; false: only packages moved. */
      readonly isSourceChanged: boolean;
      /** How much code the digest covers; with another basis than `bundle` or `sql` an edit elsewhere may be what shows. */
      readonly basis: CodeIdentity['basis'];
      readonly packages: readonly MovedPackage[];
    }
  /** Its declared reads are others now. */
  | { readonly kind: 'reads' };

/** The stale keys of one table; a row that is not among them has the inputs and the code that it was computed with. */
export interface StaleTable {
  readonly table: string;
  readonly stale: readonly { readonly key: JsonObject; readonly reasons: readonly WhyStale[] }[];
  /** Rows below them, which are looked at again once these are recomputed; each table's own rows are not among them. */
  readonly below: readonly RowsOfTable[];
  /**
   * How many rows of this table stand below stale rows of which tables. Recomputing those tells whether these change:
   * an equal result leaves them untouched.
   */
  readonly upstream: readonly RowsOfTable[];
}

/** A count of rows and the table that it speaks of. */
export interface RowsOfTable {
  readonly table: string;
  readonly rows: number;
}

/** What is stale, or why that cannot be said. */
export type StaleResult =
  | { readonly status: 'ok'; readonly tables: readonly StaleTable[] }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * The rows whose recorded inputs or code are not those of the present, by table, in dependency order.
 *
 * Shape: `{ status: 'ok', tables: [{ table: 'lab.grade', stale: [{ key: { mouse: 1 }, reasons: [{ kind: 'inputs', reads: [{ read: 'mouse', table: 'lab.mouse' }] }] }], below: [{ table: 'lab.report', rows: 3 }], upstream: [] }] }`
 * Invariant: `upstream` of a table is told whether its tables above were asked for or not.
 * Errors: refuses with `unknown_table`, `not_deployed`.
 */
export async function stale(
  store: Store,
  definitions: Definitions,
  codeByTable: ReadonlyMap<string, CodeIdentity>,
  tables?: readonly string[],
): Promise<StaleResult> {
  const relations = await loadRelations(store);
  const computed = definitions.set.tables.filter(({ form }) => form !== undefined);
  const unknown = (tables ?? []).filter((name) => !computed.some((spec) => spec.name === name));
  const names = computed.map(({ name }) => name);
  if (unknown.length > 0)
    return { status: 'refused', findings: unknown.map((name) => unknownTable(name, names)) };
  const wanted = computed.filter(({ name }) => tables === undefined || tables.includes(name));
  const findings = mismatches(relations, wanted);
  if (findings.length > 0) return { status: 'refused', findings };
  const found: StaleTable[] = [];
  for (const spec of withUpstream(computed, wanted)) {
    const code = codeByTable.get(spec.name);
    if (code !== undefined) found.push(await staleTable({ store, definitions, relations, spec, code }));
  }
  const isWanted = ({ table }: StaleTable): boolean => wanted.some(({ name }) => name === table);
  return { status: 'ok', tables: found.filter(isWanted).map((table) => withStaleAbove(table, found)) };
}

/** The wanted tables and all computed ones that they derive from, in the order of definition. */
function withUpstream(computed: readonly TableSpec[], wanted: readonly TableSpec[]): readonly TableSpec[] {
  const needed = new Set(wanted);
  // A set gives what is added to it meanwhile, so this ends when nothing leads to another table.
  for (const { reads, foreignKeys } of needed) {
    const above = [...reads.map(({ table }) => table), ...foreignKeys.map(({ to }) => to)];
    computed
      .filter(({ name, parts }) => [name, ...Object.values(parts)].some((each) => above.includes(each)))
      .forEach((spec) => needed.add(spec));
  }
  return computed.filter((spec) => needed.has(spec));
}

function withStaleAbove(table: StaleTable, found: readonly StaleTable[]): StaleTable {
  const upstream = found.flatMap(({ table: above, below }) => {
    const reached = below.find((each) => each.table === table.table);
    return reached === undefined ? [] : [{ table: above, rows: reached.rows }];
  });
  return { ...table, upstream };
}

interface Question {
  readonly store: Store;
  readonly definitions: Definitions;
  readonly relations: Relations;
  readonly spec: TableSpec;
  readonly code: CodeIdentity;
}

async function staleTable(question: Question): Promise<StaleTable> {
  const { store, relations, spec, code } = question;
  const keys = await staleKeys(store, relationOf(relations, spec.name), relations, code, {
    condition: undefined,
  });
  const codes = await recordedCodes(store, keys);
  return {
    table: spec.name,
    stale: keys.map(({ key, reasons }) => ({
      key: encodeKey(key),
      reasons: reasons.map((reason) => whyStale(spec, reason, code, codes)),
    })),
    below: keys.length === 0 ? [] : await rowsBelow(question, keys),
    upstream: [],
  };
}

type RecordedCode = Pick<CodeIdentity, 'packages' | 'source'>;

async function recordedCodes(
  store: Queryable,
  keys: readonly StaleKey[],
): Promise<ReadonlyMap<string, RecordedCode>> {
  const digests = new Set(
    keys.flatMap(({ reasons }) =>
      reasons.flatMap((reason) => (reason.kind === 'code' ? [reason.recordedDigest] : [])),
    ),
  );
  if (digests.size === 0) return new Map();
  const rows = await store.query<RecordedCode & Row & { digest: string }>(sql`
    select digest, packages, source from varve.code where digest = any(${[...digests]}::text[])`);
  return new Map(rows.map((row) => [row.digest, row]));
}

function whyStale(
  spec: TableSpec,
  reason: StaleReason,
  code: CodeIdentity,
  codes: ReadonlyMap<string, RecordedCode>,
): WhyStale {
  if (reason.kind === 'reads') return reason;
  if (reason.kind === 'inputs') {
    const reads = spec.reads.filter(({ name }) => reason.reads.includes(name));
    return { kind: 'inputs', reads: reads.map(({ name, table }) => ({ read: name, table })) };
  }
  const recorded = codes.get(reason.recordedDigest);
  return {
    kind: 'code',
    recordedDigest: reason.recordedDigest,
    presentDigest: code.digest,
    isSourceChanged: recorded?.source !== code.source,
    basis: code.basis,
    packages: movedPackages(recorded?.packages ?? {}, code.packages),
  };
}

function movedPackages(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): readonly MovedPackage[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].toSorted();
  return names
    .filter((name) => before[name] !== now[name])
    .map((name) => ({ name, from: before[name] ?? null, to: now[name] ?? null }));
}

async function rowsBelow(
  { store, definitions, relations, spec }: Question,
  keys: readonly StaleKey[],
): Promise<StaleTable['below']> {
  const graph = graphOf(definitions, { relations });
  const condition = isOneOf(
    relationOf(relations, spec.name),
    keys.map(({ key }) => key),
  );
  const walked = await cascade(store, graph, { table: spec.name, condition }, { parts: 'ignore' });
  const tables: readonly WalkedTable[] = walked.status === 'ok' ? walked.tables : [];
  return tables
    .filter(
      ({ table, rows }) => rows > 0 && table !== spec.name && !Object.values(spec.parts).includes(table),
    )
    .map(({ table, rows }) => ({ table, rows }));
}

/** That a row of the relation is of one of these units. */
function isOneOf({ spec }: Relation, keys: readonly Key[]): Sql {
  const columns = sql.join(spec.sourceKey.map((column) => sql.id(column)));
  return sql`(${columns}) in (select ${columns} from (${keysRecordset(spec, keys)}) k)`;
}
