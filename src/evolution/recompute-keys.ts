/**
 * Some keys of one table computed again, in a copy, from what its parents hold: what a proof on a sample is made of.
 *
 * ```text
 * keys      source key, #hash, #code (id of the recorded code, null where no computation is recorded)
 * copy      the table and its parts, empty but for these keys
 * ```
 */
import {
  names,
  outputOf,
  populate,
  relationOf,
  tableId,
  type Placement,
  type PopulateResult,
  type Relation,
  type Relations,
} from '../pipeline/index.ts';
import { sql, type Sql, type Store } from '../store/index.ts';
import { keysPlacement, openCopies } from './copy.ts';
import type { EvolutionWorld } from './operation/operation.ts';

/** What to compute again. */
export interface KeysToRecompute {
  readonly relation: Relation;
  /** The world it is computed in. */
  readonly relations: Relations;
  /** Names the copy; one user at a time. */
  readonly label: string;
  /** Queries with the columns of the source key, `#hash` and `#code`; each gives some of the keys. */
  readonly keys: readonly Sql[];
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((computed: number, total: number | null) => void) | undefined;
}

/** The keys beside what they give now; goes when disposed. */
export interface RecomputedKeys extends AsyncDisposable {
  readonly keys: Placement;
  /** The relations with the copy in place of the table. */
  readonly copies: Relations;
  readonly result: PopulateResult;
}

/**
 * Computes these keys in a copy of their table; every other table is read where it stands.
 *
 * The keys are chosen once and written down: populate asks for its condition page by page, and choosing looks at every row.
 */
export async function recomputeKeys(
  store: Store,
  world: EvolutionWorld,
  given: KeysToRecompute,
): Promise<RecomputedKeys> {
  const { relation, relations, label } = given;
  const { spec } = relation;
  const parts = Object.values(spec.parts).map((name) => relationOf(relations, name).spec);
  const copies = await openCopies(store, [spec, ...parts], { relations, label });
  try {
    const keys = await writeKeys(store, given);
    const key = names(spec.sourceKey);
    const result = await populate(store, {
      definitions: world.definitions,
      environment: world.environment,
      projectFolder: world.projectFolder,
      runner: world.runner,
      objects: world.objects,
      codeByTable: world.codeByTable,
      tables: [spec.name],
      where: sql`(${key}) in (select ${key} from ${tableId(keys)})`,
      relations: copies.relations,
      kind: 'verify',
      ...(given.signal === undefined ? {} : { signal: given.signal }),
      progress: ({ computed, total }) => given.progress?.(computed, total),
    });
    given.signal?.throwIfAborted();
    return {
      keys,
      copies: copies.relations,
      result,
      [Symbol.asyncDispose]: () => copies[Symbol.asyncDispose](),
    };
  } catch (error) {
    await copies[Symbol.asyncDispose]();
    throw error;
  }
}

async function writeKeys(store: Store, { relation, label, keys }: KeysToRecompute): Promise<Placement> {
  const { spec } = relation;
  const placement = keysPlacement(label);
  const typeByColumn = new Map(spec.columns.map(({ name, type }) => [name, type]));
  const columns = spec.sourceKey.map(
    (column) => sql`${sql.id(column)} ${sql.raw(typeByColumn.get(column) ?? 'text')} not null`,
  );
  const listed = sql`${names(spec.sourceKey)}, "#hash", "#code"`;
  await store.transaction({}, async (transaction) => {
    await transaction.execute(sql`create table ${tableId(placement)}
      (${sql.join(columns)}, "#hash" bytea not null unique, "#code" integer)`);
    for (const query of keys) {
      await transaction.execute(sql`insert into ${tableId(placement)} (${listed}) select ${listed} from (${query}) k
        on conflict do nothing`);
    }
    await transaction.execute(sql`analyze ${tableId(placement)}`);
  });
  return placement;
}

/** One recomputed key. */
export interface ComparedKey {
  /** Digest of the key, lower-case hex. */
  readonly key: string;
  /** Id of the recorded code; null where no computation is recorded. */
  readonly code: number | null;
  /** Digests of its rows, those of parts included. */
  readonly stored: string;
  readonly computed: string;
  readonly isEqual: boolean;
  /** Whether it was computed at all: not where its make failed, or where it is no key any more. */
  readonly isComputed: boolean;
}

/** What stands beside what was computed, key by key. */
export async function compareKeys(
  store: Store,
  { relation, relations }: Pick<KeysToRecompute, 'relation' | 'relations'>,
  { keys, copies }: Pick<RecomputedKeys, 'keys' | 'copies'>,
): Promise<readonly ComparedKey[]> {
  const copy = relationOf(copies, relation.name);
  const same = relation.spec.sourceKey.map((column) => sql`c.${sql.id(column)} = k.${sql.id(column)}`);
  const hex = (digest: Sql): Sql => sql`'sha256:' || encode(${digest}, 'hex')`;
  return store.query<ComparedKey & Record<string, unknown>>(sql`
    select encode(k."#hash", 'hex') as key, k."#code" as code,
      ${hex(sql`k.stored`)} as stored, ${hex(sql`k.computed`)} as computed,
      k.stored = k.computed and k."isComputed" as "isEqual", k."isComputed"
    from (
      select k."#hash", k."#code", ${outputOf(relation, relations, sql`k`)} as stored,
        ${outputOf(copy, copies, sql`k`)} as computed,
        exists (select from ${tableId(copy.placement)} c where ${sql.join(same, sql` and `)}) as "isComputed"
      from ${tableId(keys)} k) k
    order by k."#hash"`);
}
