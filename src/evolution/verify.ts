/**
 * The proof that an evolved database is right: drop everything that is computed, in a copy, populate it from nothing,
 * and compare row by row.
 *
 * | a row that is not the same on both sides | counts as |
 * |---|---|
 * | of a key whose recorded inputs are others than those in the copy, or whose code is another now | stale |
 * | on both sides | differing |
 * | in the copy only | missing |
 * | as it stands only | extra |
 */
import type { Finding, JsonObject } from '../base/index.ts';
import { hex, refusal } from '../base/index.ts';
import {
  keyHash,
  makeUnknown,
  names,
  outputOf,
  populate,
  relationOf,
  rowDigest,
  tableId,
  type Relation,
  type Relations,
  type TableSpec,
} from '../pipeline/index.ts';
import { sql, type Sql, type Store } from '../store/index.ts';
import { openCopies } from './copy.ts';
import { movedKeys } from './moved-keys.ts';
import type { EvolutionWorld } from './operation/operation.ts';
import { verifyScope, type VerifyOptions } from './verify-scope.ts';

/** What the comparison found in one table. */
export interface VerifiedTable extends JsonObject {
  readonly table: string;
  /** Rows of the table as it stands. */
  readonly rows: number;
  readonly equal: number;
  /** Rows that are not the same, of keys whose inputs or code moved since they were computed. */
  readonly stale: number;
  readonly differing: number;
  /** Rows that populating from nothing gives and the table does not have. */
  readonly missing: number;
  /** Rows that the table has and populating from nothing does not give. */
  readonly extra: number;
}

/** Equal; other than from nothing, but only where inputs or code moved since; or where not. */
export type VerifyResult =
  | {
      readonly status: 'equal' | 'stale' | 'different';
      readonly tables: readonly VerifiedTable[];
      readonly findings: readonly Finding[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** Repopulates a disposable copy of every computed table and compares it with what stands. */
export async function verifyFull(
  store: Store,
  world: EvolutionWorld,
  options: VerifyOptions,
): Promise<VerifyResult> {
  const scope = await verifyScope(store, world, options);
  if (scope.status === 'refused') return scope;
  const { relations, computed, wanted, unmade } = scope;
  const partsOf = (masters: readonly TableSpec[]): readonly TableSpec[] =>
    world.definitions.set.tables.filter(({ master }) => masters.some(({ name }) => name === master));
  const label = `varve verify ${hex(world.environment.randomBytes(8))}`;
  await using copies = await openCopies(store, [...computed, ...partsOf(computed)], { relations, label });
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
  const compared: ComparedTable[] = [];
  for (const spec of [...wanted, ...partsOf(wanted)]) {
    const code = world.codeByTable.get(spec.master ?? spec.name)?.digest;
    compared.push(await compare(store, { spec, relations, copies: copies.relations, code }));
  }
  const unknown = unmade.map((table) => makeUnknown(table, 'warning'));
  const findings = [...result.findings, ...unknown, ...compared.flatMap(findingsOf)];
  return { status: statusOf(compared), tables: compared.map(({ counts }) => counts), findings };
}

function statusOf(compared: readonly ComparedTable[]): 'equal' | 'stale' | 'different' {
  if (compared.some(({ counts }) => wrongRows(counts) > 0)) return 'different';
  return compared.some(({ counts }) => counts.stale > 0) ? 'stale' : 'equal';
}

function wrongRows({ differing, missing, extra }: VerifiedTable): number {
  return differing + missing + extra;
}

interface ComparedTable {
  readonly counts: VerifiedTable;
  /** The first keys that are wrong. */
  readonly keys: readonly WrongKey[];
}

/** A key by its digest, with the digests of what stands and of what populating gave. */
export interface WrongKey extends JsonObject {
  readonly key: string;
  readonly stored: string;
  readonly computed: string;
}

/** Keys named in a finding. */
export const NAMED_KEYS = 10;

function findingsOf({ counts, keys }: ComparedTable): readonly Finding[] {
  const { table, stale, differing, missing, extra } = counts;
  return [
    ...(wrongRows(counts) === 0
      ? []
      : [
          refusal('verify_differs', table, {
            detail: { differing, missing, extra, keys },
            hint: 'Inputs and code are as recorded, so these rows were changed by hand, read what nothing declares, or come from a make that gives another result each time. Missing rows may only not be populated yet.',
          }),
        ]),
    ...(stale === 0 ? [] : [rowsStale(table, stale)]),
  ];
}

/** Says that rows are stale, and what brings them to the present. */
export function rowsStale(table: string, rows: number): Finding {
  return refusal('verify_stale', table, {
    detail: { rows },
    hint: 'Their inputs or their code moved since they were computed: see `varve stale`, and run `varve populate`.',
  });
}

interface Comparison {
  readonly spec: TableSpec;
  readonly relations: Relations;
  readonly copies: Relations;
  readonly code: string | undefined;
}

async function compare(store: Store, given: Comparison): Promise<ComparedTable> {
  const { spec, relations, copies } = given;
  const [live, copy] = [relationOf(relations, spec.name), relationOf(copies, spec.name)];
  const [row] = await store.query<{ rows: bigint; equal: bigint; missing: bigint }>(sql`
    select count(*) filter (where ${stands(spec, 'l')}) as rows,
      count(*) filter (where ${isEqual(spec)}) as equal,
      count(*) filter (where not (${stands(spec, 'l')})) as missing
    from ${bothSides(live, copy)}`);
  const [rows, equal, missing] = [row?.rows, row?.equal, row?.missing].map((n) => Number(n ?? 0n)) as [
    number,
    number,
    number,
  ];
  const none = { stale: 0, differing: 0, missing: 0, extra: 0 };
  if (equal === rows && missing === 0)
    return { counts: { table: spec.name, rows, equal, ...none }, keys: [] };
  const classes = await classesOf(store, given);
  const counts = { table: spec.name, rows, equal, ...classes };
  return { counts, keys: wrongRows(counts) === 0 ? [] : await wrongKeys(store, given) };
}

function stands({ primaryKey: [first = ''] }: TableSpec, alias: 'l' | 'c'): Sql {
  return sql`${sql.raw(alias)}.${sql.id(first)} is not null`;
}

function isEqual(spec: TableSpec): Sql {
  const columns = spec.columns.map(({ name }) => name);
  return sql`${stands(spec, 'l')} and ${stands(spec, 'c')}
    and ${rowDigest(sql`l`, columns)} = ${rowDigest(sql`c`, columns)}`;
}

function bothSides({ spec, placement }: Relation, copy: Relation): Sql {
  const same = spec.primaryKey.map((column) => sql`l.${sql.id(column)} = c.${sql.id(column)}`);
  return sql`${tableId(placement)} l full join ${tableId(copy.placement)} c on ${sql.join(same, sql` and `)}`;
}

/**
 * CTEs `d`, the rows that are not the same, with the key they belong to; `h`, their keys with `#hash`; `m`, the hashes of
 * those that moved. The key of a part's row is that of its master.
 */
async function unequal(store: Store, { spec, relations, copies, code }: Comparison): Promise<Sql> {
  const master = relationOf(relations, spec.master ?? spec.name);
  const { sourceKey } = master.spec;
  const key = sourceKey.map(
    (column) => sql`coalesce(l.${sql.id(column)}, c.${sql.id(column)}) as ${sql.id(column)}`,
  );
  const moved = await movedKeys(store, {
    relation: master,
    relations: copies,
    keys: sql`select * from h`,
    code,
  });
  return sql`with d as materialized (
      select ${sql.join(key)}, ${stands(spec, 'l')} as "#live", ${stands(spec, 'c')} as "#copy"
      from ${bothSides(relationOf(relations, spec.name), relationOf(copies, spec.name))}
      where not (${isEqual(spec)})),
    h as materialized (
      select k.*, ${keyHash(sql`k`, sourceKey)} as "#hash" from (select distinct ${names(sourceKey)} from d) k),
    m as (${moved})`;
}

type Classes = Pick<VerifiedTable, 'stale' | 'differing' | 'missing' | 'extra'>;

async function classesOf(store: Store, given: Comparison): Promise<Classes> {
  const { sourceKey } = relationOf(given.relations, given.spec.master ?? given.spec.name).spec;
  const [row] = await store.query<Record<keyof Classes, bigint>>(sql`
    ${await unequal(store, given)}
    select count(*) filter (where moved) as stale,
      count(*) filter (where not moved and "#live" and "#copy") as differing,
      count(*) filter (where not moved and not "#live") as missing,
      count(*) filter (where not moved and not "#copy") as extra
    from (select d.*, h."#hash" in (select "#hash" from m) as moved from d join h using (${names(sourceKey)})) d`);
  const count = (name: keyof Classes): number => Number(row?.[name] ?? 0n);
  return {
    stale: count('stale'),
    differing: count('differing'),
    missing: count('missing'),
    extra: count('extra'),
  };
}

async function wrongKeys(store: Store, given: Comparison): Promise<readonly WrongKey[]> {
  const { spec, relations, copies } = given;
  const master = spec.master ?? spec.name;
  const output = (world: Relations): Sql => outputOf(relationOf(world, master), world, sql`h`);
  const rows = await store.query<{ key: string; stored: string; computed: string }>(sql`
    ${await unequal(store, given)}
    select encode(h."#hash", 'hex') as key, 'sha256:' || encode(${output(relations)}, 'hex') as stored,
      'sha256:' || encode(${output(copies)}, 'hex') as computed
    from h where h."#hash" not in (select "#hash" from m) order by h."#hash" limit ${NAMED_KEYS}`);
  return rows.map(({ key, stored, computed }) => ({ key, stored, computed }));
}
