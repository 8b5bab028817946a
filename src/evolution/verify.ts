/**
 * The proof that an evolved database is right: drop everything that is computed, in a copy, populate it from nothing,
 * and compare row by row.
 */
import type { Finding, JsonObject } from '../base/index.ts';
import { hex, refusal } from '../base/index.ts';
import {
  isMakeUnknown,
  loadRelations,
  makeUnknown,
  mismatches,
  populate,
  relationOf,
  rowDigest,
  tableId,
  unknownTable,
  type AnyTable,
  type Relation,
  type TableSpec,
} from '../pipeline/index.ts';
import { sql, type Store } from '../store/index.ts';
import { openCopies } from './copy.ts';
import type { EvolutionWorld } from './operation/operation.ts';

/** What the comparison found in one table. */
export interface VerifiedTable extends JsonObject {
  readonly table: string;
  /** Rows of the table as it stands. */
  readonly rows: number;
  readonly equal: number;
  readonly differing: number;
  /** Rows that populating from nothing gives and the table does not have. */
  readonly missing: number;
  /** Rows that the table has and populating from nothing does not give. */
  readonly extra: number;
}

/** Equal, or where not. */
export type VerifyResult =
  | {
      readonly status: 'equal' | 'different';
      readonly tables: readonly VerifiedTable[];
      readonly findings: readonly Finding[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** How a verification is narrowed and watched. */
export interface VerifyOptions {
  /** Default: all computed tables. */
  readonly tables?: readonly string[];
  /** Also what is imported: reads the outside world again. */
  readonly imported?: boolean;
  readonly signal?: AbortSignal;
  readonly progress?: (progress: {
    readonly table: string;
    readonly computed: number;
    readonly total: number | null;
  }) => void;
}

/** Repopulates a disposable copy of every computed table and compares it with what stands. */
export async function verifyFull(
  store: Store,
  world: EvolutionWorld,
  options: VerifyOptions,
): Promise<VerifyResult> {
  const { set } = world.definitions;
  const tiers = options.imported === true ? ['computed', 'imported'] : ['computed'];
  const { tableByName } = world.definitions;
  const made = set.tables.filter(({ tier }) => tiers.includes(tier));
  const unmade = made.flatMap(({ name }) => tableByName.get(name) ?? []).filter(isMakeUnknown);
  const isAsked = ({ spec }: AnyTable): boolean => options.tables?.includes(spec.name) === true;
  if (unmade.some(isAsked)) {
    return {
      status: 'refused',
      findings: unmade.filter(isAsked).map((table) => makeUnknown(table, 'error')),
    };
  }
  const computed = made.filter(({ name }) => !unmade.some(({ spec }) => spec.name === name));
  const unknown = (options.tables ?? []).filter((name) => !computed.some((spec) => spec.name === name));
  if (unknown.length > 0) {
    const known = computed.map(({ name }) => name);
    return { status: 'refused', findings: unknown.map((name) => unknownTable(name, known)) };
  }
  const relations = await loadRelations(store);
  const undeployed = mismatches(relations, set.tables);
  if (undeployed.length > 0) return { status: 'refused', findings: undeployed };
  const parts = set.tables.filter(({ master }) => computed.some(({ name }) => name === master));
  const label = `varve verify ${hex(world.environment.randomBytes(8))}`;
  await using copies = await openCopies(store, [...computed, ...parts], { relations, label });
  const result = await populate(store, {
    ...world,
    tables: computed.map(({ name }) => name),
    relations: copies.relations,
    kind: 'verify',
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.progress === undefined ? {} : { progress: options.progress }),
  });
  if (result.status === 'refused') return result;
  options.signal?.throwIfAborted();
  const wanted = [...computed, ...parts].filter(
    ({ name, master }) => options.tables === undefined || options.tables.includes(master ?? name),
  );
  const tables: VerifiedTable[] = [];
  for (const { name } of wanted) {
    tables.push(await compare(store, relationOf(relations, name), relationOf(copies.relations, name)));
  }
  const differing = tables.filter((table) => table.equal < table.rows + table.missing).map(differs);
  const findings = [...unmade.map((table) => makeUnknown(table, 'warning')), ...differing];
  return { status: differing.length === 0 ? 'equal' : 'different', tables, findings };
}

function differs(table: VerifiedTable): Finding {
  const { differing, missing, extra } = table;
  return refusal('verify_differs', table.table, {
    detail: { differing, missing, extra },
    hint: 'Run `varve stale` to see rows whose inputs moved; populate brings them to the present. What then still differs was computed by another make.',
  });
}

async function compare(store: Store, live: Relation, copy: Relation): Promise<VerifiedTable> {
  const spec: TableSpec = live.spec;
  const columns = spec.columns.map(({ name }) => name);
  const same = spec.primaryKey.map((column) => sql`l.${sql.id(column)} = c.${sql.id(column)}`);
  const [first] = spec.primaryKey;
  const there = (alias: 'l' | 'c') => sql`${sql.raw(alias)}.${sql.id(first ?? '')} is not null`;
  const equal = sql`${rowDigest(sql`l`, columns)} = ${rowDigest(sql`c`, columns)}`;
  const [row] = await store.query<{ rows: bigint; equal: bigint; both: bigint; missing: bigint }>(sql`
    select count(*) filter (where ${there('l')}) as rows,
      count(*) filter (where ${there('l')} and ${there('c')} and ${equal}) as equal,
      count(*) filter (where ${there('l')} and ${there('c')}) as both,
      count(*) filter (where not (${there('l')})) as missing
    from ${tableId(live.placement)} l full join ${tableId(copy.placement)} c on ${sql.join(same, sql` and `)}`);
  const [rows, found, both, missing] = [row?.rows, row?.equal, row?.both, row?.missing].map((n) =>
    Number(n ?? 0n),
  ) as [number, number, number, number];
  return { table: spec.name, rows, equal: found, differing: both - found, missing, extra: rows - both };
}
