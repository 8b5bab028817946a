/**
 * Whether the new make gives the values that were kept, on a sample: the proof, before the cutover, that the make was
 * only told its dependency and not changed otherwise. `varve verify --full` proves it for every row.
 */
import { refusal, type Finding } from '../base/index.ts';
import {
  keyHash,
  names,
  outputOf,
  populate,
  readPlan,
  relationOf,
  tableId,
  type Relation,
  type Relations,
} from '../pipeline/index.ts';
import { sql, type Store } from '../store/index.ts';
import { openCopies } from './copy.ts';
import type { RunScope } from './operation/operation.ts';

/** Keys that are computed again for the sample, of each code that computed kept rows. */
const SAMPLE_KEYS = 100;

/** Computes kept rows again, in a copy, from what they were attributed to; a row that comes out otherwise is a refusal. */
export async function sampleDiffers(
  store: Store,
  { context, world }: RunScope,
  { next, relations }: { readonly next: Relation; readonly relations: Relations },
): Promise<readonly Finding[]> {
  const { spec } = next;
  const parts = Object.values(spec.parts).map((name) => relationOf(relations, name).spec);
  const plan = readPlan(spec, relations, sql`l`);
  const key = names(spec.sourceKey);
  const own = sql.join(spec.sourceKey.map((column) => sql`l.${sql.id(column)}`));
  const distinct = spec.sourceKey.length === spec.primaryKey.length ? sql`` : sql`distinct`;
  // By hash: spread over the table, and the same keys when asked again. Rows whose inputs moved since are stale, not wrong.
  // Code by code: rows that an earlier version of the make left may be few, and are the likeliest to differ.
  const keys = sql`select ${key} from (
      select ${own}, row_number() over (partition by l."#code" order by l."#hash") as "#place"
      from (select * from (
          select ${key}, c.inputs as "#inputs", c.key_hash as "#hash", w.code as "#code",
            row_number() over (partition by w.code order by c.key_hash) as "#candidate"
          from (select ${distinct} ${key} from ${tableId(next.placement)}) t
          join varve.computation c on c.relation = ${next.id} and c.key_hash = ${keyHash(sql`t`, spec.sourceKey)}
          join varve.computation_spec s on s.id = c.spec and s.origin = 'attributed'
          join varve.computation_spec w on w.id = (s.attribution ->> 'spec')::integer) x
        where "#candidate" <= ${4 * SAMPLE_KEYS}) l ${plan.joins}
      where l."#inputs" = ${plan.inputs}) k
    where k."#place" <= ${SAMPLE_KEYS}`;
  await using copies = await openCopies(store, [spec, ...parts], { relations, label: context.runId });
  const result = await populate(store, {
    definitions: world.definitions,
    environment: world.environment,
    projectFolder: world.projectFolder,
    runner: world.runner,
    objects: world.objects,
    codeByTable: world.codeByTable,
    tables: [spec.name],
    where: sql`(${key}) in (${keys})`,
    signal: context.signal,
    relations: copies.relations,
    kind: 'verify',
  });
  context.signal.throwIfAborted();
  await context.fault('E04_sampled');
  if (result.status === 'refused' || result.findings.length > 0) return result.findings;
  const differing = await differingKeys(store, { next, relations, copies: copies.relations });
  if (differing === 0) return [];
  return [
    refusal('make_changed', spec.name, {
      detail: { sample: result.tables[0]?.computed ?? 0, differing },
      hint: 'The new make gives other values than the rows that would be kept. Change only how it reads, or declare the rows to be recomputed with --attribute.',
    }),
  ];
}

/** How many of the keys in the copy have other rows there, those of parts included. */
async function differingKeys(
  store: Store,
  {
    next,
    relations,
    copies,
  }: { readonly next: Relation; readonly relations: Relations; readonly copies: Relations },
): Promise<number> {
  const copy = relationOf(copies, next.name);
  const [row] = await store.query<{ count: bigint }>(sql`
    select count(*) as count from (select distinct ${names(next.spec.sourceKey)} from ${tableId(copy.placement)}) k
    where ${outputOf(copy, copies, sql`k`)} is distinct from ${outputOf(next, relations, sql`k`)}`);
  return Number(row?.count ?? 0n);
}
